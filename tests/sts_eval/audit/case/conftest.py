"""Recordings made of tones and of packaged speech, and small parts to hear them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sts_eval.stimuli import Stimuli

PARTS = "python:tests.sts_eval.audit.case.parts_for_tests"


@pytest.fixture(scope="session")
def speech(stimuli: Stimuli) -> dict[str, np.ndarray]:
    """About 24 s of packaged speech for each voice, float32 [S] at 24 kHz, with pauses."""
    joined: dict[str, list[np.ndarray]] = {}
    for item in stimuli.items:
        clips = joined.setdefault(item.voice, [])
        if sum(map(len, clips)) < 24 * 24_000:
            clips += [item.audio(), np.zeros(9_600, np.float32)]
    return {voice: np.concatenate(clips) for voice, clips in joined.items()}


@pytest.fixture
def folder(tmp_path: Path, speech: dict[str, np.ndarray]) -> Path:
    """Two recordings of two voices, the second halves of `speech`."""
    made = tmp_path / "recordings"
    made.mkdir()
    for voice in ("af_nova", "am_puck"):
        soundfile.write(made / f"{voice}.wav", speech[voice][14 * 24_000 :], 24_000)
    return made


@pytest.fixture
def enrolment_files(tmp_path: Path, speech: dict[str, np.ndarray]) -> dict[str, Path]:
    """A recording for each of two voices, the first halves."""
    files = {}
    for voice in ("af_nova", "am_puck"):
        files[voice] = tmp_path / f"{voice}_enrol.wav"
        soundfile.write(files[voice], speech[voice][: 14 * 24_000], 24_000)
    return files
