"""Does the agent's own voice follow the user's tone? Over pairs of tones of a sentence.

The user's change from one tone to another is measured on the user's track. The agent's is that of
its reply against a neutral reading of the words it is heard to say (hibari-tts): two replies of
other words differ in pitch and length anyway, and that is no other tone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from sts_eval.metrics.prosody import FEATURES, Prosody, prosody_of
from sts_eval.metrics.tone_reply import Following, following
from sts_eval.observation import Estimate, Status
from sts_eval.probes import PoolItem
from sts_eval.probes import emotion_reply_specs as specs
from sts_eval.stats.pooled import Counts, PooledValue, finished, ratio
from sts_eval.stats.proportions import Bounds
from sts_eval.target import Samples, TargetError
from sts_eval.trace import load_trace
from sts_eval.units import seconds_to_samples


@dataclass
class Voices:
    """What was found. pairs: how many pairs of tones; shown: by feature."""

    estimates: list[Estimate] = field(default_factory=list)
    shown: dict[str, Following] = field(default_factory=dict)
    pairs: int = 0


@dataclass(frozen=True)
class _Said:
    """One scenario: the user's prosody, and the agent's against a neutral reading."""

    cluster: str
    user: Prosody
    agent: dict[str, float]


class Readings:
    """Neutral readings of texts, each made once. Raises TargetError without the voice."""

    def __init__(self) -> None:
        from sts_eval.targets.cascade.parts import Voice

        self._voice = Voice(1.0)
        self._made: dict[str, Prosody | None] = {}

    def of(self, text: str) -> Prosody | None:
        """Prosody of a neutral reading; None where it has too little voice."""
        if text not in self._made:
            self._made[text] = prosody_of(self._voice.speak(text, 0))
        return self._made[text]


def own_voice(items: Sequence[PoolItem], seed: int) -> Voices:
    """Slopes of the agent's voice on the user's, with intervals over voices."""
    first = [item for item in items if item.scenario.conditions["take"] == "1"]
    said: dict[str, list[_Said]] = defaultdict(list)
    reasons: list[str] = []
    lost: list[Status] = []
    try:
        readings = Readings()
    except TargetError as error:
        return Voices(_missing(str(error), [Status.UNMEASURED] * len(first)))
    for item in first:
        found = _said(item, readings)
        if isinstance(found, str):
            reasons.append(found)
            failed = item.result.status == "error"
            lost.append(Status.ERROR if failed else Status.UNMEASURED)
        else:
            said[str(item.scenario.expected["stimulus"])].append(found)
    pairs = [pair for own in said.values() for pair in combinations(own, 2)]
    voices = Voices(pairs=len(pairs))
    if not pairs:
        reason = max(set(reasons), key=reasons.count) if reasons else "no sentence in two tones"
        return Voices(_missing(reason, lost))
    for feature in FEATURES:
        user = np.array([a.user.against(b.user)[feature] for a, b in pairs])
        agent = np.array([a.agent[feature] - b.agent[feature] for a, b in pairs])
        voices.shown[feature] = following(user, agent)
        sums: dict[str, Counts] = {}
        for (one, _), u, a in zip(pairs, user, agent, strict=True):
            old = sums.get(one.cluster, Counts(0.0, 0.0))
            sums[one.cluster] = Counts(old.total + u * a, old.size + u * u)
        spec = specs.FOLLOWS[feature]
        slope = ratio(sums, seed=seed, name=spec.name)
        if reasons and not slope.reason:
            slope = slope._replace(reason="; ".join(_counted(reasons)))
        voices.estimates.append(finished(spec, slope, len(pairs), len(sums), lost))
    return voices


def _said(item: PoolItem, readings: Readings) -> _Said | str:
    """What a scenario shows, or why it shows nothing."""
    if item.result.status != "ok":
        return item.result.error or "the scenario was not run"
    span = item.scenario.user_spans[0]
    text = " ".join(word.text for word in item.result.words if word.start_s >= span.start_s)
    if not text.strip():
        return "no word of the agent was heard"
    trace = load_trace(item.trace)
    if any(event.name == "cut_by_end" for event in trace.meta.events):
        return "the end of the scenario cut the reply off"
    user = prosody_of(_part(trace.user, span.start_s, span.end_s))
    agent = prosody_of(_part(trace.agent, span.start_s, trace.meta.seconds))
    reading = readings.of(text)
    if user is None or agent is None or reading is None:
        return "too little voice to measure pitch"
    return _Said(item.scenario.cluster, user, agent.against(reading))


def _counted(reasons: Sequence[str]) -> list[str]:
    return [f"{count} not measured: {reason}" for reason, count in Counter(reasons).most_common()]


def _part(track: Samples, start_s: float, end_s: float) -> Samples:
    return track[seconds_to_samples(start_s) : seconds_to_samples(end_s)]


def _missing(reason: str, lost: Sequence[Status]) -> list[Estimate]:
    nothing = PooledValue(None, Bounds(None, None), "none", reason)
    return [finished(spec, nothing, 0, 0, lost) for spec in specs.FOLLOWS.values()]
