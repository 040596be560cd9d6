"""Judges by name, their cache, the second opinion, and what calibration says of all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sts_eval.judges import JUDGES, JudgeError, Transcript, calibration, load_asr, load_vad
from sts_eval.judges.cache import cached, remember
from sts_eval.observation import Estimate
from sts_eval.record import Word
from sts_eval.stimuli import Stimuli
from sts_eval.target import Samples

Place = Callable[..., tuple[np.ndarray, tuple[float, float]]]


def test_unknown_and_misplaced_names_are_explained() -> None:
    with pytest.raises(JudgeError, match="did you mean 'moonshine'"):
        load_asr("moonshin")
    with pytest.raises(JudgeError, match="not ASR judge"):
        load_asr("silero")
    with pytest.raises(JudgeError, match="not VAD judge"):
        load_vad("moonshine")
    with pytest.raises(JudgeError, match="no_such_package"):
        load_asr("python:no_such_package:make")


def test_every_judge_has_a_name_and_a_version() -> None:
    for name in JUDGES.entries():
        judge = JUDGES.load(name)()
        assert judge.name == name
        assert judge.version


def test_missing_package_gives_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(JudgeError, match=r"pip install 'sts-eval\[pocketsphinx\]'"):
        JUDGES.load("pocketsphinx")()


def test_pocketsphinx_hears_a_sum_and_does_not_depend_on_order(place: Place) -> None:
    judge = load_asr("pocketsphinx")
    track, (begin, _) = place("af_nova-arithmetic-000")
    first = judge.transcribe(track)
    assert "two" in first.text.split()
    assert first.words[0].start_s == pytest.approx(begin, abs=0.1)
    judge.transcribe(place("bm_george-arithmetic-000")[0])
    assert judge.transcribe(track) == first


class Counting:
    """A judge that counts how often it is asked."""

    name, version = "counting", "1"

    def __init__(self) -> None:
        self.asked = 0

    def speech_spans(self, audio: Samples) -> list[tuple[float, float]]:
        self.asked += 1
        return [(0.25, len(audio) / 24_000)]


def test_cache_asks_once_per_audio_and_version(own_cache: Path) -> None:
    judge, x, y = Counting(), np.zeros(2400, np.float32), np.ones(2400, np.float32)
    answers = [cached(judge, z, lambda z=z: judge.speech_spans(z)) for z in (x, x, y, x)]
    assert judge.asked == 2
    assert answers == [[(0.25, 0.1)]] * 4
    judge.version = "2"
    cached(judge, x, lambda: judge.speech_spans(x))
    assert judge.asked == 3


def test_transcripts_come_back_equal_and_damage_is_repaired(own_cache: Path) -> None:
    heard = Transcript(
        text="hi", words=(Word(text="hi", start_s=0.5, end_s=0.7),), judge="j", version="1"
    )
    judge, x = Counting(), np.zeros(10, np.float32)
    assert cached(judge, x, lambda: heard) == heard
    assert cached(judge, x, lambda: pytest.fail("not cached")) == heard
    (file,) = own_cache.rglob("*.json")
    for damage in ("", "{", json.dumps({"key": ["other"], "value": 1}), "[]"):
        file.write_text(damage)
        assert cached(judge, x, lambda: heard) == heard
        assert cached(judge, x, lambda: pytest.fail("not repaired")) == heard


def test_cache_can_be_off_or_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STS_EVAL_CACHE", "")
    assert [remember(("k",), lambda: 1) for _ in range(2)] == [(1, False)] * 2
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STS_EVAL_CACHE", str(tmp_path / "file"))
    assert remember(("k",), lambda: 1) == (1, False)


def test_cache_is_shared_by_processes(own_cache: Path) -> None:
    program = (
        "from sts_eval.judges.cache import remember\n"
        "print([remember(('many', str(k)), lambda: k)[0] for k in range(30)])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [each.communicate()[0].strip() for each in running] == [str(list(range(30)))] * 3
    assert len(list(own_cache.rglob("*.json"))) == 30
    assert not list(own_cache.rglob("*.tmp"))


class Late:
    """A VAD judge that is 50 ms late at both ends, deaf to every track of `misses`."""

    name, version = "late", "1"

    def __init__(self, truth: dict[int, tuple[float, float]], misses: set[int]) -> None:
        self._truth, self._misses = truth, misses

    def speech_spans(self, audio: Samples) -> list[tuple[float, float]]:
        track = hash(audio.tobytes())
        begin, end = self._truth[track]
        return [] if track in self._misses else [(begin + 0.05, end + 0.05)]


def test_calibration_finds_a_known_error(
    stimuli: Stimuli, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "VAD_PER_VOICE", 2)
    tracks = list(calibration.vad_material(stimuli))
    truth = {hash(track.audio.tobytes()): track.spans[0] for track in tracks}
    noisy = next(track for track in tracks if track.background == "-45 dBFS noise")
    judge = Late(truth, {hash(noisy.audio.tobytes())})
    found = {
        (each.key, each.slice["background"]): each
        for each in calibration.measured(judge, calibration._measure_vad)
    }
    onset = found["vad_onset_error_ms.p50", "digital silence"]
    assert (onset.value, onset.n, onset.unit) == (pytest.approx(50.0), 8, "ms")
    assert found["vad_missed_rate.rate", "-45 dBFS noise"].value == pytest.approx(1 / 8)
    assert found["vad_missed_rate.rate", "digital silence"].value == 0
    assert found["vad_missed_rate.rate", "digital silence"].hi > 0
    assert found["vad_onset_error_ms.p50", "-45 dBFS noise"].n == 7
    assert all(isinstance(each, Estimate) for each in found.values())


def test_calibration_counts_wrong_words(
    stimuli: Stimuli, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "ASR_PER_VOICE", 2)
    tracks = list(calibration.asr_material(stimuli))
    truth = {hash(track.audio.tobytes()): track for track in tracks}

    class Deaf:
        """Hears the first word of each utterance, 20 ms late, and nothing else."""

        name, version = "deaf", "1"

        def transcribe(self, audio: Samples) -> Transcript:
            track = truth[hash(audio.tobytes())]
            said = track.text.split()[0]
            words = tuple(Word(text=said, start_s=a + 0.02, end_s=b) for a, b in track.spans[:1])
            return Transcript(text=said, words=words, judge="deaf", version="1")

    found = {each.key: each for each in calibration.measured(Deaf(), calibration._measure_asr)}
    words = sum(len(track.text.replace("-", " ").split()) for track in tracks)
    expected = 1 - len(tracks) / words
    assert found["asr_word_error_ratio.mean"].value == pytest.approx(expected, abs=1e-6)
    assert found["asr_word_error_ratio.mean"].n_clusters == len(tracks)
    assert found["asr_word_onset_error_ms.p50"].value == pytest.approx(20.0, abs=0.1)
    assert found["asr_word_lost_rate.rate"].value == pytest.approx(0.5)


def test_a_judge_that_cannot_run_is_reported_with_the_reason(own_cache: Path) -> None:
    asr, vad = "no_such_judge", "no_such_vad"
    for name, report in zip((vad, asr), calibration.judge_reports(asr, vad), strict=True):
        assert report.note.startswith(f"not measured: {name}: unknown judge")
        assert report.errors == []
    assert [r.role for r in calibration.judge_reports("none", vad)] == ["where speech is (VAD)"]
