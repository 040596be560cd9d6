"""The duplex language model: generation repeats what training saw, causality, residual codes."""

import pytest
import torch

from sts_core.lm.config import LMConfig
from sts_core.lm.depth import NAMED
from sts_core.lm.model import DuplexLM, Frames
from sts_core.lm.sampling import Sampler, SamplingConfig
from sts_core.nn.quantise import Codebook, ResidualQuantiser

SMALL = LMConfig(
    dim=16, layers=2, heads=2, window_frames=6, words_after_layers=1, ear_dim=5,
    text_vocabulary=11, depth_dim=12, depth_layers=1, depth_heads=1, codebooks=5,
    codebook_size=9, code_dim=4, latent_dim=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def lm():
    torch.manual_seed(2)
    return DuplexLM(SMALL).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ear():
    return torch.randn(2, 15, SMALL.ear_dim, generator=torch.manual_seed(3))


def spoken(lm, ear, sampling=None, voice=(0, 1)):
    """Text [B, T] and codes [B, T, K] of conversations, and the logits on the way."""
    sampler = Sampler(sampling or SamplingConfig(), range(len(ear)))
    state, frames = lm.initial_state(len(ear)), []
    for t in range(ear.shape[1]):
        frame, state = lm.step(ear[:, t], torch.tensor(voice)[: len(ear)], state, sampler)
        frames.append(frame)
    return [torch.stack(each, dim=1) for each in zip(*frames, strict=True)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_training_sees_the_logits_that_generation_used(lm, ear, temperature):
    sampling = SamplingConfig(temperature, 25, temperature, temperature)
    text, codes, user_logits, text_logits = spoken(lm, ear, sampling)
    heard = lm(Frames(text, ear, torch.tensor([0, 1])))
    torch.testing.assert_close(heard.text_logits, text_logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(heard.user_logits, user_logits, atol=1e-5, rtol=1e-4)
    before = torch.zeros(2, SMALL.depth_context_frames, SMALL.codebooks, dtype=torch.int64)
    before = torch.cat([before, codes], dim=1)[:, 4 : 4 + SMALL.depth_context_frames]
    seen = lm.depth.condition(heard.hidden[:, 4], before, lm.code_tables)
    told = lm.depth(seen, text[:, 4], codes[:, 4], lm.code_tables)
    if temperature == 0.0:
        assert torch.equal(told.logits.argmax(dim=-1), codes[:, 4, :NAMED])


def test_the_user_of_a_frame_is_heard_in_it_and_not_before(lm, ear):
    other = ear.clone()
    other[:, 7] += 1.0
    one, two = spoken(lm, ear)[3], spoken(lm, other)[3]
    assert torch.equal(one[:, :7], two[:, :7])
    assert not torch.equal(one[:, 7], two[:, 7])


def test_the_voice_token_changes_what_is_said(lm, ear):
    one, two = (spoken(lm, ear[:1], voice=voice)[3] for voice in ((0,), (1,)))
    assert not torch.equal(one, two)


def test_greedy_residual_codes_are_the_codecs_own(lm):
    quantiser = ResidualQuantiser(SMALL.codebooks - NAMED, SMALL.codebook_size, SMALL.latent_dim)
    for book, table in zip(quantiser.codebooks, lm.code_tables.acoustic, strict=True):
        assert isinstance(book, Codebook)
        book.set_entries(table, 1.0)
    latent = torch.randn(40, SMALL.latent_dim, generator=torch.manual_seed(4))
    left, codes = latent, []
    for k, table in enumerate(lm.code_tables.acoustic, NAMED):
        codes.append(Sampler(SamplingConfig(), []).code(lm.depth.residual_logits(left, table), k))
        left = left - table[codes[-1]]
    assert torch.equal(torch.stack(codes, dim=-1), quantiser.encode(latent[None])[0])


def test_residual_codes_have_the_stated_probabilities(lm):
    table = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    left = torch.tensor([[0.5, 0.0, 7.0]])  # the distance of 7 is the same to both
    logits = lm.depth.residual_logits(left, table)
    # spread 1: exp(-0.5^2 / 2) to exp(-1.5^2 / 2), that is e to 1
    assert float(lm.depth.log_spread) == 0.0
    torch.testing.assert_close(logits.softmax(dim=-1)[0], torch.tensor([0.7310586, 0.2689414]))


def test_latent_of_codes_is_the_sum_of_what_they_stand_for(lm):
    codes = torch.tensor([8, 7, 1, 2, 3])
    expected = sum(lm.code_tables.acoustic[level, level + 1] for level in range(3))
    torch.testing.assert_close(lm.code_tables.latent(codes), expected)
    assert lm.code_tables.embed(codes).shape == (2 * SMALL.code_dim + SMALL.latent_dim,)


@pytest.mark.parametrize(
    "wrong", [{"dim": 18, "heads": 6}, {"words_after_layers": 3}, {"acoustic_delay_frames": 3}]
)
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"even|must"):
        LMConfig(**{"layers": 2, **wrong})
