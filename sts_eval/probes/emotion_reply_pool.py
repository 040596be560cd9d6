"""Replies to a tone of voice, over all scenarios: what the other tones of a sentence show.

A reply is what the ASR judge hears of the agent from the start of the remark on. Replies are
compared within a sentence of a voice; what its other tones lack (an error, no reply, a run cut
short by --limit) is not measured, with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from sts_eval.metric import MetricSpec
from sts_eval.metrics.tone_reply import replies_differ, reply_tone, side_taken
from sts_eval.observation import Estimate, Observation, Status
from sts_eval.probes import PoolContext, Pooled, PoolItem
from sts_eval.probes import emotion_reply_specs as specs
from sts_eval.probes.emotion_reply_voice import Voices, own_voice
from sts_eval.stats.pooled import Counts, finished, rate_difference

MIN_FITTING = 0.5
NO_LISTS = "the suite names no lists of replies for this agent (replies: none)"


@dataclass(frozen=True)
class Reply:
    """One scenario's reply. text: None without one, and why. tone: of its list; "" fits none."""

    item: PoolItem
    text: str | None
    reason: str = ""
    status: Status = Status.UNMEASURED
    tone: str = ""

    @property
    def conditions(self) -> dict[str, str]:
        """The scenario's."""
        return self.item.scenario.conditions


@dataclass
class Findings:
    """Everything found. lists: why no reply can be given a tone, "" where it can."""

    replies: list[Reply]
    lists: str
    voices: Voices
    observations: list[Observation] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)

    def add(self, spec: MetricSpec, reply: Reply, value: float | None, **slices: str) -> None:
        """One observation; without a value the reply's reason stands for it."""
        item = reply.item
        span = item.scenario.user_spans[0].start_s, item.result.seconds
        self.observations.append(
            Observation(
                metric=spec.name,
                scenario_id=item.scenario.id,
                status=reply.status if value is None else Status.MEASURED,
                value=value,
                reason=reply.reason if value is None else "",
                cluster=item.scenario.cluster,
                span_s=None if value is None else span,
                slices={**reply.conditions, **slices},
            )
        )

    def of(self, design: str, take: str = "1") -> list[Reply]:
        """The replies of a design."""
        return [
            reply
            for reply in self.replies
            if (reply.conditions["design"], reply.conditions["take"]) == (design, take)
        ]


def pool_replies(items: Sequence[PoolItem], context: PoolContext) -> Pooled:
    """Everything that the suite says of replies."""
    from sts_eval.probes.emotion_reply_section import section_of

    known = [item for item in items if item.scenario.conditions]
    replies = [_reply(item) for item in known]
    found = Findings(replies, _why_no_lists(replies), own_voice(known, context.seed))
    for item in items:
        if not item.scenario.conditions:  # could not be rendered: whatever it was, it is an error
            reason = item.result.error or "the scenario could not be made"
            found.add(specs.ACCURACY, Reply(item, None, reason, Status.ERROR), None)
    _accuracy(found)
    _changes(found, context.seed)
    _sides(found, context.seed)
    found.estimates += found.voices.estimates
    sections = [section_of(found, context)] if known else []
    return Pooled(found.observations, found.estimates, sections)


def _reply(item: PoolItem) -> Reply:
    seen = next((o for o in item.observations if o.metric == specs.REPLIED.name), None)
    if seen is None or seen.value is None:
        reason = seen.reason if seen else item.result.error or "the scenario was not run"
        return Reply(item, None, reason, seen.status if seen else Status.UNMEASURED)
    if seen.value == 0:
        return Reply(item, None, "the agent did not reply")
    from_s = item.scenario.user_spans[0].start_s
    text = " ".join(word.text for word in item.result.words if word.start_s >= from_s)
    return Reply(item, text, tone=reply_tone(text, item.scenario.expected.get("replies", {})))


def _why_no_lists(replies: Sequence[Reply]) -> str:
    """Why the lists say nothing of this agent: accuracy on them would be a number about nothing."""
    said = [reply for reply in replies if reply.text is not None]
    if any(not reply.item.scenario.expected.get("replies") for reply in replies):
        return NO_LISTS
    fitting = sum(reply.tone != "" for reply in said)
    if said and fitting < MIN_FITTING * len(said):
        source = said[0].item.scenario.expected.get("source", "")
        return (
            f"only {fitting} of {len(said)} replies fit the lists of {source!r}: the agent has"
            " others (`replies` in the suite names them)"
        )
    return ""


def _without_lists(reply: Reply, why: str) -> Reply:
    """The reply as the metrics of lists see it."""
    return Reply(reply.item, None, why) if why and reply.text is not None else reply


