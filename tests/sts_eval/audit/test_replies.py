"""Replies of a target as training material: asked once each, in its voices by turns, trimmed."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from sts_eval.audio import load_audio
from sts_eval.audit import AuditError, replies
from sts_eval.audit.cli import audit
from sts_eval.audit.training_set import sources
from sts_eval.runner import Progress
from sts_eval.stimuli import Stimuli
from sts_eval.target import Emission
from sts_eval.targets import make_target

FRAME = 1920


class Echo:
    """Answers every question with a second of a tone in the pitch of its voice, 0.4 s after it."""

    name, clock, options = "echo", "lockstep", frozenset({"voice"})

    def __init__(self, seconds: float = 1.0):
        self.seconds, self.opened, self.pushes = seconds, [], 0

    def describe(self):
        return {}

    def shutdown(self):
        pass

    def open(self, setup):
        raise NotImplementedError

    def open_batch(self, setups):
        self.opened.append(setups)
        return EchoBatch(self, setups)


class EchoBatch:
    def __init__(self, target, setups):
        self.target, self.quiet = target, np.zeros(len(setups), int)
        self.hz = [300 if setup.options.get("voice") == "high" else 150 for setup in setups]

    def push(self, frames):
        self.target.pushes += 1
        silent = np.abs(frames).max(axis=1) == 0
        self.quiet = np.where(silent, self.quiet + 1, 0)
        last = 5 + round(self.target.seconds / 0.08)
        return [
            Emission(self.tone(hz, 5 < n <= last))
            for hz, n in zip(self.hz, self.quiet, strict=True)
        ]

    def tone(self, hz, sounds):
        time = np.arange(FRAME) / 24_000
        return (0.2 * sounds * np.sin(2 * np.pi * hz * time)).astype(np.float32)

    def close(self, row):
        return Emission()


def rows_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_replies_are_written_for_training(tmp_path):
    target = Echo()
    count = replies.gather_replies(target, ["low", "high"], tmp_path, 20, 0, Progress())
    rows = rows_of(tmp_path)
    assert count == len(rows) == 20
    assert [len(setups) for setups in target.opened] == [16, 4]
    assert [row["voice"] for row in rows] == ["low", "high"] * 10
    assert {row["engine"] for row in rows} == {"echo"}
    assert len({row["question"] for row in rows}) == 20
    kinds = {item.id: item.kind for item in Stimuli.load().items}
    assert {kinds[row["question"]] for row in rows} <= set(replies.KINDS)
    for row, hz in zip(rows[:2], (150, 300), strict=True):
        audio = load_audio(tmp_path / row["path"])
        assert len(audio) / 24_000 == pytest.approx(0.96, abs=0.05)  # 12 frames, trimmed
        assert row["seconds"] == pytest.approx(len(audio) / 24_000, abs=1e-3)
        assert np.argmax(np.abs(np.fft.rfft(audio))) * 24_000 / len(audio) == pytest.approx(
            hz, 0.05
        )
    made = list(sources(tmp_path, "engine", 4, 0))
    assert sorted(voice for voice, *_ in made) == ["high", "high", "low", "low"]
    with pytest.raises(AuditError, match="holds a manifest already"):
        replies.gather_replies(target, [], tmp_path, 2, 0, Progress())


def test_a_conversation_ends_when_all_are_silent(tmp_path):
    target = Echo()
    replies.gather_replies(target, [], tmp_path, 3, 0, Progress())
    asked = {row["question"] for row in rows_of(tmp_path)}
    longest = max(len(Stimuli.load().get(name).speech()) for name in asked) / 24_000
    heard_s = target.pushes * 0.08
    assert longest + 0.4 + 1.0 < heard_s < longest + 0.4 + 1.0 + replies.QUIET_S + 0.5
    rows = rows_of(tmp_path)
    assert {row["voice"] for row in rows} == {"echo"}  # no voice asked for: the target's own
    assert all("voice" not in setup.options for setup in target.opened[0])


def test_a_target_that_never_stops_is_left_after_a_while(tmp_path):
    target = Echo(seconds=100.0)
    replies.gather_replies(target, [], tmp_path, 1, 0, Progress())
    (row,) = rows_of(tmp_path)
    assert row["seconds"] == pytest.approx(replies.TAIL_S - 0.4, abs=0.2)


def test_silence_and_targets_without_batches_are_refused(tmp_path):
    with pytest.raises(AuditError, match="said nothing"):
        replies.gather_replies(Echo(seconds=0.0), [], tmp_path, 2, 0, Progress())
    with pytest.raises(AuditError, match="no batches"):
        replies.gather_replies(make_target("scripted"), [], tmp_path, 2, 0, Progress())


def test_the_command_names_what_is_wrong(tmp_path):
    arguments = ["gather-replies", "scripted", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(audit, arguments)
    assert result.exit_code == 2
    assert "scripted has no batches" in result.output
    assert not (tmp_path / "out").exists()
