"""Word times and codes beside a speech cache: interrupted, continued, the same in the end."""

import json

import numpy as np
import pytest
import soundfile

from sts_core.data import cache, library
from sts_core.data.voices import AGENT_VOICE
from sts_core.lm.ear import Ear

WORDS = ("yes", "no", "two", "six", "ten")


@pytest.fixture(scope="module")
def ear():
    return Ear.load()


def corpus(folder, count):
    """Noise that says something, by the agent and by a user in turn."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    with (folder / "manifest.jsonl").open("w") as manifest:
        for number in range(count):
            audio = rng.normal(0, 0.05, 24_000).astype(np.float32)
            soundfile.write(folder / f"{number}.flac", audio, 24_000)
            role, voice = (("agent", AGENT_VOICE), ("user", "af_bella"))[number % 2]
            row = {
                "id": str(number), "path": f"{number}.flac", "text": WORDS[number], "lang": "en",
                "phonemes": "jɛs", "role": role, "kind": "generic", "voice": voice,
                "split": "train", "seconds": 1.0,
            }  # fmt: skip
            manifest.write(json.dumps(row) + "\n")


@pytest.fixture
def made(tmp_path):
    corpus(tmp_path / "corpus", 5)
    assert cache.build(tmp_path / "cache", [tmp_path / "corpus"]) == []
    return tmp_path / "cache"


def contents(folder):
    names = (library.WORDS_NAME, library.CODES_NAME, library.CODES_INDEX_NAME)
    return [(folder / name).read_bytes() for name in names]


def test_an_interrupted_preparation_goes_on_and_ends_the_same(made, ear, monkeypatch):
    whole = library.prepare(made, ear, (AGENT_VOICE,))
    expected = contents(made)
    assert [whole[n].codes is not None for n in range(5)] == [True, False, True, False, True]
    for name in (library.WORDS_NAME, library.CODES_NAME, library.CODES_INDEX_NAME):
        (made / name).unlink()
    monkeypatch.setattr(library, "SAVE_EVERY", 2)

    def killed(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.prepare(made, ear, (AGENT_VOICE,), progress=killed)
    assert len((made / library.WORDS_NAME).read_text().splitlines()) == 2
    with (made / library.CODES_NAME).open("ab") as torn:
        torn.write(b"codes that the index knows nothing of")
    seen = []
    aligned = library.aligned_words
    monkeypatch.setattr(library, "aligned_words", lambda *a: seen.append(a[2]["id"]) or aligned(*a))
    library.prepare(made, ear, (AGENT_VOICE,))
    assert seen == ["2", "3", "4"]
    assert contents(made) == expected
