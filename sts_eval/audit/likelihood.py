"""Quality of likelihood ratios: Cllr, its calibration-free minimum, Tippett curves.

Scores are natural-log likelihood ratios, ln p(score | bona fide) - ln p(score | spoof).

    Cllr = 1/(2 ln 2) [ mean over bona fide of ln(1 + e^-s) + mean over spoof of ln(1 + e^s) ]  bits

Bruemmer and du Preez, Application-independent evaluation of speaker detection, Computer Speech and
Language 2006. 0 is perfect, 1 is what s = 0 for every trial gives (knowing nothing), above 1 the
ratios mislead. Cllr_min is the Cllr after the best monotone recalibration of the same data, by pool
adjacent violators (same paper), at equal weight of the two classes: the loss of discrimination.
Cllr - Cllr_min is the loss of calibration. Pooled trials get ln LR = logit(share of bona fide
weight in the block); a block of one class only gets an infinite ratio of the right sign, which
costs nothing. Cllr_min lies in 0..1 and does not change when scores are rescaled.

Tippett: the share of each class whose log10 LR is at or above x (Meuwly 2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sts_eval.audit.operating import FloatArray, IntArray, checked, operating_points


def cllr(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Log-likelihood-ratio cost, bits. Raises ValueError: empty class, score not finite."""
    bona = loss_bits(checked(bonafide, "bona fide"), bonafide=True)
    return float((bona.mean() + loss_bits(checked(spoof, "spoof"), bonafide=False).mean()) / 2)


def loss_bits(llr: FloatArray, *, bonafide: bool) -> FloatArray:
    """[n] log2(1 + e^-s) of bona fide trials, log2(1 + e^s) of spoofed ones; never overflows."""
    loss: FloatArray = np.logaddexp(0.0, -llr if bonafide else llr) / math.log(2)
    return loss


def cllr_min(bonafide: ArrayLike, spoof: ArrayLike) -> float:
    """Cllr after the best monotone recalibration of the same scores, bits, 0..1."""
    return cllr_min_of(operating_points(bonafide, spoof).accepted)


def cllr_min_of(accepted: IntArray) -> float:
    """Cllr_min of counts [2, K]."""
    from scipy.optimize import isotonic_regression

    counts = -np.diff(accepted, axis=-1)  # [2, B] trials per score
    share = counts / counts.sum(axis=-1, keepdims=True)
    weight = share.sum(axis=0)
    used = weight > 0
    share, weight = share[:, used], weight[used]
    posterior = isotonic_regression(share[0] / weight, weights=weight).x  # [B] of bona fide
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = -(share[0] * np.log2(posterior)), -(share[1] * np.log2(1 - posterior))
    # 0 x log 0: a class that does not occur in a block costs nothing there.
    return float((np.nansum(cost[0]) + np.nansum(cost[1])) / 2)


@dataclass(frozen=True)
class Tippett:
    """log10_lr: [K] ascending; bonafide, spoof: [K] share of the class at or above it."""

    log10_lr: FloatArray
    bonafide: FloatArray
    spoof: FloatArray


def tippett(bonafide: ArrayLike, spoof: ArrayLike) -> Tippett:
    """The data of a Tippett plot, from natural-log likelihood ratios."""
    points = operating_points(bonafide, spoof)
    shares = points.accepted[:, :-1] / points.sizes[:, None]
    return Tippett(points.thresholds[:-1] / math.log(10), shares[0], shares[1])
