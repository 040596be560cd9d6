"""Contracts of the metrics `fdb_compat/...`: the published rules, and what is wrong with them.

The known defects are named in `limits`; none is repaired (see `sts_eval.metrics.fdb`).
"""

from __future__ import annotations

from typing import Any

from sts_eval.metric import MetricSpec
from sts_eval.probes import full_duplex_bench_files as layout

_COMPAT_VAD = "Silero VAD with its own defaults"
_JUDGE_VAD = "voice activity judge, refined to 10 ms, gaps up to 0.5 s closed"
_WORDS = "words of output.json; without one, of the ASR judge"

_TOR_DEFECTS = (
    "Known defects, kept: it ignores when the speech was, so that an agent which never stops"
    " talking scores 1, and one answer that is short ('Paris.') scores 0; an output.json whose last"
    " word has no end time has no value, because the published code stops there."
)
_LATENCY_DEFECTS = (
    "Known defects, kept: the first word of the whole file counts, also one from before the event,"
    " and negative values become 0, so that talking all the time looks like an instant answer;"
    " items with TOR 0 drop out of the mean. Recorders with different clocks are mixed in the"
    " published table."
)
_CROP = (
    " For interruptions the published recogniser hears the output from the interruption's end on"
    " only, so that failing to yield looks like an instant answer; words of the ASR judge are cut"
    " there, too, words of an output.json are used as they are."
)
_BACKCHANNEL_DEFECTS = (
    "Known defects, kept: each segment overwrites the result of those before it (a long speech"
    " followed by a short 'mm' scores 0 and forgets the earlier back-channels); segment edges are"
    " rounded to 0.1 s. Without an output.json the published code repeats the result of the item"
    " before; here the ASR judge's words are used."
)
_JSD_DEFECTS = (
    "Known defects, kept: an item without a back-channel scores 1.0, beyond the largest possible"
    " distance (0.8326), so that a mean mostly counts silence; it is called a divergence but is the"
    " distance (its square root)."
)
_ASSUMED_16K = (
    "As published until May 2026: the file is taken to be at 16 kHz whatever its rate, which"
    " stretches a 24 kHz file by 1.5 against the thresholds and the words. Equal to the metric"
    " without the suffix where the file is at 16 kHz. "
)
_INTERVAL_DEFECTS = (
    "Known defects, kept: every overlap or gap of the file counts, wherever the annotated event"
    " lies; gaps of 0.6 s (user) and 0.5 s (model) are closed although the code's comments say 300"
    " and 50 ms; an agent that outlasts the user's words is credited with their length."
)


def contract(scorer: str, task: str, name: str, **fields: Any) -> MetricSpec:
    """A contract with what all of them share."""
    compat = scorer == "fdb_compat"
    common: dict[str, Any] = {
        "unit": "ratio",
        "statistics": ("rate",),
        "version": 1,
        "clock": "audio",
        "resolution_ms": 10.0,
        "source": _WORDS if compat else _JUDGE_VAD,
    }
    title = fields.pop("title")
    return MetricSpec(
        name=f"{scorer}/{task}/{name}",
        title=f"{title}: {task.replace('_', ' ')} ({'as published' if compat else 'strict'})",
        **{**common, **fields},
    )


