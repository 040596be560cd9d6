"""report.html of an audit: a sortable table; each row opens its evidence when asked for.

The page holds the table and the numbers (inert JSON); pictures and sounds lie beside it and are
loaded only for the rows that are open, so that thousands of rows stay quick.
"""

from __future__ import annotations

from typing import Any

from sts_eval.audit.case.case import Case
from sts_eval.audit.case.ratio import SCALE
from sts_eval.audit.case.records import Level
from sts_eval.audit.case.rows import Row
from sts_eval.audit.case.verdicts import least_likeness, numbers
from sts_eval.report.page import render

ICONS = {
    Level.FINDING: "fail",
    Level.UNEXAMINED: "error",
    Level.WEAK_FINDING: "inconclusive",
    Level.INCONCLUSIVE: "inconclusive",
    Level.WEAK_CLEAR: "inconclusive",
    Level.CLEAR: "pass",
    Level.SKIPPED: "none",
}
_ORDER = list(Level)


def build_page(case: Case, rows: list[Row], head: str) -> str:
    """The page of a case as HTML."""
    # The rows that need a person come first; within a level, in the order of the folder.
    ordered = sorted(rows, key=lambda row: _ORDER.index(row.verdict.level))
    levels = [
        (str(level), ICONS[level], count)
        for level in Level
        if (count := sum(row.verdict.level == level for row in rows))
    ]
    settings = case.settings
    views = [_view(row) for row in ordered]
    context: dict[str, Any] = {
        "folder": settings.recordings,
        "opened": case.opened,
        "day": str(settings.day),
        "settings": settings,
        "levels": levels,
        "rows": views,
        "tells_known": any(view["known"] is not None for view in views),
        "data": {
            row.id: _data(row) for row in ordered if row.found is not None and row.found.sound
        },
        "n_compared": len(case.compared),
        "missing": case.missing,
        "least_likeness": f"{10 ** least_likeness(len(case.compared)):.0f}",
        "scale": _scale(),
        "head": head,
    }
    return render(
        "audit.html.j2", context, scripts=("audit.js",), styles=("audit.css",), images=True
    )


def _view(row: Row) -> dict[str, Any]:
    found, verdict = row.found, row.verdict
    ratios: dict[str, Any] = dict.fromkeys(("synthetic", "known", "likeness"))
    ratios |= {name: ratio.value for name, ratio in (found.shown if found else {}).items()}
    sound = found.sound if found else None
    return {
        "id": row.id,
        "shown": row.shown,
        "level": str(verdict.level),
        "rank": _ORDER.index(verdict.level),
        "icon": ICONS[verdict.level],
        "headline": verdict.headline,
        **ratios,
        **{f"{name}_words": "" if v is None else _short(v) for name, v in ratios.items()},
        "consent": verdict.consent,
        "speech_s": None if sound is None else sound.speech_s,
        "opens": bool(sound) or bool(verdict.reasons),
        "reasons": [] if sound else list(verdict.reasons),
    }


def _data(row: Row) -> dict[str, Any]:
    """What the script shows of a row."""
    found = row.found
    assert found is not None
    assert found.sound is not None
    sound = found.sound
    files = {each.name.rsplit(".", 1)[1]: each.name for each in found.files}
    facts = [
        ["format", f"{sound.container} {sound.codec}, {sound.sample_rate_hz} Hz, "
         f"{sound.channels} channel{'s' if sound.channels > 1 else ''}"],
        ["length", f"{sound.seconds:.1f} s, of which {sound.speech_s:.1f} s of speech"],
        ["SNR", "not measured" if sound.snr_db is None else f"{sound.snr_db:.0f} dB"],
        ["band", "not measured" if sound.band_hz is None else f"to {sound.band_hz / 1000:.1f} kHz"],
        ["clipped", f"{sound.clipped_share:.2%}"],
        ["SHA-256 of the file", found.sha256_bytes],
        ["SHA-256 of the samples", found.sha256_pcm],
    ]  # fmt: skip
    if row.use is not None:
        purpose = row.use.purpose or "purpose not declared"
        facts.append(["use", f"{row.use.scope}, {purpose}, {row.use.day}"])
    if row.same_as:
        facts.append(["same sound as", ", ".join(row.same_as[:20])])
    return {
        "seconds": sound.seconds,
        "speech": [list(span) for span in sound.speech],
        "windows": [
            [
                each.detector + (", against the engines it knows" if each.known else ""),
                [[w.start_s, w.end_s, w.log10_lr] for w in each.windows],
            ]
            for each in found.detectors
        ],
        "likenesses": [[each.subject, numbers(each.ratio)] for each in found.likenesses[:5]],
        "reasons": list(row.verdict.reasons),
        "facts": facts,
        "picture": files.get("webp"),
        "sound": files.get("ogg"),
    }


def _short(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # no "-0.0"


def _scale() -> list[tuple[str, str]]:
    rows, start = [("less than 2", "no")], "2"
    for end, word in SCALE:
        stop = "" if end == float("inf") else f"{10**end:,.0f}"
        rows.append((f"{start} to {stop}" if stop else f"more than {start}", word))
        start = stop
    return rows
