"""From a trace of a question to the observations of the hallucination suite.

First it is settled whether there is an answer at all: silence, loops, endless talk and gibberish
are counted, and what such an answer says is not measured further, with that reason. Then the answer
to the last turn is taken apart: what the judges hear, and what the agent's own text stream says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sts_eval.judges.quantities import answer_of, shown
from sts_eval.judges.text import normalise
from sts_eval.metric import MetricSpec
from sts_eval.metrics import answers, degenerate
from sts_eval.metrics.answers import SumHeard, SumTruth
from sts_eval.observation import Observation
from sts_eval.probes import Evidence
from sts_eval.probes import hallucination_specs as specs
from sts_eval.probes.interruption_score import event_spans
from sts_eval.probes.latency_score import Observer
from sts_eval.record import Word
from sts_eval.scenario import Scenario
from sts_eval.target import Samples
from sts_eval.trace import Trace, TraceMeta
from sts_eval.units import seconds_to_samples
from sts_eval.user import MISSED

UNKNOWABLE = ("unanswerable", "false_premise")
MIN_ENDLESS_S = 5.0
_DEGENERATE = (specs.DEGENERATE, *specs.KINDS_OF_DEGENERATE.values())
_VOICED = (specs.INSERTED, specs.DROPPED, specs.VOICED)
_OF_TASK: dict[str, tuple[MetricSpec, ...]] = {
    "sum": (
        specs.NUMBER,
        specs.NUMBER_TEXT,
        specs.GAP,
        *specs.SPLIT.values(),
        specs.DISAGREE,
    ),
    "fact": (specs.FACT, specs.GAP),
    "unanswerable": (specs.FABRICATION, specs.REFUSAL_RECALL),
    "false_premise": (specs.FABRICATION,),
    "repeat": (specs.REPEAT,),
    "long": (),
}
_OF_TASK["chain"] = _OF_TASK["sum"]


@dataclass(frozen=True)
class Answer:
    """The agent's answer to the last turn.

    heard, second: what the judges hear, None where they did not run; text, own_hearing: the agent's
    own text stream and what it says it heard, None where it has no such stream. span_s: evidence.
    """

    heard: str | None
    second: str | None
    text: str | None
    own_hearing: str | None
    span_s: tuple[float, float]

    def as_sum(self) -> SumHeard:
        """For the metrics of sums."""
        return SumHeard(self.heard or "", self.text, self.second, self.own_hearing)


def score_answer(scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
    """All observations of one scenario."""
    observer = Observer(scenario)
    task = scenario.conditions["task"]
    content = (*_OF_TASK[task], *_VOICED)
    if trace.meta.status == "error":
        for spec in (*content, *_DEGENERATE):
            observer.error(spec, trace.meta.error or "the scenario failed")
        return observer.made
    from_s = _turn_start_s(scenario, trace.meta)
    answer = answer_from(trace, heard, 0.0 if from_s is None else from_s)
    found = _degenerate(observer, trace, answer, from_s or scenario.user_spans[0].start_s)
    reason = _why_no_answer(trace.meta, found, from_s)
    if reason:
        for spec in content:
            observer.unmeasured(spec, reason)
        return observer.made
    _content(observer, task, answer, heard)
    _voiced(observer, trace.meta, answer, heard)
    return observer.made


def _turn_start_s(scenario: Scenario, meta: TraceMeta) -> float | None:
    """Where the user's last turn began; None for a follow-up that never came."""
    if scenario.conditions["task"] != "chain":
        return scenario.user_spans[0].start_s
    played = event_spans(meta)
    return played[-1].start_s if played else None


def _why_no_answer(meta: TraceMeta, found: Sequence[str], from_s: float | None) -> str:
    if found:
        return f"degenerate output: {', '.join(found)}"
    if from_s is None:
        missed = (event.data["reason"] for event in meta.events if event.name == MISSED)
        return str(next(missed, "the first answer had no end before the follow-up's time was over"))
    return ""


