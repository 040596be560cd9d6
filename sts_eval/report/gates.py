"""The verdict in plain words: one sentence for the run, one row for each gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sts_eval.metric import MetricSpec
from sts_eval.observation import Outcome, Verdict
from sts_eval.record import RunRecord
from sts_eval.report import numbers
from sts_eval.report.numbers import counted
from sts_eval.report.plots import SHARE_AXIS, Axis, axis_over

MOST_LINKS = 6
EXIT_TARGET_FAILED = 4


@dataclass(frozen=True)
class Overall:
    """The run in one word and one sentence. `state` is the key of its colour and its icon."""

    state: str
    word: str
    sentence: str


@dataclass(frozen=True)
class GateRow:
    """One gate, ready to print. Positions are per cent of the small figure's width.

    limit: "at most 800 ms"; allowed_from, allowed_to: the side of the limit that meets the gate.
    """

    verdict: Verdict
    anchor: str
    title: str
    value: str
    interval: str
    limit: str
    detectable: str
    value_pct: float | None
    lo_pct: float | None
    hi_pct: float | None
    threshold_pct: float | None
    allowed_from_pct: float
    allowed_to_pct: float
    axis_lo: str
    axis_hi: str


def is_baseline_gate(verdict: Verdict) -> bool:
    """Whether the gate tests a difference from the baseline instead of the value itself."""
    return "baseline" in verdict.gate


def wants_at_most(verdict: Verdict, spec: MetricSpec | None) -> bool:
    """Whether the gate's limit is an upper one (for baseline gates: whether lower is better)."""
    sign = re.search(r"[<>≤≥]", verdict.gate)
    if sign and not is_baseline_gate(verdict):
        return sign.group() in "<≤"
    return spec is None or spec.direction != "higher"


def quantity_name(title: str, statistic: str) -> str:
    """ "Response onset, 95th percentile"."""
    name = numbers.statistic_name(statistic)
    return f"{title}, {name}" if name else title


def gate_rows(record: RunRecord, specs: Mapping[str, MetricSpec]) -> list[GateRow]:
    """All gates, in the order of the suite."""
    return [
        _row(i, verdict, specs.get(verdict.metric)) for i, verdict in enumerate(record.verdicts)
    ]


def overall(record: RunRecord, rows: list[GateRow]) -> Overall:
    """The run's verdict in words that need no knowledge of the harness."""
    failed = [row for row in rows if row.verdict.outcome is Outcome.FAIL]
    open_ = [row for row in rows if row.verdict.outcome is Outcome.INCONCLUSIVE]
    broken = sum(scenario.status == "error" for scenario in record.scenarios)
    total = len(record.scenarios)
    said = counted(total, "scenario")
    if record.state == "partial":
        return Overall(
            "inconclusive", "Unfinished", f"The run was interrupted; {said} were scored so far."
        )
    if record.exit_code == EXIT_TARGET_FAILED:
        sentence = f"The target or the harness failed in {broken:,} of {said}."
        if failed:
            sentence += f" {_failures(failed, len(rows))}"
        return Overall("error", "Error", sentence)
    if failed:
        return Overall("fail", "Fail", _failures(failed, len(rows)))
    if open_:
        return Overall("inconclusive", "Inconclusive", _undecided(open_, len(rows)))
    if not rows:
        return Overall("none", "Measured", f"{said} were measured; this suite sets no gate.")
    met = "The one gate is met" if len(rows) == 1 else f"All {len(rows)} gates are met"
    return Overall("pass", "Pass", f"{met} on {said}.")


def _failures(failed: list[GateRow], total: int) -> str:
    said = [f"{_lower_first(row.title)} is {row.value} ({row.limit})" for row in failed[:2]]
    rest = len(failed) - len(said)
    tail = f"; and {counted(rest, 'more gate')}" if rest else ""
    return f"{len(failed)} of {counted(total, 'gate')} not met: {'; '.join(said)}{tail}."


def _undecided(rows: list[GateRow], total: int) -> str:
    first = rows[0]
    rest = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return (
        f"No gate failed, but {len(rows)} of {counted(total, 'gate')} could not be decided: "
        f"{_lower_first(first.title)}{rest}."
    )


def _row(index: int, verdict: Verdict, spec: MetricSpec | None) -> GateRow:
    unit = verdict.unit or (spec.unit if spec else "")
    share = numbers.is_share(verdict.metric, unit)
    signed = is_baseline_gate(verdict)
    at_most = wants_at_most(verdict, spec)
    axis = _axis(verdict, share and not signed)

    def pct(value: float | None) -> float | None:
        return None if value is None else axis.pct(value)

    def shown(value: float | None) -> str:
        return numbers.quantity(value, unit, share=share, signed=signed)

    limit_pct = pct(verdict.threshold)
    return GateRow(
        verdict=verdict,
        anchor=f"gate-{index + 1}",
        title=quantity_name(spec.title if spec else verdict.metric, verdict.statistic),
        value=shown(verdict.value),
        interval=numbers.interval(verdict.lo, verdict.hi, unit, share=share, signed=signed),
        limit=_limit_text(verdict, at_most, shown(verdict.threshold)),
        detectable=(
            numbers.quantity(verdict.detectable, unit, share=share, signed=True)
            if verdict.detectable is not None
            else ""
        ),
        value_pct=pct(verdict.value),
        lo_pct=pct(verdict.lo),
        hi_pct=pct(verdict.hi),
        threshold_pct=limit_pct,
        allowed_from_pct=0.0 if at_most or limit_pct is None else limit_pct,
        allowed_to_pct=100.0 if not at_most or limit_pct is None else limit_pct,
        axis_lo=numbers.quantity(axis.lo, unit, share=share, signed=signed),
        axis_hi=numbers.quantity(axis.hi, unit, share=share, signed=signed),
    )


def _limit_text(verdict: Verdict, at_most: bool, threshold: str) -> str:
    if verdict.threshold is None:
        return verdict.gate
    limit = f"at most {threshold}" if at_most else f"at least {threshold}"
    return f"{limit} from the baseline" if is_baseline_gate(verdict) else limit


def _axis(verdict: Verdict, share: bool) -> Axis:
    known = [verdict.value, verdict.lo, verdict.hi, verdict.threshold]
    if share:
        return SHARE_AXIS
    return axis_over(known, pad=0.12)


def _lower_first(text: str) -> str:
    # "ASR time" and "F0" keep their capitals, "Response onset" becomes "response onset".
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
