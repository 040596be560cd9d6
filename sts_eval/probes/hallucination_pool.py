"""What the hallucination suite says of all scenarios together: corrected accuracy, and its tables.

- the accuracy of sums corrected for the judge's errors, beside the accuracy as heard;
- accuracy by size of the operands, operation and carry;
- why sums went wrong, and which numbers were heard for which;
- what was done with questions that have an answer, have none, or rest on a false premise;
- kinds of degenerate output.

Some nonsense passes for words in the ears of a judge. Where most answers are gibberish, those that
are not recognised as such are a selection of it: what they "say" is then not measured either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from sts_eval.judges.base import JudgeError
from sts_eval.judges.number_calibration import number_hearing
from sts_eval.metrics.answers import claim_of
from sts_eval.metrics.correction import Corrected, corrected_share
from sts_eval.observation import Estimate, Observation
from sts_eval.probes import PoolContext, Pooled, PoolItem
from sts_eval.probes import hallucination_specs as specs
from sts_eval.record import Cell, Chart, Point, Section, Series, Table
from sts_eval.stats import estimate, sample_of
from sts_eval.stats.pooled import PooledValue, finished
from sts_eval.stats.proportions import Bounds
from sts_eval.stats.sample import tidy

BLAMES = ("right", "hearing", "thinking", "speaking", "judge", "unknown")
SIZES = ("0-9", "10-20", "21-99", "100+", "decimal", "units")
MOST_ROWS = 25
HEARD = (  # what is read from the words that a judge hears
    specs.NUMBER,
    specs.NUMBER_CORRECTED,
    specs.FACT,
    specs.GAP,
    *specs.SPLIT.values(),
    specs.DISAGREE,
    specs.FABRICATION,
    specs.REFUSAL_RECALL,
    specs.REFUSAL_PRECISION,
    specs.REPEAT,
    specs.INSERTED,
    specs.DROPPED,
    specs.VOICED,
)


def pool_answers(items: Sequence[PoolItem], context: PoolContext) -> Pooled:
    """Finished estimate and sections of a run's scenarios of this kind."""
    every = [each for item in items for each in item.observations]
    numbers = [each for each in every if each.metric == specs.NUMBER.name]
    babble = mostly_gibberish(every)
    if babble:
        return Pooled(estimates=_not_heard(every, babble), sections=[_degenerates(every, babble)])
    judge = context.judges.get("asr", "none")
    corrected, estimates = None, []
    if numbers:
        found, corrected = correct(numbers, judge, context.seed)
        estimates.append(found)
    sections = []
    if any(each.value is not None for each in numbers):
        sections.append(_sums(numbers, corrected, context.seed))
    if any(each.metric == specs.FABRICATION.name for each in every):
        sections.append(_claims(items))
    if every:
        sections.append(_degenerates(every))
    return Pooled(estimates=estimates, sections=sections)


def mostly_gibberish(every: Sequence[Observation]) -> str:
    """Why nothing that was heard can be relied on: more than half of it is gibberish; else ""."""
    found = [each.value for each in every if each.metric == specs.GIBBERISH.name]
    values = [value for value in found if value is not None]
    hits = sum(value == 1.0 for value in values)
    if 2 * hits <= len(values):
        return ""
    return (
        f"{hits} of {len(values)} answers are gibberish: the others may be gibberish that passes"
        " for words"
    )


def _not_heard(every: Sequence[Observation], reason: str) -> list[Estimate]:
    """All metrics of what was heard, without a value."""
    seen = {each.metric for each in every}
    nothing = PooledValue(None, Bounds(None, None), "none", reason)
    return [
        finished(spec, nothing, 0, 0, [e.status for e in every if e.metric == spec.name])
        for spec in HEARD
        if spec.name in seen
    ]


