"""Teachers: features in step with our frames, from the real Moonshine and tiny `hf:` models."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sts_core.data.cache import SpeechCache
from sts_core.hf import import_transformers
from sts_core.semantic.teacher import Teacher, TeacherError, load_teacher, pool_to_frames
from sts_core.units import FRAME_SAMPLES, frames_of


def speech(cache: SpeechCache, frames: int) -> NDArray[np.float32]:
    """That many frames of speech from the middle of the corpus."""
    pieces = [cache.audio(i) for i in range(len(cache))]
    return np.concatenate(pieces)[: frames * FRAME_SAMPLES].astype(np.float32) / 32768


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean cosine of rows about the common mean."""
    mean = a.mean(axis=0)
    a, b = a - mean, b - mean
    return float(np.mean((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def test_pooling_weights_by_distance_from_the_frame_s_centre() -> None:
    features = np.array([[0.0], [1.0], [3.0]], np.float32)
    centres_s = np.array([0.04, 0.08, 0.12])  # centre of frame 0, border, centre of frame 1
    pooled = pool_to_frames(features, centres_s, 2)
    np.testing.assert_allclose(pooled[:, 0], [(0 * 1 + 1 * 0.5) / 1.5, (1 * 0.5 + 3) / 1.5])


def test_frames_past_the_last_feature_take_the_nearest() -> None:
    pooled = pool_to_frames(np.array([[2.0]], np.float32), np.array([0.02]), 5)
    np.testing.assert_allclose(pooled[:, 0], 2.0)


@pytest.mark.parametrize("samples", [1, 1_919, 1_920, 1_921, 30_000])
def test_moonshine_gives_one_vector_a_frame(samples: int) -> None:
    teacher = load_teacher()
    audio = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    features = teacher.features(audio)
    assert features.shape == (frames_of(samples), teacher.dim) == (frames_of(samples), 416)
    assert np.isfinite(features).all()


def test_moonshine_features_move_with_the_sound(speech_cache: SpeechCache) -> None:
    """Two frames of silence in front shift the features by two frames, not one or three."""
    teacher, audio = load_teacher(), speech(speech_cache, 40)
    plain = teacher.features(audio)[8:32]
    delayed = teacher.features(np.concatenate([np.zeros(2 * FRAME_SAMPLES, np.float32), audio]))
    scores = [similarity(plain, delayed[8 + shift : 32 + shift]) for shift in range(5)]
    assert int(np.argmax(scores)) == 2
    assert scores[2] > 0.9
    assert max(scores[1], scores[3]) < 0.85


def test_long_recordings_are_heard_in_pieces_without_a_seam(speech_cache: SpeechCache) -> None:
    teacher = load_teacher()
    audio = speech(speech_cache, 240)
    whole = teacher.features(audio)
    assert whole.shape == (240, 416)
    alone = teacher.features(audio[170 * FRAME_SAMPLES : 230 * FRAME_SAMPLES])
    # frame 200 is the seam; neighbours differ in context, so they agree only in part
    scores = [similarity(alone[10:50], whole[180 + shift : 220 + shift]) for shift in (-1, 0, 1)]
    assert int(np.argmax(scores)) == 1
    assert scores[1] > 0.6


def test_unknown_teachers(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="unknown teacher 'whisper'"):
        load_teacher("whisper")
    with pytest.raises(TeacherError, match=r"no config\.json there"):
        load_teacher(f"hf:{tmp_path}")


TINY: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8] * 7, "num_conv_pos_embedding_groups": 2, "num_conv_pos_embeddings": 8,
}  # fmt: skip
FAMILIES = {
    "wavlm": ("WavLMConfig", "WavLMModel"),
    "hubert": ("HubertConfig", "HubertModel"),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
}
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="extra [hf] is not installed"
)


@needs_transformers
@pytest.mark.parametrize("family", list(FAMILIES))
def test_hugging_face_teachers(family: str, tmp_path: Path) -> None:
    transformers = import_transformers("test")
    config_name, model_name = FAMILIES[family]
    config = getattr(transformers, config_name)(**TINY)
    getattr(transformers, model_name)(config).save_pretrained(tmp_path)
    teacher: Teacher = load_teacher(f"hf:{tmp_path}")
    assert teacher.dim == 16
    assert teacher.name == f"hf:{family}:{tmp_path.name}:2"
    audio = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    features = teacher.features(audio)
    assert features.shape == (13, 16)
    assert np.isfinite(features).all()
    other = load_teacher(f"hf:{tmp_path}", layer=0)
    assert not np.allclose(other.features(audio), features)
    assert teacher.features(audio[:10]).shape == (1, 16)
    with pytest.raises(TeacherError, match="layer 9 of 3"):
        load_teacher(f"hf:{tmp_path}", layer=9)


@needs_transformers
def test_another_model_family_is_refused(tmp_path: Path) -> None:
    import_transformers("test").BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(
        tmp_path
    )
    with pytest.raises(TeacherError, match="a 'bert' model"):
        load_teacher(f"hf:{tmp_path}")
