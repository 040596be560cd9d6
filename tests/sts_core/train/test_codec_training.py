"""Codec training: losses on known values, batches that repeat, a run that learns and resumes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sts_core.checkpoint import WeightsError
from sts_core.codec.config import CodecConfig
from sts_core.codec.files import load_codec
from sts_core.data.augment import AugmentConfig
from sts_core.data.cache import SpeechCache
from sts_core.train.codec import CodecTraining, learning_rate_at, train
from sts_core.train.codec_batches import CodecSampler, Shares, voice_weights
from sts_core.train.config import ConfigError, load_config
from sts_core.train.discriminators import (
    Discriminators,
    Judged,
    discriminator_loss,
    feature_loss,
)
from sts_core.train.losses import SpectralLoss, distillation_loss, estimator_loss

CONFIGS = Path(__file__).parents[3] / "sts_core" / "train"
NOTHING = AugmentConfig(rate=0, gain=0, band=0, room=0, second=0, noise=0, silence=0)
SMALL = CodecConfig(
    fast_dim=24,
    fast_blocks=1,
    semantic_dim=24,
    semantic_blocks=1,
    acoustic_dim=24,
    acoustic_blocks=1,
    latent_dim=16,
    codebook_size=16,
    decoder_dim=24,
    decoder_blocks=1,
    fine_dim=24,
    fine_blocks=1,
    head_dim=24,
)


def test_spectral_loss_of_equal_and_scaled_signals() -> None:
    torch.manual_seed(0)
    audio = torch.randn(1, 24_000)
    loss = SpectralLoss(linear_weight=0.0)
    assert float(loss(audio, audio)) == 0.0
    # twice the amplitude is log 2 in every band, well above the floor
    assert float(loss(audio, 2 * audio)) == pytest.approx(math.log(2), rel=1e-3)


def test_estimator_loss_is_least_at_the_right_pitch() -> None:
    voiced = torch.ones(1, 1, dtype=torch.bool)
    losses = []
    for peak in range(0, 128, 8):
        logits = torch.full((1, 1, 129), -10.0)
        logits[..., peak] = 10.0
        logits[..., -1] = 10.0
        losses.append(float(estimator_loss(logits, torch.tensor([[60.0]]), voiced)))
    assert losses[0] == min(losses) < 0.1


def test_distillation_ignores_unknown_frames() -> None:
    predicted = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    teacher = torch.tensor([[[2.0, 0.0], [-1.0, 0.0]]])
    assert float(distillation_loss(predicted, teacher, torch.tensor([[True, False]]))) == 0.0
    assert float(distillation_loss(predicted, teacher, torch.tensor([[True, True]]))) == 1.0
    assert float(distillation_loss(predicted, teacher, torch.tensor([[False, False]]))) == 0.0


def test_discriminator_losses() -> None:
    real = [Judged(torch.tensor([2.0]), [torch.tensor([1.0, -1.0])])]
    fake = [Judged(torch.tensor([-3.0]), [torch.tensor([2.0, -2.0])])]
    assert float(discriminator_loss(real, fake)) == 0.0
    assert float(discriminator_loss(fake, real)) == pytest.approx(4.0 + 3.0)
    assert float(feature_loss(real, fake)) == pytest.approx(1.0)


def test_discriminators_see_every_sample() -> None:
    torch.manual_seed(0)
    judges = Discriminators(width=4)
    audio = torch.randn(1, 4_800, requires_grad=True)
    torch.stack([judged.score.sum() for judged in judges(audio)]).sum().backward()
    assert audio.grad is not None
    assert (audio.grad != 0).float().mean() > 0.9


def test_batches_depend_on_seed_and_step_only(speech_cache: SpeechCache) -> None:
    def sampler(seed: int) -> CodecSampler:
        return CodecSampler(speech_cache, 3, 12, seed, AugmentConfig(), Shares())

    again, other = sampler(1).batch(7), sampler(2).batch(7)
    batch = next(sampler(1).stream(7, threads=2))
    assert torch.equal(batch.audio, again.audio)
    assert not torch.equal(batch.audio, other.audio)
    assert batch.audio.shape == (3, 12 * 1_920)
    assert batch.teacher.shape == (3, 12, 416)


def test_the_teacher_stays_beside_its_sound(speech_cache: SpeechCache) -> None:
    batch = CodecSampler(speech_cache, 6, 40, 1, NOTHING, Shares()).batch(0)
    assert batch.known.any()
    frames = batch.audio.unflatten(1, (-1, 1_920))
    silent = frames.abs().amax(dim=-1) == 0
    assert not (batch.known & silent).any()
    row = int(batch.known.sum(dim=1).argmax())
    first = int(batch.known[row].nonzero()[0])
    heard = frames[row, first].numpy()
    for index in range(len(speech_cache)):  # find the utterance, then compare its features
        start = speech_cache.audio(index)[:1_920].astype(np.float32) / 32768
        if start.size == 1_920 and np.array_equal(start, heard):
            teacher = speech_cache.teacher(index)
            assert teacher is not None
            expected = teacher[: int(batch.known[row].sum())].astype(np.float32)
            np.testing.assert_array_equal(batch.teacher[row, first:][: len(expected)], expected)
            return
    pytest.fail("the crop's utterance is not in the cache")


def test_the_rate_warms_up_stays_and_falls() -> None:
    config = CodecTraining(steps=1_000, warmup_steps=100, decay_share=0.5, learning_rate=1.0)
    rates = [learning_rate_at(step, config) for step in (0, 49, 300, 750, 999, 1_000)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 0.5, 0.002, 0.0])


@pytest.mark.parametrize("name", ["codec.yaml", "codec_gpu.yaml", "codec_requantise.yaml"])
def test_shipped_configurations_are_valid(name: str) -> None:
    config = load_config(CodecTraining, CONFIGS / name)
    assert config.quantise_from < config.steps
    assert config.kmeans_batches * config.rows * config.crop_frames > config.codec.codebook_size


def test_a_wrong_key_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("steps: 3\ncodec:\n  fast_dims: 3\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:3: unknown key 'fast_dims'.*'fast_dim'"):
        load_config(CodecTraining, file)


@pytest.fixture(scope="module")
def config(speech_cache: SpeechCache, speech_corpus: Path) -> CodecTraining:
    """A run of seconds."""
    return CodecTraining(
        cache=str(speech_cache.folder),
        heldout=str(speech_corpus),
        heldout_splits=("train",),
        device="cpu",
        threads=1,
        steps=12,
        rows=2,
        crop_frames=12,
        learning_rate=3e-3,
        warmup_steps=2,
        decay_share=0.1,
        quantise_from=6,
        kmeans_batches=2,
        adversarial_from=0.8,
        discriminator_width=2,
        log_every=3,
        evaluate_every=12,
        evaluate_files=2,
        checkpoint_every_s=0.0,
        codec=SMALL,
    )


def test_a_run_learns_and_leaves_loadable_weights(config: CodecTraining, tmp_path: Path) -> None:
    weights = train(dataclasses.replace(config, run=str(tmp_path)))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    spectral = [line["spectral"] for line in lines if "spectral" in line]
    assert spectral[1] < spectral[0]
    assert "commitment" in lines[2]
    assert "judges" in lines[3]
    assert {"spectral_8", "spectral_1", "used_0"} <= lines[-1].keys()
    assert len(list((tmp_path / "samples").rglob("*.wav"))) == 2
    codec = load_codec(weights)
    assert codec.decode(codec.encode(torch.randn(1, 1, 4_000))).shape == (1, 1, 5_760)


def test_a_resumed_run_equals_an_uninterrupted_one(config: CodecTraining, tmp_path: Path) -> None:
    short = dataclasses.replace(config, heldout=None, adversarial_from=1.0, decay_share=1e-9)
    whole = train(dataclasses.replace(short, run=str(tmp_path / "a"), steps=9))
    interrupted = dataclasses.replace(short, run=str(tmp_path / "b"))
    train(dataclasses.replace(interrupted, steps=7))
    resumed = train(dataclasses.replace(interrupted, steps=9), resume=True)
    first, second = load_codec(whole).state_dict(), load_codec(resumed).state_dict()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=name)


def test_training_goes_on_from_weights_alone(config: CodecTraining, tmp_path: Path) -> None:
    plain = dataclasses.replace(config, heldout=None, adversarial_from=1.0)
    first = train(dataclasses.replace(plain, run=str(tmp_path / "a"), steps=9))
    more = dataclasses.replace(plain, run=str(tmp_path / "b"), start_from=str(first))
    still = dataclasses.replace(more, steps=1, learning_rate=0.0, weight_decay=0.0)
    before, after = load_codec(first), load_codec(train(still))
    torch.testing.assert_close(after.decoder.state_dict(), before.decoder.state_dict())
    assert torch.equal(after.pitch_codebook.entries, before.pitch_codebook.entries)
    with pytest.raises(WeightsError, match="its sizes are not those"):
        train(dataclasses.replace(more, codec=dataclasses.replace(SMALL, head_dim=20)))


def test_decoder_only_training_keeps_every_token(config: CodecTraining, tmp_path: Path) -> None:
    plain = dataclasses.replace(config, heldout=None, adversarial_from=1.0)
    first = train(dataclasses.replace(plain, run=str(tmp_path / "a"), steps=9))
    more = dataclasses.replace(plain, run=str(tmp_path / "b"), start_from=str(first))
    second = train(dataclasses.replace(more, decoder_only=True))
    before, after = load_codec(first).state_dict(), load_codec(second).state_dict()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed
    assert all(name.startswith("decoder.") for name in changed)


def test_training_on_needs_a_codec_to_start_from(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("decoder_only: true\n")
    with pytest.raises(ConfigError, match="decoder_only and requantise need start_from"):
        load_config(CodecTraining, file)


def test_agents_have_their_share_whatever_their_voice_is_called() -> None:
    rows = [{"voice": name, "role": role} for name, role in (("a", "agent"), ("b", "agent"))]
    rows += [{"voice": name, "role": "user"} for name in "ccccd"]
    groups, weights = voice_weights(rows, Shares(agent=0.5))
    assert [group.tolist() for group in groups] == [[0], [1], [2, 3, 4, 5], [6]]
    np.testing.assert_allclose(weights, [0.25] * 4)


def test_requantised_latents_are_nearer_to_what_is_heard(
    config: CodecTraining, tmp_path: Path
) -> None:
    plain = dataclasses.replace(config, heldout=None, adversarial_from=1.0, kmeans_batches=4)
    first = train(dataclasses.replace(plain, run=str(tmp_path / "a"), steps=9))
    more = dataclasses.replace(plain, run=str(tmp_path / "b"), start_from=str(first))
    still = dataclasses.replace(more, steps=1, learning_rate=0.0, weight_decay=0.0)
    again = train(dataclasses.replace(still, requantise=True, decoder_only=True))
    audio = CodecSampler(SpeechCache.open(plain.cache), 8, 12, 9, NOTHING, Shares()).batch(0).audio
    spectral, errors = SpectralLoss(), []
    for weights in (first, again):
        codec = load_codec(weights)
        codes = codec.encode(audio[:, None])
        latents, heard = codec.latents(codes.transpose(1, 2)), codec.encoder(audio[..., None])
        state = codec.decoder_state(len(audio))
        exact = codec.decoder.step(latents._replace(acoustic=heard.acoustic), state)[0]
        errors.append(float(spectral(exact, codec.decode(codes)[:, 0])))
    assert errors[1] < errors[0]
