"""What is heard of an error of the acoustic latent."""

import torch

from sts_core.codec.config import CodecConfig
from sts_core.codec.hearing import hearing
from sts_core.codec.model import ReferenceCodec
from sts_core.codec.network import Latents


def small_codec() -> ReferenceCodec:
    torch.manual_seed(1)
    config = CodecConfig(
        fast_dim=12, estimator_dim=8, semantic_dim=12, semantic_blocks=1, acoustic_dim=12,
        acoustic_blocks=1, latent_dim=6, decoder_dim=12, decoder_blocks=1, fine_dim=10,
        fine_blocks=1, head_dim=8, codebook_size=16,
    )  # fmt: skip
    return ReferenceCodec(config).for_inference()


def test_what_the_decoder_ignores_hardly_counts() -> None:
    codec = small_codec()
    codes = torch.randint(16, (3, 20, 8), generator=torch.manual_seed(2))
    plain = hearing(codec, codes)
    assert plain.shape == (6, 6)
    torch.testing.assert_close(plain, plain.t())
    decode = codec.decoder.step

    def deaf_to_the_last(latents: Latents, state):
        acoustic = latents.acoustic * torch.tensor([1.0, 1, 1, 1, 1, 0])
        return decode(latents._replace(acoustic=acoustic), state)

    codec.decoder.step = deaf_to_the_last  # type: ignore[method-assign]
    length = hearing(codec, codes).norm(dim=1)
    assert length[5] < 0.1 * length[:5].min()
    assert plain.norm(dim=1)[5] > 0.1 * plain.norm(dim=1)[:5].min()


def test_latents_have_unit_variance_as_they_are_heard() -> None:
    codec = small_codec()
    codes = torch.randint(16, (3, 20, 8), generator=torch.manual_seed(2))
    heard = codec.latents(codes).acoustic.flatten(0, 1) @ hearing(codec, codes)
    torch.testing.assert_close(heard.var(dim=0).mean(), torch.tensor(1.0), atol=1e-4, rtol=0)
    assert torch.equal(hearing(codec, codes), hearing(codec, codes))  # seeded


def test_another_basis_keeps_the_sound_and_changes_the_distances() -> None:
    codec = small_codec()
    audio = torch.randn(1, 1, 6 * 1_920, generator=torch.manual_seed(3))
    codes = torch.randint(16, (1, 8, 12), generator=torch.manual_seed(2))
    sound, before = codec.decode(codes), codec.encoder(audio.transpose(1, 2)).acoustic
    matrix = torch.eye(6) + 0.3 * torch.randn(6, 6, generator=torch.manual_seed(4))
    codec.change_acoustic_basis(matrix)
    torch.testing.assert_close(codec.decode(codes), sound, atol=1e-4, rtol=1e-4)
    after = codec.encoder(audio.transpose(1, 2)).acoustic
    torch.testing.assert_close(after, before @ matrix, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)
