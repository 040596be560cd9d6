"""How well does the shipped student hear voices it never heard? Prints the table of its model card.

    python tests/benchmarks/semantic_student.py --heldout FOLDER [--split NAME] [--limit N]
        [--weights FILE] [--json OUT]

FOLDER is a corpus in held-out voices: the rows of split NAME ("heldout") with English phonemes, or
with an English text, which hibari's lexicon then turns into phonemes. Measured:

    phoneme error        greedy CTC of the student against the manifest's phonemes
    text retrieval       top-1 among all distinct texts of the folder with three words or more
    masked prediction    how often the likeliest cluster is the teacher's, in frames that were
                         hidden (35 %, spans of four) and in the others, beside the share of the
                         most frequent cluster (what a blind guess would get)

Intervals are 95 %: cluster bootstrap over its utterances for one voice and over voices for all (for
retrieval Wilson's, at the number of independent observations that the voices leave).
The texts of the project's own stimuli occur in the training corpus too, in other voices: this
measures hearing new voices, not new sentences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sts_core.data.voices import Hibari
from sts_core.semantic.batches import span_mask
from sts_core.semantic.clusters import load_clusters
from sts_core.semantic.evaluate import Heard, Utterance, evaluate, load_utterances
from sts_core.semantic.student import Student
from sts_core.semantic.teacher import load_teacher
from sts_core.semantic.weights import load_student
from sts_core.units import FRAME_SAMPLES, frames_of
from sts_eval.stats.bootstrap import Resampled, resample, weighted_mean
from sts_eval.stats.proportions import Bounds, effective_n, rate_bounds

Count = tuple[float, float]  # events, of how many


def pooled(groups: dict[str, list[Count]], seed: int = 5) -> dict[str, float]:
    """Events / total over groups (voices, or utterances of one voice), with its 95 % interval."""
    counts = [(name, *count) for name, group in groups.items() for count in group if count[1]]
    if not counts:
        return {"value": float("nan"), "lo": float("nan"), "hi": float("nan"), "n": 0}
    owner = np.unique([name for name, _, _ in counts], return_inverse=True)[1]  # [counts]
    events = np.array([event for _, event, _ in counts])
    sizes = np.array([size for _, _, size in counts]).astype(np.int64)
    total, clusters = int(sizes.sum()), int(owner.max()) + 1
    point = float(events.sum() / total)
    if (sizes == 1).all():
        right = events.astype(np.int64)
        bounds = rate_bounds(int(right.sum()), len(right), effective_n(right, owner))
    elif clusters > 1:
        sums, per_cluster = np.zeros(clusters), np.zeros(clusters, np.int64)
        np.add.at(sums, owner, events)
        np.add.at(per_cluster, owner, sizes)
        rng = np.random.default_rng(seed)
        draws = resample(rng, clusters, lambda drawn: weighted_mean(drawn, sums, per_cluster))
        bounds = Resampled(point, draws, clusters).bounds()
    else:
        bounds = Bounds(None, None)
    lo, hi = (float("nan") if bound is None else min(1.0, max(0.0, bound)) for bound in bounds)
    return {"value": point, "lo": lo, "hi": hi, "n": total}


def by_voice(
    records: list[tuple[str, str, Count]],
) -> dict[str, dict[str, float]]:
    """Rates of each voice and of all, from (voice, utterance id, count)."""
    voices: dict[str, dict[str, list[Count]]] = {}
    for voice, utterance, count in records:
        voices.setdefault(voice, {}).setdefault(utterance, []).append(count)
    rates = {voice: pooled(utterances) for voice, utterances in sorted(voices.items())}
    if len(voices) < 2:
        return rates
    flat = {voice: [c for counts in u.values() for c in counts] for voice, u in voices.items()}
    return rates | {"all": pooled(flat)}


def table(title: str, rates: dict[str, dict[str, float]], unit: str) -> None:
    """Print one measure, a line a voice."""
    print(f"\n{title}")
    for voice, rate in rates.items():
        value, lo, hi = (100 * rate[key] for key in ("value", "lo", "hi"))
        print(f"  {voice:<12} {value:5.1f} %  [{lo:5.1f}, {hi:5.1f}]  n = {rate['n']} {unit}")


@torch.inference_mode()
def masked_prediction(
    student: Student, utterances: list[Utterance], limit: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Cluster accuracy in hidden and visible frames of `limit` random utterances."""
    clusters, teacher = load_clusters(), load_teacher()
    rng = np.random.default_rng(11)
    records: dict[str, list[tuple[str, str, Count]]] = {"hidden": [], "visible": []}
    targets = []
    for index in rng.permutation(len(utterances))[:limit]:
        utterance = utterances[index]
        frames = frames_of(utterance.audio.size)
        audio = torch.zeros(1, frames * FRAME_SAMPLES)
        audio[0, : utterance.audio.size] = torch.from_numpy(utterance.audio)
        wanted = clusters.assign(torch.from_numpy(teacher.features(utterance.audio)))
        mask = span_mask(torch.tensor([frames]), frames, rng, 0.35, 4)
        guess = student.to_clusters(student(audio, mask)).argmax(dim=-1)
        right = (guess == wanted)[0]
        for name, chosen in (("hidden", mask[0]), ("visible", ~mask[0])):
            count = (float(right[chosen].sum()), float(chosen.sum()))
            records[name].append((utterance.voice, utterance.id, count))
        targets.append(wanted)
    share = torch.bincount(torch.cat(targets)).max() / len(torch.cat(targets))
    print(f"\nmost frequent cluster: {100 * share:.1f} % of frames")
    return {name: by_voice(counts) for name, counts in records.items()}


def counts_of(
    heard: list[Heard], count: Callable[[Heard], Count | None]
) -> list[tuple[str, str, Count]]:
    """(voice, id, count) of the utterances that count."""
    made = [(h.voice, h.id, count(h)) for h in heard]
    return [(voice, name, c) for voice, name, c in made if c is not None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--split", default="heldout")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--masked-utterances", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    student, text = load_student(options.weights)
    utterances = load_utterances(
        options.heldout,
        splits=(options.split,),
        limit=options.limit,
        phonemize=Hibari().phonemize,
    )
    heard = evaluate(student, text, utterances)
    results = {
        "phoneme_error": by_voice(counts_of(heard, lambda h: (h.edits, h.phonemes))),
        "retrieval_top1": by_voice(
            counts_of(heard, lambda h: None if h.retrieved is None else (h.retrieved, 1.0))
        ),
    }
    results |= {
        f"cluster_accuracy_{name}": rates
        for name, rates in masked_prediction(student, utterances, options.masked_utterances).items()
    }
    texts = len({u.text for u, h in zip(utterances, heard, strict=True) if h.retrieved is not None})
    table("phoneme error (lower is better)", results["phoneme_error"], "phonemes")
    table(f"text retrieval, top-1 of {texts} texts", results["retrieval_top1"], "utterances")
    for name in ("hidden", "visible"):
        table(f"cluster accuracy, {name} frames", results[f"cluster_accuracy_{name}"], "frames")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
