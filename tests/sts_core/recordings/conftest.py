"""Conversations of two voices, spoken by hibari on the spot."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sts_core.data.synth import level, trim
from sts_core.data.voices import AGENT_VOICE, Hibari
from sts_core.recordings.speakers import Speakers, load_speakers
from sts_core.units import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
SECOND, REPLY = (
    "Can you tell me a little story now, please?",
    "There was once a very small elephant.",
)
USER_VOICE = f"{AGENT_VOICE}:f0x0.60:fmt0.92"
# who begins when in `conversation`, seconds
STARTS = (
    ("user", 0.5, QUESTION),
    ("agent", 3.2, ANSWER),
    ("user", 6.2, SECOND),
    ("agent", 8.8, REPLY),
)
SECONDS = 12.0

SPEAKERS = """\
speakers:
  ann:
    user_in: ["*"]
    consent: {status: granted, scope: [training], date: 2026-05-04, evidence: form 17}
  bob:
    agent_in: ["*"]
    consent: {status: granted, scope: [training, voice], date: 2026-05-04, evidence: form 18}
"""


@cache
def say(text: str, voice: str = AGENT_VOICE) -> Audio:
    """Speech with 50 ms of silence at both ends, its active part at -23 dBFS. Do not change it."""
    hibari = Hibari()
    spoken = hibari.speak(hibari.phonemize(text), voice, 1.0, np.random.default_rng(5))
    return level(trim(spoken))


@pytest.fixture(scope="session")
def conversation() -> Audio:
    """float32 [12 s, 2] at 24 kHz, user left, agent right, with hiss at -70 dBFS."""
    rng = np.random.default_rng(1)
    size = round(SECONDS * SAMPLE_RATE_HZ)
    out = (rng.standard_normal((size, 2)) * 10 ** (-70 / 20)).astype(np.float32)
    for role, start_s, text in STARTS:
        sound = say(text, USER_VOICE if role == "user" else AGENT_VOICE)
        start = round(start_s * SAMPLE_RATE_HZ)
        out[start : start + sound.size, 0 if role == "user" else 1] += sound
    out.flags.writeable = False
    return out


@pytest.fixture
def folder(tmp_path: Path, conversation: Audio) -> Path:
    """A folder with one good conversation, calls/one.wav."""
    made = tmp_path / "own"
    (made / "calls").mkdir(parents=True)
    soundfile.write(made / "calls" / "one.wav", conversation, SAMPLE_RATE_HZ, subtype="PCM_16")
    return made


@pytest.fixture
def write_speakers(tmp_path: Path) -> Callable[[str], tuple[Speakers, Path]]:
    """A speakers file, read and where it lies."""

    def write(text: str = SPEAKERS) -> tuple[Speakers, Path]:
        file = tmp_path / "speakers.yaml"
        file.write_text(text)
        return load_speakers(file), file

    return write


@pytest.fixture(scope="session")
def recognise() -> Callable[[Audio], str]:
    """A recogniser that knows the sentences of `conversation` by their length."""
    lengths = {
        say(text, USER_VOICE if role == "user" else AGENT_VOICE).size: text
        for role, _, text in STARTS
    }

    def hear(audio: Audio) -> str:
        nearest = min(lengths, key=lambda size: abs(size - audio.size))
        return lengths[nearest] if abs(nearest - audio.size) < 0.15 * SAMPLE_RATE_HZ else ""

    return hear
