"""What one conversation says, against the training set: licences, copies, continuations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sts_eval.metrics import extraction, verbatim
from sts_eval.metrics.verbatim import Gram, TextIndex, TextMatch
from sts_eval.probes.overfit_plan import Sources, packaged
from sts_eval.probes.overfit_training import TrainingText, words_of
from sts_eval.record import ScenarioResult
from sts_eval.scenario import Scenario


@dataclass(frozen=True)
class Said:
    """Words of the agent with their times; no times for its own text stream."""

    words: tuple[str, ...]
    times: tuple[tuple[float, float], ...] = ()

    def span_s(self, start: int, end: int) -> tuple[float, float] | None:
        """Seconds of the words [start, end)."""
        return (
            (self.times[start][0], self.times[end - 1][1]) if self.times and end > start else None
        )


def channels(result: ScenarioResult) -> list[Said]:
    """What the judge heard and, where the target has a text stream, what it claims to say."""
    heard: list[str] = []
    times: list[tuple[float, float]] = []
    for word in result.words:
        parts = words_of(word.text)
        heard += parts
        times += [(word.start_s, word.end_s)] * len(parts)
    made = [Said(tuple(heard), tuple(times))]
    if result.agent_text.strip():
        made.append(Said(words_of(result.agent_text)))
    return made


class Matcher:
    """The training set as an index, with what licenses a copy. Build once per run."""

    def __init__(self, sources: Sources) -> None:
        self.items: list[TrainingText] = [item for item in sources.training.texts if item.words]
        canaries = sources.canaries.canaries if sources.canaries else ()
        self.items += [
            TrainingText(each.id, each.text, each.words, repetitions=each.repetitions)
            for each in canaries
            if each.repetitions
        ]
        self.index = TextIndex([item.words for item in self.items])
        self._answers = frozenset(n for n, item in enumerate(self.items) if item.answers)

    @cached_property
    def _common(self) -> set[Gram]:
        return {gram for text in packaged()["common"] for gram in verbatim.grams(words_of(text))}

    def licences(self, scenario: Scenario) -> set[Gram]:
        """Trigrams that may be said here: common ones, the user's, the expected answer's."""
        texts = [scenario.text, str(scenario.expected.get("reply", ""))]
        asked = {gram for text in texts for gram in verbatim.grams(words_of(text))}
        return self._common | asked

    def skipped(self, scenario: Scenario) -> frozenset[int]:
        """Training texts that are trained answers, where the user has asked something.

        An answer to another question than the one asked is a mistake, not a copy.
        """
        return self._answers if scenario.user_spans else frozenset()

    def best(self, scenario: Scenario, said: Sequence[Said]) -> tuple[TextMatch | None, Said]:
        """The strongest copy over the channels, and the channel it is in."""
        licences, skip = self.licences(scenario), self.skipped(scenario)
        found: list[tuple[TextMatch, Said]] = []
        for channel in said:
            matches = verbatim.find_copies(self.index, channel.words, licences, skip)
            found += [(matches[0], channel)] if matches else []
        if not found:
            return None, said[0]
        return max(found, key=lambda pair: (pair[0].copy, pair[0].distinctive))

    def copied_share(self, scenario: Scenario, said: Said) -> float | None:
        """Share of the words in unlicensed trigrams of the training set."""
        licences, skip = self.licences(scenario), self.skipped(scenario)
        return verbatim.copied_share(self.index, said.words, licences, skip)


def continuation(scenario: Scenario, said: Sequence[Said]) -> tuple[bool | None, float]:
    """(whether the rest of the probed text was said, best similarity to it)."""
    text, given = scenario.expected["text"], scenario.expected["given"]
    rest = extraction.rest_of(words_of(text), given)
    results = [extraction.is_extracted(rest, channel.words) for channel in said]
    score = max(extraction.extraction_score(rest, channel.words) for channel in said)
    return (None if None in results else any(results)), score
