"""EER and detection cost of one detector: EER, minDCF, actDCF, and the data of a DET plot.

Source of definitions and constants: ASVspoof 5 evaluation plan (2024) and the organisers'
evaluation package; EER of the convex hull: Bruemmer and de Villiers, The BOSARIS Toolkit user guide
(2011); DET: Martin et al., The DET curve in assessment of detection task performance, Eurospeech
1997.

EER. Rates are step functions, so there is hardly ever a threshold with miss == false alarm. The
convention of ASVspoof 5 (and of speechbrain) is used: no interpolation; of all thresholds the one
with the smallest |miss - false alarm|, the lowest of several, and there the mean of the two rates.
`eer_rocch` is the other common convention, linear interpolation along the convex hull of the ROC:
the smallest EER that randomising between thresholds can reach, never above 1/2 for any score.
(The organisers' code walks through tied scores bona fide first and may stop inside a tie, at rates
which no threshold attains; here a tie is one step. Without ties across classes both agree.)

DCF. With prior p of a spoof and costs of a miss and of a false alarm,

    DCF(t) = Cmiss (1 - p) miss(t) + Cfa p false_alarm(t),   divided by min(Cmiss (1 - p), Cfa p)

so that 1 is the cost of the better of "accept all" and "reject all". minDCF takes the best
threshold of the evaluated data; actDCF the threshold t = -ln[Cmiss (1 - p) / (Cfa p)], which is
right when the scores are natural-log likelihood ratios. ASVspoof 5: p = 0.05, Cmiss = 1, Cfa = 10,
hence DCF = 1.9 miss + false_alarm and t = -0.6419.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from sts_eval.audit.operating import (
    FloatArray,
    IntArray,
    accept_rate,
    checked,
    miss_rate,
    operating_points,
)


@dataclass(frozen=True)
class Point:
    """A metric's value and the threshold at which it is taken (+inf: reject all)."""

    value: float
    threshold: float


@dataclass(frozen=True)
class CostModel:
    """Prior of a spoof and the costs of the two errors. Raises ValueError if they make no sense."""

    p_spoof: float
    c_miss: float
    c_fa: float

    def __post_init__(self) -> None:
        if not 0 < self.p_spoof < 1 or self.c_miss <= 0 or self.c_fa <= 0:
            raise ValueError(f"a prior within (0, 1) and positive costs are needed: {self}")

    @property
    def weight_miss(self) -> float:
        """Cost of missing everything."""
        return self.c_miss * (1 - self.p_spoof)

    @property
    def weight_fa(self) -> float:
        """Cost of accepting everything."""
        return self.c_fa * self.p_spoof

    @property
    def bayes_threshold(self) -> float:
        """The natural-log likelihood ratio at which both decisions cost the same."""
        return -math.log(self.weight_miss / self.weight_fa)

    def dcf(self, miss: FloatArray, false_alarm: FloatArray) -> FloatArray:
        """[...] normalised cost at the given rates."""
        cost = self.weight_miss * miss + self.weight_fa * false_alarm
        normalised: FloatArray = cost / min(self.weight_miss, self.weight_fa)
        return normalised


ASVSPOOF5 = CostModel(p_spoof=0.05, c_miss=1.0, c_fa=10.0)


def eer(bonafide: ArrayLike, spoof: ArrayLike) -> Point:
    """Equal error rate, a share of 0..1, after ASVspoof 5: no interpolation (see above)."""
    points = operating_points(bonafide, spoof)
    best = int(eer_index(points.accepted))
    value = (points.miss[best] + points.false_alarm()[best]) / 2
    return Point(float(value), float(points.thresholds[best]))


def eer_index(accepted: IntArray) -> IntArray:
    """[...] index of the first operating point with the smallest |miss - false alarm|.

    accepted: [..., 2, K]. Compared as integers, |miss_n N_spoof - fa_n N_bona|: exact.
    """
    bona, spoof = accepted[..., 0, :], accepted[..., 1, :]
    gap = np.abs((bona[..., :1] - bona) * spoof[..., :1] - spoof * bona[..., :1])
    index: IntArray = np.argmin(gap, axis=-1)
    return index