def correct(
    numbers: Sequence[Observation], judge: str, seed: int
) -> tuple[Estimate, Corrected | None]:
    """The accuracy of sums corrected for what the judge of this name mishears."""
    spec = specs.NUMBER_CORRECTED
    sample = sample_of(numbers, specs.NUMBER.name)
    corrected, reason = None, ""
    if judge == "none":
        reason = "no ASR judge was asked for"
    elif sample.n < spec.min_events:
        reason = f"{sample.n} measured: from fewer than {spec.min_events} no number is given"
    else:
        try:
            heard = number_hearing(judge)
            kept = heard.right_kept(), heard.wrong_kept()
            corrected = corrected_share(sample, *kept, seed=seed, name=spec.name)
        except (JudgeError, ValueError) as error:
            reason = str(error)
    method = "Rogan-Gladen, bootstrap of run and calibration"
    if corrected is not None:
        reason = (
            f"judge: {corrected.sensitivity:.3f} of right and {corrected.specificity:.3f} of wrong"
            f" numbers kept, {len(heard.rows)} clips"
        ) + ("; clipped to 0..1" if corrected.clipped else "")
    found = Estimate(
        metric=spec.name,
        statistic="rate",
        value=None if corrected is None else tidy(corrected.value),
        lo=None if corrected is None else tidy(corrected.lo),
        hi=None if corrected is None else tidy(corrected.hi),
        n=sample.n,
        n_clusters=sample.n_clusters,
        n_unmeasured=sample.n_unmeasured,
        n_error=sample.n_error,
        unit=spec.unit,
        direction=spec.direction,
        method=method if corrected is not None else "none",
        version=spec.version,
        reason=reason,
    )
    return found, corrected


def _share(found: Estimate) -> str:
    if found.value is None:
        return f"not measured ({found.reason})"
    ends = (
        ""
        if found.lo is None or found.hi is None
        else f" [{100 * found.lo:.0f}, {100 * found.hi:.0f}]"
    )
    return f"{100 * found.value:.0f} %{ends}"


def _accuracy(numbers: Iterable[Observation], where: dict[str, str], seed: int) -> Estimate:
    """Without the floor of ten: a cell of a table shows its n and its wide interval."""
    spec = specs.NUMBER.model_copy(update={"min_events": 1})
    return estimate(list(numbers), spec, "rate", seed=seed, slice=where)


def _sums(numbers: list[Observation], corrected: Corrected | None, seed: int) -> Section:
    measured = [each for each in numbers if each.value is not None]
    plain = _accuracy(measured, {}, seed)
    paragraphs = [f"Right numbers as heard by the first judge: {_share(plain)}, n = {plain.n}."]
    if corrected is not None:
        clip = " The estimate lay outside 0..1 and was clipped." if corrected.clipped else ""
        paragraphs.append(
            f"Corrected for the judge, which calls {100 * corrected.sensitivity:.1f} % of right"
            f" numbers right and {100 * corrected.specificity:.1f} % of likely wrong ones wrong:"
            f" {100 * corrected.value:.0f} % [{100 * corrected.lo:.0f}, {100 * corrected.hi:.0f}]"
            f".{clip}"
        )
    tables = [_by_condition(measured, seed), _why_wrong(measured), _confusions(measured)]
    return Section(
        id="sums",
        title="Sums: right, wrong, and why",
        paragraphs=paragraphs,
        tables=tables,
        charts=[_by_size(measured, seed)],
    )


def _by_size(measured: list[Observation], seed: int) -> Chart:
    """A bar for each size of the operands: as heard, and in the text."""
    points = []
    for size in SIZES:
        found = _accuracy(measured, {"size": size}, seed)
        if found.n:
            label = f"n = {found.n}"
            points.append(Point(x=size, y=found.value, lo=found.lo, hi=found.hi, label=label))
    return Chart(
        kind="bar",
        title="Right numbers by size of the larger operand",
        x_label="larger operand",
        y_label="share right",
        series=[Series(name="as heard", points=points)],
        note="Bars are 95 % intervals.",
    )


def _by_condition(measured: list[Observation], seed: int) -> Table:
    rows: list[list[str | Cell]] = []
    for key in ("op", "carry", "chained", "size"):
        values = sorted({each.slices[key] for each in measured if key in each.slices})
        for value in values:
            found = _accuracy(measured, {key: value}, seed)
            rows.append([key, value, str(found.n), _share(found)])
    return Table(
        title="Right numbers by condition",
        columns=["condition", "value", "n", "right [95 %]"],
        rows=rows,
        note="Carry: units run over ten, or must be borrowed. Chained: the second turn of two.",
    )


