"""Gates: what a suite demands, tested so that red means "really worse" and green means "shown".

- **PASS**: the unfavourable end of the 95 % interval meets the bound.
- **FAIL**: the data speak against the bound: p < 0.05 after Holm's correction over all tested gates
  of the suite.
- **INCONCLUSIVE**: neither. Also fewer than `min_n` values, nothing measured, no interval, or too
  much missing: above MAX_ERROR_SHARE errors or MAX_MISSING_SHARE errors and unmeasured together,
  the values at hand may be a favourable choice, and a PASS is impossible (a FAIL is not).

A rate near 1 needs many observations: 64 of 64 cannot show 95 % (72 of 72 can). The reason says how
many are needed. A maximum can be refuted by one value and shown by none.

A metric of a pooled analysis (`RunRecord.pooled`) comes as a finished estimate, without
observations to test: its gate fails when the whole interval misses the bound, with no correction.

A baseline gate tests the paired difference new - baseline on the scenarios that both measured, and
is refused when the metric's version or the suite's content differs. For it, missing scenarios are
those of this run that the baseline measured and this run did not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sts_eval.baseline import BaselineMismatch, baseline_observations, check_comparable
from sts_eval.gate_grammar import Gate, GateSyntaxError, parse_gate
from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Outcome, Status, Verdict
from sts_eval.record import RunRecord
from sts_eval.stats import (
    difference,
    estimate_sample,
    holm,
    in_slice,
    p_of_bound,
    pair_observations,
    quantity,
    sample_of,
    scenario_means,
    tidy,
)
from sts_eval.stats.proportions import needed_for_perfect
from sts_eval.wording import counted, interval_words, quantity_words

__all__ = ["Gate", "GateSyntaxError", "evaluate_gates", "exit_code", "parse_gate"]

SIGNIFICANCE = 0.05
MAX_ERROR_SHARE = 0.05
MAX_MISSING_SHARE = 0.20
MOST_WORST = 5

EXIT_PASS, EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_BROKEN = 0, 1, 3, 4


@dataclass(frozen=True)
class _Tested:
    """What was found out about one gate before Holm's correction.

    blocked: why no test is possible at all; doubt: why a PASS is; remedy: what would decide it.
    finished: the interval alone decides (a pooled estimate).
    """

    gate: Gate
    n: int = 0
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    p: float | None = None
    detectable: float | None = None
    blocked: str = ""
    doubt: str = ""
    remedy: str = ""
    worst: tuple[str, ...] = ()
    finished: bool = False


def evaluate_gates(
    gates: Sequence[Gate],
    record: RunRecord,
    baseline: Mapping[str, Any] | None = None,
    min_n: int = 10,
) -> list[Verdict]:
    """One verdict per gate, in the order of the suite.

    baseline: what `load_baseline` returned. min_n: fewest values (for a baseline gate: pairs) that
    may decide a gate.
    """
    specs = {spec.name: spec for spec in record.metrics}
    tested = []
    for gate in gates:
        spec = specs.get(gate.metric)
        if spec is None:
            tested.append(_Tested(gate, blocked="this run does not have the metric"))
        elif gate.metric in record.pooled:
            tested.append(_test_finished(gate, record, min_n))
        elif gate.baseline:
            tested.append(_test_difference(gate, spec, record, baseline, min_n))
        else:
            tested.append(_test_value(gate, spec, record, min_n))
    corrected = holm([None if item.blocked else item.p for item in tested])
    return [_verdict(item, p) for item, p in zip(tested, corrected, strict=True)]


def exit_code(record: RunRecord) -> int:
    """The process's exit code for a scored run.

    4 when no scenario could be run; else 1 when a gate failed; else 4 when more than
    MAX_ERROR_SHARE of the scenarios ended in an error or a pooled analysis failed; else 3 when
    a gate is inconclusive or the run is not complete; else 0.
    """
    broken = sum(item.status == "error" for item in record.scenarios)
    total = len(record.scenarios)
    outcomes = {verdict.outcome for verdict in record.verdicts}
    if broken == total:
        return EXIT_BROKEN
    if Outcome.FAIL in outcomes:
        return EXIT_FAIL
    if broken > MAX_ERROR_SHARE * total or record.failures:
        return EXIT_BROKEN
    if Outcome.INCONCLUSIVE in outcomes or record.state != "complete":
        return EXIT_INCONCLUSIVE
    return EXIT_PASS


def _test_value(gate: Gate, spec: MetricSpec, record: RunRecord, min_n: int) -> _Tested:
    sample = sample_of(record.observations, gate.metric, gate.where)
    found = estimate_sample(sample, spec, gate.statistic, seed=record.seed, slice=gate.where)
    item = _Tested(gate, n=found.n, value=found.value, lo=found.lo, hi=found.hi)
    if found.value is None:
        return replace(item, blocked=_nothing(gate, found, record), worst=_errors(record))
    if gate.statistic == "max" and gate.comparator == ">=":
        item = replace(item, lo=found.value)
    name = quantity(gate.metric, gate.statistic, gate.where)
    item = replace(
        item,
        blocked=_too_few(found.n, min_n, "value"),
        p=p_of_bound(
            sample, gate.statistic, gate.comparator, gate.bound, seed=record.seed, name=name
        ),
        doubt=_missing_doubt(record.observations, gate, found)
        or _no_bound(gate, item, found.reason),
        remedy=_needed_n(gate, found),
    )
    return replace(item, worst=_worst(gate, scenario_means(sample), record, item.doubt))


def _test_finished(gate: Gate, record: RunRecord, min_n: int) -> _Tested:
    """A pooled estimate against its gate: there is nothing behind it that could be paired."""
    if gate.baseline:
        reason = "the estimate is pooled over all scenarios: gate its value, it has no pairs"
        return _Tested(gate, blocked=reason)
    of_metric = [item for item in record.estimates if item.metric == gate.metric]
    found = next(
        (e for e in of_metric if (e.statistic, e.slice) == (gate.statistic, dict(gate.where))), None
    )
    if found is None:
        known = ", ".join(quantity(e.metric, e.statistic, e.slice) for e in of_metric[:12])
        return _Tested(gate, blocked=f"the pooled analysis did not estimate it (it did: {known})")
    item = _Tested(gate, n=found.n, value=found.value, lo=found.lo, hi=found.hi, finished=True)
    if found.value is None:
        return replace(item, blocked=found.reason or "not measured", worst=_errors(record))
    return replace(
        item,
        blocked=_too_few(found.n, min_n, "value"),
        doubt=_missing_doubt(record.observations, gate, found)
        or _no_bound(gate, item, found.reason),
    )


def _test_difference(
    gate: Gate,
    spec: MetricSpec,
    record: RunRecord,
    baseline: Mapping[str, Any] | None,
    min_n: int,
) -> _Tested:
    if baseline is None:
        return _Tested(
            gate, blocked="there is no baseline: `sts-eval baseline accept RUN` makes one"
        )
    try:
        check_comparable(baseline, record, spec)
    except BaselineMismatch as error:
        return _Tested(gate, blocked=str(error))
    old = baseline_observations(baseline, record, gate.metric)
    pairs = pair_observations(old, record.observations, gate.metric, gate.where)
    name = quantity(gate.metric, gate.statistic, gate.where) + " - baseline"
    found = difference(pairs, gate.statistic, seed=record.seed, name=name)
    n = len(pairs.scenarios)
    item = _Tested(
        gate, n, found.value, found.bounds.lo, found.bounds.hi, detectable=found.detectable
    )
    if n == 0:
        return replace(item, blocked=found.reason)
    lost = len(pairs.only_old)
    share = lost / (n + lost)
    doubt = _no_bound(gate, item, found.reason)
    if share > MAX_MISSING_SHARE:
        doubt = f"{lost} of {n + lost} scenarios of the baseline were not measured in this run"
    before, after = scenario_means(pairs.old), scenario_means(pairs.new)
    changes = {key: after[key] - before[key] for key in pairs.scenarios}
    at_most = gate.comparator == "<="
    return replace(
        item,
        blocked=_too_few(n, min_n, "pair"),
        p=found.p_at_most(gate.bound) if at_most else found.p_at_least(gate.bound),
        doubt=doubt,
        worst=_worst(replace(gate, bound=0.0), changes, record, doubt),
    )


def _verdict(item: _Tested, p_holm: float | None) -> Verdict:
    gate = item.gate
    outcome, reason = _decide(item, p_holm)
    return Verdict(
        gate=gate.text,
        metric=gate.metric,
        statistic=gate.statistic,
        outcome=outcome,
        reason=reason,
        value=_tidy(item.value),
        lo=_tidy(item.lo),
        hi=_tidy(item.hi),
        threshold=gate.bound,
        n=item.n,
        p_value=_tidy(item.p),
        p_holm=_tidy(p_holm),
        detectable=_tidy(item.detectable),
        unit=gate.unit,
        worst=item.worst,
    )


def _decide(item: _Tested, p_holm: float | None) -> tuple[Outcome, str]:
    gate = item.gate
    if item.blocked:
        return Outcome.INCONCLUSIVE, item.blocked
    share = gate.statistic == "rate"

    def words(value: float | None) -> str:
        return quantity_words(value, gate.unit, share=share, signed=gate.baseline)

    what = "the change from the baseline" if gate.baseline else gate.statistic
    interval = interval_words(item.lo, item.hi, gate.unit, share=share, signed=gate.baseline)
    found = f"{what} is {words(item.value)} ({interval}, n = {item.n})"
    limit = f"{'at most' if gate.comparator == '<=' else 'at least'} {words(gate.bound)}"
    if gate.baseline and item.detectable is not None:
        size = words(item.detectable).lstrip("+")
        found += f"; a change of {size} would be found 80 % of the time"
    if p_holm is not None and p_holm < SIGNIFICANCE:
        return Outcome.FAIL, f"{found}; that it is {limit} is ruled out (p = {p_holm:.2g}, Holm)"
    if item.finished and _misses(item):
        return Outcome.FAIL, f"{found}; even the favourable end is not {limit}"
    if item.doubt:
        return Outcome.INCONCLUSIVE, f"{found}; {item.doubt}"
    end = item.hi if gate.comparator == "<=" else item.lo
    if end is not None and _meets(end, gate):
        return Outcome.PASS, f"{found}; even the unfavourable end is {limit}"
    remedy = f": {item.remedy}" if item.remedy else ""
    side = "but it may also be more" if gate.comparator == "<=" else "but it may also be less"
    if item.value is not None and not _meets(item.value, gate):
        return (
            Outcome.INCONCLUSIVE,
            f"{found}; it is not {limit}, but chance is not ruled out{remedy}",
        )
    return Outcome.INCONCLUSIVE, f"{found}; it is {limit}, {side}{remedy}"


def _misses(item: _Tested) -> bool:
    """Whether the favourable end of the interval misses the bound, too."""
    end = item.lo if item.gate.comparator == "<=" else item.hi
    return end is not None and not _meets(end, item.gate)


def _meets(value: float, gate: Gate) -> bool:
    slack = 1e-9 * max(1.0, abs(gate.bound))
    if gate.comparator == "<=":
        return value <= gate.bound + slack
    return value >= gate.bound - slack


def _nothing(gate: Gate, found: Estimate, record: RunRecord) -> str:
    """Why a gate has no value: named conditions that never occur, or the reasons given."""
    items = [item for item in record.observations if item.metric == gate.metric]
    for key, wanted in gate.where.items():
        seen = sorted({item.slices[key] for item in items if key in item.slices})
        if not any(in_slice(item, {key: wanted}) for item in items):
            known = f"{key} is one of {', '.join(seen[:12])}" if seen else f"there is no {key!r}"
            return f"no observation has {key}={wanted}: {known}"
    reasons = Counter(
        item.reason for item in items if item.value is None and in_slice(item, gate.where)
    )
    most = f", mostly: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"{found.reason}{most}"


def _too_few(n: int, min_n: int, what: str) -> str:
    return f"only {counted(n, what)}; the suite asks for at least {min_n}" if n < min_n else ""


def _missing_doubt(items: Iterable[Observation], gate: Gate, found: Estimate) -> str:
    total = found.n + found.n_unmeasured + found.n_error
    if found.n_error > MAX_ERROR_SHARE * total:
        return (
            f"{found.n_error} of {total} observations are errors, more than the "
            f"{MAX_ERROR_SHARE:.0%} with which a gate may pass"
        )
    missing = found.n_unmeasured + found.n_error
    if missing <= MAX_MISSING_SHARE * total:
        return ""
    reasons = Counter(
        item.reason
        for item in items
        if item.metric == gate.metric
        and item.status is not Status.MEASURED
        and in_slice(item, gate.where)
    )
    return (
        f"{missing} of {total} observations have no value, more than the {MAX_MISSING_SHARE:.0%} "
        "with which a gate may pass"
        + (f" (mostly: {reasons.most_common(1)[0][0]})" if reasons else "")
    )


def _no_bound(gate: Gate, item: _Tested, reason: str) -> str:
    end = item.hi if gate.comparator == "<=" else item.lo
    return "" if end is not None else reason or "no interval can be given"


def _needed_n(gate: Gate, found: Estimate) -> str:
    """What a rate that looks good enough would need, in observations like these."""
    if gate.statistic != "rate" or found.value is None or not _meets(found.value, gate):
        return ""
    share = gate.bound if gate.comparator == ">=" else 1 - gate.bound
    good = found.value if gate.comparator == ">=" else 1 - found.value
    count = round(good * found.n)
    shown = f"{gate.comparator} {quantity_words(gate.bound, gate.unit, share=True)}"
    seen = f"{round(found.value * found.n)}/{found.n} cannot show {shown}"
    if share >= 1:
        return f"{seen}: no number of observations can"
    independent = found.n_clusters == found.n
    if count == found.n:
        of = "" if independent else " independent observations"
        worth = f" ({found.n_clusters} clusters count for less than {found.n})" if of else ""
        return f"{seen}{worth}: needs n >= {needed_for_perfect(share)}{of}"
    if good <= share:
        return ""
    wanted = 1.96**2 * share * (1 - share) / (good - share) ** 2
    about = math.ceil(wanted) if independent else math.ceil(wanted / 10) * 10
    return f"{seen}: at this rate it needs about n = {about}" + ("" if independent else " or more")


def _worst(
    gate: Gate, values: Mapping[str, float], record: RunRecord, doubt: str
) -> tuple[str, ...]:
    """Scenarios on the wrong side of the bound, farthest first; errors first when they decide."""
    sign = 1.0 if gate.comparator == "<=" else -1.0
    bound = gate.bound
    if gate.statistic == "rate" and not gate.baseline:
        bound = 0.0 if gate.comparator == "<=" else 1.0
    over = sorted(
        (-(sign * (value - bound)), key)
        for key, value in values.items()
        if sign * (value - bound) > 0
    )
    failed = _errors(record) if "errors" in doubt else ()
    return (*failed, *(key for _, key in over if key not in failed))[:MOST_WORST]


def _errors(record: RunRecord) -> tuple[str, ...]:
    return tuple(item.id for item in record.scenarios if item.status == "error")[:MOST_WORST]


def _tidy(value: float | None) -> float | None:
    return None if value is None else tidy(value)
