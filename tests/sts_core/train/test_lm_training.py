"""The training loop of the language model on hand-made shards: it learns, resumes and makes
deltas."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sts_core.checkpoint import WeightsError
from sts_core.data.dialogue import NO_TONE
from sts_core.data.shards import Shard, _write, read_shard
from sts_core.lm import weights
from sts_core.lm.config import LMConfig
from sts_core.lm.weights import load_lm, save_delta, save_lm
from sts_core.train.lm import LMTraining, learning_rate_at, train
from sts_core.train.lm_batches import Conversations
from sts_core.train.lm_losses import FELL_SILENT_FRAMES, _fell_silent, _tone_loss

SMALL = LMConfig(
    dim=32,
    layers=2,
    heads=2,
    window_frames=16,
    words_after_layers=1,
    text_vocabulary=12,
    depth_dim=16,
    depth_layers=1,
    depth_heads=1,
)


def shard(
    seed: int, count: int = 6, kind: str = "question", says: tuple[int, int] = (3, 7)
) -> Shard:
    """Conversations in which the agent says what the ear tells it to."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 20, size=count)
    frames = int(lengths.sum())
    sign = rng.integers(0, 2, size=frames)
    ear = np.zeros((frames, SMALL.ear_dim), np.float16)
    ear[:, :100] = 2.0 * sign[:, None] - 1.0
    return Shard(
        ear=ear,
        codes=np.repeat(sign[:, None] + 5, 8, axis=1).astype(np.uint16),
        text=np.array(says, np.uint16)[sign],
        words=np.zeros(frames, np.uint16),
        tone=np.where(sign > 0, 2, NO_TONE).astype(np.int8),
        speaking=np.ones(frames, bool),
        first=np.cumsum([0, *lengths]),
        voice=np.zeros(count, np.uint8),
        kind=np.array([kind] * count),
    )


@pytest.fixture
def config(tmp_path: Path) -> LMTraining:
    (tmp_path / "shards").mkdir()
    for number in range(2):
        _write(tmp_path / "shards" / f"{number}.npz", shard(number))
    return LMTraining(
        shards=str(tmp_path / "shards"),
        validation=str(tmp_path / "shards"),
        run=str(tmp_path / "run"),
        threads=1,
        steps=40,
        frames=60,
        warmup_steps=2,
        learning_rate=0.01,
        average=0.8,
        log_every=1,
        validate_every=20,
        depth_share=1.0,
        model=SMALL,
    )


def quiet(_: str) -> None:
    pass


def lines_of(config: LMTraining) -> list[dict[str, float]]:
    text = (Path(config.run) / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_frames_in_which_an_agent_has_just_fallen_silent() -> None:
    speaking = torch.zeros(2, 30, dtype=torch.bool)
    speaking[0, 2:5] = True
    speaking[0, 7:9] = True  # it held for two frames
    found = _fell_silent(speaking)
    first = [5, 6, *range(9, 9 + FELL_SILENT_FRAMES)]
    assert found[0].nonzero()[:, 0].tolist() == first
    assert not found[1].any()  # an agent that never spoke has not stopped


def test_tone_counts_where_there_is_one() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]]))
    tone = torch.tensor([[NO_TONE, 1, 0]])
    expected = -(np.log(0.9) + np.log(0.2)) / 2
    assert _tone_loss(logits, tone).item() == pytest.approx(expected, rel=1e-5)
    assert _tone_loss(logits, torch.full((1, 3), NO_TONE)).item() == 0.0


def test_it_learns_what_the_ear_says(config: LMTraining) -> None:
    file = train(replace(config, steps=100), echo=quiet)
    lines = lines_of(config)
    assert lines[-1]["val_tone"] < 0.1  # a blind guess of four: 1.39
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["val_text_accuracy"] > 0.9  # a blind guess: 0.5
    assert load_lm(file).config == SMALL


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    config: LMTraining, tmp_path: Path
) -> None:
    whole = load_lm(train(replace(config, steps=8, decay_from=1.0), echo=quiet))
    parts = replace(config, run=str(tmp_path / "parts"), decay_from=1.0)
    train(replace(parts, steps=4), echo=quiet)
    resumed = load_lm(train(replace(parts, steps=8), resume=True, echo=quiet))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


