"""Contracts of the metrics `strict/...` (see `full_duplex_bench_strict`)."""

from __future__ import annotations

from sts_eval.metric import MetricSpec
from sts_eval.probes.full_duplex_bench_compat_specs import contract

_STRICT = "sts_eval.probes.full_duplex_bench_strict:"
_SIGNED_LIMITS = (
    "Only items that were answered have one; the rates say how many were not. The listening time"
    " ends with the recording. A pause of the agent below 0.5 s is part of its speech."
)


def turn_specs(task: str, event: str) -> list[MetricSpec]:
    """What the agent did about the end of the user's turn or interruption."""
    react = "sts_eval.metrics.turns:react"
    rates = (
        (
            "tor",
            "Took the turn",
            "higher",
            f"The share of items in which the agent began to speak after {event}.",
            "1 when an onset lies between 0.5 s before the annotated end and the end of the"
            " listening time. An agent that speaks already or cuts in scores 0 here and 1 there.",
        ),
        (
            "already_speaking_rate",
            "Already speaking",
            "lower",
            f"The share of items in which the agent spoke since before {event} until after it.",
            "1 when a stretch of the agent's speech covers the whole turn's end and began before"
            " the turn (the interruption) did. Such an item has no latency.",
        ),
        (
            "cut_in_rate",
            "Cut in",
            "lower",
            "The share of items in which the agent began inside the user's turn and went on past"
            " its end.",
            "1 when a stretch that covers the annotated end began inside the turn, more than 0.5 s"
            " before its end.",
        ),
    )
    limits = "Any speech counts, right or wrong. The listening time ends with the recording."
    found = [
        contract(
            "strict",
            task,
            name,
            title=title,
            code=react,
            direction=better,
            meaning=meaning,
            method=method,
            limits=limits,
        )
        for name, title, better, meaning, method in rates
    ]
    found.append(
        contract(
            "strict",
            task,
            "latency_s",
            title="Latency, signed",
            code="sts_eval.metrics.turns:response_onset_s",
            direction="lower",
            unit="s",
            statistics=("p50", "p90", "mean"),
            meaning="How long after the annotated end the agent began to speak; negative if it"
            " began shortly before it.",
            method="Onset of the stretch of speech that answers minus the annotated end, not"
            " clamped.",
            limits=_SIGNED_LIMITS,
            origin="annotated end of the user's turn or interruption",
            endpoint="onset of the agent's speech that answers it",
        )
    )
    return found


def pause_specs(task: str) -> list[MetricSpec]:
    """Takeover inside the annotated pauses."""
    return [
        contract(
            "strict",
            task,
            "tor",
            title="Takes the turn in a pause",
            code=_STRICT + "took_pause",
            direction="lower",
            meaning="The share of items in which the agent began to speak in an annotated pause.",
            method="1 when an onset lies inside an annotated pause. Not measured when the agent was"
            " speaking since before every pause: it had no turn to take.",
            limits="Short acknowledgements count, too. See already_speaking_rate for agents that"
            " talk through the pauses.",
            origin="annotated pause of the user",
            endpoint="onset of the agent's speech",
        ),
        contract(
            "strict",
            task,
            "already_speaking_rate",
            title="Speaking before the pause",
            code=_STRICT + "was_speaking",
            direction="lower",
            meaning="The share of items in which the agent spoke when a pause began, since before.",
            method="1 when a stretch of the agent's speech that began earlier covers the beginning"
            " of any annotated pause.",
            limits="Overlaps that end before a pause begins are not seen.",
        ),
    ]


def yield_specs(task: str) -> list[MetricSpec]:
    """How a speaking agent yields to an interruption."""
    return [
        contract(
            "strict",
            task,
            "yield_rate",
            title="Yields to the interruption",
            code=_STRICT + "yielding",
            direction="higher",
            meaning="The share of interruptions of a speaking agent that made it stop within 2 s.",
            method="1 when the stretch of speech that covers the annotated onset ends within 2 s of"
            " it. Not measured when the agent was silent at the onset.",
            limits="A stop that would have come anyway counts as yielding.",
            origin="annotated onset of the interruption",
            endpoint="end of the agent's stretch of speech",
        ),
        contract(
            "strict",
            task,
            "yield_latency_s",
            title="Yield latency",
            code=_STRICT + "yielding",
            direction="lower",
            unit="s",
            statistics=("p50", "p90", "mean"),
            meaning="How long the agent goes on talking after an interruption began.",
            method="End of the stretch of speech that covers the annotated onset minus the onset.",
            limits="Not measured when the agent was silent at the onset or never stopped: see"
            " yield_rate. A stop that would have come anyway counts.",
            origin="annotated onset of the interruption",
            endpoint="end of the agent's stretch of speech",
        ),
    ]


def selectivity_specs(task: str) -> list[MetricSpec]:
    """Events that are not meant for the agent."""
    return [
        contract(
            "strict",
            task,
            "selectivity_rate",
            title="Not moved by the event",
            code=_STRICT + "was_selective",
            direction="higher",
            meaning="The share of events not meant for the agent by which it was not moved.",
            method="0 when a speaking agent falls silent within 1 s of the annotated onset, or a"
            " silent one begins to speak before 2 s after its end; else 1 (tau-voice's rule).",
            limits="A turn of the agent that would have ended there anyway counts as moved.",
            origin="annotated onset of the event",
            endpoint="end, or onset, of the agent's speech",
        )
    ]


def backchannel_specs(task: str) -> list[MetricSpec]:
    """What a listening agent says."""
    limits = "A stretch is judged by its length alone, not by its words or by its overlap."
    return [
        contract(
            "strict",
            task,
            "tor",
            title="Takes the floor",
            code=_STRICT + "took_floor",
            direction="lower",
            meaning="The share of items in which the agent spoke for longer than a back-channel.",
            method="1 when any stretch of the agent's speech lasts 1 s or longer, in any order.",
            limits=limits,
        ),
        contract(
            "strict",
            task,
            "backchannel_freq_hz",
            title="Back-channels per second",
            code=_STRICT + "backchannel_stretches",
            direction="higher",
            unit="Hz",
            statistics=("mean",),
            meaning="How often the agent says something short while it listens.",
            method="Stretches below 1 s divided by the seconds of the recording; mean over items.",
            limits=limits,
        ),
        contract(
            "strict",
            task,
            "jsd",
            title="Back-channel timing distance",
            code="sts_eval.metrics.fdb:backchannel_jsd",
            direction="lower",
            unit="",
            statistics=("mean",),
            meaning="How far the timing of the agent's back-channels is from that of people.",
            method="The published distance, of items that have a back-channel.",
            limits="An item without a back-channel is not measured: silence has no timing.",
        ),
    ]
