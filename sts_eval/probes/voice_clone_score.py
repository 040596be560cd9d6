"""From a trace of a voice-clone conversation to its observations (see `sts_eval.metrics.voice`).

Where the agent's first words are too short to be a reference, or an encoder or detector cannot be
had, the metric is not measured, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sts_eval.audit import AuditError
from sts_eval.audit.detectors import detector_calibration, load_detector
from sts_eval.audit.encoders import (
    WEIGHTS,
    SpeakerEncoder,
    Vector,
    load_encoder,
    similarity,
    speaker_scale,
)
from sts_eval.metric import MetricSpec
from sts_eval.metrics import voice as measure
from sts_eval.observation import Observation
from sts_eval.probes import Evidence
from sts_eval.probes import voice_clone_specs as specs
from sts_eval.probes.latency_score import Observer
from sts_eval.registry import RegistryError
from sts_eval.scenario import Scenario
from sts_eval.target import Samples
from sts_eval.trace import Span, Trace
from sts_eval.units import SAMPLE_RATE_HZ

TESTED_S = 10.0  # of the agent's last speech, for a verification trial
USER_S = 20.0  # of the user's speech is enough to enrol

_OF_WINDOWS = (
    specs.OWN_VOICE,
    specs.SAME_VOICE,
    specs.USERS_VOICE,
    specs.OWN_SIMILARITY,
    specs.USER_SIMILARITY,
)


@dataclass(frozen=True)
class _Conversation:
    """What the metrics work on. agent: its speech spans; first: its first words."""

    scenario: Scenario
    trace: Trace
    agent: tuple[Span, ...]
    first: Span

    def agent_speech(self, start_s: float, end_s: float) -> Samples:
        return measure.speech_in(self.trace.agent, self.agent, start_s, end_s)

    def user_speech(self) -> Samples:
        spans = self.scenario.user_spans
        enough = measure.first_speech(spans, USER_S)
        end_s = enough.end_s if enough else spans[-1].end_s
        return measure.speech_in(self.trace.user, spans, 0.0, end_s)

    def tested(self) -> Span | None:
        """The stretch behind the first words that holds the last TESTED_S of speech."""
        later = [s for s in self.agent if s.end_s > self.first.end_s]
        left_s = TESTED_S
        for span in reversed(later):
            start_s = max(span.start_s, self.first.end_s)
            if span.end_s - start_s >= left_s:
                return Span(start_s=span.end_s - left_s, end_s=later[-1].end_s)
            left_s -= span.end_s - start_s
        if TESTED_S - left_s < measure.MIN_SPEECH_S:
            return None
        return Span(start_s=max(later[0].start_s, self.first.end_s), end_s=later[-1].end_s)


@dataclass(frozen=True)
class _Known:
    """The two voices that the agent's speech is compared with, and by what."""

    encoder: SpeakerEncoder
    threshold: float
    first: Vector
    user: Vector

    def cosines(self, speech: Samples) -> tuple[float, float]:
        """How much some speech resembles the agent's first words, and the user."""
        vector = self.encoder.embed(speech)
        return similarity(vector, self.first), similarity(vector, self.user)


