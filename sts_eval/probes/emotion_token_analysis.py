"""What the tokens of many recordings give away: emotion, speaker, words. Tokens in, findings out.

A codebook set is named

    semantic  acoustic  all      the semantic codebooks, the others, every one
    0 1 2 ...                    one codebook
    upto_3                       the first three
    audio                        no tokens: the log-mel spectrum, to compare with (no ceiling)

Whatever cannot be measured (one emotion, one speaker, no shared texts) is kept with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np

from sts_eval.metrics import probing
from sts_eval.metrics import token_information as information
from sts_eval.metrics.probing import Features, Reading
from sts_eval.probes.emotion_token_features import FloatArray, IntArray, Rendition, TokenSet
from sts_eval.probes.emotion_token_tasks import (
    EMOTION,
    NEUTRAL,
    ORIGINAL,
    SPEAKER,
    WORDS,
    Task,
    emotion_task,
    speaker_task,
    vocoder_task,
    words_task,
)

SEMANTIC, ACOUSTIC, ALL, AUDIO = "semantic", "acoustic", "all", "audio"
SHUFFLES, FEW_SHUFFLES = 400, 100  # few: where labels are many


@dataclass
class Findings:
    """Everything found. Keys: (task, codebook set, probe), (task, codebook), codebook.

    readings and controls with the task they belong to; `reasons` says why a key is missing.
    distances: codebook -> (speaker, scenario id, distance) for pairs of emotions of one sentence.
    """

    tokens: TokenSet
    tasks: dict[str, Task] = field(default_factory=dict)
    readings: dict[tuple[str, str, str], Reading] = field(default_factory=dict)
    controls: dict[str, tuple[Task, Reading]] = field(default_factory=dict)
    information: dict[tuple[str, int], information.Information] = field(default_factory=dict)
    divergence: dict[int, FloatArray] = field(default_factory=dict)
    distances: dict[int, list[tuple[str, str, float]]] = field(default_factory=dict)
    vocoder_distance: dict[int, float] = field(default_factory=dict)
    sentence_distance: dict[int, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def analyse(
    tokens: TokenSet,
    *,
    seed: int,
    shuffles: int = SHUFFLES,
    perceptron: bool = True,
) -> Findings:
    """All findings about a token set."""
    found = Findings(tokens)
    if not tokens.renditions:
        found.reasons[EMOTION] = found.reasons[SPEAKER] = found.reasons[WORDS] = "no recordings"
        return found
    plain = np.array([r.emotion != ORIGINAL for r in tokens.renditions])
    for task in (
        emotion_task(tokens, plain, found.notes, seed),
        speaker_task(tokens, plain, seed),
        words_task(tokens, plain, seed),
    ):
        found.tasks[task.name] = task
        if task.reason:
            found.reasons[task.name] = task.reason
    blocks = [tokens.features(k) for k in range(tokens.codebooks)]
    _read_all(found, codebook_sets(tokens), blocks, seed, shuffles, perceptron)
    _control_all(found, blocks, seed, shuffles)
    _inform(found, seed, shuffles)
    _diverge(found)
    _distances(found)
    return found


def codebook_sets(tokens: TokenSet) -> dict[str, list[int]]:
    """Every codebook set by name; `semantic` and `acoustic` only where the codec has both."""
    every = list(range(tokens.codebooks))
    split = tokens.semantic
    sets: dict[str, list[int]] = {}
    if 0 < split < len(every):
        sets |= {SEMANTIC: every[:split], ACOUSTIC: every[split:]}
    sets[ALL] = every
    sets |= {str(k): [k] for k in every}
    sets |= {f"upto_{q}": every[:q] for q in every[2:]}
    return sets


def _shuffled(task: Task, count: int, seed: int) -> IntArray:
    return probing.shuffled_labels(
        probing.codes_of(task.labels), task.within, count, seed, units=task.units
    )


def _read(task: Task, features: Features, shuffled: IntArray) -> Reading:
    return probing.read_linear(features.rows(task.chosen), task.labels, task.folds, shuffled)


def _read_all(
    found: Findings,
    sets: dict[str, list[int]],
    blocks: list[FloatArray],
    seed: int,
    shuffles: int,
    perceptron: bool,
) -> None:
    sound = Features.of(np.stack([r.sound for r in found.tokens.renditions]))
    for name, task in found.tasks.items():
        if task.reason:
            continue
        shuffled = _shuffled(task, _count(task, shuffles), seed)
        for which, books in sets.items():
            if name != EMOTION and which.startswith("upto_"):
                continue
            features = Features.of(*(blocks[k] for k in books))
            found.readings[name, which, "linear"] = _read(task, features, shuffled)
            if perceptron and name == EMOTION and not which.startswith("upto_"):
                found.readings[name, which, "mlp"] = probing.read_mlp(
                    features.rows(task.chosen), task.labels, task.folds, shuffled[:1], seed
                )
        found.readings[name, AUDIO, "linear"] = _read(task, sound, shuffled)


def _count(task: Task, shuffles: int) -> int:
    return shuffles if len(set(task.labels)) <= 10 else min(shuffles, FEW_SHUFFLES)


def _control_all(found: Findings, blocks: list[FloatArray], seed: int, shuffles: int) -> None:
    task = found.tasks[EMOTION]
    renditions = found.tokens.renditions
    sets = {
        name: Features.of(*(blocks[k] for k in books))
        for name, books in codebook_sets(found.tokens).items()
        if name in (SEMANTIC, ACOUSTIC, ALL)
    }
    if not task.reason:
        shuffled = _shuffled(task, shuffles, seed)
        frames = np.array([[float(r.tokens.shape[1])] for r in renditions])
        found.controls["length"] = task, _read(task, Features.of(frames), shuffled)
        if all(r.words for r in renditions):
            bag = bag_of_words([r.words for r in renditions])
            found.controls["text"] = task, _read(task, Features.of(bag), shuffled)
        else:
            found.reasons["text"] = "the words of the recordings are not known"
    else:
        found.reasons["text"] = found.reasons["length"] = task.reason
    vocoder = vocoder_task(found.tokens, seed)
    for name, features in sets.items():
        if vocoder.reason:
            found.reasons[f"vocoder_{name}"] = vocoder.reason
            continue
        reading = _read(vocoder, features, _shuffled(vocoder, shuffles, seed))
        found.controls[f"vocoder_{name}"] = vocoder, reading


def bag_of_words(texts: Sequence[str]) -> FloatArray:
    """[n, vocabulary] how often each text has each word (lower case, no punctuation)."""
    split = ["".join(c if c.isalnum() else " " for c in t.lower()).split() for t in texts]
    place = {word: i for i, word in enumerate(sorted({w for words in split for w in words}))}
    counts = np.zeros((len(texts), max(1, len(place))))
    for row, words in enumerate(split):
        for word in words:
            counts[row, place[word]] += 1
    return counts


def _inform(found: Findings, seed: int, shuffles: int) -> None:
    for name, task in found.tasks.items():
        if task.reason:
            continue
        labels = probing.codes_of(task.labels)
        shuffled = _shuffled(task, min(shuffles, FEW_SHUFFLES), seed)
        for k in range(found.tokens.codebooks):
            counts = found.tokens.histograms(k)[task.chosen]
            found.information[name, k] = information.token_information(counts, labels, shuffled)


def _diverge(found: Findings) -> None:
    task = found.tasks[EMOTION]
    if task.reason:
        found.reasons["divergence"] = task.reason
        return
    labels, speaker = probing.codes_of(task.labels), probing.codes_of(task.speakers)
    for k in range(found.tokens.codebooks):
        counts = found.tokens.histograms(k)[task.chosen]
        found.divergence[k] = information.divergence_excess(counts, labels, speaker)


def _distances(found: Findings) -> None:
    tokens = found.tokens
    if not tokens.parallel:
        found.reasons["distance"] = "the corpus does not say which recordings hold the same words"
        return
    of_scenario: dict[str, list[Rendition]] = defaultdict(list)
    for each in tokens.renditions:
        of_scenario[each.scenario_id].append(each)
    for k in range(tokens.codebooks):
        apart, vocoder = [], []
        for name, group in of_scenario.items():
            said = [r for r in group if r.emotion != ORIGINAL]
            pairs = [(a, b) for a, b in combinations(said, 2) if a.emotion != b.emotion]
            if pairs:
                apart.append((group[0].speaker, name, float(np.mean(_of_pairs(pairs, k)))))
            before = [r for r in group if r.emotion == ORIGINAL]
            vocoder += [(a, b) for a in before for b in group if b.emotion == NEUTRAL]
        if not apart:
            found.reasons["distance"] = "no sentence is said in two emotions by one speaker"
            return
        found.distances[k] = apart
        if vocoder:
            found.vocoder_distance[k] = float(np.mean(_of_pairs(vocoder, k)))
        others = _other_sentences(tokens.renditions)
        if others:
            found.sentence_distance[k] = float(np.mean(_of_pairs(others, k)))


def _of_pairs(pairs: Sequence[tuple[Rendition, Rendition]], codebook: int) -> list[float]:
    return [information.edit_distance(a.tokens[codebook], b.tokens[codebook]) for a, b in pairs]


def _other_sentences(renditions: Sequence[Rendition]) -> list[tuple[Rendition, Rendition]]:
    """Neighbouring recordings of a speaker in one emotion that hold other sentences."""
    rows = defaultdict(list)
    for each in renditions:
        if each.emotion != ORIGINAL:
            rows[each.speaker, each.emotion].append(each)
    pairs = [pair for row in rows.values() for pair in pairwise(row)]
    return [(a, b) for a, b in pairs if a.text != b.text]
