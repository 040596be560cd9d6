"""The verdict in plain words: one sentence for the run, one row for each gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sts_eval.gate_grammar import Gate, GateSyntaxError, parse_gate
from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation, Outcome, Status, Verdict
from sts_eval.record import RunRecord
from sts_eval.report import numbers, plots
from sts_eval.report.numbers import counted

EXIT_TARGET_FAILED = 4
UPPER_TAIL = 75  # a gate on p75 or above speaks of single cases, one on the median does not


@dataclass(frozen=True)
class Overall:
    """The run in one word and one sentence. `state` is the key of its colour and its icon."""

    state: str
    word: str
    sentence: str


@dataclass(frozen=True)
class GateRow:
    """One gate, ready to print. Positions are per cent of the small figure's width.

    limit: "at most 800 ms"; allowed_from_pct, allowed_to_pct: the side that meets the gate.
    """

    verdict: Verdict
    anchor: str
    title: str
    value: str
    interval: str
    limit: str
    value_pct: float | None
    lo_pct: float | None
    hi_pct: float | None
    threshold_pct: float | None
    allowed_from_pct: float
    allowed_to_pct: float
    axis_ends: tuple[str, str]


class Limits:
    """The gates of a run as limits on single observations."""

    def __init__(self, record: RunRecord) -> None:
        specs = {spec.name: spec for spec in record.metrics}
        self.of: dict[str, list[tuple[Gate, Verdict]]] = {}
        for verdict in record.verdicts:
            gate = read_gate(verdict, specs)
            if gate is not None:
                self.of.setdefault(verdict.metric, []).append((gate, verdict))

    def beyond(self, observation: Observation, spec: MetricSpec) -> bool:
        """Whether one value counts against a gate on its metric.

        In a rate every unwanted event counts. In a quantile a value beyond the limit does if the
        gate is on the upper tail or was not met: half of all values may lie beyond a median's.
        """
        value = observation.value
        if value is None:
            return False
        for gate, verdict in self.of.get(observation.metric, []):
            if gate.baseline or not _applies(gate, observation):
                continue
            upper = gate.comparator == "<="
            if is_share(spec):
                if value == (1.0 if upper else 0.0):
                    return True
            elif value > gate.bound if upper else value < gate.bound:
                tail = gate.statistic[1:].isdigit() and int(gate.statistic[1:]) >= UPPER_TAIL
                if tail or gate.statistic == "max" or verdict.outcome is not Outcome.PASS:
                    return True
        return False


def unwanted(observation: Observation, spec: MetricSpec) -> bool:
    """Whether an observation of a rate is the event that its direction calls bad."""
    if observation.status is not Status.MEASURED or not is_share(spec):
        return False
    return observation.value == {"lower": 1.0, "higher": 0.0, "none": -1.0}[spec.direction]


def is_share(spec: MetricSpec) -> bool:
    """Whether each observation is yes or no, so that the metric is a share of cases."""
    return "rate" in spec.statistics


def read_gate(verdict: Verdict, specs: Mapping[str, MetricSpec]) -> Gate | None:
    """The gate behind a verdict, None if its text cannot be read (a run of another version)."""
    try:
        return parse_gate(verdict.gate, specs)
    except GateSyntaxError:
        return None


def quantity_name(title: str, statistic: str, where: Mapping[str, str] | None = None) -> str:
    """ "Response onset (95th percentile, SNR 10 dB)"."""
    parts = [numbers.statistic_name(statistic)]
    parts += [numbers.condition(name, level) for name, level in (where or {}).items()]
    inside = ", ".join(part for part in parts if part)
    return f"{title} ({inside})" if inside else title


def gate_rows(record: RunRecord) -> list[GateRow]:
    """All gates, in the order of the suite."""
    specs = {spec.name: spec for spec in record.metrics}
    return [_row(index, verdict, specs) for index, verdict in enumerate(record.verdicts)]


def overall(record: RunRecord, rows: list[GateRow]) -> Overall:
    """The run's verdict in words that need no knowledge of the harness."""
    broken = sum(scenario.status == "error" for scenario in record.scenarios)
    said = counted(len(record.scenarios), "scenario")
    if record.state == "partial":
        sentence = f"The run was interrupted; {said} were scored so far."
        return Overall("inconclusive", "Unfinished", sentence)
    if record.exit_code == EXIT_TARGET_FAILED:
        sentence = f"The target or the harness failed in {broken:,} of {said}."
        if record.failures:
            sentence = f"{_capital(record.failures[0])}." + (f" {sentence}" if broken else "")
        return Overall("error", "Error", sentence)
    verdict = _by_gates(rows, said)
    if not broken:
        return verdict
    return replace(
        verdict, sentence=f"{verdict.sentence} {counted(broken, 'scenario')} ended in an error."
    )


