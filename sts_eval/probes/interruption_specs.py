"""The metrics of the interruption suite: their contracts in words (see `sts_eval.metric`)."""

from __future__ import annotations

from sts_eval.metric import MetricSpec
from sts_eval.probes.latency_specs import INTERRUPTION, TAKEOVER

MIN_EVENTS = 10  # as tau-voice: rates with fewer supporting events are not shown
_PURE = "sts_eval.metrics.interruption"
_EVENT_START = "first sample of the user's event, as it was played"
_LAST_SOUND = "last 10 ms of the agent's speech at or above -50 dBFS before 0.6 s of silence"
_TRACKS = "signal level of the agent's track; time of the event from the harness"


def _yield_rate(name: str, limit: str) -> MetricSpec:
    return MetricSpec(
        name=name,
        code=f"{_PURE}:yield_latency_s",
        title=f"Yields within {limit}",
        unit="ratio",
        direction="higher",
        statistics=("rate",),
        version=1,
        min_events=MIN_EVENTS,
        meaning="The share of barge-ins (a new request, or a short stop) after which the agent, who"
        f" was speaking, fell silent within {limit}.",
        method=f"1 when the yield latency is at most {limit}, else 0. Barge-ins that met a silent"
        " agent are not measured.",
        limits="An agent that happens to reach the end of its reply seems to yield, and one that"
        " yields to every sound scores 100 %: read it together with the selectivity.",
        origin=_EVENT_START,
        endpoint=_LAST_SOUND,
        clock="audio",
        resolution_ms=10.0,
        source=_TRACKS,
    )


