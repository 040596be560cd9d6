"""Fit a calibration for recordings of any length (`lengths`) on recordings of real length.

One trial is the mean score of the first windows of a recording, by a detector that has heard
neither its voice nor its attack; a longer recording is a trial of every length up to its own.

- **Fit.** Slope, offset and correlation together, by maximum likelihood of the classes: the loss of
  logistic regression, each length and each class with equal weight, Platt's targets (see
  `calibration`).
- **Limits.** Those of `calibration`, with the limits by family, of the trials of each length alone.
  So a longer recording may be worth more than a window where its own trials support it, and less
  where a family of attacks misleads it the more. A family with fewer than FEW trials of a length
  contradicts next to nothing: there it supports no more than at the length before.
- **Cllr** of each length is of held-out voices (`FOLDS` sets of them).
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError, calibration
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.lengths import AtLength, Lengths, gain
from sts_eval.audit.likelihood import cllr, cllr_min

FloatArray = NDArray[np.float64]

FOLDS: Final = 8
FEW: Final = 30
SCHEMA: Literal["sts-eval/calibration/2"] = "sts-eval/calibration/2"


class Trials(NamedTuple):
    """[n] each. windows: that fit side by side; families: of the spoofed, "" for genuine ones."""

    scores: FloatArray
    windows: FloatArray
    genuine: NDArray[np.bool_]
    voices: NDArray[np.str_]
    families: NDArray[np.str_]

    def only(self, chosen: NDArray[np.bool_]) -> Trials:
        """The chosen ones."""
        scores, windows, genuine, voices, families = self
        return Trials(
            scores[chosen], windows[chosen], genuine[chosen], voices[chosen], families[chosen]
        )


class Line(NamedTuple):
    """ln LR of one window is slope s + offset; see `lengths` for more of them."""

    slope: float
    offset: float
    correlation: float

    def __call__(self, scores: FloatArray, windows: FloatArray) -> FloatArray:
        return (self.slope * scores + self.offset) * gain(windows, self.correlation)


def fit_line(trials: Trials) -> Line:
    """The three numbers. Raises AuditError when genuine trials do not score above spoofed ones."""
    from scipy.optimize import minimize

    targets, weights = _targets(trials)
    middle, spread = float(trials.scores.mean()), float(trials.scores.std()) or 1.0
    standard = (trials.scores - middle) / spread

    def loss(at: NDArray[np.float64]) -> float:
        llr = Line(at[0], at[1], at[2])(standard, trials.windows)
        costs = targets * np.logaddexp(0, -llr) + (1 - targets) * np.logaddexp(0, llr)
        return float(weights @ costs)

    bounds = [(None, None), (None, None), (0.0, 1.0)]
    starts = [np.array([1.0, 0.0, correlation]) for correlation in (0.2, 0.8)]
    found = min((minimize(loss, at, bounds=bounds) for at in starts), key=lambda each: each.fun)
    slope, offset, correlation = found.x.tolist()
    if slope <= 0:
        raise AuditError(
            "bona fide recordings do not score above spoofed ones: the polarity is wrong, or the "
            "detector does not work on this material"
        )
    return Line(slope / spread, offset - slope * middle / spread, correlation)


def _targets(trials: Trials) -> tuple[FloatArray, FloatArray]:
    """(Platt's targets [n], weights [n]): each length and each class of it weighs the same."""
    targets, weights = np.zeros(len(trials.scores)), np.zeros(len(trials.scores))
    for windows in np.unique(trials.windows):
        for genuine in (True, False):
            mine = (trials.windows == windows) & (trials.genuine == genuine)
            count = int(mine.sum())
            if not count:
                raise AuditError(f"recordings of {windows:g} windows are all of one class")
            targets[mine] = (count + 1) / (count + 2) if genuine else 1 / (count + 2)
            weights[mine] = 1 / count
    return targets, weights / weights.sum()


def fit_lengths(trials: Trials) -> Calibration:
    """Calibration of schema 2. Raises AuditError: polarity; no trials of one window."""
    fitted = _fit(trials)
    unheard = _held_out(trials)
    if unheard is None:
        return fitted
    losses = {}
    for windows in np.unique(trials.windows).tolist():
        mine = trials.windows == windows
        sides = unheard[mine & trials.genuine], unheard[mine & ~trials.genuine]
        losses[windows] = cllr(*sides)
    assert fitted.lengths is not None
    at = tuple(
        each.model_copy(update={"cllr_after": losses[each.windows]}) for each in fitted.lengths.at
    )
    lengths = fitted.lengths.model_copy(update={"at": at})
    return fitted.model_copy(update={"cllr_after": losses[1.0], "lengths": lengths})


def _fit(trials: Trials) -> Calibration:
    """Without the Cllr of held-out voices."""
    every = np.unique(trials.windows).tolist()
    if every[0] != 1 or len(every) == 1:
        raise AuditError(f"trials of one window and of more are needed, not of {every}")
    line = fit_line(trials)
    rows, held = {}, dict[str, float]()
    for windows in every:
        rows[windows], held = _at(trials.only(trials.windows == windows), line, held)
    one, single = rows.pop(1.0), trials.only(trials.windows == 1)
    sides = single.genuine, ~single.genuine
    return Calibration(
        schema=SCHEMA,
        slope=line.slope,
        offset=line.offset,
        prior=0.5,
        n_clusters_bonafide=len(np.unique(single.voices[sides[0]])),
        n_clusters_spoof=len(np.unique(single.voices[sides[1]])),
        cllr_before=cllr(*(single.scores[side] for side in sides)),
        cllr_after=None,
        lengths=Lengths(
            correlation=line.correlation,
            at=tuple(AtLength(windows=n, cllr_after=None, **row) for n, row in rows.items()),
        ),
        **one,
    )


def _at(
    some: Trials, line: Line, before: dict[str, float]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Limits and counts of the trials of one length, and what each family supports there.

    before: what each supports at the length before.
    """
    llr = line(some.scores, some.windows)
    bona, fake = llr[some.genuine], llr[~some.genuine]
    voices = [len(np.unique(some.voices[side])) for side in (some.genuine, ~some.genuine)]
    lower, upper = calibration.limits(bona, fake, *voices)
    within = np.clip(bona, lower, upper), np.clip(fake, lower, upper)
    held, misleading = calibration.held_for_families(*within, some.families[~some.genuine])
    for family, most in before.items():
        if family not in held or misleading[family].n < FEW:
            held[family] = min(most, held.get(family, most))
    counts = {"n_bonafide": len(bona), "n_spoof": len(fake)}
    row = {
        **counts,
        "lower": lower,
        "upper": min(upper, *held.values()),
        "cllr_min": cllr_min(bona, fake),
        "misleading": misleading,
    }
    return row, held


def _held_out(trials: Trials) -> FloatArray | None:
    """ln LR [n] by fits that have not heard the voice; None with too few voices for that.

    A voice that is on both sides, genuine and copied, is in one fold. People are dealt in turn
    first, so that they are in every fold.
    """
    people = dict.fromkeys(trials.voices[trials.genuine].tolist())
    names = [*people, *(name for name in trials.voices.tolist() if name not in people)]
    part = {name: k % FOLDS for k, name in enumerate(dict.fromkeys(names))}
    fold = np.array([part[name] for name in trials.voices.tolist()])
    found = np.zeros(len(trials.scores))
    for which in range(FOLDS):
        test = fold == which
        try:
            fitted = _fit(trials.only(~test))
        except AuditError:
            return None
        found[test] = fitted(trials.scores[test], trials.windows[test])
    return found
