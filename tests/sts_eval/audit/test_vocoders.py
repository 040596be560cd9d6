"""Copies by neural vocoders: the mels by hand, what a program changes, bad installs.

The vocoders themselves are in wheels that the project does not ask for: `test_channel` copies with
them where they are installed. Here a stand-in for the network records which mels it is given.
"""

import dataclasses

import numpy as np
import pytest

from sts_core import wheels
from sts_eval.audit import AuditError, vocoders
from sts_eval.audit.attacks import copy_synthesis
from sts_eval.audit.training_set import SetOptions, build, clips
from sts_eval.audit.vocoders import SLOWER, VOCODERS, check_vocoders, vocode, vocoder_programs
from sts_eval.progress import Progress

from .conftest import folders


@pytest.fixture
def heard(monkeypatch):
    """The mels that the vocoder `melgan` is given; it says a tone at half of full scale."""
    given = []

    def load():
        def say(mels):
            given.append(mels)
            hz = 300 * 2 * np.pi / VOCODERS["melgan"].mels.rate_hz
            return np.float32(0.5) * np.sin(hz * np.arange(len(mels) * 300)).astype(np.float32)

        return say

    table = {"melgan": dataclasses.replace(VOCODERS["melgan"], load=load)}
    monkeypatch.setattr(vocoders, "VOCODERS", table)
    vocoders._loaded.cache_clear()
    yield given
    vocoders._loaded.cache_clear()


@pytest.mark.parametrize("name", list(VOCODERS))
def test_mels_by_hand(name):
    mels = VOCODERS[name].mels
    audio = np.random.default_rng(0).standard_normal(mels.rate_hz).astype(np.float32)
    found = mels(audio)
    assert found.dtype == np.float32
    assert found.shape == ((len(audio) + 2 * mels.pad - mels.fft) // mels.hop + 1, 80)

    def in_mels(hz):  # Slaney: linear below 1 kHz, then 27 steps to a factor of 6.4
        return np.where(hz < 1000, 3 * hz / 200, 15 + 27 * np.log(hz.clip(1) / 1000) / np.log(6.4))

    low, high = in_mels(np.array([float(mels.low_hz), float(mels.high_hz)]))
    edges = np.linspace(low, high, 82)
    edges = np.where(edges < 15, 200 * edges / 3, 1000 * 6.4 ** ((edges - 15) / 27))
    bins = np.arange(mels.fft // 2 + 1)[:, None] * mels.rate_hz / mels.fft
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.minimum(rising, falling).clip(0) * 2 / (edges[2:] - edges[:-2])
    window = np.pad(np.hanning(mels.window + 1)[:-1], (mels.fft - mels.window) // 2)
    mirrored = np.pad(audio, mels.pad, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(mirrored, mels.fft)[:: mels.hop]
    expected = np.abs(np.fft.rfft(frames * window)) @ bank
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_copy_is_as_long_and_as_loud_as_its_source(heard):
    source = 0.2 * np.sin(np.arange(24_000) / 20).astype(np.float32)
    copy = vocode(source, "melgan")
    assert len(copy) == len(source) + 300  # a frame more: the first one is centred on 0
    assert np.abs(copy).max() == pytest.approx(0.5 * 0.2 / 0.9, rel=0.01)  # 0.5: what it said
    assert len(copy_synthesis(source, "melgan")) == len(source)
    louder = vocode(3 * source, "melgan")
    np.testing.assert_allclose(heard[-1], heard[0], rtol=1e-4, atol=1e-6)  # gain is not heard
    np.testing.assert_allclose(louder, 3 * copy, rtol=1e-4, atol=1e-6)


def test_programs_change_what_the_vocoder_hears(heard):
    source = np.random.default_rng(1).standard_normal(24_000).astype(np.float32) / 10
    for program in ("melgan", "melgan_smooth", "melgan_slow"):
        assert abs(len(vocode(source, program)) - 24_000) <= 300
    plain, smooth, slow = heard
    levels = np.log(plain)
    around = levels[9:12, 29:32]  # a frame and a band: [1 2 1] / 4 in both directions
    expected = np.array([0.25, 0.5, 0.25]) @ around @ np.array([0.25, 0.5, 0.25])
    assert np.log(smooth[10, 30]) == pytest.approx(expected, abs=1e-4)
    assert len(slow) == pytest.approx(SLOWER * len(plain), abs=2)


def test_every_program_names_its_vocoder():
    assert vocoder_programs() == {
        **{f"hifigan{manner}": "hifigan" for manner in ("", "_smooth", "_slow")},
        **{f"melgan{manner}": "melgan" for manner in ("", "_smooth", "_slow")},
    }


def test_copies_by_the_vocoders_that_are_asked_for(heard, tmp_path):
    speech = np.random.default_rng(2).standard_normal(90_000).astype(np.float32) / 10
    where = folders(tmp_path, speech, 2)
    for asked in ((), ("melgan",)):
        made = [clip for clip, _ in clips(*where, SetOptions(2, per_engine=2, vocoders=asked))]
        copies = [clip for clip in made if clip.family == "melgan"]
        assert len(copies) == 2 * len(asked)
        assert {clip.attack for clip in copies} <= set(vocoder_programs())


def test_a_vocoder_that_is_not_there_ends_it_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(wheels, "find_spec", lambda package: None)
    vocoders._loaded.cache_clear()
    with pytest.raises(AuditError, match="hifigan is not installed: pip install lectura"):
        build([tmp_path], [], tmp_path / "set", SetOptions(vocoders=("hifigan",)), Progress())
    assert not (tmp_path / "set").exists()
    with pytest.raises(AuditError, match="no vocoder 'hifi': there are hifigan, melgan"):
        check_vocoders(["hifi"])
