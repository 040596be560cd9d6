"""Measure the speaker encoders: EER of 3 s against 3 s, threshold and calibration for any length.

    python tests/benchmarks/speaker_encoder.py --voices HUMAN VOICES CORPUS [--test STIMULI] \\
        [--without NAME NAME ...] [--write FOLDER [--same-threshold]]

Folders hold a `manifest.jsonl` with `path` and `voice` or `speaker`. Of each voice, utterances in
random order are reduced to their speech (Silero VAD) and joined to segments of exactly `--seconds`;
no utterance is in two segments. The voices of one engine, and those of people, are a *kind*: across
kinds voices are easily told apart.

Left out of everything: the voice of an engine that has only one; blended and shifted voices, which
are not voices of their own; and settings of a formant synthesiser (espeak), which imitate nobody
(`NOT_VOICES`).

- EER: every pair of segments is a trial; over all, and over those *within* a kind. Interval:
  bootstrap over voices (a pair counts as often as its voices are drawn). Threshold: over all.
- Scale: trials of mixed length within a kind, `HEARD` segments against `ENROLLED` others, of the
  voices of `--voices` without those of `--without`: `encoders.Quality` and the calibration, with
  the limits that so many voices allow.
- Held out: the same trials, calibrated without the voices in them (`PARTS` sets of voices), beside
  what schema 1 makes of them (mean cosine of the pieces, calibrated on one segment against one).
- `--test`: voices that no scale may hear; calibrated by the scale that would be written.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import load_audio
from sts_eval.audit import calibration
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.detection import eer, weighted_eer
from sts_eval.audit.encoders import (
    Quality,
    SpeakerScale,
    load_encoder,
    own_cosine,
    speaker_scale,
)
from sts_eval.audit.likelihood import cllr, cllr_min
from sts_eval.judges import load_vad
from sts_eval.units import SAMPLE_RATE_HZ

Key = tuple[str, str]  # (kind, voice)
Vectors = dict[Key, NDArray[np.float32]]  # [segments, D] of unit norm
Array = NDArray[np.float64]
PEOPLE = "people"
NOT_VOICES = ("blend", ":f0x", "espeak:")
LEAST = 4
HEARD = (1, 1, 2, 3, 4, 8)
ENROLLED = (3, 4, 5, 8, 16)
PER_VOICE = {True: 60, False: 120}  # trials of mixed length, same and different
PARTS = 8
DRAWS = 300


def segments(folder: Path, per_voice: int, seconds: float, seed: int) -> dict[Key, list[Any]]:
    """Segments float32 [seconds * 24000] by (kind, voice); voices with fewer than LEAST are out."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").open(encoding="utf-8")]
    by_voice = defaultdict(list)
    for row in rows:
        name = str(row.get("speaker") or row.get("voice"))
        if not any(part in name for part in NOT_VOICES):
            by_voice[row.get("engine", PEOPLE), name].append(row["path"])
    vad, size = load_vad("silero"), round(seconds * SAMPLE_RATE_HZ)
    found: dict[Key, list[Any]] = {}
    for (kind, name), paths in sorted(by_voice.items()):
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
        if len(made) >= LEAST:
            found[kind, name] = made
    return found