@pytest.mark.parametrize(("kind", "forgets"), [("question", False), ("back_channel", True)])
def test_what_it_knew_is_kept_except_where_there_is_something_new_to_learn(
    config: LMTraining, tmp_path: Path, kind: str, forgets: bool
) -> None:
    base = train(replace(config, steps=100), echo=quiet)
    (tmp_path / "other").mkdir()
    _write(tmp_path / "other" / "0.npz", shard(5, kind=kind, says=(7, 3)))
    more = replace(
        config,
        shards=str(tmp_path / "other"),
        run=str(tmp_path / "more"),
        start_from=str(base),
        keep_from=str(base),
        keep_weight=20.0,
        steps=100,
    )
    train(more, echo=quiet)
    last = lines_of(more)[-1]
    assert (last["val_text_accuracy"] < 0.1) == forgets  # of what the base has learnt
    assert (last["val_text_accuracy"] > 0.9) != forgets


def test_a_run_is_not_overwritten(config: LMTraining) -> None:
    train(replace(config, steps=1), echo=quiet)
    with pytest.raises(FileExistsError, match="--resume"):
        train(config, echo=quiet)


def test_no_shards(config: LMTraining, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="sts-core compose"):
        train(replace(config, shards=str(tmp_path / "empty")), echo=quiet)


def test_a_delta_holds_and_changes_only_what_was_trained(
    config: LMTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = train(replace(config, steps=4), echo=quiet)
    monkeypatch.setattr(weights, "DEFAULT_WEIGHTS", base)
    tuned = replace(
        config, run=str(tmp_path / "delta"), start_from=str(base), only=("text_out",), steps=6
    )
    file = train(tuned, echo=quiet)
    assert file.stat().st_size < base.stat().st_size / 10
    before, after = load_lm(base).state_dict(), load_lm(file).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"text_out.weight", "text_out.bias"}


def test_a_delta_fits_its_own_base_only(
    config: LMTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = train(replace(config, steps=1), echo=quiet)
    delta = save_delta(tmp_path / "delta.safetensors", load_lm(base), base, ("text_out",))
    other = save_lm(tmp_path / "other.safetensors", load_lm(base))
    model = load_lm(base)
    with torch.no_grad():
        model.text_out.bias += 1.0
    save_lm(other, model)
    monkeypatch.setattr(weights, "DEFAULT_WEIGHTS", other)
    with pytest.raises(WeightsError, match="other weights"):
        load_lm(delta)


@pytest.mark.parametrize("name", ["control_overfit", "control_tone_deaf"])
def test_a_packaged_control_is_a_delta_of_the_packaged_model(name: str) -> None:
    file = weights.DEFAULT_WEIGHTS.with_name(f"{name}.safetensors")
    assert file.stat().st_size < 5_000_000
    model, control = load_lm().state_dict(), load_lm(file).state_dict()
    changed = [name for name in model if not torch.equal(model[name], control[name])]
    trained = ("temporal.blocks.4", "temporal.blocks.5", "temporal.norm", "text_out")
    assert {part for part in trained for name in changed if name.startswith(part)} == set(trained)
    assert all(name.startswith(trained) for name in changed)


def test_every_conversation_is_validated_once(config: LMTraining) -> None:
    data = Conversations(Path(config.shards), {})
    batches = data.all_batches(64)
    frames = sum(int(batch.inside.sum()) for batch in batches)
    assert frames == sum(len(part.text) for part in data.shards)
    assert all(batch.inside.numel() <= 64 for batch in batches)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = LMTraining(steps=1000, warmup_steps=100, decay_from=0.5, learning_rate=1.0)
    assert learning_rate_at(0, config) == pytest.approx(0.01)
    assert learning_rate_at(99, config) == pytest.approx(1.0)
    assert learning_rate_at(500, config) == pytest.approx(1.0)
    assert learning_rate_at(750, config) == pytest.approx(0.51)
    assert learning_rate_at(1000, config) == pytest.approx(0.02)


def test_a_file_that_is_no_shard(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ear=np.zeros(3))
    with pytest.raises(ValueError, match="no codes"):
        read_shard(tmp_path / "x.npz")
