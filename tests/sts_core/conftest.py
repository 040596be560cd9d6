"""A small real corpus for the tests of sts_core: half a minute of hibari, made on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest

from sts_core.data.cache import SpeechCache, build, fill_teacher
from sts_core.data.synth import synthesise
from sts_core.semantic.teacher import load_teacher


@pytest.fixture(scope="session")
def speech_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder of about 30 s in many shifted voices."""
    folder = tmp_path_factory.mktemp("corpora") / "tiny"
    synthesise(folder, hours=30 / 3600, seed=11)
    return folder


@pytest.fixture(scope="session")
def speech_cache(speech_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> SpeechCache:
    """That corpus as a speech cache with Moonshine features. Do not write to it."""
    folder = tmp_path_factory.mktemp("speech_cache")
    assert build(folder, [speech_corpus]) == []
    fill_teacher(folder, load_teacher())
    return SpeechCache.open(folder)
