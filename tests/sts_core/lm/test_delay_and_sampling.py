"""The acoustic delay has an exact inverse; sampling obeys temperature, top-k and seed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sts_core.lm.delay import delayed, undelayed
from sts_core.lm.sampling import Sampler, SamplingConfig, draw


@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 12), st.integers(1, 8), st.data())
def test_undelaying_gives_the_codes_back(delay, batch, frames, books, data):
    seed = data.draw(st.integers(0, 2**16))
    codes = torch.randint(0, 99, (batch, frames, books), generator=torch.manual_seed(seed))
    late = delayed(codes, delay, torch.full((books,), 100))
    assert late.shape == (batch, frames + delay, books)
    assert torch.equal(undelayed(late, delay), codes)
    assert torch.equal(late[:, :frames, 0], codes[:, :, 0])  # the semantic book is never late


def test_fewer_frames_than_the_delay_are_refused():
    with pytest.raises(ValueError, match="fewer than the delay"):
        undelayed(torch.zeros(1, 1, 8, dtype=torch.int64), 2)


def test_greedy_takes_the_likeliest_and_the_lowest_of_equals():
    logits = torch.tensor([[0.0, 2.0, 2.0], [5.0, 1.0, 1.0]])
    assert draw(logits, 0.0, 1, []).tolist() == [1, 0]


def test_nothing_outside_the_top_k_is_drawn():
    logits = torch.tensor([[0.0, 3.0, 2.9, 0.1]]).expand(400, 4)
    generators = [torch.Generator().manual_seed(k) for k in range(400)]
    assert set(draw(logits, 2.0, 2, generators).tolist()) == {1, 2}


def test_a_low_temperature_comes_close_to_greedy_and_a_high_one_to_even():
    logits = torch.tensor([[1.0, 0.0]]).expand(2000, 2)

    def share(temperature):
        generators = [torch.Generator().manual_seed(k) for k in range(2000)]
        return float((draw(logits, temperature, 2, generators) == 0).float().mean())

    assert share(0.05) == 1.0
    # softmax(1 / T): 0.731 at T = 1, 0.525 at T = 10; three standard errors are 0.033
    assert share(1.0) == pytest.approx(0.731, abs=0.034)
    assert share(10.0) == pytest.approx(0.525, abs=0.034)


def test_each_row_follows_its_own_seed():
    logits = torch.randn(3, 50, generator=torch.manual_seed(1))
    config = SamplingConfig(text_temperature=1.0)
    sure = torch.zeros(3, dtype=torch.bool)
    together = Sampler(config, [4, 5, 6]).text(logits, sure)
    alone = [
        int(Sampler(config, [s]).text(logits[i : i + 1], sure[:1])) for i, s in enumerate((4, 5, 6))
    ]
    assert together.tolist() == alone


def chances(words: float) -> torch.Tensor:
    """Logits [1, 4]: two words that share `words`, END_OF_PAD impossible."""
    return torch.tensor([[1 - words, 1e-9, 0.6 * words, 0.4 * words]]).log()


@pytest.mark.parametrize(
    ("words", "surely", "reluctantly"), [(0.45, 0, 0), (0.55, 2, 0), (0.74, 2, 0), (0.76, 2, 2)]
)
def test_a_reluctant_agent_begins_at_three_to_one_and_another_at_even_odds(
    words, surely, reluctantly
):
    sampler = Sampler(SamplingConfig(reluctance=math.log(3)), [0])
    assert int(sampler.text(chances(words), torch.tensor([False]))) == surely
    assert int(sampler.text(chances(words), torch.tensor([True]))) == reluctantly


def test_reluctance_holds_at_any_temperature():
    # odds of 3 against 1 become 1 against 1: half of 2,000 draws begin, three errors are 0.034
    config = SamplingConfig(text_temperature=1.0, reluctance=math.log(3))
    sampler = Sampler(config, range(2000))
    reluctant = torch.ones(2000, dtype=torch.bool)
    drawn = sampler.text(chances(0.75).expand(2000, 4), reluctant)
    assert float((drawn > 0).float().mean()) == pytest.approx(0.5, abs=0.034)


@pytest.mark.parametrize("wrong", [{"text_temperature": -1.0}, {"code_top_k": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        SamplingConfig(**wrong)
