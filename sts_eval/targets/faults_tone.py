"""The fault `monotone`: what the target hears has no emotion.

The user's remark is replaced by its neutral rendition: the same words, voice and vocoder, from the
same moment on. The scenario's script says which sentence it is; only packaged ones are known.
Scenarios without a tone (or in the neutral one) pass unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sts_eval.target import Emission, Samples, Session, SessionSetup, TargetError
from sts_eval.targets.faults import Fault
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES, seconds_to_samples


class Monotone(Fault):
    """See the module."""

    fault = "monotone"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Put the neutral rendition in place of the user. Raises TargetError."""
        tone = setup.scenario.get("conditions", {}).get("tone", "neutral")
        if tone == "neutral":
            return session
        return _MonotoneSession(session, neutral_track(setup.scenario))


def neutral_track(scenario: Mapping[str, Any]) -> Samples:
    """The user's track with its remark said neutrally, float32 [S]. Raises TargetError."""
    from sts_eval.stimuli import Stimuli, StimuliError
    from sts_eval.targets.core import apply_tone

    name = str(scenario.get("expected", {}).get("stimulus", ""))
    try:
        item = Stimuli.load().with_remarks().get(name)
    except StimuliError as error:
        raise TargetError(f"monotone knows packaged sentences only: {error}") from error
    speech = apply_tone(item.speech(), "neutral", np.random.default_rng(0))
    lead = silence(seconds_to_samples(scenario["user_spans"][0]["start_s"]))
    return np.concatenate([lead, speech])


class _MonotoneSession:
    def __init__(self, inner: Session, track: Samples) -> None:
        self._inner, self._track = inner, track
        self._tick = 0

    def push(self, frame: Samples) -> Emission:
        at = self._tick * FRAME_SAMPLES
        self._tick += 1
        heard = silence(FRAME_SAMPLES)
        part = self._track[at : at + FRAME_SAMPLES]
        heard[: part.size] = part
        return self._inner.push(heard)

    def close(self) -> Emission:
        return self._inner.close()
