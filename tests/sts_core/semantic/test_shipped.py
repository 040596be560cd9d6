"""The shipped student hears real speech: new sentences in two voices of hibari."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sts_core.data.synth import level, trim
from sts_core.data.voices import Hibari
from sts_core.semantic.clusters import load_clusters
from sts_core.semantic.evaluate import Utterance, evaluate, phoneme_error_rate, retrieval_rate
from sts_core.semantic.phonemes import phoneme_ids
from sts_core.semantic.student import Student, TextEncoder
from sts_core.semantic.teacher import load_teacher
from sts_core.semantic.weights import DEFAULT_WEIGHTS, load_student
from sts_core.units import FRAME_SAMPLES, frames_of

SENTENCES = (
    "The gardener found seven small apples under the tree.",
    "Can you tell me the color of the winter sky?",
    "My brother plays the piano every Tuesday evening.",
    "How much is fourteen minus nine?",
    "Please close the kitchen window before it rains.",
    "What is the capital of Portugal?",
)


@pytest.fixture(scope="module")
def shipped() -> tuple[Student, TextEncoder]:
    return load_student()


@pytest.fixture(scope="module")
def spoken() -> list[Utterance]:
    """Each sentence by the agent's voice and by a deeper, stretched one."""
    hibari, made = Hibari(), []
    for text in SENTENCES:
        phonemes = hibari.phonemize(text)
        for voice in ("hibari:heart", "hibari:heart:f0x0.72:fmt0.93"):
            audio = level(trim(hibari.speak(phonemes, voice, 1.0, np.random.default_rng(0))))
            made.append(Utterance(f"{voice} {text}", voice, text, phoneme_ids(phonemes), audio))
    return made


def test_it_reads_phonemes_and_finds_the_text(
    shipped: tuple[Student, TextEncoder], spoken: list[Utterance]
) -> None:
    heard = evaluate(*shipped, spoken)
    assert phoneme_error_rate(heard) < 0.4
    assert retrieval_rate(heard) >= 0.75
    silence = [Utterance("s", "v", "", u.labels, np.zeros(24_000, np.float32)) for u in spoken[:1]]
    assert phoneme_error_rate(evaluate(*shipped, silence)) >= 0.9  # the measure can fail


def test_it_predicts_the_teacher_s_clusters(
    shipped: tuple[Student, TextEncoder], spoken: list[Utterance]
) -> None:
    student, clusters, teacher = shipped[0], load_clusters(), load_teacher()
    right = frames = 0
    for utterance in spoken[:6]:
        length = frames_of(utterance.audio.size)
        audio = torch.zeros(1, length * FRAME_SAMPLES)
        audio[0, : utterance.audio.size] = torch.from_numpy(utterance.audio)
        wanted = clusters.assign(torch.from_numpy(teacher.features(utterance.audio)))
        with torch.inference_mode():
            right += int((student.to_clusters(student(audio))[0].argmax(-1) == wanted).sum())
        frames += length
    assert right / frames > 0.15  # blind: about 2 %


def test_streaming_equals_offline(
    shipped: tuple[Student, TextEncoder], spoken: list[Utterance]
) -> None:
    student = shipped[0]
    frames = spoken[0].audio.size // FRAME_SAMPLES
    audio = torch.from_numpy(spoken[0].audio[: frames * FRAME_SAMPLES])[None]
    with torch.inference_mode():
        state, parts = student.initial_state(1), []
        for frame in audio.split(FRAME_SAMPLES, dim=1):
            y, state = student.step(frame, state)
            parts.append(y)
        difference = (torch.cat(parts, dim=1) - student(audio)).abs().max().item()
    assert difference <= 1e-4


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_WEIGHTS.parent.iterdir()) < 8 * 2**20
    student, _ = load_student()
    assert sum(p.numel() for p in student.parameters()) <= 4_000_000
