"""The metrics of the Full-Duplex-Bench suite: one set per task folder and scorer.

    fdb_compat/<task folder>/...   the published rules as they are coded; `limits` names the defects
    strict/<task folder>/...       signed and tied to the annotated event
    fdb_disagreement_rate          items on which the two say different things

What the benchmark leaves to a language model (relevance 0-5, the C_* behaviour tags) and the speech
quality before and after (UTMOSv2, words per minute, pitch, level) is not measured here.
"""

from __future__ import annotations

from typing import Final

from sts_eval.metric import MetricSpec
from sts_eval.probes import full_duplex_bench_compat_specs as compat
from sts_eval.probes import full_duplex_bench_files as layout
from sts_eval.probes import full_duplex_bench_strict_specs as strict

DISAGREEMENT: Final = MetricSpec(
    name="fdb_disagreement_rate",
    title="Items on which the two scorers disagree",
    code="sts_eval.probes.full_duplex_bench_item:disagreement",
    unit="ratio",
    direction="none",
    statistics=("rate",),
    version=1,
    meaning="The share of items about which the published rules and the strict scorer say different"
    " things. Each observation with the value 1 says in its reason what they say.",
    method="1 when the takeover differs, only one has a latency, latencies differ by more than"
    " 0.25 s, or a published number stands for something that did not happen (JSD 1.0 for silence,"
    " a stop latency of an agent that kept talking).",
    limits="It does not say who is right; the timeline of the item does.",
    clock="audio",
    source="both scorers",
)


def _all() -> tuple[MetricSpec, ...]:
    found: list[MetricSpec] = [DISAGREEMENT]
    for task in layout.PAUSE_TASKS:
        found += [*compat.words_specs(task, "lower", latency=False), *strict.pause_specs(task)]
    for task in layout.TURN_TASKS:
        found += compat.words_specs(task, "higher", latency=True)
        found += strict.turn_specs(task, "the user's turn")
    for task in layout.INTERRUPTION_TASKS:
        found += compat.words_specs(task, "higher", latency=True)
        found += [*strict.turn_specs(task, "the interruption"), *strict.yield_specs(task)]
    for task in layout.BACKCHANNEL_TASKS:
        found += [
            *compat.backchannel_specs(task, ""),
            *compat.backchannel_specs(task, "_assumed_16k"),
        ]
        found += strict.backchannel_specs(task)
    for task in layout.DIRECTED_TASKS:
        found += compat.interval_specs(task)
        found += [*strict.turn_specs(task, "the interruption"), *strict.yield_specs(task)]
    for task in layout.NON_DIRECTED_TASKS:
        found += [*compat.interval_specs(task), *strict.selectivity_specs(task)]
    return tuple(found)


FDB_METRICS: Final = _all()
BY_NAME: Final = {spec.name: spec for spec in FDB_METRICS}
