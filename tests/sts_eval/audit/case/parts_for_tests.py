"""A detector that hears one thing only, for tests of everything around it."""

from __future__ import annotations

import numpy as np

from sts_eval.audit.calibration import Calibration, fit


class LevelDetector:
    """Calls loud audio natural and quiet audio synthetic: tests choose the answer by the level."""

    name = "level"
    version = "1"
    seconds = 3.0

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.calibration: Calibration = fit(rng.normal(2, 0.5, 200), rng.normal(-2, 0.5, 200))

    def score(self, audio: np.ndarray) -> float:
        """2 for a peak of 0.1 or more, else -2."""
        return 2.0 if np.max(np.abs(audio)) >= 0.1 else -2.0


class CrashingDetector(LevelDetector):
    """Takes its process down on audio with a peak of 0.99."""

    def score(self, audio: np.ndarray) -> float:
        """See LevelDetector."""
        if np.max(np.abs(audio)) >= 0.99:
            import os

            os._exit(11)
        return super().score(audio)
