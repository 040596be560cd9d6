"""Measure the speaker encoders: EER of 3 s against 3 s, threshold and calibration.

    python tests/benchmarks/speaker_encoder.py --test STIMULI HUMAN --more CORPUS [--write FOLDER]

Folders hold a `manifest.jsonl` with `path` and `voice` or `speaker`. Of each voice, utterances in
random order are reduced to their speech (Silero VAD) and joined to segments of exactly `--seconds`;
no utterance is in two segments. Every pair of segments of the test voices is a trial.

- EER: over all trials, and over those *within* a folder, where both sides came through one channel
  and telling voices apart is hardest. Interval: bootstrap over voices (a pair counts as often as
  its voices are drawn).
- Scale (`--write`): cosine -> ln LR from trials within a folder, of the test voices and of those
  of `--more` (unmixed voices only), with the limits that so many voices allow. `cllr_held_out` is
  of trials of test voices that the fit has not heard: one voice is left out at a time, and tested
  against the others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import load_audio
from sts_eval.audit import calibration
from sts_eval.audit.detection import eer
from sts_eval.audit.encoders import SpeakerScale, load_encoder
from sts_eval.audit.likelihood import cllr, cllr_min
from sts_eval.judges import load_vad
from sts_eval.units import SAMPLE_RATE_HZ

Voices = dict[tuple[str, str], list[Any]]
DRAWS = 300


def segments(folder: Path, per_voice: int, seconds: float, seed: int, pure: bool) -> Voices:
    """Segments float32 [seconds * 24000] by (folder, voice); voices with fewer than 4 are left out.

    pure: skip voices that are blends or shifts of others (their names hold a colon after "blend" or
    ":f0x").
    """
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").open(encoding="utf-8")]
    by_voice = defaultdict(list)
    for row in rows:
        name = str(row.get("voice") or row.get("speaker"))
        if not (pure and ("blend" in name or ":f0x" in name)):
            by_voice[name].append(row["path"])
    vad, size = load_vad("silero"), round(seconds * SAMPLE_RATE_HZ)
    found: Voices = {}
    for name, paths in sorted(by_voice.items()):
        rng = np.random.default_rng([seed, *name.encode()])
        held, made = [], []
        for path in rng.permutation(paths):
            audio = load_audio(folder / str(path))
            held += [
                audio[round(a * SAMPLE_RATE_HZ) : round(b * SAMPLE_RATE_HZ)]
                for a, b in vad.speech_spans(audio)
            ]
            if sum(map(len, held)) >= size:
                made.append(np.concatenate(held)[:size])
                held = []
            if len(made) == per_voice:
                break
        if len(made) >= 4:
            found[folder.name, name] = made
    return found


class Trials:
    """All pairs of segments: cosines [n], the two voices of each, and whether they are within."""

    def __init__(self, vectors: dict[tuple[str, str], NDArray[np.float32]]) -> None:
        self.names = list(vectors)
        every = np.concatenate(list(vectors.values()))
        owner = np.repeat(np.arange(len(vectors)), [len(v) for v in vectors.values()])
        a, b = np.triu_indices(len(every), 1)
        self.cosine = (every @ every.T)[a, b].astype(np.float64)
        self.one, self.other = owner[a], owner[b]
        self.same = self.one == self.other
        folder = np.array([name[0] for name in self.names])
        self.within = folder[self.one] == folder[self.other]

    def eer(self, chosen: NDArray[np.bool_], seed: int = 0) -> tuple[float, float, float]:
        """(EER, low, high) in per cent over the chosen trials."""
        same, other = chosen & self.same, chosen & ~self.same
        value = eer(self.cosine[same], self.cosine[other]).value
        rng, drawn = np.random.default_rng(seed), []
        while len(drawn) < DRAWS:
            n = len(self.names)
            times = np.bincount(rng.integers(n, size=n), minlength=n)
            # A voice against itself: its own trials count as often as it was drawn.
            weight = np.where(self.same, times[self.one], times[self.one] * times[self.other])
            if (weight[same].sum() == 0) or (weight[other].sum() == 0):
                continue
            drawn.append(_weighted_eer(self.cosine, weight, same, other))
        low, high = np.percentile(drawn, [2.5, 97.5])
        return 100 * value, 100 * float(low), 100 * float(high)


def _weighted_eer(cosine: Any, weight: Any, same: Any, other: Any) -> float:
    order = np.argsort(cosine, kind="stable")
    missed = np.cumsum((weight * same)[order])
    passed = np.cumsum((weight * other)[order])
    miss, alarm = missed / missed[-1], 1 - passed / passed[-1]
    at = int(np.argmin(np.abs(miss - alarm)))
    return float(miss[at] + alarm[at]) / 2


def calibrated(trials: Trials, more: Trials | None, seed: int) -> tuple[Any, float, float]:
    """(calibration of everything, held-out Cllr, its minimum) of trials within a folder."""
    rng = np.random.default_rng(seed)

    def draw(source: Trials, keep: Any, limit: int) -> list[tuple[float, str, bool]]:
        rows = []
        for same in (True, False):
            index = np.flatnonzero(keep & source.within & (source.same == same))
            for i in rng.permutation(index)[:limit].tolist():
                # One voice stands for a pair: pairs that share a voice are not independent.
                rows.append((float(source.cosine[i]), str(source.names[source.one[i]]), same))
        return rows

    def fitted(keep: Any) -> Any:
        rows = draw(trials, keep, 6000)
        if more is not None:
            rows += draw(more, np.ones(len(more.cosine), bool), 6000)
        sides = [[(c, voice) for c, voice, same in rows if same is kind] for kind in (True, False)]
        scores = [np.array([c for c, _ in side]) for side in sides]
        labels = [np.array([voice for _, voice in side]) for side in sides]
        return calibration.fit(*scores, speakers=(labels[0], labels[1]))

    llr: tuple[list[Any], list[Any]] = ([], [])
    for voice in range(len(trials.names)):
        mine = (trials.one == voice) | (trials.other == voice)
        scale = fitted(~mine)
        for side, same in zip(llr, (True, False), strict=True):
            chosen = mine & trials.within & (trials.same == same)
            side.append(scale(trials.cosine[chosen]))
    held_out = [np.concatenate(side) for side in llr]
    whole = fitted(np.ones(len(trials.cosine), bool))
    return whole, cllr(*held_out), cllr_min(*held_out)


def measure(name: str, test: Voices, more: Voices, options: argparse.Namespace) -> None:
    """Print the figures of one encoder and, where asked, write its scale."""
    encoder = load_encoder(name)

    def embedded(voices: Voices) -> dict[tuple[str, str], NDArray[np.float32]]:
        return {key: np.stack([encoder.embed(s) for s in made]) for key, made in voices.items()}

    trials = Trials(embedded(test))
    more_trials = Trials(embedded(more)) if more else None
    everything = np.ones(len(trials.cosine), bool)
    figures = {"all": trials.eer(everything), "within": trials.eer(trials.within)}
    for folder in sorted({key[0] for key in test}):
        inside = np.array([key[0] == folder for key in trials.names])
        figures[folder] = trials.eer(inside[trials.one] & inside[trials.other])
    print(
        f"{name} {encoder.version}: {len(trials.names)} voices, {trials.same.sum()} same, ", end=""
    )
    print(f"{(~trials.same).sum()} different")
    for what, (value, low, high) in figures.items():
        print(f"  EER {what:<12} {value:5.2f} % [{low:.2f}, {high:.2f}]")
    whole, held_out, least = calibrated(trials, more_trials, options.seed)
    print(f"  Cllr held out, within a folder {held_out:.3f}, min {least:.3f};", end=" ")
    limits = whole.lower / math.log(10), whole.upper / math.log(10)
    print(f"log10 LR limited to [{limits[0]:.2f}, {limits[1]:.2f}]")
    if not options.write:
        return
    threshold = eer(trials.cosine[trials.same], trials.cosine[~trials.same]).threshold
    measured: dict[str, float | str] = {
        f"eer_percent_{what}{end}": round(number, 3)
        for what, row in figures.items()
        for end, number in zip(("", "_lo", "_hi"), row, strict=True)
    }
    measured |= {"cllr_held_out": round(held_out, 4), "cllr_min": round(least, 4)}
    measured |= {"test_voices": len(trials.names), "more_voices": len(more)}
    scale = SpeakerScale(
        schema="sts-eval/speaker-scale/1",
        encoder=name,
        version=encoder.version,
        seconds=options.seconds,
        threshold=round(float(threshold), 4),
        calibration=whole,
        measured=measured,
    )
    target = options.write / f"{name}.scale.json"
    target.write_text(scale.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--test", type=Path, nargs="+", required=True, help="folders of test voices"
    )
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="folders for the scale")
    parser.add_argument("--encoders", nargs="+", default=["dvector", "voicefilter", "ge2e"])
    parser.add_argument("--per-voice", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="folder for NAME.scale.json")
    options = parser.parse_args()

    def gather(folders: list[Path], per_voice: int, pure: bool) -> Voices:
        parts = [segments(f, per_voice, options.seconds, options.seed, pure) for f in folders]
        return dict(itertools.chain.from_iterable(part.items() for part in parts))

    test = gather(options.test, options.per_voice, pure=False)
    more = gather(options.more, 8, pure=True)
    for name in options.encoders:
        measure(name, test, more, options)


if __name__ == "__main__":
    main()
