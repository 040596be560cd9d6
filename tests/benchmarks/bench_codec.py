"""Speed of the reference codec beside Mimi and EnCodec, measured in one interleaved run.

    python tests/benchmarks/bench_codec.py [--frames 100] [--weights FILE]

Streaming: encode + decode of one 80 ms frame (1,920 samples), batch 1, one thread, no gradients;
the codecs take turns of 25 frames, so that other load on the machine meets all of them alike and
each still finds its weights in the processor's caches as it does when it runs alone.
Mimi is PyPI `moshi` 0.2.13 in its own streaming mode at its true dimensions with 8 codebooks;
EnCodec is `EncodecModel` of transformers (24 kHz, 6 kbit/s, 8 codebooks), called on one frame at a
time, because it has no streaming mode. Both have random weights: speed does not depend on them.
A codec whose package is missing is reported as not measured, with the install line.

Throughput: ten seconds of audio, batch 4, two threads, encode + decode at once.

Medians with the 5th and 95th percentile; ratios are ratios of medians with a 95 % bootstrap
interval over frames.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sts_core.codec.files import load_codec
from sts_core.units import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ

TURN_FRAMES = 25
RESAMPLES = 2_000
OURS = "sts-core"
INSTALL = {
    "Mimi (moshi 0.2.13)": "pip install --no-deps moshi==0.2.13 sphn einops",
    "EnCodec (transformers)": "pip install 'sts-eval[hf]'",
}

Frame = Callable[[Tensor], Tensor]  # [1, 1, 1920] -> [1, 1, 1920], one step of a running stream


def reference_stream(weights: Path | None) -> Frame:
    """This project's codec."""
    codec = load_codec(weights)
    states = [codec.encoder_state(1), codec.decoder_state(1)]

    def step(audio: Tensor) -> Tensor:
        codes, states[0] = codec.encode_step(audio, states[0])
        decoded, states[1] = codec.decode_step(codes, states[1])
        return decoded

    return step


def mimi_stream() -> Frame:
    """Mimi with random weights; `streaming_forever` is its own mode for endless streams."""
    os.environ.setdefault("NO_TORCH_COMPILE", "1")
    from moshi.models import loaders

    torch.manual_seed(0)
    mimi = loaders.get_mimi(None, device="cpu", num_codebooks=8)
    for name, buffer in mimi.named_buffers():
        if name.endswith("embedding_sum"):
            torch.nn.init.normal_(buffer)
        elif name.endswith("cluster_usage"):
            buffer.fill_(1.0)
    mimi.eval()
    mimi.streaming_forever(1)
    return lambda audio: mimi.decode(mimi.encode(audio))


def encodec_frames() -> Frame:
    """EnCodec with random weights, one frame a call."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig()).eval()

    def step(audio: Tensor) -> Tensor:
        coded = model.encode(audio, bandwidth=6.0)
        return model.decode(coded.audio_codes, coded.audio_scales)[0]

    return step


def time_frames(codecs: dict[str, Frame], frames: int) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of every frame [frames] of every codec, interleaved."""
    generator = torch.Generator().manual_seed(0)
    taken: dict[str, list[float]] = {name: [] for name in codecs}
    for turn in range(1 + -(-frames // TURN_FRAMES)):
        audio = 0.1 * torch.randn(TURN_FRAMES, 1, 1, FRAME_SAMPLES, generator=generator)
        for name, step in codecs.items():
            for frame in audio:
                start = time.perf_counter()
                step(frame)
                if turn:  # the first turn warms up
                    taken[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(times) for name, times in taken.items()}


def ratio(slow: NDArray[np.float64], fast: NDArray[np.float64]) -> tuple[float, float, float]:
    """Ratio of medians and its 95 % interval; frames are resampled in pairs."""
    rng = np.random.default_rng(0)
    index = rng.integers(len(slow), size=(RESAMPLES, len(slow)))
    drawn = np.median(slow[index], axis=1) / np.median(fast[index], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.median(slow) / np.median(fast)), float(low), float(high)


def throughput(weights: Path | None, rounds: int = 5) -> float:
    """Seconds of audio coded and decoded in a second, offline, two threads."""
    torch.set_num_threads(2)
    codec = load_codec(weights)
    audio = 0.1 * torch.randn(4, 1, 10 * SAMPLE_RATE_HZ)
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        codec.decode(codec.encode(audio))
        taken.append(time.perf_counter() - start)
    torch.set_num_threads(1)
    return audio.numel() / SAMPLE_RATE_HZ / float(np.median(taken))


def main() -> None:
    """Measure and print the table of the README."""
    parser = argparse.ArgumentParser(description="Speed of the codec beside Mimi and EnCodec.")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--weights", type=Path, help="default: those in the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codecs = {OURS: reference_stream(options.weights)}
    missing = []
    for name, make in zip(INSTALL, (mimi_stream, encodec_frames), strict=True):
        try:
            codecs[name] = make()
        except ImportError as error:
            missing.append(f"{name}: not measured ({error}); {INSTALL[name]}")
    with torch.inference_mode():
        times = time_frames(codecs, options.frames)
    print(
        f"one {FRAME_MS} ms frame, encode + decode, batch 1, one thread, n = {len(times[OURS])}\n"
    )
    print("| codec | median ms | 5 .. 95 % | real-time factor | slower than ours by (95 %) |")
    print("|---|---|---|---|---|")
    for name, taken in times.items():
        middle = float(np.median(taken))
        low, high = np.percentile(taken, [5, 95])
        value, least, most = ratio(taken, times[OURS])
        against = "" if name == OURS else f"{value:.1f}x ({least:.1f} .. {most:.1f})"
        cells = f"{middle:.2f} | {low:.2f} .. {high:.2f} | {middle / FRAME_MS:.3f}"
        print(f"| {name} | {cells} | {against} |")
    print("\n".join(missing))
    speed = throughput(options.weights)
    print(f"offline, batch 4 of 10 s, two threads: {speed:.0f}x real time")


if __name__ == "__main__":
    main()