def eer_of(accepted: IntArray) -> FloatArray:
    """[...] EER of counts [..., 2, K]."""
    index = eer_index(accepted)[..., None]
    rates = miss_rate(accepted) + accept_rate(accepted, 1)
    value: FloatArray = np.take_along_axis(rates, index, axis=-1)[..., 0] / 2
    return value


def weighted_eer(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """EER of trials that count more than once, or not at all, as in a draw of a bootstrap.

    bonafide, spoof: [n] weights of the same trials in ascending order of their scores, 0 in one of
    them; each sum is above 0. Equal scores are steps of their own.
    """
    missed, passed = np.cumsum(bonafide), np.cumsum(spoof)
    miss, alarm = missed / missed[-1], 1 - passed / passed[-1]
    at = int(np.argmin(np.abs(miss - alarm)))
    return float(miss[at] + alarm[at]) / 2


def eer_rocch(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """EER by linear interpolation along the convex hull of the ROC, a share of 0..1."""
    return eer_rocch_of(operating_points(bonafide, spoof).accepted)


def eer_rocch_of(accepted: IntArray) -> float:
    """EER on the convex hull, of counts [2, K]."""
    miss, false_alarm = miss_rate(accepted), accept_rate(accepted, 1)
    hull = _lower_hull(false_alarm[::-1], miss[::-1])  # false alarm ascending
    for (fa0, miss0), (fa1, miss1) in pairwise(hull):
        if fa0 <= miss0 and fa1 >= miss1:  # the diagonal is crossed on this edge
            step = (miss0 - fa0) / ((miss0 - fa0) + (fa1 - miss1)) if miss0 - fa0 else 0.0
            return float(fa0 + step * (fa1 - fa0))
    raise AssertionError("a hull from (0, 1) to (1, 0) crosses the diagonal")


def _lower_hull(x: FloatArray, y: FloatArray) -> list[tuple[float, float]]:
    hull: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(hull) >= 2 and _right_turn(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _right_turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


def min_dcf(bonafide: ArrayLike, spoof: ArrayLike, costs: CostModel = ASVSPOOF5) -> Point:
    """Smallest normalised cost over all thresholds, 0..1."""
    points = operating_points(bonafide, spoof)
    curve = costs.dcf(points.miss, points.false_alarm())
    best = int(np.argmin(curve))
    return Point(float(curve[best]), float(points.thresholds[best]))


def min_dcf_of(accepted: IntArray, costs: CostModel = ASVSPOOF5) -> FloatArray:
    """[...] minDCF of counts [..., 2, K]."""
    value: FloatArray = costs.dcf(miss_rate(accepted), accept_rate(accepted, 1)).min(axis=-1)
    return value


def act_dcf(bonafide: ArrayLike, spoof: ArrayLike, costs: CostModel = ASVSPOOF5) -> Point:
    """Normalised cost at the Bayes threshold; the scores are read as natural-log LRs.

    May exceed 1: a badly calibrated detector costs more than none.
    """
    threshold = costs.bayes_threshold
    miss = np.asarray(np.mean(checked(bonafide, "bona fide") < threshold))
    false_alarm = np.asarray(np.mean(checked(spoof, "spoof") >= threshold))
    return Point(float(costs.dcf(miss, false_alarm)), threshold)


@dataclass(frozen=True)
class DetCurve:
    """Rates and their probits (normal deviates), [K]; rates of 0 and 1 have infinite probits."""

    thresholds: FloatArray
    miss: FloatArray
    false_alarm: FloatArray
    miss_probit: FloatArray
    false_alarm_probit: FloatArray


def det_curve(bonafide: ArrayLike, spoof: ArrayLike) -> DetCurve:
    """The data of a DET plot: both rates at every threshold, on the normal-deviate scale."""
    from scipy.special import ndtri

    points = operating_points(bonafide, spoof)
    miss, false_alarm = points.miss, points.false_alarm()
    return DetCurve(points.thresholds, miss, false_alarm, ndtri(miss), ndtri(false_alarm))