class Pairs:
    """All pairs of segments: cosines [n], and the two voices of each."""

    def __init__(self, vectors: Vectors) -> None:
        self.names = list(vectors)
        every = np.concatenate(list(vectors.values()))
        owner = np.repeat(np.arange(len(vectors)), [len(v) for v in vectors.values()])
        a, b = np.triu_indices(len(every), 1)
        self.cosine = (every @ every.T)[a, b].astype(np.float64)
        self.one, self.other = owner[a], owner[b]
        self.same = self.one == self.other
        self._kind = np.array([name[0] for name in self.names])

    def eer(self, of: str, seed: int = 0) -> tuple[float, float, float]:
        """(EER, low, high) in per cent of "all", of those "within" a kind, or of one kind."""
        mine = np.full(len(self.one), True) if of == "all" else self.of_a_kind()
        if of not in ("all", "within"):
            mine &= self._kind[self.one] == of
        same, other = mine & self.same, mine & ~self.same
        value = eer(self.cosine[same], self.cosine[other]).value
        rng, drawn = np.random.default_rng(seed), list[float]()
        order = np.argsort(self.cosine, kind="stable")
        while len(drawn) < DRAWS:
            n = len(self.names)
            times = np.bincount(rng.integers(n, size=n), minlength=n)
            # A voice against itself: its own trials count as often as it was drawn.
            weight = np.where(self.same, times[self.one], times[self.one] * times[self.other])
            if (weight[same].sum() == 0) or (weight[other].sum() == 0):
                continue
            drawn.append(weighted_eer((weight * same)[order], (weight * other)[order]))
        low, high = np.percentile(drawn, [2.5, 97.5])
        return 100 * value, 100 * float(low), 100 * float(high)

    def of_a_kind(self) -> NDArray[np.bool_]:
        """[n] whether both voices are of one kind."""
        found: NDArray[np.bool_] = self._kind[self.one] == self._kind[self.other]
        return found

    def threshold(self) -> float:
        """Cosine at the equal error rate."""
        return float(eer(self.cosine[self.same], self.cosine[~self.same]).threshold)


@dataclass(frozen=True)
class Trials:
    """Trials of mixed length, [n] each.

    cosine: of the mean vectors; mean: of the cosines of the pieces; short: 1 / heard + 1 / enrolled
    in 1/s; own: of the enrolled pieces with each other; one, other: the voices heard and enrolled;
    kind: of both.
    """

    cosine: Array
    mean: Array
    short: Array
    own: Array
    one: NDArray[np.str_]
    other: NDArray[np.str_]
    kind: NDArray[np.str_]

    @property
    def same(self) -> NDArray[np.bool_]:
        """Whether one voice was compared with itself."""
        return self.one == self.other

    def only(self, chosen: NDArray[np.bool_]) -> Trials:
        """The chosen trials."""
        return Trials(*(getattr(self, field)[chosen] for field in self.__dataclass_fields__))

    def scores(self, quality: Quality) -> Array:
        """[n] as `Quality` defines them."""
        shift = quality.attenuation * self.short + quality.consistency * (quality.usual - self.own)
        return self.cosine + shift


def mixed(vectors: Vectors, seconds: float, seed: int) -> Trials:
    """Trials of mixed length: as many for each voice heard; nothing is heard and enrolled."""
    rng, rows = np.random.default_rng(seed), []
    for (kind, voice), mine in vectors.items():
        others = [key for key in vectors if key[0] == kind and key[1] != voice]
        for same in (True, False):
            for _ in range(PER_VOICE[same] if same or others else 0):
                key = (kind, voice) if same else others[rng.integers(len(others))]
                enrolled = min(int(rng.choice(ENROLLED)), len(vectors[key]) - same)
                order = rng.permutation(len(vectors[key]))
                right = vectors[key][order[:enrolled]]
                left = mine[order[enrolled:]] if same else mine[rng.permutation(len(mine))]
                left = left[: int(rng.choice(HEARD))]
                mean = float((left @ right.T).mean())
                norms = [float(np.linalg.norm(side.mean(axis=0))) for side in (left, right)]
                short = (1 / len(left) + 1 / len(right)) / seconds
                own = own_cosine(right)
                rows.append((mean / math.prod(norms), mean, short, own, voice, key[1], kind))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Trials(*columns)


def fit_quality(trials: Trials) -> tuple[Quality, Calibration]:
    """Logistic regression on the cosine and both measures, then the calibration of their score."""
    sides = trials.same, ~trials.same
    features = np.stack([trials.cosine, trials.short, trials.own], axis=1)
    slopes, _ = calibration.regress(features[sides[0]], features[sides[1]])
    quality = Quality(
        attenuation=max(0.0, slopes[1] / slopes[0]),
        consistency=max(0.0, -slopes[2] / slopes[0]),
        usual=trials.own[trials.same].mean(),
    )
    scores = trials.scores(quality)
    return quality, calibration.fit(
        *(scores[side] for side in sides),
        speakers=(trials.one[sides[0]], trials.one[sides[1]]),
    )


