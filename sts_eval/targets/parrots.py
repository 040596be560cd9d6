"""The fault `parrots`: a target that repeats sentences of the reference's training texts.

It speaks them for real, with the voice that spoke the training recordings: the probes must find
them in what was heard. Where the user (or its own past) begins a training text, it says the rest of
that one; otherwise it says texts at random, one after another, from half a second after the user's
turn, or after two seconds of silence. The text stream of the inner target is kept as it is: what
is caught is caught by ear.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sts_eval.target import Emission, Samples, Session, SessionSetup, Target
from sts_eval.targets.faults import Fault
from sts_eval.trace import silence
from sts_eval.units import FRAME_S, FRAME_SAMPLES, seconds_to_samples

DELAY_S, SILENT_S = 0.48, 2.0
MIN_WORDS = 8
MAX_SPOKEN_S = 12.0


class Parrots(Fault):
    """See the module. seed: which sentences."""

    fault = "parrots"

    def __init__(self, inner: Target, seed: int = 0) -> None:
        super().__init__(inner)
        self.seed = int(seed)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Put the sentences in place of what the target says."""
        spans = setup.scenario.get("user_spans") or []
        start_s = spans[-1]["end_s"] + DELAY_S if spans else SILENT_S
        speech = sentences_audio(setup.scenario, [self.seed, setup.seed])
        return _ParrotSession(session, start_s, speech)


def sentences_audio(scenario: Any, seed: list[int]) -> Samples:
    """What is to be said in a scenario, float32 [S]."""
    from sts_eval.targets.core import speak, training_rows

    rows = [
        row
        for row in training_rows()
        if row.get("voice") and not row.get("prompts") and len(row["text"].split()) >= MIN_WORDS
    ]
    begun = str((scenario.get("expected") or {}).get("text", ""))
    rng = np.random.default_rng(seed)
    order = [rows[n] for n in rng.permutation(len(rows))[:6]]
    mine = [row for row in rows if row["text"] == begun]
    parts: list[Samples] = []
    for row in [*mine, *order]:
        spoken = speak(row["text"], row["voice"])
        if row["text"] == begun:  # the beginning has been said
            spoken = spoken[round(float(scenario["expected"]["given"]) * spoken.size) :]
        parts += [spoken, silence(seconds_to_samples(0.4))]
        if sum(part.size for part in parts) > seconds_to_samples(MAX_SPOKEN_S):
            break
    return np.concatenate(parts)


class _ParrotSession:
    def __init__(self, inner: Session, start_s: float, speech: Samples) -> None:
        self._inner = inner
        self._first = round(start_s / FRAME_S)
        self._speech = speech
        self._tick = 0

    def push(self, frame: Samples) -> Emission:
        heard = self._inner.push(frame)
        at = (self._tick - self._first) * FRAME_SAMPLES
        self._tick += 1
        audio = self._speech[at : at + FRAME_SAMPLES] if at >= 0 else silence(0)
        return replace(heard, audio=audio, flush=False)

    def close(self) -> Emission:
        return self._inner.close()
