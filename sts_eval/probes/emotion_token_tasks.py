"""The questions of the probes: labels of recordings, and the folds that answer them fairly.

emotion on speakers and texts that are not in training, speaker on such texts, words on such
speakers, and the vocoder control on the folds of emotion. What cannot be asked (one emotion, one
speaker, no shared texts) is a task with a reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sts_eval.metrics import probing
from sts_eval.metrics.probing import Fold, NotMeasurableError
from sts_eval.probes.emotion_token_features import IntArray, Rendition, TokenSet

EMOTION, SPEAKER, WORDS = "emotion", "speaker", "words"
ORIGINAL, NEUTRAL = "original", "neutral"
MOST_SENTENCES = 50  # of the words probe: as many classes
SPEAKER_PARTS, TEXT_PARTS = 8, 3


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


def vocoder_task(tokens: TokenSet, seed: int) -> Task:
    """The original against its neutral rendition, on the folds of the emotion task."""
    chosen = np.array(
        [i for i, r in enumerate(tokens.renditions) if r.emotion in (ORIGINAL, NEUTRAL)], np.int64
    )
    if all(tokens.renditions[i].emotion != ORIGINAL for i in chosen):
        return Task("vocoder", reason="no vocoder made these emotions: they are recordings")
    return _crossed_task("vocoder", tokens, chosen, seed)