def _by_gates(rows: list[GateRow], said: str) -> Overall:
    failed = [row for row in rows if row.verdict.outcome is Outcome.FAIL]
    undecided = [row for row in rows if row.verdict.outcome is Outcome.INCONCLUSIVE]
    if failed:
        sentence = _failures(failed, len(rows))
        if undecided:
            sentence += f" {_capital(_number(len(undecided)))} more could not be decided."
        return Overall("fail", "Fail", sentence)
    if undecided:
        return Overall("inconclusive", "Inconclusive", _undecided(undecided, len(rows)))
    if not rows:
        return Overall("none", "Measured", f"{said} were measured; this suite sets no gate.")
    met = "The one gate is met" if len(rows) == 1 else f"All {len(rows)} gates are met"
    return Overall("pass", "Pass", f"{met} on {said}.")


def _failures(failed: list[GateRow], total: int) -> str:
    said = [f"{_lower(row.title)} is {row.value}, allowed is {row.limit}" for row in failed[:2]]
    rest = len(failed) - len(said)
    tail = f"; and {_number(rest)} more" if rest else ""
    verb = "is" if len(failed) == 1 else "are"
    head = f"{_capital(_number(len(failed)))} of {counted(total, 'gate')} {verb} not met"
    return f"{head}: {'; '.join(said)}{tail}."


def _undecided(rows: list[GateRow], total: int) -> str:
    names = [_lower(row.title) for row in rows[:3]]
    if len(rows) > 3:
        names.append(f"{_number(len(rows) - 3)} more")
    return (
        f"No gate failed, but {_number(len(rows))} of {counted(total, 'gate')} could not be "
        f"decided: {numbers.listed(names)}."
    )


def _row(index: int, verdict: Verdict, specs: Mapping[str, MetricSpec]) -> GateRow:
    spec, gate = specs.get(verdict.metric), read_gate(verdict, specs)
    unit, share = verdict.unit, verdict.statistic == "rate"
    signed = gate is not None and gate.baseline
    upper = gate is None or gate.comparator == "<="
    axis = plots.SHARE_AXIS if share and not signed else _axis(verdict)

    def pct(value: float | None) -> float | None:
        return None if value is None else axis.pct(value)

    def shown(value: float | None) -> str:
        return numbers.quantity(value, unit, share=share, signed=signed)

    limit_pct = pct(verdict.threshold)
    limit = f"{'at most' if upper else 'at least'} {shown(verdict.threshold)}"
    return GateRow(
        verdict=verdict,
        anchor=f"gate-{index + 1}",
        title=quantity_name(
            spec.title if spec else verdict.metric, verdict.statistic, gate.where if gate else None
        ),
        value=shown(verdict.value),
        interval=numbers.interval(verdict.lo, verdict.hi, unit, share=share, signed=signed),
        limit=f"{limit} from the baseline" if signed else limit if gate else verdict.gate,
        value_pct=pct(verdict.value),
        lo_pct=pct(verdict.lo),
        hi_pct=pct(verdict.hi),
        threshold_pct=limit_pct,
        allowed_from_pct=0.0 if upper or limit_pct is None else limit_pct,
        allowed_to_pct=100.0 if not upper or limit_pct is None else limit_pct,
        axis_ends=(shown(axis.lo), shown(axis.hi)),
    )


def _axis(verdict: Verdict) -> plots.Axis:
    return plots.axis_over([verdict.value, verdict.lo, verdict.hi, verdict.threshold], pad=0.12)


def _applies(gate: Gate, observation: Observation) -> bool:
    return all(observation.slices.get(name) == level for name, level in gate.where.items())


def _number(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[count] if count < len(words) else str(count)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    # "ASR time" and "F0" keep their capitals, "Response onset" becomes "response onset".
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
