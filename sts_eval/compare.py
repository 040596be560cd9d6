"""Two runs side by side: what changed, how sure that is, and what could not be compared.

Every row is one metric.statistic. The difference is always **b - a** (new minus old), over the
scenarios that were measured in both runs, with a 95 % interval and a two-sided p-value for "no
difference", corrected by Holm over all rows that have one. `detectable` is the smallest true
change that this comparison would find 80 % of the time: a row without a difference whose
detectable change is large has shown little.

Runs of other seeds or other stimuli have few scenarios in common or none. They are compared
unpaired: each run is taken whole (`sts_eval.stats.unpaired`).

Rows are refused, with the reason, when the metric's version differs or nothing can be paired.
A suite with other content is no reason to refuse (that may be what is compared), but is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from sts_eval.metric import MetricSpec
from sts_eval.observation import Direction, Estimate
from sts_eval.record import RunRecord
from sts_eval.wording import interval_brackets, quantity_words

if TYPE_CHECKING:
    from rich.console import Console

    from sts_eval.stats import Difference, Pairing

SIGNIFICANCE = 0.05
MOST_CHANGES = 10

Change = Literal["better", "worse", "changed", "no difference shown", "not comparable"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunSummary(_Part):
    """One side of a comparison."""

    run_id: str
    created: str
    target: str
    suite: str
    suite_sha256: str
    seed: int
    n_scenarios: int
    n_error: int


class ScenarioChange(_Part):
    """One scenario's mean value in both runs; `difference` is b - a."""

    scenario_id: str
    a: float
    b: float
    difference: float


class ComparisonRow(_Part):
    """One metric.statistic in both runs.

    a, b: the estimates of the whole runs (None where a run does not have the metric).
    difference, lo, hi: b - a over the paired scenarios (or of the whole runs), in `unit`; lo/hi
        None where no interval can be given (`reason` says why).
    p_value, p_holm: two-sided, of "no difference". detectable: see the module.
    n_paired: scenarios measured in both; n_only_a, n_only_b: scenarios measured in one only.
    change: "better"/"worse" need p_holm < 0.05; "changed" is a metric without a good direction.
    largest: the scenarios that changed most: those that got worse, then those that got better.
    """

    metric: str
    statistic: str
    title: str
    unit: str
    direction: Direction
    a: Estimate | None
    b: Estimate | None
    difference: float | None = None
    lo: float | None = None
    hi: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    n_paired: int = 0
    n_only_a: int = 0
    n_only_b: int = 0
    method: str = ""
    change: Change = "not comparable"
    reason: str = ""
    largest: tuple[ScenarioChange, ...] = ()

    @property
    def key(self) -> str:
        """`<metric>.<statistic>`."""
        return f"{self.metric}.{self.statistic}"


class Comparison(_Part):
    """All rows, and notes on what makes the runs less comparable (suite, seed, errors).

    paired: over the scenarios of both runs; otherwise each run is taken whole.
    """

    paired: bool = True
    a: RunSummary
    b: RunSummary
    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...] = ()


def compare(a: RunRecord, b: RunRecord, *, paired: bool = True) -> Comparison:
    """Hold run `b` (new) against run `a` (old): one row per metric.statistic of either."""
    from sts_eval.stats import holm, tidy

    rows = []
    old, new = ({spec.name: spec for spec in run.metrics} for run in (a, b))
    for name in dict.fromkeys((*new, *old)):
        rows += _rows(name, old.get(name), new.get(name), a, b, paired=paired)
    corrected = holm([row.p_value for row in rows])
    judged = [
        row.model_copy(update={"p_holm": None if p is None else tidy(p), "change": _change(row, p)})
        for row, p in zip(rows, corrected, strict=True)
    ]
    return Comparison(
        paired=paired,
        a=_summary(a),
        b=_summary(b),
        rows=tuple(judged),
        notes=_notes(a, b, paired=paired),
    )


