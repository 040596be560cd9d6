"""Spoofing-robust speaker verification: a-DCF, min t-DCF and concurrent t-EER (ASVspoof 5 track 2).

Three classes: target (to be accepted), nontarget and spoof (to be rejected). ASVspoof 5 takes Ptar
 0.9405, Pnon 0.0095, Pspf 0.05; Cmiss 1, Cfa 10, Cfa_spoof 10.

- **a-DCF** (Shim et al., Odyssey 2024), of one fused score, minimised over one threshold:

      Cmiss Ptar miss + Cfa Pnon fa_nontarget + Cspf Pspf fa_spoof, divided by
      min(Cmiss Ptar, Cfa Pnon + Cspf Pspf)          = reject all, accept all; 0.595 here

- **min t-DCF** (Kinnunen et al., TASLP 2020) of a countermeasure in
  front of a fixed verifier with error rates Pmiss, Pfa, Pfa_spoof at its own threshold:

      [C0 + C1 miss_cm + C2 fa_cm] / [C0 + min(C1, C2)]       minimised over the CM threshold
      C0 = Ptar Cmiss Pmiss + Pnon Cfa Pfa,  C1 = Ptar Cmiss - C0,  C2 = Pspf Cspf Pfa_spoof

  It does not start at 0: C0 is what the verifier costs by itself (0.0195 of 0.2498 with the
  organisers' verifier, so the best possible value is 0.078).
- **t-EER**, concurrent (Kinnunen et al., TPAMI 2024): the pair of thresholds at which the tandem's
  miss rate and its false alarm rate agree whatever the share rho of spoofs, that is

      (1 - miss_cm) fa_nontarget = fa_cm fa_spoof, and both equal miss_cm + (1 - miss_cm) miss_asv

  Rates are steps, so it is met approximately, as in the organisers' package: for each verifier
  threshold whose miss rate is below its false alarm rate at rho = 1/2, the CM threshold with the
  smallest |miss - false alarm| of the tandem at rho = 1/2; of these pairs the one nearest to
  fa_nontarget / fa_spoof = fa_cm / (1 - miss_cm); the value is its fa_cm fa_spoof. CM rates pool
  target and nontarget trials as bona fide; tied scores are one step, as in `detection`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sts_eval.audit.detection import Point
from sts_eval.audit.operating import (
    FloatArray,
    IntArray,
    accept_rate,
    miss_rate,
    operating_points,
)


@dataclass(frozen=True)
class TandemCosts:
    """Priors and costs of the three classes. Raises ValueError unless the priors sum to 1."""

    p_target: float = 0.9405
    p_nontarget: float = 0.0095
    p_spoof: float = 0.05
    c_miss: float = 1.0
    c_fa: float = 10.0
    c_fa_spoof: float = 10.0

    def __post_init__(self) -> None:
        priors = (self.p_target, self.p_nontarget, self.p_spoof)
        if min(priors) < 0 or abs(sum(priors) - 1) > 1e-9:
            raise ValueError(f"the priors must be shares that sum to 1, not {priors}")
        if min(self.c_miss, self.c_fa, self.c_fa_spoof) <= 0:
            raise ValueError("costs must be positive")

    def a_dcf(self, accepted: IntArray) -> FloatArray:
        """[..., K] normalised a-DCF of counts [..., 3, K]: target, nontarget, spoof."""
        weight_miss = self.c_miss * self.p_target
        weight_fa, weight_spoof = self.c_fa * self.p_nontarget, self.c_fa_spoof * self.p_spoof
        cost = weight_miss * miss_rate(accepted) + weight_fa * accept_rate(accepted, 1)
        normaliser = min(weight_miss, weight_fa + weight_spoof)
        curve: FloatArray = (cost + weight_spoof * accept_rate(accepted, 2)) / normaliser
        return curve


@dataclass(frozen=True)
class VerifierErrors:
    """Error rates of a fixed speaker verifier at its own threshold.

    Defaults: the ASVspoof 5 organisers' verifier (ECAPA-TDNN) on the evaluation set.
    """

    miss: float = 0.01880141010575793
    false_alarm: float = 0.01881016557566423
    false_alarm_spoof: float = 0.4607082907604729


ASVSPOOF5_TANDEM = TandemCosts()
ORGANISERS = VerifierErrors()


def a_dcf(
    target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike, costs: TandemCosts = ASVSPOOF5_TANDEM
) -> Point:
    """Architecture-agnostic detection cost of fused scores, normalised, 0..1."""
    points = operating_points(target, nontarget, spoof)
    curve = costs.a_dcf(points.accepted)
    best = int(np.argmin(curve))
    return Point(float(curve[best]), float(points.thresholds[best]))


def min_t_dcf(
    bonafide: ArrayLike,
    spoof: ArrayLike,
    verifier: VerifierErrors = ORGANISERS,
    costs: TandemCosts = ASVSPOOF5_TANDEM,
) -> Point:
    """Smallest normalised tandem cost of CM scores in front of a fixed verifier, at most 1.

    Raises ValueError when the verifier alone costs more than rejecting every target.
    """
    points = operating_points(bonafide, spoof)
    curve = t_dcf_curve(points.accepted, verifier, costs)
    best = int(np.argmin(curve))
    return Point(float(curve[best]), float(points.thresholds[best]))


def t_dcf_curve(
    accepted: IntArray,
    verifier: VerifierErrors = ORGANISERS,
    costs: TandemCosts = ASVSPOOF5_TANDEM,
) -> FloatArray:
    """[..., K] normalised t-DCF of CM counts [..., 2, K]."""
    target_cost = costs.p_target * costs.c_miss
    c0 = target_cost * verifier.miss + costs.p_nontarget * costs.c_fa * verifier.false_alarm
    c1 = target_cost - c0
    c2 = costs.p_spoof * costs.c_fa_spoof * verifier.false_alarm_spoof
    if c1 < 0:
        raise ValueError("the verifier alone costs more than rejecting every target: no t-DCF")
    cost = c0 + c1 * miss_rate(accepted) + c2 * accept_rate(accepted, 1)
    curve: FloatArray = cost / (c0 + min(c1, c2))
    return curve


def t_eer(
    cm: tuple[ArrayLike, ArrayLike, ArrayLike], asv: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> float | None:
    """Concurrent tandem EER, a share of 0..1; None when no pair of thresholds qualifies.

    cm, asv: scores of the (target, nontarget, spoof) trials by the two systems.
    """
    bonafide = np.concatenate([np.asarray(cm[0], float), np.asarray(cm[1], float)])
    return t_eer_of(operating_points(bonafide, cm[2]).accepted, operating_points(*asv).accepted)


def t_eer_of(cm_accepted: IntArray, asv_accepted: IntArray) -> float | None:
    """Concurrent t-EER of CM counts [2, K] (bona fide, spoof) and verifier counts [3, M].

    O(M log K): along the CM thresholds miss - false alarm of the tandem never falls, so the
    threshold nearest to balance is found by bisection, for all verifier thresholds at once.
    """
    miss_cm, fa_cm = miss_rate(cm_accepted), accept_rate(cm_accepted, 1)
    miss, fa_non, fa_spf = (
        miss_rate(asv_accepted),
        accept_rate(asv_accepted, 1),
        accept_rate(asv_accepted, 2),
    )
    allowed = (miss < (fa_non + fa_spf) / 2) & (fa_spf > 0)
    miss, fa_non, fa_spf = miss[allowed], fa_non[allowed], fa_spf[allowed]  # [M']

    def imbalance(index: IntArray) -> FloatArray:
        passed = 1 - miss_cm[index]
        tandem_miss = miss_cm[index] + passed * miss
        result: FloatArray = tandem_miss - (passed * fa_non + fa_cm[index] * fa_spf) / 2
        return result

    nearest = _nearest_to_zero(imbalance, len(miss), len(miss_cm))
    usable = miss_cm[nearest] < 1
    if not usable.any():
        return None
    nearest, fa_non, fa_spf = nearest[usable], fa_non[usable], fa_spf[usable]
    distance = np.abs(fa_non / fa_spf - fa_cm[nearest] / (1 - miss_cm[nearest]))
    best = int(np.argmin(distance))
    return float(fa_spf[best] * fa_cm[nearest[best]])


def _nearest_to_zero(rising: Callable[[IntArray], FloatArray], rows: int, size: int) -> IntArray:
    """[rows] first index 0..size-1 with the smallest |rising(index)|, by bisection."""
    low, high = np.zeros(rows, np.int64), np.full(rows, size - 1, np.int64)
    while (low < high).any():  # first index with rising >= 0, or the last index
        middle = (low + high) // 2
        below = rising(middle) < 0
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    before = np.maximum(low - 1, 0)
    index: IntArray = np.where(np.abs(rising(before)) <= np.abs(rising(low)), before, low)
    return index
