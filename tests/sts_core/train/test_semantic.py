"""The semantic stage, really trained for a few steps on the small corpus."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sts_core.data.cache import SpeechCache
from sts_core.semantic.batches import IGNORED
from sts_core.semantic.student import StudentConfig
from sts_core.semantic.weights import load_student
from sts_core.train.semantic import (
    SemanticConfig,
    contrastive_loss,
    learning_rate_at,
    masked_loss,
    train,
)

SMALL = StudentConfig(dims=(16, 24, 32), depths=(1, 1, 1), clusters=24, text_dim=16)


@pytest.fixture
def config(speech_cache: SpeechCache, tmp_path: Path) -> SemanticConfig:
    return SemanticConfig(
        cache=str(speech_cache.folder), run=str(tmp_path / "run"), seed=3, masked_steps=3,
        align_steps=5, batch_size=6, warmup_steps=2, learning_rate=3e-3, log_every=1,
        cluster_frames=2_000, student=SMALL,
    )  # fmt: skip


def quiet(line: str) -> None:
    """Takes the place of print."""


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_both_stages_run_and_leave_weights(
    config: SemanticConfig, speech_corpus: Path, tmp_path: Path
) -> None:
    heldout = dataclasses.replace(
        config, heldout=str(speech_corpus), heldout_splits=("train",), evaluate_every=4
    )
    file = train(heldout, echo=quiet)
    student, _ = load_student(file)
    assert student.config == SMALL
    lines = metrics(tmp_path / "run")
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert "ctc" not in lines[2]
    assert "contrastive" in lines[3]
    assert [("per" in line) for line in lines] == [step in (4, 8) for step in range(1, 9)]
    assert any(key.startswith("per_hibari") for key in lines[-1])


def test_a_resumed_run_ends_in_the_same_weights(config: SemanticConfig, tmp_path: Path) -> None:
    whole = load_file(train(config, echo=quiet))
    halves = dataclasses.replace(config, run=str(tmp_path / "halves"))

    def taken_away(line: str) -> None:
        if line.startswith("step 4 "):  # the checkpoint is that of step 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(halves, echo=taken_away)
    with pytest.raises(FileExistsError, match="--resume"):
        train(halves, echo=quiet)
    resumed = load_file(train(halves, resume=True, echo=quiet))
    steps = [line["step"] for line in metrics(tmp_path / "halves")]
    assert steps == [1, 2, 3, 4, 4, 5, 6, 7, 8]
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, atol=0, rtol=0)


def test_it_learns(config: SemanticConfig, tmp_path: Path) -> None:
    longer = dataclasses.replace(config, masked_steps=25, align_steps=25, decay_share=0.1)
    train(longer, echo=quiet)
    lines = metrics(tmp_path / "run")
    first, last = lines[:3], lines[22:25]
    mean = lambda part, key: sum(line[key] for line in part) / len(part)  # noqa: E731
    assert mean(last, "masked_loss") < mean(first, "masked_loss") - 0.4
    assert mean(lines[-3:], "ctc") < 0.6 * mean(lines[25:28], "ctc")


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = SemanticConfig(masked_steps=40, align_steps=60, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:61] == [1.0] * 52
    assert rates[80] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(1 / 40)


def test_masked_loss_counts_hidden_and_visible_frames() -> None:
    logits = torch.full((1, 4, 3), -20.0)
    logits[0, [0, 1, 2, 3], [0, 1, 1, 2]] = 20.0
    clusters = torch.tensor([[0, 1, 2, IGNORED]])
    mask = torch.tensor([[True, False, True, True]])
    loss, numbers = masked_loss(logits, clusters, mask, 0.5)
    assert numbers == {"hidden_accuracy": 0.5, "visible_accuracy": 1.0}
    assert loss.item() == pytest.approx(20.0, abs=1e-3)  # frame 2 is wrong by 40 nats of 2


def test_contrastive_loss_on_hand_worked_vectors() -> None:
    units = torch.eye(2)
    scale = torch.tensor(2.0).log()
    loss = contrastive_loss(units, units, ["a", "b"], scale)
    expected = math.log(1 + math.exp(-2))
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    # the same text twice: the twin is no negative, so nothing is left to confuse it with
    twins = contrastive_loss(units[[0, 0]], units[[0, 0]], ["a", "a"], scale)
    assert twins.item() == pytest.approx(0.0, abs=1e-6)