def _why_wrong(measured: list[Observation]) -> Table:
    by_task: dict[str, Counter[str]] = defaultdict(Counter)
    for each in measured:
        by_task[each.slices["task"]][each.slices["blame"]] += 1
    rows: list[list[str | Cell]] = [
        [task, *(str(counts[why]) for why in BLAMES), str(counts.total())]
        for task, counts in sorted(by_task.items())
    ]
    return Table(
        title="Why sums went wrong",
        columns=["task", *BLAMES, "all"],
        rows=rows,
        note="The first witness that is wrong takes the blame: the agent's own hearing, its text,"
        " the agreement of two judges, its voice. Unknown: the agent has no text stream.",
    )


def _confusions(measured: list[Observation]) -> Table:
    """Each wrong number with what every witness says; links to the evidence."""
    wrong = [each for each in measured if each.slices["blame"] != "right"]
    rows: list[list[str | Cell]] = []
    for each in sorted(wrong, key=lambda one: (one.slices["blame"], one.scenario_id))[:MOST_ROWS]:
        said = [each.slices[key] or "-" for key in ("expected", "said", "heard", "second")]
        link = Cell(text=each.scenario_id, scenario_id=each.scenario_id)
        rows.append([link, *said, each.slices["blame"]])
    more = f" {len(wrong) - MOST_ROWS} more are not shown." if len(wrong) > MOST_ROWS else ""
    return Table(
        title="Wrong numbers",
        columns=["scenario", "expected", "in its text", "first judge", "second judge", "blame"],
        rows=rows,
        note=f"A dash: no number, or no such witness.{more}",
    )


def _claims(items: Sequence[PoolItem]) -> Section:
    """Questions with an answer, without one, and on a false premise, against what was said."""
    claims = ("asserted", "refused", "corrected", "asks", "nothing")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    invented: list[list[str | Cell]] = []
    for item in items:
        task = item.scenario.conditions["task"]
        if task in ("repeat", "long") or item.result.status == "error":
            continue
        truth = [str(word) for word in item.scenario.expected.get("truth", ())]
        is_false = task == "false_premise"
        claim = claim_of(item.result.heard_text, truth, premise_false=is_false)
        counts[task][claim] += 1
        if claim == "asserted" and task in ("unanswerable", "false_premise"):
            link = Cell(text=item.scenario.id, scenario_id=item.scenario.id)
            invented.append([link, item.scenario.text, item.result.heard_text[:200]])
    rows: list[list[str | Cell]] = [
        [task, *(str(found[claim]) for claim in claims)] for task, found in sorted(counts.items())
    ]
    tables = [
        Table(
            title="What the agent did with each kind of question",
            columns=["question", *claims],
            rows=rows,
            note="By the whole of what the first judge hears. Right for sums, chains and facts:"
            " asserted. Right for the others: refused, or (false premise) corrected.",
        )
    ]
    if invented:
        tables.append(
            Table(
                title="Answers to questions without an answer",
                columns=["scenario", "question", "heard"],
                rows=invented[:MOST_ROWS],
            )
        )
    return Section(id="claims", title="Knowing and not knowing", tables=tables)


def _degenerates(every: Sequence[Observation], babble: str = "") -> Section:
    rows: list[list[str | Cell]] = []
    for kind, spec in specs.KINDS_OF_DEGENERATE.items():
        found = [each for each in every if each.metric == spec.name]
        hits = [each for each in found if each.value == 1.0]
        shown: str | Cell = "-"
        if hits:
            shown = Cell(text=hits[0].scenario_id, scenario_id=hits[0].scenario_id)
        rows.append([kind, str(len(hits)), str(sum(e.value is not None for e in found)), shown])
    table = Table(
        title="Degenerate output",
        columns=["kind", "answers", "of", "for example"],
        rows=rows,
        note="One answer may be of several kinds.",
    )
    paragraphs = [f"What was heard is not measured: {babble}."] if babble else []
    return Section(id="degenerate", title="No answer at all", paragraphs=paragraphs, tables=[table])
