"""Quantities in words: "812 ms", "95.3 %", "+12 ms", "610 ms to 690 ms", "[610, 690]"."""

from __future__ import annotations


def quantity_words(
    value: float | None, unit: str, *, share: bool = False, signed: bool = False
) -> str:
    """A value with its unit, four significant digits; a share of 0..1 as per cent.

    A signed share is a difference, told in percentage points.
    """
    if value is None:
        return "not measured"
    if share:
        value, unit = value * 100, "points" if signed else "%"
    text = number_words(value)
    if signed and value > 0:
        text = f"+{text}"
    return f"{text} {unit}" if unit and unit not in ("ratio", "1") else text


def counted(count: int, noun: str) -> str:
    """ "1 value", "12 values"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def number_words(value: float) -> str:
    """Four significant digits, never in exponents between 0.001 and a million.

    What is below 1e-9 is the rounding of a zero.
    """
    if abs(value) < 1e-9:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.3g}"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{float(f'{value:.4g}'):g}"


def interval_words(
    lo: float | None, hi: float | None, unit: str, *, share: bool = False, signed: bool = False
) -> str:
    """The 95 % interval in words; a bound that cannot be given is said to be open."""
    if lo is None and hi is None:
        return "no interval"
    low = quantity_words(lo, unit, share=share, signed=signed)
    high = quantity_words(hi, unit, share=share, signed=signed)
    if hi is None:
        return f"95 % interval from {low}, open above"
    if lo is None:
        return f"95 % interval up to {high}, open below"
    return f"95 % interval {low} to {high}"


def interval_brackets(
    lo: float | None, hi: float | None, *, share: bool = False, signed: bool = False
) -> str:
    """The interval for a narrow table: "[610, 690]", in the unit of the value beside it.

    A bound that cannot be given is "?"; nothing is said where there is no interval at all.
    """
    if lo is None and hi is None:
        return ""

    def end(value: float | None) -> str:
        if value is None:
            return "?"
        text = number_words(value * 100 if share else value)
        return f"+{text}" if signed and value > 0 else text

    return f"[{end(lo)}, {end(hi)}]"
