"""Pooled analyses: what needs many traces at once, between scoring and the estimates.

Each kind of a suite that offers `pool` is called once. What it raises becomes a failure in the
run record (exit code 4) and costs nothing else: the other observations stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sts_eval.engine.scoring import Scored
from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation
from sts_eval.planning import RunPlan
from sts_eval.probes import PoolContext, Pooled, PoolItem, Pools
from sts_eval.record import Section
from sts_eval.scenario import Scenario
from sts_eval.suite import Suite
from sts_eval.trace import load_meta


@dataclass
class PooledRun:
    """Everything the pooled analyses of a run found, and what of them failed."""

    observations: list[Observation] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def pooling_kinds(suite: Suite) -> list[Pools]:
    """The kinds of a suite that offer a pooled analysis, each once, in the suite's order."""
    kinds: dict[str, Any] = {kind.name: kind for kind, _ in suite.blocks}
    return [kind for kind in kinds.values() if isinstance(kind, Pools)]


def pool_kind(
    kind: Pools,
    suite: Suite,
    plan: RunPlan,
    folder: Path,
    scored: Sequence[Scored],
    into: PooledRun,
) -> None:
    """Run one kind's analysis over its scored traces in `folder` and add what it found."""
    try:
        found = kind.pool(_items(kind, folder, scored), _context(kind, suite, plan))
        _check(kind, found, suite.metrics, {section.id for section in into.sections})
    except Exception as error:  # a plug-in may raise anything; the run must not be lost by it
        into.failures.append(
            f"the pooled analysis of {kind.name!r} failed: {type(error).__name__}: {error}"
        )
        return
    into.observations += found.observations
    into.estimates += found.estimates
    into.sections += found.sections


def _items(kind: Pools, folder: Path, scored: Sequence[Scored]) -> list[PoolItem]:
    items = []
    for each in scored:
        if each.result.kind != kind.name:
            continue
        trace = folder / each.result.trace
        recorded = load_meta(trace).scenario
        known = {key: recorded[key] for key in Scenario.model_fields if key in recorded}
        scenario = Scenario.model_validate(known)
        items.append(PoolItem(scenario, trace, each.result, each.observations))
    return items


def _context(kind: Pools, suite: Suite, plan: RunPlan) -> PoolContext:
    from sts_eval.stimuli import Stimuli

    return PoolContext(
        seed=plan.seed,
        target={"spec": plan.target, **plan.target_description},
        blocks=[block for each, block in suite.blocks if each.name == kind.name],
        stimuli=Stimuli.load(None if plan.stimuli is None else Path(plan.stimuli)),
        judges=suite.model.judges.model_dump(),
    )


def _check(
    kind: Pools, found: Pooled, metrics: dict[str, MetricSpec], section_ids: set[str]
) -> None:
    """Raise ValueError where what was found cannot stand in a run record."""
    observed = {each.metric for each in found.observations}
    finished = {each.metric for each in found.estimates}
    for name in sorted(observed | finished):
        if name not in metrics:
            raise ValueError(f"{name!r} is not a metric of {kind.name!r}")
    for each in found.estimates:
        if each.statistic not in metrics[each.metric].statistics:
            raise ValueError(f"{each.key!r} is not a statistic of its metric")
        if each.version != metrics[each.metric].version:
            raise ValueError(f"{each.metric!r} is not of version {each.version}")
    if both := observed & finished:
        raise ValueError(f"{sorted(both)} have observations and finished estimates: give one")
    for section in found.sections:
        if section.id in section_ids:
            raise ValueError(f"two sections have the id {section.id!r}")
        section_ids.add(section.id)
