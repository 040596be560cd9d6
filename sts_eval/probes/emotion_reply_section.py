"""The section of the report on replies to a tone of voice: tables, and what was said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sts_eval.metrics.tone_reply import VALENCE
from sts_eval.observation import Estimate
from sts_eval.probes import PoolContext
from sts_eval.probes import emotion_reply_specs as specs
from sts_eval.record import Cell, Chart, Point, Section, Series, Table
from sts_eval.stats import estimate
from sts_eval.wording import interval_brackets, number_words, quantity_words

if TYPE_CHECKING:
    from sts_eval.probes.emotion_reply_pool import Findings, Reply

MOST_SENTENCES = 12
NO_TONE = "none"


def section_of(found: Findings, context: PoolContext) -> Section:
    """The section; tables without rows are left out."""
    tables = [_change(found, context.seed), _words_by_tone(found), _voice(found), _said(found)]
    charts = [] if found.lists else _heatmap(found)
    return Section(
        id="tone-replies",
        title="Replies to a tone of voice",
        paragraphs=_paragraphs(found, context),
        tables=[table for table in tables if table.rows],
        charts=charts,
    )


def _paragraphs(found: Findings, context: PoolContext) -> list[str]:
    tones = sorted({reply.conditions["tone"] for reply in found.of("tones")})
    said = [
        "Each sentence is said in every tone by the same voice, so that the words tell nothing: an"
        " agent that hears only the words gives all tones of a sentence the same reply."
    ]
    if found.lists:
        said.append(f"Whether replies fit is not measured: {found.lists}.")
    elif tones:
        spec = specs.ACCURACY.model_copy(update={"min_events": 1})
        accuracy = estimate(found.observations, spec, "rate", seed=context.seed)
        said.append(
            f"Replies that fit the tone: {_rate(accuracy)}, n = {accuracy.n}. Chance is"
            f" {1 / len(tones):.0%}: one of {len(tones)} tones."
        )
    return said


def _rate(found: Estimate) -> str:
    if found.value is None:
        return f"not measured ({found.reason})"
    ends = interval_brackets(found.lo, found.hi, share=True)
    return f"{quantity_words(found.value, 'ratio', share=True)} {ends}".strip()


def _heatmap(found: Findings) -> list[Chart]:
    """The user's tone against that of the reply, shares of the user's tone."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for reply in found.of("tones"):
        if reply.text is not None:
            counts[reply.conditions["tone"]][reply.tone or NO_TONE] += 1
    if not counts:
        return []
    tones = sorted(counts)
    columns = [*tones, *sorted({key for row in counts.values() for key in row} - set(tones))]
    series = [
        Series(
            name=tone,
            points=[Point(x=key, y=counts[tone][key] / counts[tone].total()) for key in columns],
        )
        for tone in tones
    ]
    return [
        Chart(
            kind="heatmap",
            title="Tone of the user (rows) and of the reply",
            x_label="list that the reply comes nearest to",
            y_label="tone of the user",
            series=series,
            note=f"Shares of each row. {NO_TONE}: the reply fits no list.",
        )
    ]


def _change(found: Findings, seed: int) -> Table:
    rows: list[list[str | Cell]] = []
    for spec in (specs.CHANGES_WITH, specs.CHANGES_WITHIN):
        own = [each for each in found.observations if each.metric == spec.name]
        one = spec.model_copy(update={"min_events": 1})
        for tones in ("", *sorted({each.slices["tone"] for each in own})):
            rate = estimate(own, one, "rate", seed=seed, slice={"tone": tones} if tones else {})
            if rate.n:
                rows.append([spec.title, tones or "all pairs", str(rate.n), _rate(rate)])
    return Table(
        title="How often the reply changes",
        columns=["pairs of one sentence", "tones", "n", "changed [95 %]"],
        rows=rows,
        note="What the tone does is the difference between the two: see the excess.",
    )


def _words_by_tone(found: Findings) -> Table:
    """The two by two: which replies glad and unhappy words get in glad and unhappy tones."""
    cells: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for reply in found.of("words_by_tone"):
        if reply.text is not None and not found.lists:
            where = reply.conditions["words"], VALENCE[reply.conditions["tone"]]
            cells[where][VALENCE.get(reply.tone, "neither")] += 1
    rows: list[list[str | Cell]] = []
    for (words, tone), counts in sorted(cells.items()):
        shown = [f"{counts[key]} ({counts[key] / counts.total():.0%})" for key in _KEYS]
        rows.append([words, tone, "yes" if words == tone else "no", str(counts.total()), *shown])
    return Table(
        title="Words and tone",
        columns=["words", "tone", "agree", "n", *(f"{key} reply" for key in _KEYS)],
        rows=rows,
        note="Happy is a positive tone, sad and angry are negative ones; neutral replies and those"
        " that fit no list are neither. Rows that do not agree are the sarcastic ones.",
    )


_KEYS = ("positive", "negative", "neither")


def _voice(found: Findings) -> Table:
    rows: list[list[str | Cell]] = []
    for each in found.voices.estimates:
        name = next(key for key, spec in specs.FOLLOWS.items() if spec.name == each.metric)
        if each.value is None:
            rows.append([name, f"not measured ({each.reason})", "", str(each.n)])
            continue
        slope = f"{number_words(each.value)} {interval_brackets(each.lo, each.hi)}".strip()
        seen = found.voices.shown[name].correlation
        rows.append([name, slope, "-" if seen is None else number_words(seen), str(each.n)])
    return Table(
        title="The agent's own voice against the user's",
        columns=["what", "slope [95 %]", "correlation", "pairs of tones"],
        rows=rows,
        note="Slope 1: changes as much as the user's voice does from tone to tone. The agent's"
        " values are taken against a neutral reading of the same words.",
    )


def _said(found: Findings) -> Table:
    """What the first sentences got, tone by tone."""
    by_sentence: dict[str, dict[str, Reply]] = defaultdict(dict)
    for reply in found.of("tones"):
        key = str(reply.item.scenario.expected["stimulus"])
        by_sentence[key][reply.conditions["tone"]] = reply
    tones = sorted({tone for own in by_sentence.values() for tone in own})
    # by turns from voice to voice
    step = max(1, len(by_sentence) // MOST_SENTENCES)
    shown: Sequence[str] = sorted(by_sentence)[::step][:MOST_SENTENCES]
    rows: list[list[str | Cell]] = []
    for key in shown:
        own = by_sentence[key]
        voice, text = next((r.conditions["voice"], r.item.scenario.text) for r in own.values())
        rows.append([f"{text} ({voice})", *(_cell(own.get(tone)) for tone in tones)])
    return Table(
        title="What was replied",
        columns=["sentence", *tones],
        rows=rows,
        note=f"{len(shown)} of {len(by_sentence)} sentences, as the judge hears the replies.",
    )


def _cell(reply: Reply | None) -> str | Cell:
    if reply is None:
        return "-"
    text = reply.text if reply.text is not None else f"({reply.reason})"
    return Cell(text=text[:120], scenario_id=reply.item.scenario.id)
