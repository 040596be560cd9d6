"""Whisper through faster-whisper (CTranslate2) as a judge.

    asr: faster_whisper:model=small.en

model: a name that faster-whisper knows (it is downloaded on first use) or a folder with a converted
model. Word times come from the decoder's cross-attention.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from sts_eval.audio import resample
from sts_eval.judges.base import JudgeError, Transcript
from sts_eval.judges.hf import _model_mark
from sts_eval.judges.segmented import transcribe_segments
from sts_eval.judges.vad import SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

WHISPER_RATE_HZ = 16_000
INSTALL = "faster-whisper is not installed: pip install 'sts-eval[faster-whisper]'"


class FasterWhisperJudge:
    """compute_type: CTranslate2's ("int8", "float16", "float32"). device: "cpu" or "cuda"."""

    name = "faster_whisper"

    def __init__(
        self, model: str = "base.en", device: str = "cpu", compute_type: str = "int8"
    ) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            wheel = version("faster-whisper")
        except PackageNotFoundError as error:
            raise JudgeError(INSTALL) from error
        self.model, self.device, self.compute_type = str(model), str(device), str(compute_type)
        self._vad = SileroJudge()
        mark = f"{_model_mark(self.model)}-{self.compute_type}"
        self.version = f"1-faster-whisper{wheel}-{mark}-{self._vad.version}"

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(self.model, device=self.device, compute_type=self.compute_type)
        except (OSError, ValueError, RuntimeError) as error:
            raise JudgeError(f"faster-whisper cannot load {self.model!r}: {error}") from error

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the words that are spoken on it. Raises JudgeError."""
        return transcribe_segments(
            audio, self._vad, self._recognise, judge=self.name, version=self.version
        )

    def _recognise(self, part: Samples, at_s: float) -> list[Word]:
        samples = np.asarray(resample(part, SAMPLE_RATE_HZ, WHISPER_RATE_HZ), np.float32)
        try:
            found, _ = self._model.transcribe(
                samples,
                language="en",
                beam_size=1,
                temperature=0.0,  # no sampling: the same audio must give the same words
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=False,
            )
            spoken = [word for segment in found for word in segment.words or ()]
        except (RuntimeError, ValueError) as error:
            raise JudgeError(f"faster-whisper failed on {self.model!r}: {error}") from error
        return [
            Word(
                text=word.word.strip(),
                start_s=round(at_s + word.start, 3),
                end_s=round(at_s + max(word.start, word.end), 3),
            )
            for word in spoken
            if word.word.strip()
        ]
