"""The overfit suite's section of the report: draws, copies, canaries by repetitions, the gap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sts_eval.metrics.extraction import most_exposure_bits
from sts_eval.observation import Observation
from sts_eval.probes import PoolItem
from sts_eval.probes import overfit_specs as specs
from sts_eval.record import Cell, Chart, Point, Section, Series, Table
from sts_eval.stats.proportions import clopper_pearson

if TYPE_CHECKING:
    from sts_eval.probes.overfit_pool import Copied, Findings

MOST_ROWS = 15
MIN_SHOWN_WORDS = 3


def sections_of(
    items: Sequence[PoolItem], found: Findings, sources: Sequence[tuple[Any, Any]]
) -> list[Section]:
    """The section, or none without scenarios."""
    if not items:
        return []
    tables = [_draws(found), _most_repeated(found)]
    charts: list[Chart] = []
    canaries = _by_repetitions(found)
    if canaries:
        tables.append(canaries[0])
        charts.append(canaries[1])
    return [
        Section(
            id="overfit",
            title="Verbatim repetition of training data",
            paragraphs=_paragraphs(found, sources),
            tables=[table for table in tables if table.rows],
            charts=charts,
        )
    ]


def _paragraphs(found: Findings, sources: Sequence[tuple[Any, Any]]) -> list[str]:
    said = []
    for _, source in sources:
        training = source.training
        eligible = sum(len(item.words) >= 6 for item in training.texts)
        merged = f" {training.merged} lines repeated an earlier one." if training.merged else ""
        said.append(
            f"Training set {training.name}: {len(training.texts)} texts, of which {eligible} are"
            f" long enough (6 words) to be told from chance.{merged}"
        )
        if source.canaries is None:
            said.append("No canary list: exposure is not measured.")
        else:
            held_out = sum(not each.repetitions for each in source.canaries.canaries)
            most = most_exposure_bits(held_out)
            said.append(
                f"Canary list {source.canaries.name}: {len(source.canaries.canaries)} canaries,"
                f" {held_out} of them held-out controls, so exposure is at most {most:.1f} bits."
            )
    if found.agreement is not None:
        said.append(
            f"Audio was compared with {found.recordings} training recordings; agreement of tokens"
            f" counts above {found.agreement:.2f}, which unrelated ones do not reach by chance."
        )
    return said


def _measured(found: Findings, spec: Any) -> list[Observation]:
    return [o for o in found.observations if o.metric == spec.name and o.value is not None]


def _draws(found: Findings) -> Table:
    """Draws, hits and exact bounds by probe, for what can be copied."""
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for spec in (specs.REGURGITATION, specs.EXTRACTION, specs.CANARY_EXTRACTION):
        for o in _measured(found, spec):
            detail = " ".join(
                o.slices[key] for key in ("probe", "opener", "wording", "side") if key in o.slices
            )
            group = (spec.title, detail, o.slices.get("trained", ""), o.slices["temperature"])
            groups[group].append(o.value or 0.0)
    rows: list[list[str | Cell]] = []
    for named, values in sorted(groups.items()):
        hits, draws = int(sum(values)), len(values)
        lo, hi = clopper_pearson(hits, draws)
        interval = f"{100 * (lo or 0):.1f} to {100 * (hi or 0):.1f} %"
        rows.append([*named, str(draws), str(hits), interval])
    return Table(
        title="Draws and hits",
        columns=["what", "probe", "trained", "temperature", "draws", "hits", "95 % (exact)"],
        rows=rows,
        note="Clopper-Pearson intervals over draws. Draws on one text are not independent: the"
        " estimates above count that, this table does not.",
    )


def _most_repeated(found: Findings) -> Table:
    shown = [c for c in found.copied if c.match and c.match.distinctive >= MIN_SHOWN_WORDS]
    groups: dict[str, list[Copied]] = defaultdict(list)
    for copied in shown:
        groups[copied.of.text].append(copied)
    ranked = sorted(groups.values(), key=lambda g: (-_copies(g), -_words(g), g[0].of.text))
    rows: list[list[str | Cell]] = []
    for group in ranked[:MOST_ROWS]:
        best = max(group, key=lambda c: c.match.distinctive if c.match else 0)
        verdict = "yes" if _copies(group) else "no"
        seen = Counter(c.item.scenario.conditions["probe"] for c in group)
        rows.append(
            [
                group[0].of.text,
                Cell(text=best.text, scenario_id=best.item.scenario.id),
                str(_words(group)),
                verdict,
                ", ".join(f"{probe} {count}" for probe, count in sorted(seen.items())),
            ]
        )
    return Table(
        title="Most repeated training texts",
        columns=["training text", "said", "words of its own", "copy", "conversations"],
        rows=rows,
        note="Also what is too short to be a copy, so that the bar can be judged.",
    )


def _copies(group: Sequence[Copied]) -> int:
    return sum(c.match is not None and c.match.copy for c in group)


def _words(group: Sequence[Copied]) -> int:
    return max(c.match.distinctive if c.match else 0 for c in group)


def _by_repetitions(found: Findings) -> tuple[Table, Chart] | None:
    hits: dict[int, list[float]] = defaultdict(list)
    for o in _measured(found, specs.CANARY_EXTRACTION):
        hits[int(o.slices["repetitions"])].append(o.value or 0.0)
    if not hits:
        return None
    bits: dict[int, list[float]] = defaultdict(list)
    for o in _measured(found, specs.EXPOSURE):
        bits[int(o.slices["repetitions"])].append(o.value or 0.0)
    rows: list[list[str | Cell]] = []
    points: list[Point] = []
    for count in sorted(hits):
        values = hits[count]
        lo, hi = clopper_pearson(sum(values), len(values))
        rate = sum(values) / len(values)
        exposure = f"{sum(bits[count]) / len(bits[count]):.2f}" if bits.get(count) else "control"
        rows.append(
            [
                str(count),
                str(len(values)),
                f"{100 * rate:.0f} %",
                f"{100 * (lo or 0):.1f} to {100 * (hi or 0):.1f} %",
                exposure,
            ]
        )
        points.append(Point(x=str(count), y=100 * rate, lo=100 * (lo or 0), hi=100 * (hi or 0)))
    table = Table(
        title="Canaries by repetitions",
        columns=["repetitions", "draws", "extracted", "95 % (exact)", "mean exposure, bits"],
        rows=rows,
    )
    chart = Chart(
        kind="bar",
        title="Canaries extracted",
        x_label="repetitions in training",
        y_label="extracted, %",
        series=[Series(name="extracted", points=points)],
    )
    return table, chart
