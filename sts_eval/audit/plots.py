"""DET and Tippett plots of one detector, as matplotlib figures (imported when a plot is made).

The figures hang on no global state, and the SVG text of equal data is equal byte for byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sts_eval.audit.detection import det_curve, eer, min_dcf
from sts_eval.audit.likelihood import cllr, tippett
from sts_eval.audit.operating import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
_MAX_POINTS = 2000


def det_plot(bonafide: ArrayLike, spoof: ArrayLike, title: str = "") -> Figure:
    """Miss rate over false alarm rate, both on normal-deviate scales, with EER and minDCF."""
    from matplotlib.figure import Figure
    from scipy.special import ndtri

    curve, at_eer, at_min = (
        det_curve(bonafide, spoof),
        eer(bonafide, spoof),
        min_dcf(bonafide, spoof),
    )
    rarest = min(1 / np.size(bonafide), 1 / np.size(spoof), 0.01) / 2
    limits = float(ndtri(rarest)), float(ndtri(max(0.6, 1 - rarest)))
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    x = np.clip(curve.false_alarm_probit, *limits)
    y = np.clip(curve.miss_probit, *limits)
    kept = _thinned(x + 1j * y)
    axes.plot(x[kept], y[kept], drawstyle="steps-post", color="#1f5fa8", clip_on=False)
    for point, marker, name in (
        (at_eer, "o", f"EER {100 * at_eer.value:.2f} %"),
        (at_min, "s", f"minDCF {at_min.value:.4f}"),
    ):
        index = int(np.searchsorted(curve.thresholds, point.threshold))
        axes.plot(x[index], y[index], marker, color="#b3411e", label=name, clip_on=False)
    axes.plot(limits, limits, ":", color="0.6", linewidth=1)
    ticks = [tick for tick in _TICKS if limits[0] <= ndtri(tick) <= limits[1]]
    names = [f"{100 * tick:g}" for tick in ticks]
    axes.set_xticks(ndtri(ticks), names)
    axes.set_yticks(ndtri(ticks), names)
    axes.set(xlim=limits, ylim=limits, xlabel="spoof accepted, %", ylabel="bona fide rejected, %")
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.grid(color="0.9")
    axes.legend(loc="upper right", frameon=False)
    return figure


def tippett_plot(bonafide: ArrayLike, spoof: ArrayLike, title: str = "") -> Figure:
    """Share of each class at or above a log10 likelihood ratio; scores are natural-log LRs."""
    from matplotlib.figure import Figure

    curve = tippett(bonafide, spoof)
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    for share, colour, name in (
        (curve.bonafide, "#1f5fa8", "bona fide"),
        (curve.spoof, "#b3411e", "spoof"),
    ):
        kept = _thinned(share + 0j)
        axes.plot(
            curve.log10_lr[kept], 100 * share[kept], drawstyle="steps-pre", color=colour, label=name
        )
    axes.axvline(0, color="0.6", linestyle=":", linewidth=1)
    axes.set(
        xlabel="log10 likelihood ratio, bona fide to spoof",
        ylabel="trials at or above it, %",
        ylim=(0, 100),
    )
    axes.set_title(title or f"Cllr {cllr(bonafide, spoof):.3f} bit")
    axes.grid(color="0.9")
    axes.legend(frameon=False)
    return figure


def save_svg(figure: Figure, path: Path) -> None:
    """Write the figure as SVG without a date and with fixed identifiers."""
    import io

    from matplotlib import rc_context

    from sts_eval.trace import write_text_atomic

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "sts-eval", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    write_text_atomic(path, buffer.getvalue())


def _thinned(points: np.ndarray) -> IntArray:
    """Indices of at most about _MAX_POINTS points, evenly along the line, ends included.

    points: [K] complex, x + iy; a path of a million steps is no better to look at.
    """
    if len(points) <= _MAX_POINTS:
        return np.arange(len(points))
    length: FloatArray = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points)))])
    wanted = np.linspace(0, length[-1], _MAX_POINTS)
    index = np.searchsorted(length, wanted)
    return np.unique(np.concatenate([[0], np.minimum(index, len(points) - 1), [len(points) - 1]]))
