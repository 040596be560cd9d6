"""PocketSphinx en-us as a second opinion: a recogniser of another kind (HMM, 2015) and other data.

It is much weaker than Moonshine (see `calibration`), but its mistakes are unrelated, and its word
times come from its own alignment in 10 ms steps. Optional: pip install 'sts-eval[pocketsphinx]'.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from sts_eval.audio import resample
from sts_eval.judges.base import JudgeError, Transcript
from sts_eval.judges.moonshine import PAD_S, segments
from sts_eval.judges.vad import VAD_RATE_HZ, SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

INSTALL = "PocketSphinx is not installed: pip install 'sts-eval[pocketsphinx]'"
STEP_S = 0.01


class PocketsphinxJudge:
    """English recognition by PocketSphinx with its own language model."""

    name = "pocketsphinx"

    def __init__(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            wheel = version("pocketsphinx")
        except PackageNotFoundError as error:
            raise JudgeError(INSTALL) from error
        self._vad = SileroJudge()
        self.version = f"1-pocketsphinx{wheel}-{self._vad.version}"

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the words that are spoken on it."""
        words: list[Word] = []
        for start_s, end_s in segments(self._vad.speech_spans(audio)):
            begin = max(0, seconds_to_samples(start_s - PAD_S))
            part = audio[begin : seconds_to_samples(end_s + PAD_S)]
            words += recognise(part, begin / SAMPLE_RATE_HZ)
        text = " ".join(word.text for word in words)
        return Transcript(text=text, words=tuple(words), judge=self.name, version=self.version)


def recognise(part: Samples, at_s: float) -> list[Word]:
    """Words of one segment, float32 [S] at 24 kHz, that lies at `at_s`. Raises JudgeError."""
    decoder = load_decoder()
    samples = resample(part, SAMPLE_RATE_HZ, VAD_RATE_HZ)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    # Its cepstral mean runs on from utterance to utterance; reset, or results depend on the order.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return [
        Word(
            text=re.sub(r"\(\d+\)", "", segment.word),
            start_s=round(at_s + segment.start_frame * STEP_S, 3),
            end_s=round(at_s + (segment.end_frame + 1) * STEP_S, 3),
        )
        for segment in decoder.seg()
        if not segment.word.startswith(("<", "[", "("))
    ]


@lru_cache(maxsize=1)
def load_decoder() -> Any:
    """The decoder with the models of its wheel, one per process. Raises JudgeError."""
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise JudgeError(INSTALL) from error
    return Decoder(samprate=VAD_RATE_HZ, loglevel="FATAL")
