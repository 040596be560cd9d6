"""`--pitch` of the countermeasure's benchmark: statistics are kept, what is missing is filled."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from sts_eval.audit.training_set import Clip

from .conftest import load_benchmark

benchmark = load_benchmark("countermeasure")


def made_up() -> tuple[list[Clip], np.ndarray]:
    """Clips of four voices of each kind and three families; [N] 1 genuine, -1 spoofed."""
    clips = []
    for i in range(60):
        clips.append(Clip(f"person {i % 4}", f"g{i}", "", "", "clean", "made up"))
        family = "xyz"[i % 3]
        clips.append(Clip(f"machine {i % 4}", f"m{i}", family, family, "clean", "made up"))
    return clips, np.array([1.0 if not clip.attack else -1.0 for clip in clips])


def test_scores_of_both_are_mixed_and_what_was_not_measured_is_filled(
    tmp_path, capsys, monkeypatch
):
    clips, sides = made_up()
    rng = np.random.default_rng(0)
    plain = (rng.normal(size=(len(clips), 3)) + 0.5 * sides[:, None]).astype(np.float32)
    pitch = (rng.normal(size=(len(clips), 3)) + sides[:, None]).astype(np.float32)
    pitch[:4] = np.nan

    def first_number(folds, train_items, test_items):
        """A detector that needs no training, in the place of one that takes seconds."""
        train, test = ([int(i.path.name[4:]) for i in s] for s in (train_items, test_items))
        if (folds.features[4:] == pitch[4:]).all():
            mean = np.nanmean(pitch[train], axis=0)  # of the training side alone
            np.testing.assert_allclose(folds.features[:4], np.tile(mean, (4, 1)), rtol=1e-6)
        return folds.features[test].mean(axis=1)

    monkeypatch.setattr(benchmark.Folds, "score", first_number)
    scored = benchmark.Folds(clips, plain, benchmark.TrainOptions(), tmp_path)
    benchmark.with_pitch(scored, pitch, parts=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pitch: 4 of 120 clips with too little voicing"
    alone, other, joint, difference = (
        float(line.split("macro EER ")[1].split(" ")[0]) for line in lines if "macro EER" in line
    )
    assert other < joint < alone  # the pitch of these clips tells more
    assert difference == pytest.approx(joint - alone, abs=0.11)  # all are rounded
    assert " over 3 families" in lines[-1]
    assert sum("Cllr" in line for line in lines) == 3


def test_one_scale_keeps_the_folds_apart():
    one, other = benchmark._on_one_scale([np.array([0.0, 2.0]), np.array([10.0, 12.0])])
    assert one.tolist() == [-6.0, -4.0]  # less the mean 6, over the spread 1
    assert other.tolist() == [4.0, 6.0]


def test_pitch_is_kept_chunk_by_chunk(tmp_path, monkeypatch):
    heard = []

    def statistics(clip):
        heard.append(float(clip[0]))
        return np.full(231, clip[0], np.float32)

    monkeypatch.setattr(benchmark.pitch_statistics, "pitch_statistics", statistics)
    clips = [asdict(clip) for clip in made_up()[0][:2]]
    for number in range(2):
        audio = np.full((2, 8_000), 32767 * (number + 1) // 2, np.int16)
        np.savez(tmp_path / f"{number:05d}.npz", audio=audio, clips=np.array(json.dumps(clips)))
    work = tmp_path / "work"
    first = benchmark.load_pitch([tmp_path], work)
    assert first[:, 0] == pytest.approx([0.5, 0.5, 1, 1], abs=1e-4)
    assert heard == pytest.approx([0.5, 0.5, 1, 1], abs=1e-4)
    heard.clear()
    next(iter(sorted((work / "pitch").iterdir()))).unlink()
    np.testing.assert_array_equal(benchmark.load_pitch([tmp_path], work), first)
    assert len(heard) == 2  # of the chunk that was missing