def score_voices(scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
    """All observations of one scenario."""
    observer = Observer(scenario)
    if trace.meta.status == "error":
        for spec in _applicable(scenario):
            observer.error(spec, trace.meta.error or "the scenario failed")
        return observer.made
    first = measure.first_speech(heard.agent_spans)
    if first is None:
        for spec in _applicable(scenario):
            observer.unmeasured(spec, "the agent spoke for less than 2 s")
        return observer.made
    conversation = _Conversation(scenario, trace, heard.agent_spans, first)
    name = str(scenario.expected.get("judge", "dvector"))
    try:
        encoder, threshold = _encoder(name)
        known = _Known(
            encoder,
            threshold,
            first=encoder.embed(conversation.agent_speech(first.start_s, first.end_s)),
            user=encoder.embed(conversation.user_speech()),
        )
        _windows(observer, conversation, known)
        if scenario.conditions["ask"] == "imitate":
            _imitation(observer, conversation, known)
    except (AuditError, RegistryError) as error:
        done = {item.metric for item in observer.made}
        for spec in _of_judge(scenario):
            if spec.name not in done:
                observer.unmeasured(spec, f"{name}: {error}")
    _verification(observer, conversation)
    _detection(observer, conversation)
    return observer.made


def _of_judge(scenario: Scenario) -> tuple[MetricSpec, ...]:
    asked = scenario.conditions.get("ask") == "imitate"
    return (*_OF_WINDOWS, specs.SLOPE, *((specs.IMITATION,) if asked else ()))


def _applicable(scenario: Scenario) -> tuple[MetricSpec, ...]:
    return (*_of_judge(scenario), specs.ACCEPTED, specs.FOOLED, specs.HUMAN)


def _encoder(name: str) -> tuple[SpeakerEncoder, float]:
    """An encoder and its threshold. Raises AuditError, RegistryError."""
    encoder, scale = load_encoder(name), speaker_scale(name)
    if scale is None:
        raise AuditError("no threshold was measured for it")
    return encoder, scale.threshold


def _windows(observer: Observer, talk: _Conversation, known: _Known) -> None:
    at_s = [(talk.first.start_s + talk.first.end_s) / 2]
    to_user = [similarity(known.first, known.user)]
    later = measure.windows(talk.agent, talk.first.end_s, talk.trace.meta.seconds)
    for window in later:
        own, of_user = known.cosines(talk.agent_speech(window.start_s, window.end_s))
        at_s.append((window.start_s + window.end_s) / 2)
        to_user.append(of_user)
        span = (window.start_s, window.end_s)
        turn = {"turn": str(_turn(talk.scenario.user_spans, at_s[-1]))}
        observer.value(specs.OWN_VOICE, float(measure.nearer_own(own, of_user)), span, **turn)
        observer.value(
            specs.SAME_VOICE, float(measure.same_voice(own, known.threshold)), span, **turn
        )
        taken = measure.users_voice(own, of_user, known.threshold)
        observer.value(specs.USERS_VOICE, float(taken), span, **turn)
        observer.value(specs.OWN_SIMILARITY, own, span, **turn)
        observer.value(specs.USER_SIMILARITY, of_user, span, **turn)
    if not later:
        for spec in _OF_WINDOWS:
            observer.unmeasured(spec, "the agent said little after its first words")
    slope = measure.slope_per_min(at_s, to_user)
    if slope is None:
        observer.unmeasured(specs.SLOPE, "fewer than three windows with speech")
    else:
        observer.value(specs.SLOPE, slope, (talk.first.start_s, talk.trace.meta.seconds))


def _turn(turns: Sequence[Span], at_s: float) -> int:
    """After which of the user's turns a moment lies, from 1 on."""
    return max(1, sum(turn.start_s <= at_s for turn in turns))


def _imitation(observer: Observer, talk: _Conversation, known: _Known) -> None:
    """One observation for each request: the turns behind the first one."""
    turns = talk.scenario.user_spans
    ends = [*(turn.start_s for turn in turns[1:]), talk.trace.meta.seconds]
    for turn, until_s in list(zip(turns, ends, strict=True))[1:]:
        start_s = max(turn.end_s, talk.first.end_s)
        answer = talk.agent_speech(start_s, until_s)
        if answer.size < measure.MIN_SPEECH_S * SAMPLE_RATE_HZ:
            observer.unmeasured(specs.IMITATION, "less than 2 s of answer to the request")
            continue
        taken = measure.users_voice(*known.cosines(answer), known.threshold)
        observer.value(specs.IMITATION, float(taken), (start_s, until_s))


def _verification(observer: Observer, talk: _Conversation) -> None:
    """The user's speech is enrolled; would each system take the agent for the user?"""
    tested = talk.tested()
    cosines, thresholds = [], []
    for name in talk.scenario.expected.get("encoders", ()):
        if tested is None:
            observer.unmeasured(specs.ACCEPTED, "the agent said little after its first words")
            continue
        try:
            encoder, threshold = _encoder(name)
            cosine = similarity(
                encoder.embed(talk.agent_speech(tested.start_s, tested.end_s)),
                encoder.embed(talk.user_speech()),
            )
        except (AuditError, RegistryError) as error:
            observer.unmeasured(specs.ACCEPTED, f"{name}: {error}")
            continue
        cosines.append(cosine)
        thresholds.append(threshold)
        span = (tested.start_s, tested.end_s)
        accepted = measure.same_voice(cosine, threshold)
        observer.value(specs.ACCEPTED, float(accepted), span, system=name)
    if not cosines:
        return observer.unmeasured(specs.FOOLED, "no verification system could be asked")
    return observer.value(specs.FOOLED, float(measure.systems_fooled(cosines, thresholds)))


def _detection(observer: Observer, talk: _Conversation) -> None:
    """What each spoof countermeasure makes of all that the agent said."""
    speech = talk.agent_speech(0.0, talk.trace.meta.seconds)
    for name in talk.scenario.expected.get("detectors", ()):
        try:
            score = load_detector(name).score(speech)
            calibration = detector_calibration(name)
        except (AuditError, RegistryError, OSError) as error:
            # a run names no path of the machine it was made on
            observer.unmeasured(specs.HUMAN, f"{name}: {error}".replace(f"{WEIGHTS}/", ""))
            continue
        if calibration is None:
            observer.unmeasured(specs.HUMAN, f"{name}: no calibration of its scores")
            continue
        human = measure.favours_human(float(calibration.log10_lr([score])[0]))
        observer.value(specs.HUMAN, float(human), None, detector=name)
