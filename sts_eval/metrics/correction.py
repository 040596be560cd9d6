"""A share corrected for the known errors of the judge that measured it.

Observed shares q of K outcomes come from true shares p through the judge's confusion matrix M,
M[i, j] = P(judged i | true j): q = M p, so p = M^-1 q, with negative shares set to 0 and the rest
scaled to 1. With two outcomes this is the estimate of Rogan and Gladen ("Estimating prevalence from
the results of a screening test", American Journal of Epidemiology 107, 1978):

    p = (q + specificity - 1) / (sensitivity + specificity - 1)

The interval draws both samples anew, the run's clusters and the judge's calibration clips (Lang and
Reiczigel, "Confidence limits for prevalence of disease adjusted for estimated sensitivity and
specificity", Preventive Veterinary Medicine 113, 2014, show why both must be in it), and takes
percentiles. A judge that is no better than chance (sensitivity + specificity <= 1 + 0.1) corrects
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_eval.stats.sample import Sample, generator

FloatArray = NDArray[np.float64]
RESAMPLES = 4000
MIN_YOUDEN = 0.1


@dataclass(frozen=True)
class Corrected:
    """A corrected share with its two-sided 95 % interval, beside what it was made of.

    clipped: the estimate lay outside 0..1 and was set to the nearer end.
    """

    value: float
    lo: float
    hi: float
    observed: float
    sensitivity: float
    specificity: float
    clipped: bool


def invert_confusion(observed: Sequence[float], confusion: FloatArray) -> FloatArray:
    """True shares [K] from observed ones [K] and M [K, K] (columns add up to 1).

    Raises ValueError for shapes that do not fit and for a matrix that cannot be inverted.
    """
    shares = np.asarray(observed, np.float64)
    if confusion.shape != (shares.size, shares.size):
        raise ValueError(f"a confusion matrix of {confusion.shape} for {shares.size} shares")
    if abs(np.linalg.det(confusion)) < 1e-9:
        raise ValueError("the judge tells nothing apart: its confusion matrix has no inverse")
    true = np.clip(np.linalg.solve(confusion, shares), 0.0, None)
    scaled: FloatArray = true / true.sum()
    return scaled


def rogan_gladen(observed: float, sensitivity: float, specificity: float) -> float:
    """The corrected share, not clipped. Raises ValueError when the judge is too near chance."""
    youden = sensitivity + specificity - 1
    if youden <= MIN_YOUDEN:
        raise ValueError(f"the judge is too near chance to correct with (J = {youden:.2f})")
    return (observed + specificity - 1) / youden


def corrected_share(
    run: Sample, right_kept: FloatArray, wrong_kept: FloatArray, *, seed: int, name: str
) -> Corrected:
    """The share of ones in a run, corrected.

    right_kept: [m] 1 where the judge called a right answer right, one value a calibration clip;
    wrong_kept: [m] share of wrong answers that it called wrong, of the same clips. Raises
    ValueError for an empty sample, fewer than two clusters or clips, or a judge too near chance.
    """
    if run.n_clusters < 2 or right_kept.size < 2 or right_kept.size != wrong_kept.size:
        raise ValueError("a correction needs two clusters of the run and two calibration clips")
    observed = float(run.values.mean())
    sensitivity, specificity = float(right_kept.mean()), float(wrong_kept.mean())
    point = rogan_gladen(observed, sensitivity, specificity)
    rng = generator(name, seed)
    sums, sizes = run.cluster_sums(), run.cluster_sizes
    drawn = _draws(rng, run.n_clusters)  # [B, C]
    clips = _draws(rng, right_kept.size)  # [B, m]
    share = (drawn @ sums) / (drawn @ sizes)  # [B]
    sense = clips @ right_kept / right_kept.size
    spec = clips @ wrong_kept / right_kept.size
    youden = np.maximum(sense + spec - 1, MIN_YOUDEN)
    draws = np.clip((share + spec - 1) / youden, 0.0, 1.0)
    value = min(1.0, max(0.0, point))
    lo, hi = np.quantile(draws, [0.025, 0.975])
    clipped = value != point
    return Corrected(
        value,
        min(float(lo), value),
        max(float(hi), value),
        observed,
        sensitivity,
        specificity,
        clipped,
    )


def _draws(rng: np.random.Generator, many: int) -> NDArray[np.int64]:
    """How often each of `many` was drawn with replacement, [RESAMPLES, many]."""
    return rng.multinomial(many, np.full(many, 1 / many), RESAMPLES)
