"""The section of the report about emotion in tokens: what each codebook carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sts_eval.metrics.probing import Reading
from sts_eval.observation import Estimate
from sts_eval.probes.emotion_token_analysis import (
    ACOUSTIC,
    ALL,
    AUDIO,
    SEMANTIC,
    Findings,
)
from sts_eval.probes.emotion_token_tasks import EMOTION, ORIGINAL, SPEAKER, WORDS
from sts_eval.record import Cell, Chart, Point, Section, Series, Table
from sts_eval.wording import interval_brackets, number_words, quantity_words

if TYPE_CHECKING:
    from sts_eval.probes.emotion_token_pool import Estimates, Material

MOST_ERRORS = 5
CARRIED = {EMOTION: "emotion", SPEAKER: "speaker", WORDS: "words (which sentence)"}
CONTROLS = {
    "text": "emotion from the words alone",
    "length": "emotion from the number of frames alone",
    "vocoder_semantic": "vocoder or original, from the semantic tokens",
    "vocoder_acoustic": "vocoder or original, from the acoustic tokens",
    "vocoder_all": "vocoder or original, from all tokens",
}


def section_of(found: Findings, material: Material, made: Estimates, name: str) -> Section:
    """Everything about one block."""
    tables = [_probes(found, made), _by_emotion(found), _controls(found, made), _codebooks(found)]
    charts = [_by_set(found, made), _cumulative(found, made), _leakage(found)]
    title = f"Emotion in the tokens of {material.tokens.codec}"
    return Section(
        id=f"emotion-tokens-{name}" if name else "emotion-tokens",
        title=f"{title} ({name})" if name else title,
        paragraphs=_paragraphs(found, material, made),
        tables=[table for table in tables if table.rows],
        charts=[chart for chart in charts if any(series.points for series in chart.series)],
    )


def _paragraphs(found: Findings, material: Material, made: Estimates) -> list[str]:
    tokens = material.tokens
    renditions = [r for r in tokens.renditions if r.emotion != ORIGINAL]
    emotions = sorted({r.emotion for r in renditions})
    texts = {r.text for r in renditions}
    split = (
        f"{tokens.semantic} of {tokens.codebooks} codebooks are semantic"
        if 0 < tokens.semantic < tokens.codebooks
        else f"{tokens.codebooks} codebooks, none of them semantic"
    )
    said = [
        f"{len(renditions)} recordings of {len(texts)} sentences by {len(material.speakers)}"
        f" speakers in {len(emotions)} emotions ({', '.join(emotions)}). {split}; a frame has"
        f" {1000 * tokens.frame_s:g} ms. {_origin(material)}",
        _headline(made.separation("linear")),
        "A probe learns from some speakers and sentences and is tested on others, so that it"
        " cannot know the emotion from a voice or from words. What it finds is there; what it does"
        " not find may still be there for a larger model.",
    ]
    if tokens.vectors is None:
        said.append("The codec shows no code vectors: probes read token frequencies.")
    said += found.notes
    said += [
        f"Not measured ({what}): {reason}."
        for what, reason in found.reasons.items()
        if what in (EMOTION, SPEAKER, WORDS)
    ]
    if material.errors:
        shown = "; ".join(material.errors[:MOST_ERRORS])
        more = len(material.errors) - MOST_ERRORS
        said.append(f"Missing recordings: {shown}" + (f"; and {more} more." if more > 0 else "."))
    return said


def _origin(material: Material) -> str:
    corpus = material.corpus
    if not corpus:
        return (
            "The emotions were made of neutral recordings by one vocoder; neutral passed through"
            " it, too. Acted or felt emotion differs in more than these changes of prosody."
        )
    notes = "".join(f" {note}." for note in corpus.get("notes", []))
    return f"Chosen from {corpus['found']} recordings found in a {corpus['layout']} folder.{notes}"


def _headline(separation: Estimate) -> str:
    if separation.value is None:
        return f"Separation of acoustic and semantic tokens is not measured: {separation.reason}."
    size = quantity_words(separation.value, "", share=True, signed=True)
    where = interval_brackets(separation.lo, separation.hi, share=True, signed=True)
    if separation.lo is not None and separation.lo > 0:
        verdict = "the acoustic tokens tell the emotion better than the semantic ones"
    elif separation.hi is not None and separation.hi < 0:
        verdict = "the semantic tokens tell the emotion better than the acoustic ones"
    else:
        verdict = "neither stream tells the emotion clearly better"
    return f"Separation: {size} {where}: {verdict}."


def _cell(estimate: Estimate) -> str:
    text = quantity_words(estimate.value, "", share=True)
    return f"{text} {interval_brackets(estimate.lo, estimate.hi, share=True)}".strip()


def _sets(found: Findings) -> list[str]:
    """Codebook sets that were read for emotion, without the cumulative ones."""
    read = [key[1] for key in found.readings if key[0] == EMOTION and key[2] == "linear"]
    return [which for which in read if not which.startswith("upto_")]


def _label(which: str) -> str:
    if which == AUDIO:
        return "the sound itself"
    return f"codebook {which}" if which.isdecimal() else which


def _probes(found: Findings, made: Estimates) -> Table:
    rows: list[list[str | Cell]] = []
    for which in _sets(found):
        linear = found.readings[EMOTION, which, "linear"]
        mlp = found.readings.get((EMOTION, which, "mlp"))
        rows.append(
            [
                _label(which),
                _cell(made.reading(EMOTION, which, "linear")),
                number_words(float(f"{linear.p:.2g}")),
                quantity_words(linear.control, "", share=True),
                _cell(made.reading(EMOTION, which, "mlp")) if mlp else "not measured",
                quantity_words(mlp.control, "", share=True) if mlp else "not measured",
            ]
        )
    chance = next((r.chance for key, r in found.readings.items() if key[0] == EMOTION), 0.0)
    return Table(
        title="Emotion read from tokens",
        columns=["from", "linear probe", "p", "shuffled", "perceptron", "shuffled (one)"],
        rows=rows,
        note=f"Unweighted average recall; chance is {100 * chance:.1f} %. p: share of shuffled"
        " labels that the linear probe reads as well.",
    )


def _by_emotion(found: Findings) -> Table:
    sets = [which for which in (SEMANTIC, ACOUSTIC, ALL, AUDIO) if which in _sets(found)]
    rows: list[list[str | Cell]] = []
    if sets:
        task = found.tasks[EMOTION]
        names = sorted(set(task.labels))
        for code, emotion in enumerate(names):
            own = np.array([label == emotion for label in task.labels])
            shares = []
            for which in sets:
                predicted = found.readings[EMOTION, which, "linear"].predicted[own]
                taken = np.bincount(predicted, minlength=len(names))
                wrong = np.where(np.arange(len(names)) == code, -1, taken)
                most = int(np.argmax(wrong))
                share = quantity_words(taken[code] / own.sum(), "", share=True)
                shares.append(f"{share} (else {names[most]})" if wrong[most] > 0 else share)
            rows.append([emotion, *shares])
    return Table(
        title="Recall by emotion",
        columns=["emotion", *(_label(which) for which in sets)],
        rows=rows,
        note="Linear probe; in brackets what it is most often taken for.",
    )


def _controls(found: Findings, made: Estimates) -> Table:
    rows: list[list[str | Cell]] = []
    by_name = {e.slice["control"]: e for e in made.controls() if "control" in e.slice}
    for name, what in CONTROLS.items():
        if name in found.controls:
            _, reading = found.controls[name]
            p = number_words(float(f"{reading.p:.2g}"))
            chance = quantity_words(reading.chance, "", share=True)
            rows.append([what, _cell(by_name[name]), chance, p])
        elif name in found.reasons and name in by_name:
            rows.append([what, f"not measured: {found.reasons[name]}", "", ""])
    return Table(
        title="Controls",
        columns=["linear probe", "recall", "chance", "p"],
        rows=rows,
        note="Words must be at chance. Length may tell an emotion, which changes the tempo. A"
        " vocoder that can be told is harmless here: every emotion, neutral included, passed it.",
    )


def _codebooks(found: Findings) -> Table:
    def bits(name: str, k: int) -> str:
        each = found.information.get((name, k))
        return "not measured" if each is None else f"{each.corrected:.3f} (p {each.p:.2g})"

    def share(value: float | None) -> str:
        return quantity_words(value, "", share=True)

    rows: list[list[str | Cell]] = []
    for k in range(found.tokens.codebooks):
        values = found.divergence.get(k)
        apart = found.distances.get(k)
        kept = np.zeros(0) if values is None else values[np.isfinite(values)]
        rows.append(
            [
                str(k),
                *(bits(name, k) for name in (EMOTION, SPEAKER, WORDS)),
                f"{np.mean(kept):.4f}" if len(kept) else "not measured",
                share(float(np.mean([d for *_, d in apart])) if apart else None),
                share(found.vocoder_distance.get(k)),
                share(found.sentence_distance.get(k)),
            ]
        )
    return Table(
        title="Each codebook",
        columns=[
            "codebook",
            "emotion, bits",
            "speaker, bits",
            "words, bits",
            "JSD other - same emotion, bits",
            "changed: other emotion",
            "changed: vocoder only",
            "changed: other sentence",
        ],
        rows=rows,
        note="Bits of one token, corrected for chance. Changed: edit distance of the tokens, runs"
        " counted once.",
    )


def _point(x: float | str, estimate: Estimate) -> Point:
    def percent(value: float | None) -> float | None:
        return None if value is None else round(100 * value, 4)

    return Point(x=x, y=percent(estimate.value), lo=percent(estimate.lo), hi=percent(estimate.hi))


def _by_set(found: Findings, made: Estimates) -> Chart:
    series = []
    for probe, title in (("linear", "linear probe"), ("mlp", "perceptron")):
        points = [
            _point(_label(which), made.reading(EMOTION, which, probe))
            for which in _sets(found)
            if (EMOTION, which, probe) in found.readings
        ]
        if points:
            series.append(Series(name=title, points=points))
    return Chart(
        kind="bar",
        title="Emotion read from tokens",
        x_label="codebooks",
        y_label="recall, %",
        series=series,
    )


def _cumulative(found: Findings, made: Estimates) -> Chart:
    points: list[Point] = []
    chance = 0.0
    for q in range(1, found.tokens.codebooks + 1):
        which = ALL if q == found.tokens.codebooks else "0" if q == 1 else f"upto_{q}"
        reading = found.readings.get((EMOTION, which, "linear"))
        if reading is not None:
            points.append(_point(float(q), made.reading(EMOTION, which, "linear")))
            chance = reading.chance
    series = [Series(name="linear probe", points=points)] if points else []
    if points:
        ends = [Point(x=float(points[0].x), y=100 * chance), Point(x=float(points[-1].x),
                y=100 * chance)]  # fmt: skip
        series.append(Series(name="chance", points=ends))
    return Chart(
        kind="line",
        title="Emotion in the first codebooks",
        x_label="codebooks read",
        y_label="recall, %",
        series=series,
    )


def _leakage(found: Findings) -> Chart:
    series = []
    for name, title in CARRIED.items():
        points = []
        for which in _sets(found) or [str(k) for k in range(found.tokens.codebooks)]:
            reading = found.readings.get((name, which, "linear"))
            points.append(
                Point(
                    x=_label(which),
                    y=None if reading is None else round(above_chance(reading), 4),
                    label=found.reasons.get(name, "") if reading is None else "",
                )
            )
        series.append(Series(name=title, points=points))
    return Chart(
        kind="heatmap",
        title="What each codebook carries",
        x_label="codebooks",
        y_label="recall above chance",
        series=series,
        note="(recall - chance) / (1 - chance) of the linear probe: 0 nothing found, 1 all of it."
        " Speakers are read from other sentences, sentences from other speakers.",
    )


def above_chance(reading: Reading) -> float:
    """Recall as a share of the way from chance to perfect."""
    return (reading.recall - reading.chance) / (1 - reading.chance)
