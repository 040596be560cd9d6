"""Likelihood ratios as a report states them: log10 LR, its 95 % interval, and words.

The verbal scale is declared in every report. It is that of the ENFSI guideline for evaluative
reporting (2015), by the size of the ratio, in favour of whichever proposition it supports:

    below 2 none, 2 to 10 weak, 10 to 100 moderate, 100 to 1,000 moderately strong,
    1,000 to 10,000 strong, 10,000 to 1,000,000 very strong, more than that extremely strong

A ratio supports a proposition *decisively*, in the sense of the decision table, when it is at
least ten to one and its whole interval is on the same side of one; *weakly* when it is at least two
to one, where the scale begins, with its whole interval on the same side.
"""

from __future__ import annotations

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

DECISIVE_LOG10 = 1.0
WEAK_LOG10 = math.log10(2)
SCALE: tuple[tuple[float, str], ...] = (
    (1.0, "weak"),
    (2.0, "moderate"),
    (3.0, "moderately strong"),
    (4.0, "strong"),
    (6.0, "very strong"),
    (math.inf, "extremely strong"),
)


class Ratio(BaseModel):
    """log10 LR and the ends of its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    value: float
    lo: float
    hi: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.lo <= self.value <= self.hi:
            raise ValueError(f"the interval [{self.lo}, {self.hi}] does not hold {self.value}")
        return self

    def __neg__(self) -> Ratio:
        """The same evidence for the opposite proposition."""
        return Ratio(value=-self.value, lo=-self.hi, hi=-self.lo)

    def not_below_one(self) -> Ratio:
        """What is left where evidence for the second proposition does not count."""
        return Ratio(value=max(0.0, self.value), lo=max(0.0, self.lo), hi=max(0.0, self.hi))

    def decisive(self, least: float = DECISIVE_LOG10) -> bool:
        """Whether it supports its first proposition: value at least `least`, interval above 0."""
        return self.value >= least and self.lo > 0


def reach_words(label: str, synthetic: float, natural: float) -> str:
    """How far the ratios of a detector go: the largest log10 LR for either side, in words."""
    ends = {"synthetic": synthetic, "natural": natural}
    words = " and ".join(f"{10**end:.1f} to one for {side}" for side, end in ends.items())
    short = [side for side, end in ends.items() if end < DECISIVE_LOG10]
    if not short:
        return f"the ratios of {label} stop at {words} speech"
    never = "the origin by itself" if len(short) == 2 else f"for {short[0]} speech by itself"
    mute = " or ".join(side for side in short if ends[side] < WEAK_LOG10)
    lent = f"nor lend any support for {mute} speech" if mute else "only lend weak support"
    return (
        f"the ratios of {label} stop at {words} speech, the most that its validation supports:"
        f" it cannot decide {never}, {lent}"
    )


def known_reach_words(label: str, synthetic: float, natural: float) -> str:
    """The same against the engines that a detector knows."""
    return (
        f"against the engines that {label} knows, in a voice that it does not, they stop at"
        f" {10**synthetic:.1f} to one for one of these and {10**natural:.1f} to one for natural"
        " speech: that no known engine is heard leaves open whether an unknown one spoke"
    )


def verbal(ratio: Ratio, first: str, second: str) -> str:
    """The scale in words: "moderate support for FIRST over SECOND"."""
    size = abs(ratio.value)
    if size < WEAK_LOG10 or (ratio.lo <= 0 <= ratio.hi and size < DECISIVE_LOG10):
        return f"no support for either of {first} and {second}"
    strength = next(word for end, word in SCALE if size <= end)
    favoured, other = (first, second) if ratio.value > 0 else (second, first)
    return f"{strength} support for {favoured} over {other}"
