"""From scores to natural-log likelihood ratios: logistic regression, with limits.

    ln LR(s) = slope s + offset, kept within [lower, upper]

- **Fit.** Logistic regression of bona fide against spoof (scikit-learn), each class weighted to the
  prior, so that the ratio does not depend on how many trials of each class there were (Bruemmer and
  du Preez 2006; Morrison, Tutorial on logistic-regression calibration, Australian Journal of
  Forensic Sciences 2013). Instead of 1 and 0 the targets are Platt's (n+1)/(n+2) and 1/(n+2)
  (Probabilistic outputs for support vector machines, 1999), which keeps the slope finite when the
  validation data are separated completely.
- **Limits.** A ratio of a million cannot be learnt from a hundred recordings. The rule is an
  empirical bound in the manner of Vergeer et al. (Numerical likelihood ratios outputted by LR
  systems are often based on extrapolation: when to stop extrapolating?, Science and Justice 2016):
  with one misleading trial more in each class than was seen, deciding at LR = t must still be no
  worse than not using the ratio at all. For t >= 1, with n trials per class,

      miss(t) + t false_alarm(t) <= 1
      miss(t) = (1 + number of bona fide with LR < t) / (n_bona + 1)
      false_alarm(t) = (1 + number of spoofed with LR >= t) / (n_spoof + 1)

  and the upper limit is the end of the stretch from t = 1 on which it holds; the lower limit is the
  same with the classes exchanged. It never exceeds n_spoof + 1 (bona fide: n_bona + 1), and is 1,
  no evidence, for scores that do not discriminate. This is our implementation of that idea, not a
  copy of another one. Where speakers are known, n is replaced by the number of speakers and the
  counts scale with it: recordings of one voice are not independent support.
- **Limits by family.** Evidence of t to one misleads at most once in t (Royall, On the probability
  of observing misleading statistical evidence, Journal of the American Statistical Association
  2000). That holds of the pool of attacks by the rule above; `hold_for_families` lowers the upper
  limit until no attack family contradicts it. `cllr_after` is before that.
- **Cllr after calibration** is of held-out speakers (5 folds): on its own training data any
  calibration looks good.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sts_eval.audit import AuditError
from sts_eval.audit.lengths import Lengths, Misleading
from sts_eval.audit.likelihood import cllr, cllr_min
from sts_eval.audit.operating import FloatArray, IntArray, checked
from sts_eval.stats.proportions import clopper_pearson

SCHEMA: Literal["sts-eval/calibration/1"] = "sts-eval/calibration/1"
FOLDS = 5
GENUINE = "genuine"


class Calibration(BaseModel):
    """A score -> ln LR map and what it was made from.

    lower, upper: limits of ln LR; prior: of bona fide in the fit. cllr_before: of the raw scores
    read as ln LR; cllr_after: of held-out trials, calibrated without them (None when there are too
    few to hold any out); cllr_min: of the raw scores after the best monotone map. All in bits.
    n_clusters_*: speakers of each class; the number of trials where none were given. misleading: by
    attack family and for "genuine", on the validation trials; None: not counted.

    known: the same of attacks that the detector had met in training, by voices that it had not.
    What misled it is counted on attacks that it had not met: that is what it cannot tell.

    Schema 2 has `lengths`, for the mean score of more than one window; all else is of one. Schema 1
    (None) does not know how many windows a score is of, and reads all scores alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    schema_: Literal["sts-eval/calibration/1", "sts-eval/calibration/2"] = Field(alias="schema")
    slope: float = Field(gt=0)
    offset: float
    lower: float = Field(le=0)
    upper: float = Field(ge=0)
    prior: float = Field(gt=0, lt=1)
    n_bonafide: int
    n_spoof: int
    n_clusters_bonafide: int
    n_clusters_spoof: int
    cllr_before: float
    cllr_after: float | None
    cllr_min: float
    misleading: dict[str, Misleading] | None = None
    lengths: Lengths | None = None
    known: Calibration | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.lengths is None) != self.schema_.endswith("/1"):
            raise ValueError(f"lengths belong to schema 2, and to no other: {self.schema_}")
        return self

    def __call__(self, scores: ArrayLike, windows: ArrayLike = 1.0) -> FloatArray:
        """[n] ln LR of scores [n], of so many windows each (see `lengths`).

        Raises ValueError for scores that are not finite.
        """
        unlimited = self.slope * checked(scores, "the scores") + self.offset
        lower, upper = self.limits_at(windows)
        if self.lengths is not None:
            unlimited = unlimited * self.lengths.gain(windows)
        llr: FloatArray = np.clip(unlimited, lower, upper)
        return llr

    def log10_lr(self, scores: ArrayLike, windows: ArrayLike = 1.0) -> FloatArray:
        """[n] log10 LR, the unit of reports."""
        llr: FloatArray = self(scores, windows) / math.log(10)
        return llr

    def limits_at(self, windows: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(lower [n], upper [n]) limits of ln LR of so many windows."""
        rows = self.lengths.rows(windows) if self.lengths else np.zeros(np.shape(windows), int)
        longer = self.lengths.at if self.lengths else ()
        lower = np.array([self.lower, *(each.lower for each in longer)])
        upper = np.array([self.upper, *(each.upper for each in longer)])
        return lower[rows], upper[rows]

    def misleading_at(self, windows: float) -> dict[str, Misleading] | None:
        """What misled on validation trials of this length."""
        row = int(self.lengths.rows(windows)) if self.lengths else 0
        return self.lengths.at[row - 1].misleading if self.lengths and row else self.misleading

    @property
    def reach(self) -> tuple[float, float]:
        """(lower, upper) limit of ln LR at the lengths that reach furthest."""
        longer = self.lengths.at if self.lengths else ()
        lower = min([self.lower, *(each.lower for each in longer)])
        return lower, max([self.upper, *(each.upper for each in longer)])

    @property
    def reach_log10(self) -> tuple[float, float]:
        """The same as sizes, in the unit of reports: of log10 LR for spoofed, and for bona fide."""
        lower, upper = self.reach
        return round(-lower / math.log(10), 3), round(upper / math.log(10), 3)


def fit(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    *,
    speakers: tuple[ArrayLike, ArrayLike] | None = None,
    prior: float = 0.5,
) -> Calibration:
    """Calibrate on validation scores; higher must mean bona fide.

    speakers: labels of the trials of each class; without them each trial counts as independent.
    Raises ValueError for unusable scores, AuditError when the scores point the wrong way.
    """
    bona, fake = checked(bonafide, "bona fide"), checked(spoof, "spoof")
    if not 0 < prior < 1:
        raise ValueError(f"the prior of bona fide must lie within (0, 1), not {prior}")
    clusters = _clusters(bona, fake, speakers)
    sizes = len(np.unique(clusters[0])), len(np.unique(clusters[1]))
    slope, offset = _regress(bona, fake, prior)
    if slope <= 0:
        raise AuditError(
            "bona fide trials do not score above spoofed ones: the polarity is wrong, or the "
            "detector does not work on this material"
        )
    lower, upper = limits(slope * bona + offset, slope * fake + offset, *sizes)
    return Calibration(
        schema=SCHEMA,
        slope=slope,
        offset=offset,
        lower=lower,
        upper=upper,
        prior=prior,
        n_bonafide=len(bona),
        n_spoof=len(fake),
        n_clusters_bonafide=sizes[0],
        n_clusters_spoof=sizes[1],
        cllr_before=cllr(bona, fake),
        cllr_after=_held_out_cllr(bona, fake, clusters, prior),
        cllr_min=cllr_min(bona, fake),
    )


def hold_for_families(
    calibration: Calibration, bonafide: ArrayLike, spoof: ArrayLike, families: ArrayLike
) -> Calibration:
    """With the upper limit that every attack family supports, and what misled on these scores.

    families: [n] of the spoofed ones. The mix of attacks in a validation is arbitrary, and nobody
    knows which one a recording was made by.
    """
    held, counted = held_for_families(calibration(bonafide), calibration(spoof), families)
    upper = min(calibration.upper, *held.values())
    return calibration.model_copy(update={"upper": upper, "misleading": counted})


def held_for_families(
    bonafide: FloatArray, spoof: FloatArray, families: ArrayLike
) -> tuple[dict[str, float], dict[str, Misleading]]:
    """(upper limit that each family supports, what misled) of ln LRs within their other limits.

    families: [n] of the spoofed ones. The limit is infinite where a family contradicts nothing.
    """
    named = np.asarray(families).astype(str)
    groups = {str(family): spoof[named == family] for family in np.unique(named)}
    held = {name: family_limit(found) for name, found in groups.items()}
    groups[GENUINE] = -bonafide
    counted = {
        name: Misleading(
            n=len(found),
            weak=round(float(np.mean(found >= math.log(2))), 4),
            decisive=round(float(np.mean(found >= math.log(10))), 4),
        )
        for name, found in groups.items()
    }
    return held, counted


def family_limit(wrong: FloatArray) -> float:
    """The largest ln t up to which a ratio of t for bona fide misleads at most once in t.

    wrong: [n] ln LR of spoofed trials of one family. A share contradicts where its exact interval
    (95 %, Clopper and Pearson) lies above 1/t: a few trials contradict nothing.
    """
    start, n = 0.0, len(wrong)
    for stop in np.unique(wrong[wrong > 0]).tolist():
        least = clopper_pearson(int(np.count_nonzero(wrong >= stop)), n).lo or 0.0
        furthest = -math.log(least) if least > 0 else math.inf
        if furthest < stop:
            return max(start, furthest)
        start = stop
    return math.inf


def limits(
    bonafide: FloatArray, spoof: FloatArray, n_bonafide: float, n_spoof: float
) -> tuple[float, float]:
    """(lower, upper) limit of ln LR from the ln LRs of the validation trials (see above).

    n_bonafide, n_spoof: independent trials of each class, at most the numbers of values.
    """
    upper = _upper(bonafide, spoof, n_bonafide, n_spoof)
    lower = -_upper(-spoof, -bonafide, n_spoof, n_bonafide)
    return lower, upper


def _upper(right: FloatArray, wrong: FloatArray, n_right: float, n_wrong: float) -> float:
    """ln of the largest t, from 1 on, with miss(t) + t false_alarm(t) <= 1."""
    starts = np.unique(np.concatenate([right, wrong]))
    starts = np.concatenate([[0.0], starts[starts > 0], [np.inf]])
    right, wrong = np.sort(right), np.sort(wrong)
    at = starts[:-1]
    # Between two ratios nothing is counted anew: on (start, end] the rates are those at its end.
    end = starts[1:]
    below = np.searchsorted(right, end, side="left") / len(right)
    above = 1 - np.searchsorted(wrong, end, side="left") / len(wrong)
    miss = (below * n_right + 1) / (n_right + 1)
    false_alarm = (above * n_wrong + 1) / (n_wrong + 1)
    with np.errstate(divide="ignore"):
        reach = np.log(np.maximum(0.0, 1 - miss)) - np.log(false_alarm)  # [stretches]
    for start, stop, furthest in zip(at, end, reach, strict=True):
        if furthest < stop:
            return float(max(start, furthest))
    raise AssertionError("the last stretch has no end")


def _regress(bona: FloatArray, fake: FloatArray, prior: float) -> tuple[float, float]:
    """(slope, offset) of ln LR."""
    slopes, offset = regress(bona[:, None], fake[:, None], prior)
    return float(slopes[0]), offset


def regress(bona: FloatArray, fake: FloatArray, prior: float = 0.5) -> tuple[FloatArray, float]:
    """(slopes [K], offset) of ln LR from the features [n, K] of trials of both classes.

    All slopes are 0 where a feature does not vary.
    """
    from sklearn.linear_model import LogisticRegression

    pooled = np.concatenate([bona, fake])
    middle, spread = pooled.mean(axis=0), pooled.std(axis=0)
    if (spread == 0).any():
        return np.zeros(pooled.shape[1]), 0.0
    # Every trial enters twice, as either class, with the weight of its soft target.
    soft = (len(bona) + 1) / (len(bona) + 2), 1 / (len(fake) + 2)
    target = np.concatenate([np.full(len(bona), soft[0]), np.full(len(fake), soft[1])])
    scale = np.concatenate(
        [np.full(len(bona), prior / len(bona)), np.full(len(fake), (1 - prior) / len(fake))]
    )
    standard = (pooled - middle) / spread
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    model.fit(
        np.concatenate([standard, standard]),
        np.repeat([1, 0], len(pooled)),
        sample_weight=np.concatenate([target * scale, (1 - target) * scale]) * len(pooled),
    )
    slopes: FloatArray = model.coef_[0] / spread
    offset = float(model.intercept_[0]) - float(slopes @ middle) - math.log(prior / (1 - prior))
    return slopes, offset


def _clusters(
    bona: FloatArray, fake: FloatArray, speakers: tuple[ArrayLike, ArrayLike] | None
) -> tuple[IntArray, IntArray]:
    """Codes of the speakers of each class, on one numbering."""
    if speakers is None:
        return np.arange(len(bona)), np.arange(len(bona), len(bona) + len(fake))
    labels = [np.asarray(side).astype(str) for side in speakers]
    if [len(side) for side in labels] != [len(bona), len(fake)]:
        raise ValueError("one speaker label per trial is needed")
    _, codes = np.unique(np.concatenate(labels), return_inverse=True)
    return codes[: len(bona)], codes[len(bona) :]


def _held_out_cllr(
    bona: FloatArray, fake: FloatArray, clusters: tuple[IntArray, IntArray], prior: float
) -> float | None:
    """Cllr of trials whose speakers the calibration has not seen; None with too few of them.

    Speakers are dealt in turn, by rank within their class, so both classes are in every fold.
    """
    fold = np.zeros(int(max(clusters[0].max(), clusters[1].max())) + 1, np.int64)
    both = np.intersect1d(*clusters)
    for kind in (both, np.setdiff1d(clusters[0], both), np.setdiff1d(clusters[1], both)):
        fold[kind] = np.arange(len(kind)) % FOLDS
    of_bona, of_fake = fold[clusters[0]], fold[clusters[1]]
    llrs: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for which in range(FOLDS):
        train = bona[of_bona != which], fake[of_fake != which]
        test = bona[of_bona == which], fake[of_fake == which]
        if min(len(side) for side in (*train, *test)) == 0:
            return None
        slope, offset = _regress(*train, prior)
        seen = tuple(
            len(np.unique(codes[at != which]))
            for codes, at in zip(clusters, (of_bona, of_fake), strict=True)
        )
        lower, upper = limits(slope * train[0] + offset, slope * train[1] + offset, *seen)
        for side, scores in zip(llrs, test, strict=True):
            side.append(np.clip(slope * scores + offset, lower, upper))
    return cllr(np.concatenate(llrs[0]), np.concatenate(llrs[1]))


def save(calibration: Calibration, path: Path) -> None:
    """Write as JSON, atomically."""
    from sts_eval.trace import write_text_atomic

    write_text_atomic(path, calibration.model_dump_json(indent=1, by_alias=True) + "\n")


def load(path: Path) -> Calibration:
    """Read what `save` wrote. Raises AuditError: missing, damaged, of another schema."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise AuditError(f"{path}: {where}: {first['msg']}") from error
