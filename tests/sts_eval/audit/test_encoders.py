"""The speaker encoders: what they accept, what their vectors have in common, what is shipped."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sts_eval.audit import dvectors
from sts_eval.audit.encoders import (
    ENCODERS,
    EncoderError,
    Quality,
    SpeakerScale,
    load_encoder,
    mean_voice,
    own_cosine,
    similarity,
    speaker_scale,
    without_silence,
)
from sts_eval.registry import RegistryError
from sts_eval.stimuli import Stimuli
from sts_eval.units import SAMPLE_RATE_HZ

NAMES = sorted(ENCODERS.entries())


@pytest.fixture(scope="module")
def voices() -> dict[str, list[np.ndarray]]:
    """Two joined utterances at a time, so that each is long enough."""
    items = Stimuli.load().items
    found = {}
    for voice in sorted({item.voice for item in items}):
        mine = [item.audio() for item in items if item.voice == voice and item.seconds > 1][:4]
        found[voice] = [np.concatenate(mine[:2]), np.concatenate(mine[2:4])]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_unit_and_repeatable(name, voices):
    encoder = load_encoder(name)
    audio = next(iter(voices.values()))[0]
    vector = encoder.embed(audio)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(vector, encoder.embed(audio.copy()))
    assert similarity(vector, encoder.embed(0.1 * audio)) > 0.99  # the gain does not count


@pytest.mark.parametrize("name", NAMES)
def test_one_voice_is_nearer_than_another(name, voices):
    encoder = load_encoder(name)
    (a, b, *_), (c, *_) = list(voices.values())[:2]
    one, same, other = map(encoder.embed, (a, b, c))
    assert similarity(one, same) > similarity(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "at least 1 s"),
        (np.full(12_000, 0.1, np.float32), "at least 1 s"),
        (np.zeros(48_000, np.float32), "silent"),
        (np.full(48_000, np.nan, np.float32), "NaN or infinite"),
        (np.zeros((2, 48_000), np.float32), "mono"),
    ],
)
def test_unusable_audio_is_refused(name, audio, message):
    with pytest.raises(EncoderError, match=message):
        load_encoder(name).embed(audio)


def test_silence_is_not_listened_to(voices):
    audio = next(iter(voices.values()))[0]
    padded = np.concatenate([np.zeros(3 * SAMPLE_RATE_HZ, np.float32), audio])
    assert len(without_silence(padded)) <= len(audio) + 0.2 * SAMPLE_RATE_HZ
    with pytest.raises(EncoderError, match="of sound"):
        without_silence(np.pad(audio[: SAMPLE_RATE_HZ // 2], SAMPLE_RATE_HZ))


def test_an_hour_costs_no_more_than_its_windows():
    features = np.arange(400_000, dtype=np.float32)[:, None].repeat(40, 1)
    windows = dvectors._windows(features, 80, 40)
    assert windows.shape == (dvectors.MAX_WINDOWS, 80, 40)
    assert windows[0, 0, 0] == 0
    assert windows[-1, -1, 0] == 399_999
    assert dvectors._windows(features[:30], 80, 40).shape == (1, 80, 40)


@pytest.mark.parametrize("fft", [400, 512])
def test_mel_bank_equals_librosa(fft):
    librosa = pytest.importorskip("librosa", reason="the reference implementation")
    theirs = librosa.filters.mel(sr=16_000, n_fft=fft, n_mels=40)
    assert np.abs(dvectors.mel_bank(fft) - theirs.T).max() < 1e-6


def test_similarity_is_the_cosine():
    one, other = np.float32([3, 4]), np.float32([4, 3])
    assert similarity(one, other) == pytest.approx(24 / 25)
    assert similarity(one, -one) == pytest.approx(-1)
    assert mean_voice([np.float32([1, 0]), np.float32([0, 1])]) == pytest.approx([0.5**0.5] * 2)
    with pytest.raises(EncoderError, match="different encoders"):
        similarity(one, np.float32([1, 2, 3]))
    with pytest.raises(EncoderError, match="zero or not finite"):
        similarity(one, np.float32([0, 0]))
    with pytest.raises(EncoderError, match="no vectors"):
        mean_voice([])


@pytest.mark.parametrize("name", NAMES)
def test_shipped_scale_fits_its_encoder(name):
    scale = speaker_scale(name)
    assert scale is not None
    low, middle, high = scale.log10_lr([-1.0, scale.threshold, 1.0])
    assert low < 0 < high
    assert abs(middle) < high
    assert 10**high <= scale.calibration.n_clusters_spoof + 1.001
    assert scale.measured["eer_percent_all"] < 5


def test_scale_of_another_version_is_refused(tmp_path):
    scale = speaker_scale("ge2e")
    assert scale is not None
    old = tmp_path / "old.json"
    old.write_text(scale.model_copy(update={"version": "0"}).model_dump_json(by_alias=True))
    with pytest.raises(EncoderError, match="measure again"):
        speaker_scale("ge2e", old)
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(EncoderError, match="not a speaker scale"):
        speaker_scale("ge2e", tmp_path / "torn.json")
    assert speaker_scale("python:somewhere:factory") is None


def test_a_scale_of_schema_1_still_loads_and_a_mixed_one_does_not(tmp_path):
    shipped = speaker_scale("ge2e")
    assert shipped is not None
    assert shipped.quality is not None
    old = shipped.model_dump(mode="json", by_alias=True)
    old["schema"] = "sts-eval/speaker-scale/1"
    del old["quality"]
    file = tmp_path / "old.json"
    file.write_text(json.dumps(old))
    loaded = speaker_scale("ge2e", file)
    assert loaded is not None
    assert loaded.quality is None
    # without a quality the calibration is read as it is
    assert loaded.log10_lr([0.8]) == pytest.approx(loaded.calibration.log10_lr([0.8]))
    assert shipped.log10_lr([0.8]) == pytest.approx(
        shipped.calibration.log10_lr([0.8 + shipped.quality.attenuation * 2 / 3])
    )
    named = load_encoder(f"scale:{file}")
    assert named.name == "ge2e"
    assert speaker_scale(f"scale:{file}") == loaded
    with pytest.raises(ValueError, match="belongs to schema 2"):
        SpeakerScale.model_validate({**old, "schema": "sts-eval/speaker-scale/2"})
    with pytest.raises(EncoderError, match="not a speaker scale"):
        speaker_scale(f"scale:{tmp_path / 'none.json'}")
    other = tmp_path / "mine.json"
    other.write_text(json.dumps({**old, "encoder": "mine"}))
    with pytest.raises(EncoderError, match="'mine', which is not shipped"):
        load_encoder(f"scale:{other}")


def test_what_a_cosine_owes_to_the_recordings():
    quality = Quality(attenuation=0.3, consistency=0.5, usual=0.8)
    assert quality.correction(3, 15) == pytest.approx(0.3 * (1 / 3 + 1 / 15))
    assert quality.correction(3, 15, own=0.9) == pytest.approx(0.12 - 0.05)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Quality(attenuation=-0.1, consistency=0.5, usual=0.8)


def test_own_cosine_is_the_mean_over_different_pieces(rng):
    pieces = rng.normal(0.3, 1, (5, 8))
    pieces /= np.linalg.norm(pieces, axis=1, keepdims=True)
    table = pieces @ pieces.T
    assert own_cosine(pieces) == pytest.approx(table[~np.eye(5, dtype=bool)].mean())
    assert own_cosine(pieces[:1]) is None


def test_unknown_names():
    with pytest.raises(RegistryError, match="did you mean 'dvector'"):
        load_encoder("dvectr")
    with pytest.raises(EncoderError, match="no hyperparams"):
        load_encoder("speechbrain:no/such/folder")
    with pytest.raises(EncoderError, match="not a speaker encoder"):
        load_encoder("python:collections:OrderedDict")


def test_a_changed_model_file_is_refused(monkeypatch):
    monkeypatch.setattr(dvectors, "VOICEFILTER_SHA256", "0" * 64)
    dvectors._voicefilter.cache_clear()
    with pytest.raises(EncoderError, match="another encoder"):
        dvectors._voicefilter()
    monkeypatch.undo()
    dvectors._voicefilter.cache_clear()


RECIPE = """
pretrained_path: speechbrain/no-such-model
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 80
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 80
    channels: [16, 16, 16, 16, 48]
    lin_neurons: 24
    attention_channels: 8
    se_channels: 8
classifier: !new:torch.nn.Identity
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""


def test_speechbrain_folder(tmp_path: Path, voices):
    """A small ECAPA-TDNN of random weights, laid out like the published one."""
    from sts_eval.speechbrain import import_speechbrain

    import_speechbrain()
    import torch
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    torch.manual_seed(1)
    net = ECAPA_TDNN(
        80, channels=[16] * 4 + [48], lin_neurons=24, attention_channels=8, se_channels=8
    )
    torch.save(net.state_dict(), tmp_path / "embedding_model.ckpt")
    (tmp_path / "hyperparams.yaml").write_text(RECIPE)
    encoder = load_encoder(f"speechbrain:{tmp_path}")
    vector = encoder.embed(next(iter(voices.values()))[0])
    assert vector.shape == (24,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(tmp_path / "hyperparams.yaml", broken)
    with pytest.raises(EncoderError, match="speechbrain cannot load it"):
        load_encoder(f"speechbrain:{broken}")