Reader = Callable[[Trials], Array]


def by_length(vectors: Vectors, seconds: float, seed: int) -> Reader:
    """ln LR of trials by schema 2, fitted on these voices."""
    quality, fitted = fit_quality(mixed(vectors, seconds, seed))
    return lambda trials: fitted(trials.scores(quality))


def one_length(vectors: Vectors, seconds: float, seed: int) -> Reader:
    """ln LR of trials by schema 1: fitted on pairs of segments of these voices."""
    pairs = Pairs(vectors)
    rng, names = np.random.default_rng(seed), np.array([name[1] for name in pairs.names])
    within = pairs.of_a_kind()
    sides = [
        rng.permutation(np.flatnonzero(within & (pairs.same == kind)))[:12000]
        for kind in (True, False)
    ]
    fitted = calibration.fit(
        *(pairs.cosine[side] for side in sides),
        speakers=(names[pairs.one[sides[0]]], names[pairs.one[sides[1]]]),
    )
    return lambda trials: fitted(trials.mean)


def held_out(vectors: Vectors, trials: Trials, fit: Any, seconds: float, seed: int) -> Array:
    """ln LR [n] of trials by fits that have heard neither voice of them, or not the one heard.

    A trial of two voices of different sets is read by the fit without the voice heard.
    """
    names = np.array(sorted(key[1] for key in vectors))
    part = np.random.default_rng(seed).permutation(len(names)) % PARTS
    of_one = part[np.searchsorted(names, trials.one)]
    found = np.zeros(len(trials.cosine))
    for which in range(PARTS):
        kept = {key: v for key, v in vectors.items() if key[1] not in set(names[part == which])}
        chosen = of_one == which
        found[chosen] = fit(kept, seconds, seed)(trials.only(chosen))
    return found


def tell(what: str, llr: Array, trials: Trials) -> dict[str, float]:
    """Print Cllr and how ratios of ten and twenty to one mislead, by kind; returns the Cllr of all.

    open: different voices that are not ten to one for "two voices".
    """
    figures: dict[str, float] = {}
    for kind in ("all", *sorted(set(trials.kind.tolist()))):
        mine = np.isin(trials.kind, kind) if kind != "all" else np.ones(len(llr), bool)
        same, other = llr[mine & trials.same], llr[mine & ~trials.same]
        if not len(same) or not len(other):
            continue
        open_share = float(np.mean(other > -math.log(10)))
        print(
            f"  {what:<14} {kind:<7} Cllr {cllr(same, other):.3f} min {cllr_min(same, other):.3f};"
            f" different voices open {open_share:6.2%}, 20 to 1 for one voice"
            f" {np.mean(other >= math.log(20)):6.2%}; one voice 10 to 1 for two"
            f" {np.mean(same <= -math.log(10)):6.2%}, 20 to 1 for one"
            f" {np.mean(same >= math.log(20)):7.2%}"
        )
        figures |= {f"cllr_{kind}": cllr(same, other), f"cllr_min_{kind}": cllr_min(same, other)}
    return figures


def embedded(name: str, folder: Path, options: argparse.Namespace) -> Vectors:
    """Vectors of the segments of a folder; of an earlier run with the same options, if kept."""
    keep = options.keep / f"{name}-{folder.resolve().name}.npz" if options.keep else None
    if keep and keep.is_file():
        with np.load(keep) as content:
            return {(kind, voice): content[f"{kind} {voice}"] for kind, voice in _keys(content)}
    made = segments(folder, options.per_voice, options.seconds, options.seed)
    encoder = load_encoder(name)
    vectors = {key: np.stack([encoder.embed(one) for one in each]) for key, each in made.items()}
    if keep:
        keep.parent.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {f"{kind} {voice}": v for (kind, voice), v in vectors.items()}
        np.savez(keep, **kept)
    return vectors


