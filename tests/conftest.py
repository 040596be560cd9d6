"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from sts_eval.stimuli import Stimuli
from sts_eval.target import Samples

settings.register_profile("shared", deadline=None)  # machines are busy; nothing here is timed
settings.load_profile("shared")


@pytest.fixture(scope="session")
def stimuli() -> Stimuli:
    """The packaged voices."""
    return Stimuli.load()


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(7)


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Judges cache what they heard; tests keep that out of the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STS_EVAL_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tone() -> Samples:
    """A second of 440 Hz at half scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.float32)