def answer_from(trace: Trace, heard: Evidence, from_s: float) -> Answer:
    """What was said from a moment on, by each witness."""
    own = [e for e in trace.meta.events if e.source == "agent" and e.t_s >= from_s]
    texts = [str(event.data.get("text", "")) for event in own if event.name == "text"]
    hearing = [str(event.data.get("text", "")) for event in own if event.name == "heard"]
    said = "".join(texts).strip()
    return Answer(
        heard=_words_from(heard.words, from_s),
        second=_words_from(heard.second, from_s),
        text=said or None,
        own_hearing=" ".join(hearing) if hearing else None,
        span_s=(from_s, trace.meta.seconds),
    )


def _words_from(words: Sequence[Word] | None, from_s: float) -> str | None:
    if words is None:
        return None
    return " ".join(word.text for word in words if word.start_s >= from_s)


def _degenerate(observer: Observer, trace: Trace, answer: Answer, from_s: float) -> list[str]:
    """Which kinds of degenerate output the answer shows; one observation for each kind."""
    agent = trace.agent[seconds_to_samples(from_s) :]
    reply = agent[_first_sound(agent) :]
    texts = [text for text in (answer.heard, answer.text) if text]
    shown_by = {
        "silence": degenerate.is_silent(agent),
        "loop": degenerate.audio_repetition(agent) >= degenerate.LOOP_FROM
        or any(degenerate.text_loops(text) for text in texts),
        "endless": reply.size >= seconds_to_samples(MIN_ENDLESS_S) and degenerate.is_endless(reply),
        "gibberish": any(degenerate.is_gibberish(text) for text in texts),
    }
    for kind, spec in specs.KINDS_OF_DEGENERATE.items():
        if kind == "gibberish" and not texts and not shown_by["silence"]:
            observer.unmeasured(spec, "neither a text stream nor a judge's words")
        else:
            observer.value(spec, float(shown_by[kind]), answer.span_s)
    found = [kind for kind, is_so in shown_by.items() if is_so]
    observer.value(
        specs.DEGENERATE, float(bool(found)), answer.span_s, found=",".join(found) or "none"
    )
    return found


def _first_sound(track: Samples) -> int:
    """First sample of the first audible block; all of the track when there is none."""
    from sts_eval.metrics.signal import first_audible_s

    at_s = first_audible_s(track, 0.0)
    return track.size if at_s is None else seconds_to_samples(at_s)


def _content(observer: Observer, task: str, answer: Answer, heard: Evidence) -> None:
    if answer.heard is None:
        for spec in _OF_TASK[task]:
            if spec is not specs.NUMBER_TEXT:
                observer.unmeasured(spec, heard.asr_error or "no ASR judge ran")
        if task in ("sum", "chain"):
            _text_number(observer, answer, SumTruth.of(observer.scenario.expected))
        return
    if task in ("sum", "chain"):
        _sum(observer, answer, heard)
    elif task == "fact":
        _fact(observer, answer)
    elif task in UNKNOWABLE:
        _unknowable(observer, task, answer)
    elif task == "repeat":
        _repeat(observer, answer)


def _sum(observer: Observer, answer: Answer, heard: Evidence) -> None:
    truth = SumTruth.of(observer.scenario.expected)
    said = answer.as_sum()
    why = answers.blame(truth, said)
    right = why == "right"
    witness = {
        "blame": why,
        "expected": f"{truth.answer:g} {truth.unit}".strip(),
        "heard": shown(answer_of(said.audio)),
        "second": shown(answer_of(said.second or "")),
        "said": shown(answer_of(said.text or "")),
    }
    observer.value(specs.NUMBER, float(right), answer.span_s, **witness)
    for name, spec in specs.SPLIT.items():
        observer.value(spec, float(why == name), answer.span_s)
    in_text = _text_number(observer, answer, truth)
    if in_text is None:
        observer.unmeasured(specs.GAP, "the target has no text stream")
    else:
        observer.value(specs.GAP, answers.voice_gap(in_text, right), answer.span_s)
    if answer.second is None:
        observer.unmeasured(specs.DISAGREE, heard.second_error)
    elif (differ := answers.judges_disagree(said)) is None:
        observer.unmeasured(specs.DISAGREE, "one of the judges heard no number")
    else:
        observer.value(specs.DISAGREE, float(differ), answer.span_s)
    _refusal(observer, answer, knowable=True)


