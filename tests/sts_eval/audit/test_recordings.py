"""Recordings of several windows: what they are joined of, how they are cut, and the fold scores."""

from pathlib import Path

import numpy as np
import pytest

from sts_eval.audio import load_audio
from sts_eval.audit import AuditError, recordings
from sts_eval.audit.clip_statistics import DIMENSION
from sts_eval.audit.detectors import KNOWN
from sts_eval.audit.fold_scores import FoldScores, calibrate
from sts_eval.audit.recordings import PIECES, Recordings, Source, joined, render, windows_of
from sts_eval.audit.train_detector import TrainOptions
from sts_eval.audit.training_set import CLIP_S, Clip, SetOptions
from sts_eval.runner import Progress

from .conftest import folders


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return load_audio(sorted((KNOWN / "bonafide").glob("*.opus"))[0])


def test_sources_of_one_voice_and_family_are_joined(tmp_path: Path, speech: np.ndarray) -> None:
    made = list(joined(*folders(tmp_path, speech, 6), SetOptions(per_voice=6, per_engine=6)))
    kinds = [(each.clip.speaker, each.clip.family, len(each.parts)) for each in made]
    copied = ("world", "griffin_lim", "lpc", "voice_changer", "codec")
    # six sources: a recording of four and one of two; genuine ones twice, a room and channel each
    for size in (PIECES, 2):
        assert kinds.count(("people", "", size)) == 2
        assert kinds.count(("machines", "espeak", size)) == 1
        for family in copied:
            assert kinds.count(("people", family, size)) == 1
    assert len(kinds) == 2 * (2 + len(copied) + 1)
    for each in made:
        assert each.copied_by == (each.clip.attack if each.clip.family in copied else "")


def test_a_recording_has_one_channel_and_its_windows_overlap_by_half(speech: np.ndarray) -> None:
    part = np.resize(speech, round(3.3 * 24_000)).astype(np.float32)
    source = Source(Clip("v", "g", "", "", "", "f"), [part, part], "")
    heard = render(source, "clean", [], np.random.default_rng(0))
    assert heard.shape == (round(2 * CLIP_S * 16_000),)
    assert np.array_equal(heard, render(source, "clean", [], np.random.default_rng(0)))
    assert not np.array_equal(heard, render(source, "clean", [], np.random.default_rng(1)))
    assert source.parts[0][0] == speech[0]  # the source itself is not faded
    cut = windows_of(heard)
    assert cut.shape == (3, 48_000)
    assert np.array_equal(cut[1][:24_000], cut[0][24_000:])


def test_made_once_and_loaded(
    tmp_path: Path, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyworld", reason="extra [eval]")
    where, options = folders(tmp_path, speech, 2), SetOptions(per_voice=2, per_engine=2)
    target, progress = tmp_path / "longer", Progress()
    with pytest.raises(AuditError, match="no complete recordings"):
        recordings.load(target)
    monkeypatch.setattr(recordings, "CHUNK", 3)
    recordings.build(*where, target, options, progress)
    found = recordings.load(target)
    assert [clip.family for clip in found.clips[:3]] == ["", "", "world"]
    assert len(found.clips) == 8
    assert {block.shape for block in found.windows} == {(3, DIMENSION)}
    assert all(clip.codec for clip in found.clips)
    before = {file.name: file.read_bytes() for file in target.glob("*.npz")}
    assert len(before) == 3
    (target / "00001.npz").unlink()
    recordings.build(*where, target, options, progress)  # goes on, to the same recordings
    again = recordings.load(target)
    for one, other in zip(found.windows, again.windows, strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(AuditError, match="other settings"):
        recordings.build(*where, target, SetOptions(per_voice=3), progress)


def made_up(n: int, seed: int, size: int) -> tuple[list[Clip], np.ndarray]:
    """Clips, or recordings of `size` windows, whose class is in twenty numbers of [n, size, D]."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (n, size, DIMENSION)).astype(np.float32)
    clips = []
    for i in range(n):
        family = "" if i % 2 == 0 else "xy"[i // 2 % 2]
        voice = f"machine {i // 2 % 4}" if family else f"person {i // 2 % 4}"
        features[i, :, :20] += -0.5 if family else 0.5
        clips.append(Clip(voice, f"g{seed} {i}", family, family, "clean", "made up"))
    return clips, features


def test_fold_scores_hear_recordings_of_unheard_voices(tmp_path: Path) -> None:
    clips, features = made_up(96, 0, 1)
    longer, windows = made_up(48, 1, 3)
    longer.append(Clip("a stranger", "g", "", "", "clean", "made up"))  # in no clip: not heard
    heard = Recordings(longer, [*windows, windows[0]])
    options = TrainOptions()
    scored = FoldScores(clips, features[:, 0], options, tmp_path / "folds", recordings=heard)
    fitted = calibrate(scored)
    trials = scored.trials
    assert len(trials.scores) == 96 + 2 * 48  # each recording of one window and of two
    assert (trials.windows == 2).sum() == 48
    assert "a stranger" not in trials.voices
    assert fitted.lengths is not None
    assert [each.windows for each in fitted.lengths.at] == [2.0]
    known = fitted.known
    assert known is not None
    assert known.lengths is not None
    assert known.known is None
    assert known.n_bonafide == fitted.n_bonafide  # the same clips, by detectors that met the attack
    llr = known(trials.scores[trials.families == "x"])  # what misled: by those that did not
    one_window = trials.windows[trials.families == "x"] == 1
    assert known.misleading is not None
    assert known.misleading["x"].n == one_window.sum()
    share = float(np.mean(llr[one_window] >= np.log(2)))
    assert known.misleading["x"].weak == pytest.approx(share, abs=1e-4)
    trained: list[int] = []
    again = FoldScores(
        clips, features[:, 0], options, tmp_path / "folds", lambda: trained.append(1), heard
    )
    assert calibrate(again) == fitted
    assert not trained
    one, two = (trials.only(trials.genuine & (trials.windows == n)).scores for n in (1, 2))
    assert two.std() < one.std()  # independent windows: their mean errs less
