"""DET and Tippett plots: what they show, and that equal data give equal bytes."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from sts_eval.audit.plots import _thinned, det_plot, save_svg, tippett_plot

BONA, SPOOF = [1.0, 2, 3, 4], [0.0, 0.5, 2.5, -1]


def test_the_det_plot_names_its_operating_points(tmp_path: Path) -> None:
    save_svg(det_plot(BONA, SPOOF, "fair & <square>"), tmp_path / "det.svg")
    text = "".join(ET.parse(tmp_path / "det.svg").getroot().itertext())
    assert "EER 25.00 %" in text
    assert "minDCF 0.2500" in text
    assert "fair & <square>" in text


def test_the_marked_points_lie_on_the_curve() -> None:
    axes = det_plot(BONA, SPOOF).axes[0]
    line, at_eer, at_min = axes.lines[:3]
    on_curve = set(zip(line.get_xdata(), line.get_ydata(), strict=True))
    for point in (at_eer, at_min):
        assert (point.get_xdata()[0], point.get_ydata()[0]) in on_curve
    assert at_eer.get_xdata()[0] == pytest.approx(at_eer.get_ydata()[0])


def test_the_tippett_plot_starts_at_all_and_names_cllr() -> None:
    axes = tippett_plot(BONA, SPOOF).axes[0]
    for line in axes.lines[:2]:
        assert line.get_ydata()[0] == 100
    assert axes.get_title() == "Cllr 0.914 bit"


@pytest.mark.parametrize("plot", [det_plot, tippett_plot])
def test_equal_data_give_equal_bytes(tmp_path: Path, plot) -> None:
    for name in ("a", "b"):
        save_svg(plot(BONA, SPOOF), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_perfect_and_constant_scores_can_be_drawn() -> None:
    for bona, spoof in (([1.0, 2], [-1.0, 0]), ([0.0], [0.0])):
        det_plot(bona, spoof)
        tippett_plot(bona, spoof)


def test_long_curves_are_thinned_but_keep_their_ends() -> None:
    x = np.linspace(0, 1, 100_000)
    kept = _thinned(x + 1j * x**2)
    assert len(kept) <= 2002
    assert (kept[0], kept[-1]) == (0, 99_999)
    assert np.max(np.diff(x[kept])) < 0.002
