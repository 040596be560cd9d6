"""Cllr, Cllr_min and Tippett on hand-worked values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.audit.likelihood import cllr, cllr_min, tippett


def test_cllr_by_hand() -> None:
    # log2(1 + 1/3) = 0.4150375 twice.
    assert cllr([math.log(3)], [-math.log(3)]) == pytest.approx(0.4150374992788438, abs=1e-9)
    # Bona fide: (0.4150375 + 1) / 2 = 0.7075187; spoof: log2(8/7) = 0.1926451; mean 0.4500819.
    assert cllr([math.log(3), 0], [-math.log(7)]) == pytest.approx(0.4500819, abs=1e-6)


def test_knowing_nothing_costs_one_bit_and_misleading_more() -> None:
    assert cllr([0, 0], [0]) == pytest.approx(1)
    # The wrong way round: log2(1 + 3) = 2 bits each.
    assert cllr([-math.log(3)], [math.log(3)]) == pytest.approx(2)


def test_huge_scores_do_not_overflow() -> None:
    assert cllr([1e4], [-1e4]) == 0.0
    assert cllr([-1e4], [0]) == pytest.approx((1e4 / math.log(2) + 1) / 2)


def test_cllr_min_by_hand() -> None:
    # Ascending: s s s b b s b b. The block b b s pools to 2/4 of the bona fide and 1/4 of the
    # spoofed: posterior 2/3. Cost (1/2 log2(3/2) + 1/4 log2 3) / 2 = 0.3443609.
    assert cllr_min([1, 2, 3, 4], [0, 0.5, 2.5, -1]) == pytest.approx(0.3443609377, abs=1e-9)
    assert cllr_min([1, 2], [-1, 0]) == 0.0
    assert cllr_min([0, 0], [0]) == pytest.approx(1)
    assert cllr_min([-1], [1]) == pytest.approx(1)  # no monotone map helps a score of wrong sign


floats = st.lists(st.floats(-20, 20, allow_nan=False), min_size=1, max_size=15)


@settings(max_examples=60, deadline=None)
@given(floats, floats)
def test_cllr_min_is_a_lower_bound_and_ignores_scale(bona: list[float], spoof: list[float]) -> None:
    least = cllr_min(bona, spoof)
    assert -1e-12 <= least <= min(1.0, cllr(bona, spoof)) + 1e-9
    tenfold = cllr_min(np.multiply(bona, 8.0), np.multiply(spoof, 8.0))
    assert tenfold == pytest.approx(least, abs=1e-9)


def test_tippett_counts_what_lies_at_or_above() -> None:
    curve = tippett([math.log(10), math.log(100)], [math.log(10), 0])
    assert curve.log10_lr == pytest.approx([0, 1, 2])
    assert curve.bonafide.tolist() == [1, 1, 0.5]
    assert curve.spoof.tolist() == [1, 0.5, 0]


def test_empty_and_nan_are_refused() -> None:
    for metric in (cllr, cllr_min, tippett):
        with pytest.raises(ValueError, match="no trials"):
            metric([], [1.0])
        with pytest.raises(ValueError, match="not finite"):
            metric([1.0], [float("nan")])
