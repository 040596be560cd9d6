"""The corpus of tones, from a small cache of hibari's speech."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sts_core.data.cache import build
from sts_core.data.manifest import MANIFEST_NAME, load_audio
from sts_core.data.prosody import TONES
from sts_core.data.synth import _speak
from sts_core.data.texts import Line
from sts_core.data.tones import render_tones
from sts_core.data.voices import AGENT_VOICE, Hibari


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    corpus = tmp_path_factory.mktemp("corpus")
    hibari = Hibari()
    lines = [
        Line("He said yes.", "user", "emotional", {"tone": "neutral"}),
        Line("What is two plus two?", "user", "arithmetic"),
    ]
    rows = [
        _speak(corpus, f"u{i}", line, hibari, AGENT_VOICE, 1.0, hibari, np.random.default_rng(i))
        for i, line in enumerate(lines)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (corpus / MANIFEST_NAME).write_text(text, encoding="utf-8")
    folder = tmp_path_factory.mktemp("cache")
    build(folder, [corpus])
    return folder


def test_every_emotional_sentence_in_every_tone(cache_folder: Path, tmp_path: Path) -> None:
    assert render_tones(cache_folder, tmp_path, draws=2) == 2 * len(TONES)
    lines = (tmp_path / MANIFEST_NAME).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert sorted(row["tone"] for row in rows) == sorted([*TONES, *TONES])
    assert all(row["toned"] and row["text"] == "He said yes." for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    sizes = {row["tone"]: load_audio(tmp_path / row["path"]).size for row in rows}
    assert sizes["sad"] > sizes["neutral"] > sizes["angry"]  # slower, as it is, faster


def test_an_interrupted_corpus_goes_on(cache_folder: Path, tmp_path: Path) -> None:
    render_tones(cache_folder, tmp_path, draws=1)
    manifest = tmp_path / MANIFEST_NAME
    whole = manifest.read_text(encoding="utf-8")
    manifest.write_text("".join(whole.splitlines(keepends=True)[:2]) + '{"torn', encoding="utf-8")
    assert render_tones(cache_folder, tmp_path, draws=1) == len(TONES)
    assert manifest.read_text(encoding="utf-8") == whole
