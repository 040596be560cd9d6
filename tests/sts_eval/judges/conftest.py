"""Tracks whose truth is known by construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sts_eval.stimuli import Stimuli
from sts_eval.trace import silence
from sts_eval.units import seconds_to_samples


@pytest.fixture(scope="session")
def stimuli() -> Stimuli:
    return Stimuli.load()


@pytest.fixture
def place(stimuli: Stimuli) -> Callable[..., tuple[np.ndarray, tuple[float, float]]]:
    """A stimulus in silence: (track, true span in seconds)."""

    def make(stimulus: str, lead_s: float = 0.8) -> tuple[np.ndarray, tuple[float, float]]:
        speech = stimuli.get(stimulus).speech()
        lead = seconds_to_samples(lead_s)
        track = np.concatenate([silence(lead), speech, silence(24_000)])
        return track, (lead / 24_000, (lead + len(speech)) / 24_000)

    return make


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STS_EVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