def _text_number(observer: Observer, answer: Answer, truth: SumTruth) -> bool | None:
    """Whether the text's number is right; None without a text."""
    if answer.text is None:
        observer.unmeasured(specs.NUMBER_TEXT, "the target has no text stream")
        return None
    right = truth.is_said(answer_of(answer.text))
    observer.value(specs.NUMBER_TEXT, float(right), answer.span_s)
    return right


def _fact(observer: Observer, answer: Answer) -> None:
    key = str(observer.scenario.expected.get("key", ""))
    right = answers.holds_fact(answer.heard or "", key)
    if right is None:
        observer.unmeasured(specs.FACT, "no answer is known")
        observer.unmeasured(specs.GAP, "no answer is known")
        return
    observer.value(specs.FACT, float(right), answer.span_s)
    if answer.text is None:
        observer.unmeasured(specs.GAP, "the target has no text stream")
    else:
        in_text = bool(answers.holds_fact(answer.text, key))
        observer.value(specs.GAP, answers.voice_gap(in_text, right), answer.span_s)
    _refusal(observer, answer, knowable=True)


def _unknowable(observer: Observer, task: str, answer: Answer) -> None:
    truth = [str(word) for word in observer.scenario.expected.get("truth", ())]
    is_false = task == "false_premise"
    claim = answers.claim_of(answer.heard or "", truth, premise_false=is_false)
    if claim in ("asks", "nothing"):
        reason = "the agent asks back" if claim == "asks" else "the ASR judge heard no word"
        for spec in _OF_TASK[task]:
            observer.unmeasured(spec, reason)
        return
    observer.value(specs.FABRICATION, float(claim == "asserted"), answer.span_s, claim=claim)
    if task == "unanswerable":
        observer.value(specs.REFUSAL_RECALL, float(claim == "refused"), answer.span_s)
    _refusal(observer, answer, knowable=False)


def _refusal(observer: Observer, answer: Answer, *, knowable: bool) -> None:
    """For the precision: an answer that does not refuse has no part in it."""
    if answers.is_refusal(answer.heard or ""):
        observer.value(specs.REFUSAL_PRECISION, float(not knowable), answer.span_s)


def _repeat(observer: Observer, answer: Answer) -> None:
    asked = str(observer.scenario.expected.get("word", ""))
    share = answers.repeat_errors(asked, answer.heard or "")
    if share is None:
        observer.unmeasured(specs.REPEAT, "nothing was to be repeated")
        return
    # a row per word, each with the utterance's share: their mean is the pooled rate
    for _ in normalise(asked):
        observer.value(specs.REPEAT, share, answer.span_s)


def _voiced(observer: Observer, meta: TraceMeta, answer: Answer, heard: Evidence) -> None:
    """The words of the text against those of the voice."""
    reason = ""
    if answer.text is None:
        reason = "the target has no text stream"
    elif answer.heard is None:
        reason = heard.asr_error or "no ASR judge ran"
    elif any(event.name == "cut_by_end" for event in meta.events):
        reason = "the end of the scenario cut the answer off"
    found = None if reason else answers.voiced(answer.text or "", answer.heard or "")
    if found is None:
        for spec in _VOICED:
            observer.unmeasured(spec, reason or "the text has no words")
        return
    for spec, value in zip(_VOICED, (found.inserted, found.dropped, found.errors), strict=True):
        observer.value(spec, value, answer.span_s)