def _keys(content: Any) -> list[Key]:
    return [(kind, voice) for kind, _, voice in (name.partition(" ") for name in content.files)]


def measure(name: str, options: argparse.Namespace) -> None:
    """Print the figures of one encoder and, where asked, write its scale."""
    encoder, seconds, seed = load_encoder(name), options.seconds, options.seed
    vectors, tested = (
        {key: each for folder in folders for key, each in embedded(name, folder, options).items()}
        for folders in (options.voices, options.test)
    )
    if missing := set(options.without) - {key[1] for key in vectors}:
        raise SystemExit(f"not among the voices: {', '.join(sorted(missing))}")
    of_kind = Counter(kind for kind, _ in vectors)
    vectors = {key: each for key, each in vectors.items() if of_kind[key[0]] > 1}
    pairs, kinds = Pairs(vectors | tested), sorted({kind for kind, _ in vectors})
    print(f"{name} {encoder.version}: {len(pairs.names)} voices, {pairs.same.sum()} same, ", end="")
    print(f"{(~pairs.same).sum()} different")
    figures = {of: pairs.eer(of) for of in ("all", "within", *kinds)}
    for what, (value, low, high) in figures.items():
        print(f"  EER {what:<12} {value:5.2f} % [{low:.2f}, {high:.2f}]")
    kept = {key: v for key, v in vectors.items() if key[1] not in options.without}
    trials = mixed(vectors, seconds, seed + 1)
    for what, fit in (("schema 1", one_length), ("schema 2", by_length)):
        told = tell(f"held out, {what[-1]}", held_out(vectors, trials, fit, seconds, seed), trials)
        if len(tested) > 1:
            unheard = mixed(tested, seconds, seed + 2)
            tell(f"--test, {what[-1]}", fit(kept, seconds, seed)(unheard), unheard)
    quality, whole = fit_quality(mixed(kept, seconds, seed))
    limits = whole.lower / math.log(10), whole.upper / math.log(10)
    print(f"  {quality}; {len(kept)} voices; log10 LR limited to", end=" ")
    print(f"[{limits[0]:.2f}, {limits[1]:.2f}]")
    if not options.write:
        return
    measured: dict[str, float | str] = {
        f"eer_percent_{what}{end}": round(number, 3)
        for what, row in figures.items()
        for end, number in zip(("", "_lo", "_hi"), row, strict=True)
    }
    measured |= {f"held_out_{key}": round(value, 4) for key, value in told.items()}
    threshold = round(pairs.threshold(), 4)
    measured |= {"voices": len(kept), "test_voices": len(tested), "threshold_at_eer": threshold}
    if options.same_threshold and (shipped := speaker_scale(name)):
        threshold = shipped.threshold
    scale = SpeakerScale(
        schema="sts-eval/speaker-scale/2",
        encoder=name,
        version=encoder.version,
        seconds=seconds,
        threshold=threshold,
        quality=quality,
        calibration=whole,
        measured=measured,
    )
    options.write.mkdir(parents=True, exist_ok=True)
    target = options.write / f"{name}.scale.json"
    target.write_text(scale.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--voices", type=Path, nargs="+", required=True, help="folders of voices")
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="never in a scale")
    parser.add_argument("--without", nargs="*", default=[], help="voices left out of the scale")
    parser.add_argument("--encoders", nargs="+", default=["dvector", "voicefilter", "ge2e"])
    parser.add_argument("--per-voice", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--same-threshold",
        action="store_true",
        help="keep the threshold of the shipped scale: figures of suites were measured with it",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for vectors, read by the next run")
    parser.add_argument("--write", type=Path, help="folder for NAME.scale.json")
    options = parser.parse_args()

    for name in options.encoders:
        measure(name, options)


if __name__ == "__main__":
    main()
