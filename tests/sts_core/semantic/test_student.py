"""The student keeps the streaming contract, and its weights file refuses anything foreign."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_core.checkpoint import WeightsError, save_weights
from sts_core.codec.features import mel_filters
from sts_core.semantic.student import Student, StudentConfig, TextEncoder, warped
from sts_core.semantic.weights import WEIGHTS_KIND, load_student, save_student

SMALL = StudentConfig(dims=(8, 12, 16), depths=(1, 1, 1), clusters=5, embedding_dim=6, text_dim=4)
FRAME = 1_920


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    return Student(SMALL).eval()


def noise(batch: int, frames: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(batch, frames * FRAME, generator=generator)


@given(splits=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_any_split_equals_the_whole(student: Student, splits: list[int]) -> None:
    audio = noise(2, sum(splits))
    with torch.inference_mode():
        whole = student(audio)
        state, parts = student.initial_state(2), []
        for piece in audio.split([frames * FRAME for frames in splits], dim=1):
            y, state = student.step(piece, state)
            parts.append(y)
    assert whole.shape == (2, sum(splits), student.dim)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_sessions_and_rows_are_independent(student: Student) -> None:
    audio = noise(3, 5)
    with torch.inference_mode():
        both = student(audio)
        torch.testing.assert_close(student(audio), both, atol=0, rtol=0)
        torch.testing.assert_close(student(audio[1:2]), both[1:2], atol=1e-5, rtol=1e-5)


def test_the_future_cannot_touch_the_past(student: Student) -> None:
    audio = noise(1, 6)
    broken = audio.clone()
    broken[:, 4 * FRAME :] = float("nan")
    with torch.inference_mode():
        whole, cut = student(audio), student(broken)
    torch.testing.assert_close(cut[:, :4], whole[:, :4])
    assert torch.isnan(cut[:, 4:]).all()


def test_the_present_frame_is_heard(student: Student) -> None:
    audio = noise(1, 4)
    changed = audio.clone()
    changed[:, -200:] += 0.3
    with torch.inference_mode():
        difference = (student(changed) - student(audio)).abs().amax(dim=-1)[0]
    assert difference[:3].max() == 0
    assert difference[3] > 1e-4


def test_a_masked_frame_hides_its_sound(student: Student) -> None:
    audio, other = noise(1, 4), noise(1, 4)
    other[:, 2 * FRAME : 3 * FRAME - 900] = 0.2  # nothing that a window of frame 3 reaches
    mask = torch.tensor([[False, False, True, False]])
    with torch.inference_mode():
        torch.testing.assert_close(student(audio, mask), student(other, mask))
        assert not torch.allclose(student(audio), student(other))


@pytest.mark.parametrize("shape", [(1, 1_919), (1, 0), (1_920,), (1, 1, 1_920)])
def test_audio_that_is_not_whole_frames_is_refused(
    student: Student, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="audio must be"):
        student(torch.zeros(shape))


def test_phoneme_logits_are_four_a_frame(student: Student) -> None:
    y = torch.randn(2, 3, student.dim)
    logits = student.phoneme_logits(y)
    assert logits.shape[:2] == (2, 12)
    torch.testing.assert_close(student.phoneme_logits(y[:, 1:2]), logits[:, 4:8])


def test_embeddings_ignore_padding_and_know_order(student: Student) -> None:
    y = torch.randn(1, 5, student.dim)
    padded = torch.cat([y, torch.full((1, 3, student.dim), 9.0)], dim=1)
    lengths = torch.tensor([5])
    alone = student.pool(y, lengths)
    torch.testing.assert_close(student.pool(padded, lengths), alone)
    assert alone.norm(dim=-1).item() == pytest.approx(1.0, abs=1e-5)
    assert not torch.allclose(student.pool(y.flip(1), lengths), alone, atol=1e-3)


def test_texts_are_encoded_without_regard_to_case_and_punctuation() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(SMALL).eval()
    with torch.inference_mode():
        first, second, third = encoder(["What is two?", "what IS  two", "two is what, then"])
        alone = encoder(["what is two"])[0]
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, alone)
    assert not torch.allclose(first, third, atol=1e-3)
    assert torch.isfinite(encoder(["", "123"])).all()


def test_warping_moves_filters_in_frequency() -> None:
    filters = mel_filters(40, 1024)
    torch.testing.assert_close(warped(filters, 1.0), filters)
    for factor in (0.88, 1.12):
        moved = warped(filters, factor)
        for band in (10, 20, 30):
            peak, before = int(moved[:, band].argmax()), int(filters[:, band].argmax())
            assert peak == pytest.approx(before * factor, abs=1.5)


def test_weights_round_trip_in_half_precision(student: Student, tmp_path: Path) -> None:
    text = TextEncoder(SMALL)
    file = save_student(tmp_path / "s.safetensors", student, text)
    loaded, loaded_text = load_student(file)
    assert loaded.config == SMALL
    audio = noise(1, 3)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(audio), student(audio), atol=2e-2, rtol=2e-2)
        expected = text.eval()(["hello"])
        torch.testing.assert_close(loaded_text(["hello"]), expected, atol=1e-2, rtol=1e-2)


def test_foreign_truncated_and_broken_weights_are_refused(student: Student, tmp_path: Path) -> None:
    file = save_student(tmp_path / "s.safetensors", student, TextEncoder(SMALL))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        load_student(cut)
    with pytest.raises(WeightsError, match="no such weights file"):
        load_student(tmp_path / "none.safetensors")
    save_weights(tmp_path / "c.safetensors", {"x": torch.zeros(1)}, "sts-core codec", {})
    with pytest.raises(WeightsError, match="expected 'sts-core semantic student'"):
        load_student(tmp_path / "c.safetensors")
    save_weights(tmp_path / "d.safetensors", {"x": torch.zeros(1)}, WEIGHTS_KIND, {"dims": [4]})
    with pytest.raises(WeightsError, match="do not fit"):
        load_student(tmp_path / "d.safetensors")
    with torch.no_grad():
        sick = Student(SMALL)
        sick.norm.weight[0] = float("nan")
    with pytest.raises(WeightsError, match="not finite"):
        load_student(save_student(tmp_path / "n.safetensors", sick, TextEncoder(SMALL)))