def _accuracy(found: Findings) -> None:
    for each in found.of("tones"):
        reply = _without_lists(each, found.lists)
        right = None if reply.text is None else float(reply.tone == reply.conditions["tone"])
        found.add(specs.ACCURACY, reply, right, replied=reply.tone or "none")


def _changes(found: Findings, seed: int) -> None:
    """Pairs of tones of each sentence, and the pair of the same tone."""
    repeats = {_sentence(reply): reply for reply in found.of("tones", "2")}
    with_tone: dict[str, list[float]] = defaultdict(list)  # by voice, of sentences with both
    within: dict[str, list[float]] = defaultdict(list)
    lost: list[Status] = []
    for sentence, own in sorted(_by_sentence(found.of("tones")).items()):
        cluster = own[0].item.scenario.cluster
        changed = [
            _pair(found, specs.CHANGES_WITH, a, b, f"{a.conditions['tone']}-{b.conditions['tone']}")
            for a, b in combinations(own, 2)
        ]
        again = repeats.get(sentence)
        first = next((r for r in own if again and r.conditions["tone"] == again.conditions["tone"]),
                     None)  # fmt: skip
        same = None
        if again is not None and first is not None:
            tone = again.conditions["tone"]
            same = _pair(found, specs.CHANGES_WITHIN, first, again, f"{tone}-{tone}")
        measured = [value for value in changed if value is not None]
        if same is None or not measured:
            failed = any(r.status is Status.ERROR for r in (*own, *([again] if again else [])))
            lost.append(Status.ERROR if failed else Status.UNMEASURED)
            continue
        with_tone[cluster] += measured
        within[cluster].append(same)
    sentences = sum(map(len, within.values()))
    value = rate_difference(
        _counts(with_tone),
        _counts(within),
        units=sentences,
        seed=seed,
        name=specs.CHANGE_EXCESS.name,
    )
    clusters = len(within)
    found.estimates.append(finished(specs.CHANGE_EXCESS, value, sentences, clusters, lost))


def _pair(found: Findings, spec: MetricSpec, a: Reply, b: Reply, tones: str) -> float | None:
    """1 when two replies differ; None, with the reason, when one of them is missing."""
    missing = next((reply for reply in (a, b) if reply.text is None), None)
    value = None
    if missing is None:
        value = float(replies_differ(a.text or "", b.text or ""))
    found.add(spec, missing or a, value, tone=tones)
    return value


def _sides(found: Findings, seed: int) -> None:
    """Where tone and words disagree: which of them the reply follows."""
    taken: list[tuple[Reply, str]] = []
    lost: list[Status] = []
    for each in found.of("words_by_tone"):
        if each.conditions.get("agree") != "no":
            continue
        reply = _without_lists(each, found.lists)
        side = None
        if reply.text is None:
            lost.append(reply.status)
        else:
            side = side_taken(reply.tone, reply.conditions["tone"], reply.conditions["words"])
            taken.append((reply, side))
        for spec, name in ((specs.TONE_OVER_WORDS, "tone"), (specs.WORDS_OVER_TONE, "words")):
            found.add(spec, reply, None if side is None else float(side == name))
    against = rate_difference(
        _balanced(taken, "tone"),
        _balanced(taken, "words"),
        units=len(taken),
        seed=seed,
        name=specs.TONE_MINUS_WORDS.name,
    )
    clusters = len({reply.item.scenario.cluster for reply, _ in taken})
    why = found.lists
    if taken and against.value is None:
        why = "all remarks have words of the same valence"
    found.estimates.append(
        finished(specs.TONE_MINUS_WORDS, against, len(taken), clusters, lost, why)
    )


def _balanced(taken: Sequence[tuple[Reply, str]], side: str) -> dict[str, Counts]:
    """Counts of a side by cluster; glad and unhappy words weigh the same in all, as they must for
    an agent that always says the same to come to 0 (a limited run draws them unevenly)."""
    many = Counter(reply.conditions["words"] for reply, _ in taken)
    counts: dict[str, Counts] = {}
    for reply, which in taken if len(many) == 2 else ():
        cluster = reply.item.scenario.cluster
        weight = len(taken) / (2 * many[reply.conditions["words"]])
        old = counts.get(cluster, Counts(0.0, 0.0))
        counts[cluster] = Counts(old.total + weight * (which == side), old.size + weight)
    return counts


def _counts(values: dict[str, list[float]]) -> dict[str, Counts]:
    return {key: Counts(sum(own), len(own)) for key, own in values.items()}


def _sentence(reply: Reply) -> str:
    return str(reply.item.scenario.expected["stimulus"])


def _by_sentence(replies: Iterable[Reply]) -> dict[str, list[Reply]]:
    grouped: dict[str, list[Reply]] = defaultdict(list)
    for reply in replies:
        grouped[_sentence(reply)].append(reply)
    return grouped
