"""`--one-boundary` of the countermeasure's benchmark: both detectors on the same folds, paired."""

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


def test_a_detector_of_one_class_of_attacks_is_compared_on_the_same_folds(
    tmp_path, capsys, monkeypatch
):
    clips, sides = made_up()
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(len(clips), 2)) + sides[:, None]).astype(np.float32)

    def mean_of_what_counts(folds, train_items, test_items):
        """A detector that needs no training, in the place of one that takes seconds."""
        index = [int(item.path.name[4:]) for item in test_items]
        scores = features[index] @ np.array([1.0, folds.options.apart])
        folds.add(index, scores)
        return scores

    monkeypatch.setattr(benchmark.Folds, "score", mean_of_what_counts)
    scored = benchmark.Folds(clips, features, benchmark.TrainOptions(), tmp_path)
    benchmark.one_boundary(scored, parts=2)
    lines = capsys.readouterr().out.splitlines()
    one, apart, changed = (
        float(line.split("macro EER ")[1].split(" ")[0]) for line in lines if "macro EER" in line
    )
    assert apart < one  # two independent numbers tell more than one
    assert changed == pytest.approx(apart - one, abs=0.11)  # all are rounded
    assert "3 families and 8 voices drawn" in lines[-1]
    assert sum("Cllr" in line for line in lines) == 2