def _rows(
    name: str,
    old: MetricSpec | None,
    new: MetricSpec | None,
    a: RunRecord,
    b: RunRecord,
    *,
    paired: bool,
) -> list[ComparisonRow]:
    from sts_eval.stats import pair_observations

    spec = new or old
    assert spec is not None
    if old is None or new is None:
        reason = f"only run {'B' if old is None else 'A'} has this metric"
    elif old.version != new.version:
        reason = f"the metric is version {old.version} in A and {new.version} in B"
    elif old.unit != new.unit:
        reason = f"the metric is in {old.unit!r} in A and in {new.unit!r} in B"
    elif not paired:
        return [_unpaired_row(spec, statistic, a, b) for statistic in spec.statistics]
    elif name in a.pooled or name in b.pooled:
        reason = "pooled over all scenarios, so that nothing can be paired: compare with --unpaired"
    else:
        pairs = pair_observations(a.observations, b.observations, name)
        return [_row(spec, statistic, pairs, a, b) for statistic in spec.statistics]
    return [_refused(spec, statistic, a, b, reason) for statistic in spec.statistics]


def _row(
    spec: MetricSpec, statistic: str, pairs: Pairing, a: RunRecord, b: RunRecord
) -> ComparisonRow:
    from sts_eval.stats import difference

    found = difference(pairs, statistic, seed=b.seed, name=_quantity(spec, statistic))
    return _found(spec, statistic, a, b, found).model_copy(
        update={
            "n_paired": len(pairs.scenarios),
            "n_only_a": len(pairs.only_old),
            "n_only_b": len(pairs.only_new),
            "largest": _largest(pairs, spec.direction),
        }
    )


def _unpaired_row(spec: MetricSpec, statistic: str, a: RunRecord, b: RunRecord) -> ComparisonRow:
    from sts_eval.stats import difference_of_estimates, sample_of, unpaired_difference

    before, after = (_whole(run.estimates, spec.name, statistic) for run in (a, b))
    if before is None or after is None:
        return _refused(spec, statistic, a, b, f"only run {'A' if after is None else 'B'} has it")
    if spec.name in a.pooled or spec.name in b.pooled:
        return _found(spec, statistic, a, b, difference_of_estimates(before, after))
    old, new = (sample_of(run.observations, spec.name) for run in (a, b))
    found = unpaired_difference(
        old, new, before, after, seed=b.seed, name=_quantity(spec, statistic)
    )
    return _found(spec, statistic, a, b, found)


def _quantity(spec: MetricSpec, statistic: str) -> str:
    return f"{spec.name}.{statistic} - other run"


def _found(
    spec: MetricSpec, statistic: str, a: RunRecord, b: RunRecord, found: Difference
) -> ComparisonRow:
    from sts_eval.stats import tidy

    def rounded(value: float | None) -> float | None:
        return None if value is None else tidy(value)

    return _refused(spec, statistic, a, b, found.reason).model_copy(
        update={
            "difference": rounded(found.value),
            "lo": rounded(found.bounds.lo),
            "hi": rounded(found.bounds.hi),
            "p_value": rounded(found.p_zero()),
            "detectable": rounded(found.detectable),
            "method": found.method,
        }
    )


def _refused(
    spec: MetricSpec, statistic: str, a: RunRecord, b: RunRecord, reason: str
) -> ComparisonRow:
    return ComparisonRow(
        metric=spec.name,
        statistic=statistic,
        title=spec.title,
        unit=spec.unit,
        direction=spec.direction,
        a=_whole(a.estimates, spec.name, statistic),
        b=_whole(b.estimates, spec.name, statistic),
        reason=reason,
    )


def _whole(estimates: Sequence[Estimate], metric: str, statistic: str) -> Estimate | None:
    for item in estimates:
        if item.metric == metric and item.statistic == statistic and not item.slice:
            return item
    return None


def _largest(pairs: Pairing, direction: Direction) -> tuple[ScenarioChange, ...]:
    """What got worse first, then what got better, each by size."""
    from sts_eval.stats import scenario_means, tidy

    before, after = scenario_means(pairs.old), scenario_means(pairs.new)
    changes = [
        ScenarioChange(
            scenario_id=key,
            a=tidy(before[key]),
            b=tidy(after[key]),
            difference=tidy(after[key] - before[key]),
        )
        for key in pairs.scenarios
        if after[key] != before[key]
    ]
    worse = {"lower": 1.0, "higher": -1.0, "none": 0.0}[direction]
    changes.sort(
        key=lambda item: (
            item.difference * worse <= 0,
            -abs(item.difference),
            item.scenario_id,
        )
    )
    return tuple(changes[:MOST_CHANGES])


