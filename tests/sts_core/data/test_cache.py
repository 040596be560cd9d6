"""The speech cache: exact audio, resumption at any instant, features in step with frames."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sts_core.data.cache import (
    CacheError,
    SpeechCache,
    build,
    fill_teacher,
    voice_group,
    voices_in_turn,
)
from sts_core.units import frames_of

LENGTHS = {"a": 1, "b": 1_920, "c": 1_921, "d": 24_000, "e": 5_000}


class Ramp:
    """A teacher whose features say which frame of which length they are."""

    name, dim = "ramp", 4

    def features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = frames_of(audio.size)
        return np.repeat(np.arange(frames, dtype=np.float32)[:, None], 4, axis=1) + audio.size


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "manifest.jsonl").open("w") as manifest:
        for name, length in LENGTHS.items():
            samples = rng.integers(-32768, 32767, length, dtype=np.int16)
            soundfile.write(folder / f"{name}.wav", samples, 24_000, subtype="PCM_16")
            speaker = "ann" if name == "e" else "bob"
            manifest.write(json.dumps({"path": f"{name}.wav", "speaker": speaker}) + "\n")
    return folder


def samples_of(source: Path, name: str) -> NDArray[np.int16]:
    return soundfile.read(source / f"{name}.wav", dtype="int16")[0]


def test_audio_is_exact_and_rows_carry_their_corpus(source: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "cache", [source]) == []
    cache = SpeechCache.open(tmp_path / "cache")
    assert len(cache) == 5
    assert [row["id"] for row in cache.rows] == list(LENGTHS)
    assert {row["corpus"] for row in cache.rows} == {"own"}
    for index, name in enumerate(LENGTHS):
        assert cache.audio(index).dtype == np.int16
        np.testing.assert_array_equal(cache.audio(index), samples_of(source, name))
    assert cache.teacher(0) is None
    assert not cache.has_teacher().any()


def test_excluded_speakers_never_enter(source: Path, tmp_path: Path) -> None:
    build(tmp_path / "cache", [source], exclude=[("speaker", "ann")])
    assert [row["id"] for row in SpeechCache.open(tmp_path / "cache").rows] == list("abcd")


def test_building_goes_on_after_a_torn_write(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    build(folder, [source])
    whole_audio = (folder / "audio.i16").read_bytes()
    whole_index = (folder / "index.jsonl").read_bytes()
    lines = whole_index.splitlines(keepends=True)
    torn = b"".join(lines[:2]) + lines[2][:20]  # killed while writing the third line
    (folder / "index.jsonl").write_bytes(torn)
    (folder / "audio.i16").write_bytes(whole_audio[: 2 * 4_001])
    assert build(folder, [source]) == []
    assert (folder / "audio.i16").read_bytes() == whole_audio
    assert (folder / "index.jsonl").read_bytes() == whole_index


def test_unreadable_recordings_are_reported_and_left_out(source: Path, tmp_path: Path) -> None:
    (source / "b.wav").write_bytes(b"rubbish")
    (problem,) = build(tmp_path / "cache", [source])
    assert "b.wav" in problem
    cache = SpeechCache.open(tmp_path / "cache")
    assert [row["id"] for row in cache.rows] == list("acde")
    np.testing.assert_array_equal(cache.audio(3), samples_of(source, "e"))


def test_features_are_filled_piecewise_and_stay_in_step(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    build(folder, [source])
    reader = SpeechCache.open(folder)
    assert fill_teacher(folder, Ramp(), limit=2) == 2
    assert reader.has_teacher().sum() == 2  # a reader that was open before sees them
    assert fill_teacher(folder, Ramp()) == 3
    assert fill_teacher(folder, Ramp()) == 0
    for index, length in enumerate(LENGTHS.values()):
        features = reader.teacher(index)
        assert features is not None
        assert features.dtype == np.float16
        assert features.shape == (frames_of(length), 4)
        np.testing.assert_array_equal(
            features[:, 0], (np.arange(frames_of(length)) + length).astype(np.float16)
        )


def test_a_cache_that_grew_keeps_its_features(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    build(folder, [source], exclude=[("speaker", "ann")])
    fill_teacher(folder, Ramp())
    build(folder, [source])
    grown = SpeechCache.open(folder)
    assert grown.has_teacher().tolist() == [True] * 4 + [False]
    assert grown.teacher(4) is None
    assert fill_teacher(folder, Ramp()) == 1
    last = SpeechCache.open(folder).teacher(-1)
    assert last is not None
    assert last[0, 0] == np.float16(LENGTHS["e"])


def test_another_teacher_is_refused(source: Path, tmp_path: Path) -> None:
    build(tmp_path / "cache", [source])
    fill_teacher(tmp_path / "cache", Ramp())
    other = Ramp()
    other.name = "other"  # type: ignore[misc]
    with pytest.raises(CacheError, match="holds features of 'ramp', not 'other'"):
        fill_teacher(tmp_path / "cache", other)


def test_damage_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no speech cache here"):
        SpeechCache.open(tmp_path)
    folder = tmp_path / "cache"
    build(folder, [source])
    data = (folder / "audio.i16").read_bytes()
    (folder / "audio.i16").write_bytes(data[:-2])
    with pytest.raises(CacheError, match="holds"):
        SpeechCache.open(folder)


def test_two_corpora_of_one_name_are_refused(source: Path, tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / "own"
    twin.mkdir(parents=True)
    with pytest.raises(CacheError, match="two share one"):
        build(tmp_path / "cache", [source, twin])


def test_voices_take_turns() -> None:
    rows = [{"voice": "many"}] * 50 + [{"voice": "few"}] * 5
    order = list(voices_in_turn(rows, seed=1))
    assert sorted(order) == list(range(55))
    assert Counter(rows[i]["voice"] for i in order[:10]) == {"many": 5, "few": 5}
    assert order != list(voices_in_turn(rows, seed=2))


@pytest.mark.parametrize(
    ("voice", "group"),
    [
        ("af_sky", "af_sky"),
        ("blend:af_sky+af_bella:0.30", "af_sky"),
        ("blend:af_nicole*0.66+af_sky*0.28", "af_nicole"),
        ("hibari:heart:f0x0.67:fmt0.88", "hibari:heart:f0x0.6"),
        ("hibari:heart", "hibari:heart"),
    ],
)
def test_voice_groups(voice: str, group: str) -> None:
    assert voice_group({"voice": voice}) == group
