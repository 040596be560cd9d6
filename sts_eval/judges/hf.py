"""Any speech recogniser of transformers as a judge: a local folder, or a name on the hub.

    asr: transformers:model=openai/whisper-small.en

Whisper and CTC models both go through the `automatic-speech-recognition` pipeline. Word times are
asked for and used where the model gives them. Weights are read as safetensors only (no pickle), and
a model's own code is never run.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sts_eval.audio import resample
from sts_eval.judges.base import JudgeError, Transcript
from sts_eval.judges.segmented import spread, transcribe_segments
from sts_eval.judges.vad import SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

INSTALL = "transformers is not installed: pip install 'sts-eval[hf]'"


class TransformersJudge:
    """model: a folder or a hub name. device: "cpu", "cuda" or "cuda:N"."""

    name = "transformers"

    def __init__(self, model: str = "openai/whisper-base.en", device: str = "cpu") -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            wheel = version("transformers")
        except PackageNotFoundError as error:
            raise JudgeError(INSTALL) from error
        self.model, self.device = str(model), str(device)
        self._vad = SileroJudge()
        self.version = f"1-transformers{wheel}-{_model_mark(self.model)}-{self._vad.version}"

    @cached_property
    def _pipeline(self) -> Any:
        from sts_core.hf import import_transformers

        transformers = import_transformers(f"judge hf:{self.model}")
        try:
            return transformers.pipeline(
                "automatic-speech-recognition",
                model=self.model,
                device=self.device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise JudgeError(f"transformers cannot load {self.model!r}: {error}") from error

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the words that are spoken on it. Raises JudgeError."""
        return transcribe_segments(
            audio, self._vad, self._recognise, judge=self.name, version=self.version
        )

    def _recognise(self, part: Samples, at_s: float) -> list[Word]:
        pipe = self._pipeline
        rate_hz = int(pipe.feature_extractor.sampling_rate)
        samples = np.asarray(resample(part, SAMPLE_RATE_HZ, rate_hz), np.float32)
        seconds = part.size / SAMPLE_RATE_HZ
        feed = {"raw": samples, "sampling_rate": rate_hz}
        try:
            found = pipe(dict(feed), return_timestamps="word")
        except (ValueError, KeyError, AttributeError, TypeError):
            found = pipe(dict(feed))  # a model without word times
        except RuntimeError as error:
            raise JudgeError(f"transformers failed on {self.model!r}: {error}") from error
        words = _timed_words(found.get("chunks") or [], at_s, seconds)
        return words or spread(str(found.get("text", "")), at_s, at_s + seconds)


def _timed_words(chunks: list[dict[str, Any]], at_s: float, seconds: float) -> list[Word]:
    """Chunks {"text", "timestamp": (start, end)} as words; ends may be missing."""
    words = []
    for chunk in chunks:
        start, end = chunk.get("timestamp") or (None, None)
        text = str(chunk.get("text", "")).strip()
        if not text or start is None:
            continue
        end = seconds if end is None else min(float(end), seconds)
        start = min(float(start), end)
        words.append(Word(text=text, start_s=round(at_s + start, 3), end_s=round(at_s + end, 3)))
    return words


def _model_mark(model: str) -> str:
    """What tells one model from another in the cache: its name, and a folder's files' sizes."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    files = sorted(path for path in folder.iterdir() if path.is_file())
    sizes = "-".join(f"{path.stat().st_size}.{path.stat().st_mtime_ns}" for path in files)
    import hashlib

    return f"{folder.name}-{hashlib.sha256(sizes.encode()).hexdigest()[:12]}"
