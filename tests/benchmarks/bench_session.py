"""Speed of the reference system: one frame, ten minutes, a batch, and a step beside Moshi's.

    python tests/benchmarks/bench_session.py [--weights FILE] [--frames 200] [--minutes 10]

One frame: `Session.push` of 80 ms, batch 1, two threads, all stages, p50 and p95.
Ten minutes: the same session for 7,500 frames; the last minute's median step against the second
minute's, and what the state and the process hold at both times.
A batch: 16 sessions in one forward pass; seconds of conversation in a second, in sum.
Moshi: the language model alone (temporal and depth transformer), one thread, random weights, ours
and that of PyPI `moshi` 0.2.13 at the same dimensions, in turns of 25 frames. Moshi's keeps a set
of depth weights for each codebook, ours shares one. Without the package: not measured.

The user is noise: time does not depend on what is heard. All numbers are those of one run.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bench_codec import TURN_FRAMES, ratio
from numpy.typing import NDArray

from sts_core.lm.config import LMConfig
from sts_core.lm.model import DuplexLM
from sts_core.lm.sampling import Sampler, SamplingConfig
from sts_core.session import SessionOptions, System, state_bytes
from sts_core.units import FRAME_MS, FRAME_SAMPLES

BATCH = 16
INSTALL = "pip install --no-deps moshi==0.2.13 sphn einops"
Times = NDArray[np.float64]


def noise(rows: int) -> NDArray[np.float32]:
    """Frames float32 [rows, 1920]."""
    return np.random.default_rng(0).normal(0, 0.05, (rows, FRAME_SAMPLES)).astype(np.float32)


def timed(step: Callable[[], object], frames: int) -> Times:
    """Milliseconds of each of `frames` calls."""
    taken = []
    for _ in range(frames):
        start = time.perf_counter()
        step()
        taken.append(1e3 * (time.perf_counter() - start))
    return np.array(taken)


def resident_mb() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def one_frame(system: System, frames: int) -> None:
    """Print a frame's time, in all and by stage."""
    session, frame = system.open(), noise(1)[0]
    stages = []
    timed(lambda: session.push(frame), TURN_FRAMES)
    taken = timed(lambda: stages.append(session.push(frame).stages), frames)
    low, high = np.percentile(taken, [50, 95])
    print(f"one frame, 2 threads, n = {frames}: p50 {low:.1f} ms, p95 {high:.1f} ms (bar: 30)")
    for name, middle in zip(stages[0]._fields, np.median(np.array(stages), axis=0), strict=True):
        print(f"    {name:<12} {middle:.1f}")


def long_session(system: System, minutes: int) -> None:
    """Print what a long session costs at its end, against its second minute."""
    session, frame = system.open(), noise(1)[0]
    per_minute = round(60_000 / FRAME_MS)
    early, late = np.zeros(0), np.zeros(0)
    held: list[tuple[int, float]] = []
    for minute in range(minutes):
        late = timed(lambda: session.push(frame), per_minute)
        if minute == 1:
            early = late
        if minute in (1, minutes - 1):
            held.append((state_bytes(session.state), resident_mb()))
    value, least, most = ratio(late, early)
    print(f"{minutes} minutes: median step of the last minute / the second: {value:.3f}", end="")
    print(f" [{least:.3f}, {most:.3f}]")
    (state_early, process_early), (state_late, process_late) = held
    print(f"    state {state_early / 1e6:.2f} MB, then {state_late / 1e6:.2f} MB;", end="")
    print(f" process {process_early:.0f} MB, then {process_late:.0f} MB")


def in_a_batch(system: System, frames: int) -> None:
    """Print the speed of a batch."""
    batch, heard = system.open_batch([SessionOptions(seed=k) for k in range(BATCH)]), noise(BATCH)
    timed(lambda: batch.push(heard), TURN_FRAMES)
    middle = float(np.median(timed(lambda: batch.push(heard), frames)))
    print(f"batch of {BATCH}, 2 threads: {middle:.1f} ms a frame,", end="")
    print(f" {BATCH * FRAME_MS / middle:.1f}x real time in sum (bar: 8)")


def our_step(config: LMConfig) -> Callable[[], object]:
    """A step of the language model alone, greedy, of random weights."""
    torch.manual_seed(0)
    lm = DuplexLM(config).eval()
    sampler, voice = Sampler(SamplingConfig(), [0]), torch.zeros(1, dtype=torch.int64)
    ear = torch.randn(1, config.ear_dim)
    state = [lm.initial_state(1)]

    def step() -> None:
        _, state[0] = lm.step(ear, voice, state[0], sampler)

    return step


def moshi_step(config: LMConfig) -> Callable[[], object]:
    """The same of Moshi's model, at the same widths, depths and numbers of tokens."""
    os.environ.setdefault("NO_TORCH_COMPILE", "1")
    from moshi.models.lm import LMGen, LMModel

    torch.manual_seed(0)
    own, user = config.codebooks, config.codebooks
    lm = LMModel(
        delays=[0] * (1 + own + user),
        n_q=own + user,
        dep_q=own,
        card=config.codebook_size,
        text_card=config.text_vocabulary,
        dim=config.dim,
        num_heads=config.heads,
        num_layers=config.layers,
        hidden_scale=4,  # gated: 2/3 of it, as ours
        norm="rms_norm_f32",
        depformer_dim=config.depth_dim,
        depformer_dim_feedforward=4 * config.depth_dim,
        depformer_multi_linear=True,
        depformer_pos_emb="none",
        depformer_num_heads=config.depth_heads,
        depformer_num_layers=config.depth_layers,
        depformer_weights_per_step=True,
        depformer_gating="silu",
        context=config.window_frames,
        causal=True,
        gating="silu",
        positional_embedding="rope",
        max_period=10_000,
    ).eval()
    generator = LMGen(lm, use_sampling=False)
    generator.streaming_forever(1)
    heard = torch.randint(config.codebook_size, (1, user, 1))
    return lambda: generator.step(heard)


def against_moshi(config: LMConfig, frames: int) -> None:
    """Print both steps and their ratio."""
    torch.set_num_threads(1)
    try:
        steps = {"sts-core": our_step(config), "moshi": moshi_step(config)}
    except ImportError as error:
        print(f"beside Moshi's language model: not measured ({error}); {INSTALL}")
        return
    taken: dict[str, list[Times]] = {name: [] for name in steps}
    for turn in range(1 + -(-frames // TURN_FRAMES)):
        for name, step in steps.items():
            times = timed(step, TURN_FRAMES)
            if turn:  # the first turn warms up
                taken[name].append(times)
    ours, theirs = (np.concatenate(taken[name]) for name in ("sts-core", "moshi"))
    value, least, most = ratio(theirs, ours)
    print(
        f"language model alone, 1 thread, n = {len(ours)}: ours {np.median(ours):.1f} ms,", end=""
    )
    print(f" Moshi's {np.median(theirs):.1f} ms, {value:.1f} times [{least:.1f}, {most:.1f}]")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the reference system.")
    parser.add_argument("--weights", type=Path, help="default: those in the package")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(2)
    system = System.load(options.weights)
    one_frame(system, options.frames)
    in_a_batch(system, options.frames)
    if options.minutes > 1:
        long_session(system, options.minutes)
    with torch.inference_mode():
        against_moshi(system.lm.config, options.frames)


if __name__ == "__main__":
    main()