def words_specs(task: str, better: str, *, latency: bool) -> list[MetricSpec]:
    """TOR and latency from the words of an item."""
    code = "sts_eval.metrics.fdb:"
    crop = _CROP if task in layout.INTERRUPTION_TASKS else ""
    found = [
        contract(
            "fdb_compat",
            task,
            "tor",
            title="Takeover rate (TOR)",
            code=code + "takeover",
            direction=better,
            meaning="The share of items in which the agent took the turn, by the published rule.",
            method="0 when the output has no word, or spans less than 1 s with at most 3 words from"
            " the first to the last word of the whole file; else 1.",
            limits=_TOR_DEFECTS + crop,
            resolution_ms=80.0,
        )
    ]
    if latency:
        found.append(
            contract(
                "fdb_compat",
                task,
                "latency_s",
                title="Latency",
                code=code + "latency_s",
                direction="lower",
                unit="s",
                statistics=("mean",),
                meaning="Mean latency of the items whose TOR is 1, by the published rule.",
                method="Start of the first word of the output minus the annotated end of the user's"
                " turn (interruption), negative values set to 0; arithmetic mean.",
                limits=_LATENCY_DEFECTS + crop,
                origin="annotated end of the user's turn or interruption",
                endpoint="start of the first word of the output file",
                resolution_ms=80.0,
                clamped=True,
            )
        )
    return found


def backchannel_specs(task: str, suffix: str) -> list[MetricSpec]:
    """TOR, frequency and timing of back-channels; `suffix` names the assumed sample rate."""
    note = _ASSUMED_16K if suffix else ""
    common: dict[str, Any] = {
        "source": f"{_COMPAT_VAD}; {_WORDS}",
        "resolution_ms": 100.0,
        "statistics": ("mean",),
    }
    code = "sts_eval.metrics.fdb:"
    return [
        contract(
            "fdb_compat",
            task,
            f"tor{suffix}",
            title="Takeover rate (TOR)" + suffix.replace("_", " "),
            code=code + "backchannels",
            direction="lower",
            meaning="The share of items in which the agent took the turn instead of listening.",
            method="Segments in order: longer than 3 s, at least 1 s, or more than 2 words: 1; else"
            " 0; the last segment decides, a segment beyond 3 s at once.",
            limits=note + _BACKCHANNEL_DEFECTS,
            **{**common, "statistics": ("rate",)},
        ),
        contract(
            "fdb_compat",
            task,
            f"backchannel_freq_hz{suffix}",
            title="Back-channels per second" + suffix.replace("_", " "),
            code=code + "backchannels",
            direction="higher",
            unit="Hz",
            meaning="How often the agent says something short while it listens.",
            method="Back-channel segments divided by the seconds of the file; mean over items.",
            limits=note + _BACKCHANNEL_DEFECTS,
            **common,
        ),
        contract(
            "fdb_compat",
            task,
            f"jsd{suffix}",
            title="Back-channel timing distance" + suffix.replace("_", " "),
            code=code + "backchannel_jsd",
            direction="lower",
            unit="",
            meaning="How far the timing of the agent's back-channels is from that of people.",
            method="Jensen-Shannon distance (natural logarithm) of back-channels in 0.2 s bins"
            " (plus 1e-10) and the human density resampled to as many bins; 1.0 without any.",
            limits=note + _JSD_DEFECTS,
            **common,
        ),
    ]


def interval_specs(task: str) -> list[MetricSpec]:
    """The two latencies of v1.5."""
    common: dict[str, Any] = {
        "direction": "lower" if task in layout.DIRECTED_TASKS else "none",
        "unit": "s",
        "statistics": ("mean",),
        "source": _COMPAT_VAD,
        "limits": _INTERVAL_DEFECTS,
        "resolution_ms": 32.0,
    }
    return [
        contract(
            "fdb_compat",
            task,
            "stop_latency_s",
            title="Stop latency",
            code="sts_eval.metrics.fdb:stop_intervals",
            meaning="How long user and agent speak at the same time before one of them stops.",
            method="Length of every overlap of a user and a model segment; mean over all overlaps.",
            origin="start of an overlap",
            endpoint="end of the overlap",
            **common,
        ),
        contract(
            "fdb_compat",
            task,
            "response_latency_s",
            title="Response latency",
            code="sts_eval.metrics.fdb:response_intervals",
            meaning="How long after a user segment the agent begins its next segment.",
            method="End of each user segment to the next model onset; mean over all gaps.",
            origin="end of a user segment",
            endpoint="next onset of a model segment",
            **common,
        ),
    ]
