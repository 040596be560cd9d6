"""The metrics of a score file, each with its interval: what `sts-eval audit metrics` prints.

Track 1: min_dcf, eer_percent, cllr_bits, act_dcf (official) and cllr_min_bits, eer_rocch_percent.
With families also the EER of each attack family, their macro mean and the worst (`by_family`).
Track 2: a_dcf, min_t_dcf, t_eer_percent. Definitions in `detection`, `likelihood` and `tandem`;
intervals in `resampling`: by speaker where speakers are known, by trial otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sts_eval.audit import detection, likelihood, tandem
from sts_eval.audit.folds import FoldReport, report
from sts_eval.audit.operating import FloatArray, IntArray
from sts_eval.audit.resampling import (
    DRAWS,
    Column,
    Design,
    accepted_draws,
    bounds_of,
    mean_draws,
)
from sts_eval.audit.scorefiles import ASV_LABELS, CM_LABELS, CmTrials, SasvTrials
from sts_eval.observation import Estimate
from sts_eval.stats.proportions import Bounds
from sts_eval.stats.sample import tidy

VERSION = 1
_TWO = ((0,), (1,))
_CM_OF_THREE = ((0, 1), (2,))


class Measure(Estimate):
    """An Estimate of one metric over a score file.

    n_by_class: trials of each class; threshold: where a minimum over thresholds is taken (None: at
    "reject all", or the metric has no threshold).
    """

    n_by_class: dict[str, int]
    threshold: float | None = None


def by_family(trials: CmTrials, seed: int = 0) -> FoldReport:
    """EER of each attack family against all bona fide trials: macro mean, worst, each.

    The family of bona fide trials is ignored. Raises ValueError when no families are known.
    """
    if trials.family is None:
        raise ValueError("the families are not known")
    family = np.array(trials.family)
    spoofed = trials.label == 1
    found: dict[str, float | None] = {
        str(name): 100
        * detection.eer(trials.bonafide, trials.scores[spoofed & (family == name)]).value
        for name in np.unique(family[spoofed])
    }
    return report(found, name="eer_percent", unit="%", seed=seed)


Ceiling = Callable[[FloatArray], float]


def cm_metrics(trials: CmTrials, seed: int = 0) -> dict[str, Measure]:
    """Track 1 metrics by name, official ones first."""
    bona, spoof = trials.bonafide, trials.spoof
    design = Design(trials.label, trials.speaker)
    costs = detection.ASVSPOOF5
    draws = _cm_draws(design, trials.scores, seed)
    make = _Maker(design, CM_LABELS, "speaker" if trials.speaker is not None else "trial")
    eer, min_dcf = detection.eer(bona, spoof), detection.min_dcf(bona, spoof)
    act_dcf = detection.act_dcf(bona, spoof)

    def dcf_at(rates: FloatArray) -> float:
        return min(1.0, float(costs.dcf(rates[:1], rates[1:2])[0]))

    losses = np.where(
        trials.label == 0,
        likelihood.loss_bits(trials.scores, bonafide=True),
        likelihood.loss_bits(trials.scores, bonafide=False),
    )
    wrong = (trials.scores < costs.bayes_threshold) == (trials.label == 0)
    weight = costs.dcf(np.array([2.0, 0.0]), np.array([0.0, 2.0]))[trials.label]
    cllr_draws = mean_draws(design, losses, _TWO, seed, "cllr")
    act_draws = mean_draws(design, wrong * weight, _TWO, seed, "act_dcf")
    percent = 100.0

    def worst(rates: FloatArray) -> float:
        return percent * min(0.5, float(rates.max()))

    return {
        "min_dcf": make("min_dcf", "ratio", min_dcf, draws["min_dcf"], dcf_at),
        "eer_percent": make("eer_percent", "%", _scaled(eer, 100), draws["eer"] * 100, worst),
        "cllr_bits": make("cllr_bits", "bit", likelihood.cllr(bona, spoof), cllr_draws, None),
        "act_dcf": make("act_dcf", "ratio", act_dcf, act_draws, dcf_at),
        "cllr_min_bits": make(
            "cllr_min_bits", "bit", likelihood.cllr_min(bona, spoof), draws["cllr_min"], None
        ),
        "eer_rocch_percent": make(
            "eer_rocch_percent",
            "%",
            detection.eer_rocch(bona, spoof) * 100,
            draws["eer_rocch"] * 100,
            worst,
        ),
    }


def sasv_metrics(trials: SasvTrials, seed: int = 0) -> dict[str, Measure]:
    """Track 2 metrics by name; without CM and ASV scores only a_dcf is measured."""
    design = Design(trials.label, trials.speaker)
    make = _Maker(design, ASV_LABELS, "speaker")
    split = [trials.sasv[trials.label == which] for which in range(3)]
    costs = tandem.ASVSPOOF5_TANDEM
    fused = Column(trials.sasv, ((0,), (1,), (2,)))
    adcf_draws = _collect(
        design, [fused], seed, "a_dcf", lambda block: costs.a_dcf(block[0]).min(axis=-1)
    )

    def a_dcf_at(rates: FloatArray) -> float:
        weights = (
            costs.c_miss * costs.p_target,
            costs.c_fa * costs.p_nontarget,
            costs.c_fa_spoof * costs.p_spoof,
        )
        return min(1.0, float(np.dot(weights, rates)) / min(weights[0], weights[1] + weights[2]))

    result = {"a_dcf": make("a_dcf", "ratio", tandem.a_dcf(*split), adcf_draws, a_dcf_at)}
    if trials.cm is None:
        result["min_t_dcf"] = make.unmeasured("min_t_dcf", "ratio", "the file has no cm-score")
    else:
        result["min_t_dcf"] = _min_t_dcf(make, trials, trials.cm, seed)
    if trials.cm is None or trials.asv is None:
        reason = "it needs both cm-score and asv-score"
        result["t_eer_percent"] = make.unmeasured("t_eer_percent", "%", reason)
    else:
        result["t_eer_percent"] = _t_eer(make, trials, trials.cm, trials.asv, seed)
    return result


def _min_t_dcf(make: _Maker, trials: SasvTrials, cm: FloatArray, seed: int) -> Measure:
    point = tandem.min_t_dcf(cm[trials.label < 2], cm[trials.label == 2])
    draws = _collect(
        make.design,
        [Column(cm, _CM_OF_THREE)],
        seed,
        "min_t_dcf",
        lambda block: tandem.t_dcf_curve(block[0]).min(axis=-1),
    )
    return make("min_t_dcf", "ratio", point, draws, None)


def _t_eer(make: _Maker, trials: SasvTrials, cm: FloatArray, asv: FloatArray, seed: int) -> Measure:
    by_class = [trials.label == which for which in range(3)]
    value = tandem.t_eer(
        (cm[by_class[0]], cm[by_class[1]], cm[by_class[2]]),
        (asv[by_class[0]], asv[by_class[1]], asv[by_class[2]]),
    )
    if value is None:
        reason = "no pair of thresholds at which the tandem's miss and false alarm rates agree"
        return make.unmeasured("t_eer_percent", "%", reason)
    columns = [Column(cm, _CM_OF_THREE), Column(asv, ((0,), (1,), (2,)))]

    def statistic(block: list[IntArray]) -> FloatArray:
        found = [tandem.t_eer_of(a, b) for a, b in zip(*block, strict=True)]
        return np.array([math.nan if one is None else one for one in found])

    draws = _collect(make.design, columns, seed, "t_eer", statistic)
    kept = draws[np.isfinite(draws)]
    if len(kept) < 0.95 * DRAWS:
        reason = f"undefined in {DRAWS - len(kept)} of {DRAWS} resamples: no interval"
        return make("t_eer_percent", "%", value * 100, None, None, reason)
    return make("t_eer_percent", "%", value * 100, kept * 100, None)


def _cm_draws(design: Design, scores: FloatArray, seed: int) -> dict[str, FloatArray]:
    parts: dict[str, list[FloatArray]] = {}
    for (block,) in accepted_draws(design, [Column(scores, _TWO)], seed, "cm"):
        for name, values in (
            ("eer", detection.eer_of(block)),
            ("min_dcf", detection.min_dcf_of(block)),
            ("cllr_min", np.array([likelihood.cllr_min_of(one) for one in block])),
            ("eer_rocch", np.array([detection.eer_rocch_of(one) for one in block])),
        ):
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _collect(
    design: Design,
    columns: list[Column],
    seed: int,
    name: str,
    statistic: Callable[[list[IntArray]], FloatArray],
) -> FloatArray:
    blocks = accepted_draws(design, columns, seed, name)
    return np.concatenate([statistic(block) for block in blocks])


def _scaled(point: detection.Point, factor: float) -> detection.Point:
    return detection.Point(point.value * factor, point.threshold)


class _Maker:
    """Makes the Measures of one score file."""

    def __init__(self, design: Design, labels: tuple[str, ...], unit: str) -> None:
        self.design = design
        counts = np.bincount(design.label, minlength=len(labels)).tolist()
        self._n_by_class = dict(zip(labels, counts, strict=True))
        self._method = f"bootstrap by {unit}, {DRAWS} draws"

    def __call__(
        self,
        name: str,
        unit: str,
        found: detection.Point | float,
        draws: FloatArray | None,
        ceiling: Ceiling | None,
        reason: str = "",
    ) -> Measure:
        value = found.value if isinstance(found, detection.Point) else found
        threshold = found.threshold if isinstance(found, detection.Point) else None
        bounds = Bounds(None, None)
        if draws is not None:
            bounds = bounds_of(value, draws, self.design, ceiling)
            if bounds.lo is None:
                reason = "all trials of a class are of one speaker: no interval"
        return self._measure(name, unit, value, bounds, threshold, reason)

    def unmeasured(self, name: str, unit: str, reason: str) -> Measure:
        """A metric without a value."""
        return self._measure(name, unit, None, Bounds(None, None), None, reason)

    def _measure(
        self,
        name: str,
        unit: str,
        value: float | None,
        bounds: Bounds,
        threshold: float | None,
        reason: str,
    ) -> Measure:
        return Measure(
            metric=name,
            statistic="value",
            value=None if value is None else tidy(value),
            lo=None if bounds.lo is None else tidy(bounds.lo),
            hi=None if bounds.hi is None else tidy(bounds.hi),
            n=0 if value is None else len(self.design.label),
            n_clusters=self.design.n_clusters,
            n_unmeasured=len(self.design.label) if value is None else 0,
            unit=unit,
            direction="lower",
            method=self._method if bounds.lo is not None else "none",
            version=VERSION,
            reason=reason,
            n_by_class=self._n_by_class,
            threshold=None if threshold is None or math.isinf(threshold) else tidy(threshold),
        )
