"""The countermeasure's Gaussian classes, against hand-worked and exact values."""

import numpy as np
import torch
from scipy.stats import norm

from sts_eval.audit.discriminant import KNOTS, Countermeasure, fit, quantiles
from sts_eval.audit.train_detector import clip_weights
from sts_eval.audit.training_set import Clip


def even(weights: int) -> torch.Tensor:
    return torch.full((weights,), 1 / weights)


def test_ranks_become_normal_scores():
    """0..128 are their own quantiles: 64 is the middle, 32 the first quarter."""
    net = Countermeasure(1, ["x"], 1.0)
    net.knots.copy_(quantiles(torch.arange(float(KNOTS))[:, None]))
    asked = torch.tensor([[64.0], [32.0], [32.5], [-5.0], [999.0], [float("nan")]])
    found = net.normal(asked).numpy()
    z = norm.ppf([0.5, 0.25, 32.5 / 128, 0.002, 0.998])
    np.testing.assert_allclose(found[:5, 0], z, atol=1e-5)
    np.testing.assert_allclose(found[:5, 1], (z**2 - 1) / 2**0.5, atol=1e-4)
    assert (found[5] == 0).all()


def test_a_statistic_that_never_changes_says_nothing():
    features = torch.cat([torch.full((64, 1), 3.0), torch.randn(64, 1)], dim=1)
    net = fit(features, ["", "x"] * 32, even(64), 0.3, 1.0, 0.0)
    assert torch.isfinite(net.scores(features)).all()


def test_scores_are_soft_minima_of_ratios():
    net = Countermeasure(1, ["far", "near"], 0.5)
    net.offsets.copy_(torch.tensor([2.0, 1.0]))  # directions are 0: offsets alone
    expected = -0.5 * np.log(np.exp(-4.0) + np.exp(-2.0))
    np.testing.assert_allclose(net.scores(torch.zeros(1, 1)).item(), expected, rtol=1e-6)


def test_a_ratio_is_that_of_two_gaussians_at_unit_spread():
    """Classes at the mean and around it: the ratio must be (m1 - x) (m1 - m0) / (s^2 d)."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4000, 1, generator=generator)
    features[1::2] += 1.0
    labels = ["", "x"] * 2000
    net = fit(features, labels, even(4000), 1e-6, 1.0, 0.0)
    ratios = net(features)[:, 0].detach().numpy()
    people, attack = ratios[::2], ratios[1::2]
    np.testing.assert_allclose(people.mean(), -attack.mean(), atol=0.02)  # 0 half way
    np.testing.assert_allclose(people.var() + attack.var(), 2, atol=0.01)  # unit spread, pooled
    for lean in (0.5, 1.0):  # by so much of the mean of people, whatever the distance
        leant = fit(features, labels, even(4000), 1e-6, 1.0, lean)(features)[:, 0].numpy()
        np.testing.assert_allclose(leant, ratios - lean * people.mean(), atol=0.03)


def test_attacks_on_opposite_sides_are_both_found():
    """One class for all attacks has its mean where people are, and can tell nothing."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(3000, 4, generator=generator)
    labels = ["", "regular", "smeared"] * 1000
    features[1::3, 0] += 3.0
    features[2::3, 0] -= 3.0
    # No squares: they would find two sides around the middle as a wider class.
    squares = slice(4, 8)
    found = []
    for named in (labels, [label and "any" for label in labels]):
        net = fit(features, named, even(3000), 0.1, 1.0, 0.0)
        net.directions[squares] = 0
        scores = net.scores(features).numpy()
        wins = (scores[::3][:, None] > scores[np.arange(3000) % 3 > 0][None]).mean()
        found.append(wins)
    apart, one = found
    assert apart > 0.85
    assert 0.4 < one < 0.6


def test_a_class_that_is_only_wider_is_found_by_squares():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2000, 8, generator=generator)
    features[1::2] *= 2.5
    net = fit(features, ["", "x"] * 1000, even(2000), 0.1, 1.0, 0.0)
    scores = net.scores(features).numpy()
    assert (scores[::2][:, None] > scores[1::2][None]).mean() > 0.95


def test_weights_are_even_over_families_then_voices():
    clips = [
        Clip("ann", "g", "", "", "", ""),
        Clip("ann", "g", "", "", "", ""),
        Clip("bob", "g", "", "", "", ""),
        Clip("ann", "g", "world", "world", "", ""),
        Clip("bob", "g", "world_slow", "world", "", ""),
        Clip("m", "g", "flite", "flite", "", ""),
    ]
    np.testing.assert_allclose(clip_weights(clips), [1 / 8, 1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 4])
