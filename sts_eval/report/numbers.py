"""Numbers as a reader wants them: rates in per cent, times with three digits, real minus signs."""

from __future__ import annotations

import math
from datetime import datetime

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
# Not strftime("%B"): a report must not depend on the locale.
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_CONDITION_UNITS = {"db": "dB", "ms": "ms", "s": "s", "hz": "Hz"}
_ACRONYMS = {"snr", "vad", "asr", "tts"}
_STATISTICS = {"mean": "mean", "rate": "", "max": "maximum", "min": "minimum", "sum": "sum"}


def statistic_name(statistic: str) -> str:
    """ "p95" -> "95th percentile", "p50" -> "median", "rate" -> "" (the title says it)."""
    if statistic in _STATISTICS:
        return _STATISTICS[statistic]
    if statistic == "p50":
        return "median"
    if statistic.startswith("p") and statistic[1:].isdigit():
        number = int(statistic[1:])
        ending = {1: "st", 2: "nd", 3: "rd"}.get(0 if 10 < number < 20 else number % 10, "th")
        return f"{number}{ending} percentile"
    return statistic


def condition_name(name: str) -> str:
    """ "snr_db" -> "SNR (dB)", "pause_s" -> "Pause (s)", "voice" -> "Voice"."""
    stem, _, unit = name.rpartition("_")
    if unit in _CONDITION_UNITS and stem:
        return f"{condition_name(stem)} ({_CONDITION_UNITS[unit]})"
    words = name.replace("_", " ")
    return words.upper() if words in _ACRONYMS else words[:1].upper() + words[1:]


def condition(name: str, level: str) -> str:
    """("snr_db", "10") -> "SNR 10 dB"; ("voice", "af_nova") -> "voice af_nova"."""
    title = condition_name(name)
    head, _, unit = title.partition(" (")
    head = head if head.isupper() else head.lower()
    is_number = natural(level)[0] == 0
    return f"{head} {level} {unit.rstrip(')')}" if unit and is_number else f"{head} {level}"


def plain(value: float, *, signed: bool = False) -> str:
    """A number with about three significant digits, never in exponent form for ordinary sizes."""
    size = abs(value)
    if size == 0:
        text = "0"
    elif size >= 99.95:
        text = f"{size:,.0f}"
    elif size >= 9.995:
        text = _trimmed(f"{size:.1f}")
    elif size >= 1e-4:
        text = _trimmed(f"{size:.{2 - math.floor(math.log10(size))}f}")
    else:
        text = f"{size:.1e}"
    sign = MINUS if value < 0 and text != "0" else "+" if signed and value > 0 else ""
    return sign + text


def quantity(value: float | None, unit: str, *, share: bool = False, signed: bool = False) -> str:
    """A value with its unit; shares in per cent (differences of shares in points)."""
    if value is None:
        return "not measured"
    if share:
        digits = _trimmed(f"{abs(value) * 100:.1f}")
        sign = MINUS if value < 0 and digits != "0" else "+" if signed and value > 0 else ""
        return f"{sign}{digits}{NBSP}{'points' if signed else '%'}"
    number = plain(value, signed=signed)
    return f"{number}{NBSP}{unit}" if unit not in {"", "1", "ratio"} else number


def interval(
    lo: float | None, hi: float | None, unit: str, *, share: bool = False, signed: bool = False
) -> str:
    """ "640 to 812 ms": the two ends of an interval, the unit once; one end may be unknown."""
    low, high = (quantity(end, unit, share=share, signed=signed) for end in (lo, hi))
    if lo is None and hi is None:
        return "no interval"
    if hi is None:
        return f"{low} or more"
    if lo is None:
        return f"{high} or less"
    return f"{low.partition(NBSP)[0]} to {high}"


def seconds(value: float) -> str:
    """A time in a trace: "3.42 s"."""
    return f"{value:.2f}{NBSP}s"


def size(number_of_bytes: int) -> str:
    """A file size in decimal units."""
    if number_of_bytes >= 1_000_000:
        return f"{number_of_bytes / 1e6:.1f}{NBSP}MB"
    return f"{max(1, round(number_of_bytes / 1e3))}{NBSP}kB"


def date(iso: str) -> str:
    """ "2026-11-23T16:40:00Z" -> "23 November 2026, 16:40 UTC"; other texts stay as they are."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = moment.tzname() or ""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment:%Y, %H:%M} {zone}".strip()


def counted(count: int, noun: str, plural: str = "") -> str:
    """ "1 scenario", "64 scenarios"."""
    return f"{count:,}{NBSP}{noun if count == 1 else plural or noun + 's'}"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def natural(level: str) -> tuple[int, float, str]:
    """Sort key: numbers by size, then words."""
    try:
        return (0, float(level), level)
    except ValueError:
        return (1, 0.0, level)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
