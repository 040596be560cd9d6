"""Manifests are untrusted input: what is accepted, what is refused, and how loudly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sts_core.data.manifest import (
    ManifestError,
    load_audio,
    parse_exclusions,
    read_manifest,
    select,
    voice_of,
)


def write(folder: Path, *lines: Any) -> Path:
    text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_only_the_path_is_required(tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, {"path": "a/b.wav"}, "", {"path": "c.wav", "id": "x"}))
    assert [row["id"] for row in rows] == ["a/b", "x"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"manifest\.jsonl:2: not JSON"),
        ([1], "expected an object"),
        ({"text": "hi"}, 'text field "path"'),
        ({"path": 3}, 'text field "path"'),
        ({"path": "../secret.wav"}, "leaves the corpus folder"),
        ({"path": "/etc/passwd"}, "leaves the corpus folder"),
        ({"path": "ok.wav"}, "'ok' occurs twice"),
        ({"path": "x" * 70_000}, "longer than"),
    ],
)
def test_bad_lines_name_file_and_line(tmp_path: Path, line: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(tmp_path, {"path": "ok.wav"}, line))


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no manifest\.jsonl"):
        read_manifest(tmp_path)


def test_held_out_rows_are_only_given_when_their_split_is_named() -> None:
    rows = [{"id": 1}, {"id": 2, "split": "heldout"}, {"id": 3, "split": "train", "speaker": "ann"}]
    assert [row["id"] for row in select(rows)] == [1, 3]
    assert [row["id"] for row in select(rows, splits=("heldout",))] == [2]
    assert [row["id"] for row in select(rows, exclude=[("speaker", "ann")])] == [1]


def test_exclusions_are_parsed() -> None:
    assert parse_exclusions(["speaker=ann", "kind=a=b"]) == [("speaker", "ann"), ("kind", "a=b")]
    with pytest.raises(ManifestError, match="expected FIELD=VALUE"):
        parse_exclusions(["speaker"])


def test_the_voice_is_voice_then_speaker_then_corpus() -> None:
    assert voice_of({"voice": "v", "speaker": "s"}) == "v"
    assert voice_of({"speaker": "s", "corpus": "c"}) == "s"
    assert voice_of({"corpus": "c"}) == "c"


def test_any_rate_and_stereo_become_24_khz_mono(tmp_path: Path) -> None:
    time_s = np.arange(16_000) / 16_000
    left = 0.5 * np.sin(2 * np.pi * 300 * time_s)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], axis=1), 16_000)
    audio = load_audio(tmp_path / "a.wav")
    assert audio.dtype == np.int16
    assert audio.size == 24_000
    middle = audio[2_000:-2_000].astype(float) / 32768
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.25, abs=0.005)  # averaged channels
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() == 300


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "no audio"),
        (np.full(100, np.nan), "not finite"),
        (np.zeros(24_000 * 3), "longer than 2 s"),
    ],
)
def test_unusable_recordings_are_refused(tmp_path: Path, samples: np.ndarray, message: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, 24_000, subtype="FLOAT")
    with pytest.raises(ManifestError, match=message):
        load_audio(tmp_path / "a.wav", max_seconds=2)


def test_a_file_that_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"not audio at all")
    with pytest.raises(ManifestError, match="cannot be read as audio"):
        load_audio(tmp_path / "a.wav")