YIELD_500MS = _yield_rate("yield_within_500ms_rate", "0.5 s")
YIELD_1S = _yield_rate("yield_within_1s_rate", "1 s")
YIELD_2S = _yield_rate("yield_within_2s_rate", "2 s")
YIELD_LATENCY = MetricSpec(
    name="yield_latency_ms",
    code=f"{_PURE}:yield_latency_s",
    title="Yield latency",
    unit="ms",
    direction="lower",
    statistics=("p50", "p90"),
    version=1,
    min_events=MIN_EVENTS,
    meaning="How long the agent talks on after the user has begun to interrupt it.",
    method="The agent's last audible sample minus the barge-in's first one. Only barge-ins to which"
    " it yielded within 2 s count; silences of up to 0.6 s do not end its speech.",
    limits="An agent that yields and answers less than 0.6 s later seems to talk on. Those that"
    " never yield are in the yield rates, not here.",
    origin=_EVENT_START,
    endpoint=_LAST_SOUND,
    clock="audio",
    resolution_ms=10.0,
    source=_TRACKS,
)
SELECTIVITY = MetricSpec(
    name="selectivity_rate",
    code=f"{_PURE}:kept_talking",
    title="Not thrown off by other sounds",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="The share of sounds that were not a turn for the agent (back-channels, coughs, talk to"
    " someone else, a voice in the background) through which it kept talking or stayed silent.",
    method="While it speaks: 1 when it goes on for more than 1.0 s after the sound began. While it"
    " is silent: 1 when it does not begin to speak until 2.0 s after the sound. Shown per event.",
    limits="An agent that never reacts to anything scores 100 %: read it together with the yield"
    " rates. Talk to someone else can be told only by its sound here, not by its words.",
    origin=_EVENT_START,
    endpoint="end of the agent's speech, or its onset",
    clock="audio",
    resolution_ms=10.0,
    source=f"{_TRACKS}; voice activity judge for onsets",
)
NEW_ANSWER = MetricSpec(
    name="new_answer_latency_ms",
    code="sts_eval.metrics.turns:response_onset_s",
    title="Answer to the new request",
    unit="ms",
    direction="lower",
    statistics=("p50", "p90"),
    version=1,
    min_events=MIN_EVENTS,
    meaning="How long after the end of a new request, made while it spoke, the agent starts to"
    " answer. Negative: it began before the request was over.",
    method="Signed difference between the agent's onset and the end of the request; only requests"
    " at whose end it was not still speaking count.",
    limits="Any speech counts as an answer, right or wrong; see the share of requests answered.",
    origin="last sample of the new request, as it was played",
    endpoint="first 10 ms of the agent's speech that follows",
    clock="audio",
    resolution_ms=10.0,
    source="voice activity judge, refined to 10 ms by energy; time of the event from the harness",
)
ANSWERED = MetricSpec(
    name="answered_new_request_rate",
    code=f"{_PURE}:holds_answer",
    title="New request answered",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="The share of new requests, made while the agent spoke, whose right answer was then"
    " heard.",
    method="1 when the answer's number or key words are among the words that the ASR judge hears"
    " from the start of the request on, else 0.",
    limits="An answer that also is a number of the question is not measured. Errors of the ASR"
    " judge count as the agent's. A right answer by chance counts.",
    source="ASR judge on the agent's track; answer from the stimulus",
)
REDELIVERY = MetricSpec(
    name="redelivery_rate",
    code=f"{_PURE}:redelivered",
    title="Says again what was said",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="The share of new requests after which the agent repeats words of the reply that was"
    " interrupted.",
    method="1 when four words in a row, heard before the barge-in, are heard again after it. Not"
    " measured where fewer than four words were heard on either side.",
    limits="It sees repeats only; whether the dropped reply is taken up where it broke off is a"
    " metric of its own.",
    source="ASR judge on the agent's track",
)
RESUMED = MetricSpec(
    name="resumed_dropped_rate",
    code=f"{_PURE}:resumed",
    title="Takes the dropped reply up again",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="The share of new requests after which the agent, having fallen silent, goes on with"
    " the reply that it had dropped.",
    method="The agent's own text of the dropped reply, less the words heard of it, is what it never"
    " said; 1 when four words in a row of that are heard after it fell silent.",
    limits="Needs a target that sends the text of its reply ahead of its voice; one that plans no"
    " further than it speaks has dropped nothing that can be known. A rephrased rest is not seen.",
    source="the agent's text stream; ASR judge on its track",
)
CORRECTED = MetricSpec(
    name="correction_followed_rate",
    code=f"{_PURE}:holds_answer",
    title="Correction followed",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning='The share of corrections ("No, not that one. What is nine plus four?"), said while'
    " the agent answers a sum or right after, that are answered with the corrected sum's result.",
    method="1 when the number is among the words that the ASR judge hears from the start of the"
    " correction on, else 0.",
    limits="The correction says the whole sum again: an agent that forgets the first one does as"
    " well as one that understands what was corrected. Errors of the ASR judge count as its own.",
    source="ASR judge on the agent's track; answer from the stimulus",
)
REPEATED = MetricSpec(
    name="yields_every_time_rate",
    code=f"{_PURE}:yield_latency_s",
    title="Yields every time",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="The share of conversations with two or more barge-ins in which the agent yielded to"
    " each of them within 1 s.",
    method="1 when every yield latency is at most 1 s, else 0. Not measured where a barge-in met a"
    " silent agent, or where the answer to the one before never came.",
    limits="Later barge-ins hit short answers: an agent that happens to end seems to yield.",
    origin=_EVENT_START,
    endpoint=_LAST_SOUND,
    clock="audio",
    resolution_ms=10.0,
    source=_TRACKS,
)
OVERLAP = MetricSpec(
    name="overlap_s_per_min",
    code=f"{_PURE}:share_floor",
    title="Overlap",
    unit="s/min",
    direction="none",
    statistics=("mean",),
    version=1,
    meaning="How many seconds of each minute of conversation both sides make a sound.",
    method="User's true speech and the agent's audible stretches on a 10 ms grid, from the first to"
    " the last sound, per minute of that time. Scenarios with a barge-in only.",
    limits="Depends on how often the suite makes the user interrupt; compare agents on the same"
    " suite only. The mean is over scenarios.",
    source=_TRACKS,
)
GAP = OVERLAP.model_copy(
    update={
        "name": "gap_s_per_min",
        "title": "Gap",
        "meaning": "How many seconds of each minute of conversation neither side makes a sound.",
    }
)
# the latency suite's, by this suite's rule on few events
PAUSE_TAKEN = TAKEOVER.model_copy(update={"min_events": MIN_EVENTS})
INTERRUPTION_METRICS = (
    YIELD_500MS,
    YIELD_1S,
    YIELD_2S,
    YIELD_LATENCY,
    SELECTIVITY,
    NEW_ANSWER,
    ANSWERED,
    REDELIVERY,
    RESUMED,
    CORRECTED,
    REPEATED,
    INTERRUPTION,
    PAUSE_TAKEN,
    OVERLAP,
    GAP,
)
