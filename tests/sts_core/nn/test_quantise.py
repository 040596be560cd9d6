"""Quantisers: nearest entries, prefixes, gradients, k-means, and no collapse."""

from __future__ import annotations

import pytest
import torch

from sts_core.nn.quantise import Codebook, ResidualQuantiser, kmeans


def test_a_codebook_takes_the_nearest_entry() -> None:
    book = Codebook(3, 2, decay=0.9, revive_below=0.0)
    book.set_entries(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), count=1.0)
    x = torch.tensor([[0.6, 0.1], [0.2, 0.1], [0.1, 1.5]])
    assert book.encode(x).tolist() == [1, 0, 2]
    assert book.decode(torch.tensor([2])).tolist() == [[0.0, 2.0]]


def test_entries_follow_the_mean_of_what_they_are_given() -> None:
    book = Codebook(2, 1, decay=0.5, revive_below=0.0)
    book.set_entries(torch.tensor([[0.0], [10.0]]), count=2.0)
    x = torch.tensor([[1.0], [3.0], [10.0], [10.0]])
    book.learn(x, book.encode(x))
    # entry 0: total 0 -> 0.5 * 0 + 0.5 * 4 = 2, count 2 -> 2: mean 1
    torch.testing.assert_close(book.entries, torch.tensor([[1.0], [10.0]]))


def test_dead_entries_are_revived_on_real_latents() -> None:
    torch.manual_seed(0)
    book = Codebook(64, 4, decay=0.9, revive_below=0.05)
    book.set_entries(torch.full((64, 4), 50.0) + torch.randn(64, 4), count=4.0)
    for _ in range(120):
        x = torch.randn(256, 4)
        book.learn(x, book.encode(x))
    used = torch.bincount(book.encode(torch.randn(4096, 4)), minlength=64) > 0
    assert used.float().mean() > 0.9


def test_more_levels_leave_less_behind_and_every_prefix_decodes() -> None:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(4, 32, 6)
    x = torch.randn(1, 2000, 6)
    quantiser.initialise(x[0])
    codes = quantiser.encode(x)
    assert codes.shape == (1, 2000, 4)
    left = [float((x - quantiser.decode(codes[..., :used])).square().mean()) for used in range(5)]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(float(x.square().mean()))
    assert left[4] < 0.25 * left[0]


def test_training_output_equals_coding_and_passes_the_gradient_straight_through() -> None:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(3, 16, 4)
    x = torch.randn(2, 50, 4)
    quantiser.initialise(x.flatten(0, 1))
    x.requires_grad_()
    result = quantiser(x, learn=False)
    torch.testing.assert_close(result.codes, quantiser.encode(x))
    torch.testing.assert_close(result.latent, quantiser.decode(result.codes))
    (3.0 * result.latent).sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 3.0))


def test_rows_may_use_a_prefix() -> None:
    torch.manual_seed(0)
    quantiser = ResidualQuantiser(3, 16, 4)
    x = torch.randn(3, 40, 4)
    quantiser.initialise(x.flatten(0, 1))
    result = quantiser(x, levels=torch.tensor([0, 1, 3]), learn=False)
    torch.testing.assert_close(result.latent[0], torch.zeros(40, 4))
    for row, used in ((1, 1), (2, 3)):
        expected = quantiser.decode(result.codes[row : row + 1, :, :used])[0]
        torch.testing.assert_close(result.latent[row], expected)


def test_kmeans_finds_separate_clusters_and_needs_enough_points() -> None:
    torch.manual_seed(1)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    x = (centres[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)
    found = kmeans(x, 4, iterations=20)
    distance = torch.cdist(centres, found).min(dim=1).values
    assert (distance < 0.1).sum() >= 3  # Lloyd's may merge two clusters, never more here
    with pytest.raises(ValueError, match="at least 4 points, got 3"):
        kmeans(x[:3], 4, iterations=1)
