"""Evaluate the countermeasure's recipe honestly, and make the calibration of the shipped one.

    sts-eval audit gather-voices klettres=/usr/share/klettres \\
        ktuberling=/usr/share/ktuberling/sounds --out VOICES
    sts-eval audit train-detector --genuine HUMAN --genuine VOICES --synthetic CORPUS \\
        --set SET --run RUN
    python tests/benchmarks/countermeasure.py SET ... --work FOLDER [--control HUMAN] \\
        [--write FOLDER]

Every figure is of detectors trained anew on folds of
`sts_eval.audit.folds`: a held-out attack family (or channel) is absent from training, and no
speaker and no source is on both sides. Scores of a fold are kept in `--work`: run again to go on.

- family, speaker, channel: macro EER with its interval over what was held out, the worst, all.
- calibration: on the family folds' scores (unknown attack, unknown voice), and on those of the
  speaker folds (known attack, unknown voice): limits by the number of speakers; Cllr of held-out
  speakers. With `--recordings` (those of SET/recordings, that
  `train-detector --calibrate` makes) for recordings of any length.
- sources: EER of the genuine clips of each source of recordings against all attacks, on the same
  scores; and whether the detector can tell the genuine speech of two sources apart (it must not).
- one boundary (`--one-boundary`): the family folds by a detector that holds all attacks for one
  class, and by how much the macro EER of the shipped recipe is lower: paired, interval over
  families and voices.
- control (`--control`): genuine sources through two different recorders (sub-band ADPCM and Opus
  against Opus alone), then the common channel: the same recipe must not tell them apart. Beside
  it the same without the common channel.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sts_eval.audio import resample
from sts_eval.audit import calibration, fold_scores, folds, recordings
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.channel import RATE_HZ, apply_channel, coded, draw_channel, subband_adpcm
from sts_eval.audit.compare import difference
from sts_eval.audit.detection import eer
from sts_eval.audit.fold_scores import FoldScores
from sts_eval.audit.items import Item
from sts_eval.audit.likelihood import cllr
from sts_eval.audit.train_detector import TrainOptions, save_detector, train
from sts_eval.audit.training_set import CLIP_S, Clip, load_set, sources, statistics
from sts_eval.units import SAMPLE_RATE_HZ


class Folds(FoldScores):
    """Fold scores with a printed report."""

    def report(self, what: str, splits: Iterator[folds.Fold]) -> None:
        """Print the macro mean, the worst and every EER."""
        show(what, folds.evaluate(self.items, splits, self.score))


def show(what: str, found: folds.FoldReport) -> None:
    """Print the macro mean, the worst and every EER."""
    macro = found.macro
    interval = "" if macro.lo is None else f" [{macro.lo:.1f}, {macro.hi:.1f}]"
    print(f"leave one {what} out: macro EER {macro.value:.1f} %{interval}, ", end="")
    print(f"worst {found.worst_name} {found.worst:.1f} %")
    for name, value in sorted(found.by_name.items(), key=lambda pair: -(pair[1] or 0)):
        shown = found.unmeasured.get(name, "") if value is None else f"{value:5.1f} %"
        print(f"  {name:<14} {shown}", flush=True)


def calibrate(scored: Folds, write: Path | None) -> None:
    """Calibration of the scores of the family folds."""
    mean, genuine, voices, _ = scored.heard
    fitted = fold_scores.calibrate(scored)
    print(f"pooled EER of the family folds {100 * eer(mean[genuine], mean[~genuine]).value:.1f} %")
    held_out = held_out_cllr(mean, genuine, voices)
    print(f"Cllr, calibrated, held-out voices {held_out:.3f}, min {fitted.cllr_min:.3f}")
    limits = fitted.lower / np.log(10), fitted.upper / np.log(10)
    print(f"log10 LR limited to [{limits[0]:.2f}, {limits[1]:.2f}]; ", end="")
    print(f"{fitted.n_clusters_bonafide} genuine, {fitted.n_clusters_spoof} spoofed voices")
    by_length(fitted)
    assert fitted.known is not None
    print("the same, known attacks; what misled: attacks that were not met")
    by_length(fitted.known)
    if write:
        calibration.save(fitted, write / "sts-sync.calibration.json")


def by_length(fitted: Calibration) -> None:
    """Limits, Cllr of held-out voices and what misled, for each length of recording."""
    if fitted.lengths is None:
        return
    print(f"correlation of the windows of a recording {fitted.lengths.correlation:.3f}")
    rows = [(1.0, fitted), *((each.windows, each) for each in fitted.lengths.at)]
    for windows, row in rows:
        loss = "" if row.cllr_after is None else f"Cllr, held-out voices {row.cllr_after:.3f}, "
        print(f"  {windows:g} windows: {loss}min {row.cllr_min:.3f}; log10 LR ", end="")
        print(f"[{row.lower / np.log(10):.2f}, {row.upper / np.log(10):.2f}]", end="")
        print(f"; {row.n_bonafide} genuine, {row.n_spoof} spoofed")
        for name, counted in (row.misleading or {}).items():
            print(f"    {name:<14} 2:1 {counted.weak:6.1%}, 10:1 {counted.decisive:6.1%}", end="")
            print(f" of {counted.n}")


def by_source(scored: Folds) -> None:
    """EER by the source of the genuine clips, of the scores so far."""
    mean, genuine, _, _ = scored.heard
    folder = np.array([clip.folder for clip in scored.clips])
    assert len(folder) == len(mean), "every clip must have been on a test side"
    for source in sorted(set(folder[genuine])):
        mine = genuine & (folder == source)
        value = 100 * eer(mean[mine], mean[~genuine]).value
        voices = len({c.speaker for c, own in zip(scored.clips, mine, strict=True) if own})
        print(f"genuine from {source}: EER {value:.1f} % ({mine.sum()} clips, {voices} voices)")


def sources_apart(scored: Folds) -> None:
    """Can a detector tell genuine speech of two sources apart, after room and channel?"""
    genuine = [i for i, clip in enumerate(scored.clips) if not clip.attack]
    names = sorted({scored.clips[i].folder for i in genuine})
    for one, other in itertools.combinations(names, 2):
        chosen = [i for i in genuine if scored.clips[i].folder in (one, other)]
        labels = ["" if scored.clips[i].folder == one else other for i in chosen]
        clips = [
            replace(scored.clips[i], attack=label, family=label)
            for i, label in zip(chosen, labels, strict=True)
        ]
        tested = Folds(clips, scored.features[chosen], scored.options, scored.work)
        two_halves(tested, f"genuine speech of {one} and {other}")


def two_halves(tested: Folds, what: str) -> None:
    """Print the EER of two classes, each half of the voices tested by the other."""
    values = []
    for fold in folds.leave_speakers_out(tested.items, 2):
        sides = [[tested.items[i] for i in side] for side in (fold.train, fold.test)]
        scores = tested.score(*sides)
        bona = np.array([item.bonafide for item in sides[1]])
        values.append(100 * eer(scores[bona], scores[~bona]).value)
    print(f"control, {what}: EER {np.mean(values):.1f} % ", end="")
    halves = ", ".join(f"{v:.1f}" for v in values)
    print(f"({halves}; {len(tested.clips)} clips)", flush=True)


def held_out_cllr(scores: Any, genuine: Any, voices: Any) -> float:
    """Cllr of voices that the calibration has not seen: as many parts as genuine voices."""
    parts = len(np.unique(voices[genuine]))
    part_of: dict[str, int] = {}
    for kind in (genuine, ~genuine):
        fresh = [v for v in dict.fromkeys(voices[kind].tolist()) if v not in part_of]
        part_of |= {voice: i % parts for i, voice in enumerate(fresh)}
    part, llr = np.array([part_of[v] for v in voices.tolist()]), np.zeros(len(scores))
    for which in range(parts):
        fit, test = part != which, part == which
        sides = fit & genuine, fit & ~genuine
        known = calibration.fit(
            scores[sides[0]], scores[sides[1]], speakers=(voices[sides[0]], voices[sides[1]])
        )
        llr[test] = known(scores[test])
    return cllr(llr[genuine], llr[~genuine])


def control(folder: Path, options: TrainOptions, work: Path, per_voice: int) -> None:
    """Can two recorders of genuine speech be told apart, with the common channel and without?"""
    for common in (True, False):
        clips, rows = [], []
        made = sources(folder, "speaker", per_voice, 1)
        for number, (voice, name, _, audio) in enumerate(made):
            narrow = resample(audio, SAMPLE_RATE_HZ, RATE_HZ)
            recorders = {"": coded(subband_adpcm(narrow), "opus"), "b": coded(narrow, "opus", 0.2)}
            for at, (label, heard) in enumerate(recorders.items()):
                if common:
                    channel = draw_channel(np.random.default_rng([7, number, at]))
                    heard = apply_channel(heard, channel, CLIP_S)
                rows.append(heard[: round(CLIP_S * RATE_HZ)])
                clips.append(Clip(voice, name, label, label, "", "control"))
        tested = Folds(clips, statistics(np.stack(rows)), options, work)
        name = "with" if common else "without"
        two_halves(tested, f"two recorders {name} the common channel")


def one_boundary(scored: Folds, parts: int) -> None:
    """The family folds with all attacks as one class, and what keeping them apart does better."""
    splits = list(folds.leave_one_family_out(scored.items, parts))
    found = []
    for apart in (False, True):
        recipe = replace(scored.options, apart=apart)
        tested = Folds(
            scored.clips, scored.features, recipe, scored.work, recordings=scored.recordings
        )
        found.append(_every_fold(tested, splits, f"family ({'apart' if apart else 'one class'})"))
    changed = difference(scored.items, splits, *found)
    print(f"apart less one class: macro EER {changed.value:+.1f} points ", end="")
    print(f"[{changed.lo:+.1f}, {changed.hi:+.1f}], {changed.n_families} families ", end="")
    print(f"and {changed.n_voices} voices drawn", flush=True)


def _every_fold(tested: Folds, splits: list[folds.Fold], what: str) -> list[Any]:
    """Print EER and Cllr; the scores of each fold."""
    kept: list[Any] = []

    def keep(train_items: list[Item], test_items: list[Item]) -> Any:
        kept.append(tested.score(train_items, test_items))
        return kept[-1]

    show(what, folds.evaluate(tested.items, splits, keep))
    mean, genuine, voices, _ = tested.heard
    print(f"  Cllr, calibrated, held-out voices {held_out_cllr(mean, genuine, voices):.3f}")
    return kept


def unheard(scored: Folds, voices: list[str], target: Path) -> None:
    """Write a detector that has not heard these voices, for a case with them, and its calibration:
    from the scores of the other voices in the family folds."""
    missing = set(voices) - {clip.speaker for clip in scored.clips}
    if missing:
        raise SystemExit(f"not in the set: {', '.join(sorted(missing))}")
    kept = np.array([i for i, clip in enumerate(scored.clips) if clip.speaker not in voices])
    recipe = scored.options
    net = train([scored.clips[i] for i in kept], scored.features[kept], recipe)
    about = {"clips": len(kept), "without": voices}
    save_detector(net, target / "detector.safetensors", about)
    fitted = fold_scores.calibrate(scored, voices)
    assert fitted.known is not None
    by_length(fitted)
    by_length(fitted.known)
    calibration.save(fitted, target / "detector.calibration.json")
    print(f"{len(kept)} clips, {fitted.n_clusters_bonafide} genuine voices: {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", type=Path, nargs="+", help="complete training sets, joined")
    parser.add_argument("--work", type=Path, required=True, help="folder for scores of folds")
    parser.add_argument("--parts", type=int, default=4, help="sets of voices in the family folds")
    parser.add_argument("--what", nargs="+", default=["family", "speaker", "channel"])
    parser.add_argument(
        "--recordings", type=Path, nargs="*", default=[], help="to calibrate for any length"
    )
    parser.add_argument(
        "--one-boundary", action="store_true", help="family folds with one class of attacks too"
    )
    parser.add_argument("--control", type=Path, help="folder of genuine recordings")
    parser.add_argument("--write", type=Path, help="folder for the calibration")
    parser.add_argument(
        "--without", nargs="+", help="write a detector that has not heard these voices, and end"
    )
    options = parser.parse_args()
    recipe = TrainOptions()
    longer = recordings.load(*options.recordings)
    clips, features = load_set(*options.sets)
    print(f"{len(clips)} clips, {sum(not c.attack for c in clips)} bona fide; {recipe}")
    if options.without:
        scored = Folds(clips, features, recipe, options.work, recordings=longer)
        unheard(scored, options.without, options.write)
        return
    for what in options.what:
        kept = longer if what == "family" else None
        scored = Folds(clips, features, recipe, options.work, recordings=kept)
        splits = {
            "family": lambda items: folds.leave_one_family_out(items, options.parts),
            "speaker": lambda items: folds.leave_speakers_out(items, 4),
            "channel": lambda items: folds.leave_one_channel_out(items, options.parts),
        }[what](scored.items)
        scored.report(what, splits)
        if what == "family":
            calibrate(scored, options.write)
            by_source(scored)
            sources_apart(scored)
            if options.one_boundary:
                one_boundary(scored, options.parts)
    if options.control:
        control(options.control, recipe, options.work, 30)


if __name__ == "__main__":
    main()
