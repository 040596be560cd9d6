"""Whose voice a copy is said in: the agent's speech beside the training recording that it repeats.

Words can be learnt without the person who said them. Where a conversation repeats a training
recording (in words, as a fingerprint or in tokens: the first of these that found it), the speech of
the copy and the recording are compared by a speaker encoder, at the encoder's own threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sts_eval.audit.encoders import (
    EncoderError,
    SpeakerEncoder,
    Vector,
    load_encoder,
    similarity,
    speaker_scale,
)
from sts_eval.metrics.voice import same_voice
from sts_eval.probes.overfit_training import TrainingText
from sts_eval.target import Samples
from sts_eval.units import seconds_to_samples

ENCODER = "dvector"
LEAST_S = 3.0  # of a copy: what the encoder's threshold was measured on
NO_COPY = "it repeats no training recording"


@dataclass(frozen=True)
class Spoken:
    """A copy as it was said. of: the training text; span_s: where in the agent's track."""

    of: TrainingText
    span_s: tuple[float, float]


class VoiceJudge:
    """Compares copies with their recordings; the recordings' vectors are made once."""

    def __init__(self) -> None:
        self._recorded: dict[str, Vector] = {}

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        return load_encoder(ENCODER)

    @cached_property
    def _threshold(self) -> float:
        scale = speaker_scale(ENCODER)
        if scale is None:
            raise EncoderError(f"no threshold was measured for {ENCODER}")
        return scale.threshold

    def same(self, agent: Samples, copy: Spoken) -> bool:
        """Whether a copy passes for the recorded voice. agent: the track, float32 [S].

        A copy shorter than LEAST_S is heard with what the agent says behind it. Raises EncoderError
        where either holds too little sound, AudioError where the recording cannot be read.
        """
        start_s, end_s = copy.span_s
        heard = slice(
            seconds_to_samples(start_s), seconds_to_samples(max(end_s, start_s + LEAST_S))
        )
        if copy.of.id not in self._recorded:
            self._recorded[copy.of.id] = self._encoder.embed(copy.of.audio())
        said: Any = self._encoder.embed(agent[heard])
        return same_voice(similarity(said, self._recorded[copy.of.id]), self._threshold)