def _change(row: ComparisonRow, p_holm: float | None) -> Change:
    if p_holm is None or row.difference is None:
        return "not comparable"
    if p_holm >= SIGNIFICANCE or row.difference == 0:
        return "no difference shown"
    if row.direction == "none":
        return "changed"
    return "better" if (row.difference < 0) == (row.direction == "lower") else "worse"


def _summary(run: RunRecord) -> RunSummary:
    return RunSummary(
        run_id=run.run_id,
        created=run.created,
        target=str(run.target.get("name", run.target.get("spec", "unnamed"))),
        suite=str(run.suite.get("suite", "unnamed")),
        suite_sha256=run.suite_sha256,
        seed=run.seed,
        n_scenarios=len(run.scenarios),
        n_error=sum(item.status == "error" for item in run.scenarios),
    )


def _notes(a: RunRecord, b: RunRecord, *, paired: bool) -> tuple[str, ...]:
    notes = []
    shared = {item.id for item in a.scenarios} & {item.id for item in b.scenarios}
    if not paired:
        notes.append("Unpaired: each run is taken whole, whichever scenarios it has.")
    elif not shared:
        notes.append("The runs have no scenario in common: compare them with --unpaired.")
    if a.suite_sha256 != b.suite_sha256:
        notes.append("The suites differ in content: scenarios of one name may not be the same.")
    if a.seed != b.seed:
        notes.append(f"The seeds differ ({a.seed} and {b.seed}): noise and leading silence do too.")
    for name, run in (("A", a), ("B", b)):
        broken = sum(item.status == "error" for item in run.scenarios)
        if broken:
            notes.append(f"Run {name}: {broken} of {len(run.scenarios)} scenarios failed.")
        if run.state != "complete":
            notes.append(f"Run {name} is not complete.")
    return tuple(notes)


def console_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison as a table (to stdout unless a console is given)."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    out = console or RichConsole()
    a, b = comparison.a, comparison.b
    out.print(Text(f"A: {a.target}, run {a.run_id}\nB: {b.target}, run {b.run_id}"))
    for note in comparison.notes:
        out.print(Text(f"Note: {note}", style="yellow"))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    count = "pairs" if comparison.paired else "n"
    for name in ("metric", "A", "B", "B - A [95 %]", count, "detectable", "change"):
        table.add_column(name, overflow="fold", no_wrap=name in ("metric", count, "change"))
    styles = {"better": "green", "worse": "red"}
    short = {"no difference shown": "", "not comparable": "-"}
    for row in comparison.rows:
        change = Text(short.get(row.change, row.change), style=styles.get(row.change, "none"))
        table.add_row(*(Text(cell) for cell in _cells(row, paired=comparison.paired)), change)
    out.print(table)
    for row in comparison.rows:
        if row.reason and row.change == "not comparable":
            out.print(Text(f"{row.key}: {row.reason}", style="dim"))


def _cells(row: ComparisonRow, *, paired: bool) -> tuple[str, ...]:
    """Without units, which the metric's name carries; rates in per cent and percentage points."""
    share = row.statistic == "rate"

    def words(value: float | None, *, signed: bool = False) -> str:
        if value is None:
            return "-"
        return quantity_words(value, "", share=share, signed=signed).removesuffix(" points")

    whole = " / ".join(str(0 if side is None else side.n) for side in (row.a, row.b))
    brackets = interval_brackets(row.lo, row.hi, share=share, signed=True)
    return (
        row.key,
        words(row.a.value if row.a else None),
        words(row.b.value if row.b else None),
        f"{words(row.difference, signed=True)} {brackets}".strip(),
        str(row.n_paired) if paired else whole,
        words(row.detectable, signed=True).lstrip("+"),
    )
