"""What the tokens of many recordings give away: emotion, speaker, words. Tokens in, findings out.

A codebook set is named

    semantic  acoustic  all      the semantic codebooks, the others, every one
    0 1 2 ...                    one codebook
    upto_3                       the first three
    audio                        no tokens: the log-mel spectrum, to compare with (no ceiling)

Whatever cannot be measured (one emotion, one speaker, no shared texts) is kept with its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np

from sts_eval.metrics import probing
from sts_eval.metrics import token_information as information
from sts_eval.metrics.probing import Features, Fold, NotMeasurableError, Reading
from sts_eval.probes.emotion_token_features import FloatArray, IntArray, Rendition, TokenSet

EMOTION, SPEAKER, WORDS = "emotion", "speaker", "words"
ORIGINAL, NEUTRAL = "original", "neutral"
SEMANTIC, ACOUSTIC, ALL, AUDIO = "semantic", "acoustic", "all", "audio"
MOST_SENTENCES = 50  # of the words probe: as many classes
SPEAKER_PARTS, TEXT_PARTS = 8, 3
SHUFFLES, FEW_SHUFFLES = 400, 100  # few: where labels are many


@dataclass(frozen=True)
class Task:
    """One question of the probes: labels of some of the renditions, and the folds to answer it.

    chosen: indices of the renditions. units: what is shuffled as a whole; within: and among what.
    reason: why there is no answer ("" when there is).
    """

    name: str
    chosen: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    labels: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()
    units: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    reason: str = ""


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


def emotion_task(tokens: TokenSet, plain: np.ndarray, notes: list[str], seed: int) -> Task:
    """Emotions on speakers and texts that are not in training."""
    names = [r.emotion for r in tokens.renditions]
    for emotion in sorted({n for n, ok in zip(names, plain, strict=True) if ok}):
        own = [r for r in tokens.renditions if r.emotion == emotion]
        for what, many in (("speaker", {r.speaker for r in own}), ("text", {r.text for r in own})):
            if len(many) < 2:
                notes.append(f"{emotion} is left out: one {what} only, which cannot be held out.")
                plain = plain & np.array([n != emotion for n in names])
                break
    chosen = np.flatnonzero(plain)
    own = [tokens.renditions[i] for i in chosen]
    if len({r.emotion for r in own}) < 2:
        found = sorted({r.emotion for r in own})
        what = (
            f"one emotion only ({found[0]})"
            if found
            else "no emotion that two speakers say in two texts"
        )
        return Task(EMOTION, reason=f"{what}: there is nothing to tell apart")
    return _crossed_task(EMOTION, tokens, chosen, seed)


def _crossed_task(name: str, tokens: TokenSet, chosen: IntArray, seed: int) -> Task:
    """Emotions of some renditions, on speakers and texts that are not in training."""
    own = [tokens.renditions[i] for i in chosen]
    labels = [r.emotion for r in own]
    try:
        folds = probing.crossed_folds(
            [r.speaker for r in own],
            [r.text for r in own],
            speaker_parts=SPEAKER_PARTS,
            text_parts=TEXT_PARTS,
            seed=seed,
        )
        probing.check_learnable(labels, folds)
    except NotMeasurableError as error:
        return Task(name, reason=str(error))
    by_itself = [str(i) for i in chosen]  # every recording is shuffled by itself
    return _task(name, tokens, chosen, labels, folds, by_itself, _blocks(own))


def _blocks(renditions: Sequence[Rendition]) -> list[str]:
    """Among what emotions are shuffled: the renditions of one sentence by one speaker, so that
    words and voices stay as balanced as they were; where most sentences are said in one emotion
    only, all recordings of a speaker."""
    emotions: dict[str, set[str]] = defaultdict(set)
    for each in renditions:
        emotions[each.scenario_id].add(each.emotion)
    several = sum(len(emotions[each.scenario_id]) > 1 for each in renditions)
    if 2 * several > len(renditions):
        return [each.scenario_id for each in renditions]
    return [each.speaker for each in renditions]


def speaker_task(tokens: TokenSet, plain: np.ndarray, seed: int) -> Task:
    """Speakers on texts that are not in training."""
    chosen = np.flatnonzero(plain)
    own = [tokens.renditions[i] for i in chosen]
    labels = [r.speaker for r in own]
    if len(set(labels)) < 2:
        return Task(SPEAKER, reason="one speaker only: there is nothing to tell apart")
    try:
        folds = probing.group_folds([r.text for r in own], TEXT_PARTS, seed)
    except NotMeasurableError:
        return Task(SPEAKER, reason="one text only: nothing is left to train on")
    return _learnable(SPEAKER, tokens, chosen, labels, folds)


def words_task(tokens: TokenSet, plain: np.ndarray, seed: int) -> Task:
    """Which sentence it is, said by speakers that are not in training."""
    if not tokens.parallel:
        return Task(WORDS, reason="the corpus does not say which recordings hold the same words")
    own = [r for r, ok in zip(tokens.renditions, plain, strict=True) if ok]
    said_by: dict[str, set[str]] = defaultdict(set)
    for r in own:
        said_by[r.text].add(r.speaker)
    shared = [text for text in said_by if len(said_by[text]) > 1]
    if len(shared) < 2:
        return Task(WORDS, reason="fewer than two texts are said by two speakers")
    often = Counter(r.text for r in own if r.text in set(shared))
    kept = {text for text, _ in sorted(often.items(), key=lambda p: (-p[1], p[0]))[:MOST_SENTENCES]}
    inside = np.array([r.text in kept for r in tokens.renditions])
    chosen = np.flatnonzero(plain & inside)
    labels = [tokens.renditions[i].text for i in chosen]
    speakers = [tokens.renditions[i].speaker for i in chosen]
    return _learnable(
        WORDS, tokens, chosen, labels, probing.group_folds(speakers, SPEAKER_PARTS, seed)
    )


def _learnable(
    name: str, tokens: TokenSet, chosen: IntArray, labels: Sequence[str], folds: Sequence[Fold]
) -> Task:
    """A task without the classes that some fold would have to name untrained."""
    names = np.array(labels, dtype=object)
    lost: set[str] = set()
    for fold in folds:
        lost |= set(names[fold.test]) - set(names[fold.train])
    keep = np.array([label not in lost for label in labels], bool)
    left = names[keep]
    if len(set(left)) < 2:
        return Task(name, reason=f"fewer than two classes are in all training sides ({name})")
    place = np.cumsum(keep) - 1
    kept = [
        Fold(place[f.train[keep[f.train]]], place[f.test[keep[f.test]]])
        for f in folds
        if keep[f.test].any()
    ]
    chosen = chosen[keep]
    own = [tokens.renditions[i] for i in chosen]
    # All renditions of a sentence have one speaker and one text: they are shuffled together. What
    # is shuffled stays as balanced as it was in the other thing, which tokens may carry, too.
    within = [r.speaker for r in own] if name == WORDS else [r.text for r in own]
    if name == SPEAKER and not _crossed(own):
        within = [""] * len(own)
    return _task(name, tokens, chosen, list(left), kept, [r.scenario_id for r in own], within)


def _crossed(renditions: Sequence[Rendition]) -> bool:
    """Whether most recordings are of texts that several speakers say."""
    said_by: dict[str, set[str]] = defaultdict(set)
    for each in renditions:
        said_by[each.text].add(each.speaker)
    return 2 * sum(len(said_by[each.text]) > 1 for each in renditions) > len(renditions)


def _task(
    name: str,
    tokens: TokenSet,
    chosen: IntArray,
    labels: Sequence[str],
    folds: Sequence[Fold],
    units: Sequence[str],
    within: Sequence[str],
) -> Task:
    speakers = tuple(tokens.renditions[i].speaker for i in chosen)
    return Task(name, chosen, tuple(labels), tuple(folds), tuple(units), tuple(within), speakers)


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


def vocoder_task(tokens: TokenSet, seed: int) -> Task:
    """The original against its neutral rendition, on the folds of the emotion task."""
    chosen = np.array(
        [i for i, r in enumerate(tokens.renditions) if r.emotion in (ORIGINAL, NEUTRAL)], np.int64
    )
    if all(tokens.renditions[i].emotion != ORIGINAL for i in chosen):
        return Task("vocoder", reason="no vocoder made these emotions: they are recordings")
    return _crossed_task("vocoder", tokens, chosen, seed)


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
