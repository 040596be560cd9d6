"""Recorded conversations as shards: every sound and word where it was in the recording."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sts_core.data.dialogue import FRAME_S
from sts_core.data.library import silence_codes
from sts_core.data.scenes import MOST_FRAMES
from sts_core.data.shards import read_shard
from sts_core.lm.ear import Ear
from sts_core.lm.text import PAD, TextTokenizer, words_of
from sts_core.recordings.conversations import (
    LEAST_FRAMES,
    SHARD_S,
    ConversationError,
    Held,
    Stage,
    compose_recorded,
    excerpt,
    excerpts,
    grouped,
    read_conversations,
)
from sts_core.recordings.outcome import Ears
from sts_core.recordings.prepare import prepare
from sts_core.recordings.speakers import Speakers
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .conftest import ANSWER, QUESTION, REPLY, SECOND, STARTS, Audio, say


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear.load()


@pytest.fixture
def prepared(
    tmp_path: Path,
    folder: Path,
    write_speakers: Callable[..., tuple[Speakers, Path]],
    recognise: Callable[[Audio], str],
) -> Path:
    people, file = write_speakers()
    today = datetime.date(2026, 6, 1)
    prepare(folder, tmp_path / "out", people, file, ears=Ears(recognise), today=today)
    return tmp_path / "out"


def stage(ear: Ear) -> Stage:
    return Stage(ear, TextTokenizer.load(), silence_codes(ear.codec), ("bob",))


def held(prepared: Path, ear: Ear, **change: Any) -> Held:
    (row,) = read_conversations(prepared, "train")
    return stage(ear).hold(prepared, row | change)


def test_a_conversation_keeps_its_timing(prepared: Path, ear: Ear, conversation: Audio) -> None:
    made = held(prepared, ear)
    dialogue, tokenizer = made.dialogue, TextTokenizer.load()
    frames = len(dialogue.codes)
    assert frames == conversation.shape[0] / FRAME_SAMPLES + 1
    assert not made.hole.any()
    # the user: the recording, one frame later
    track = dialogue.user[FRAME_SAMPLES:]
    assert not dialogue.user[:FRAME_SAMPLES].any()
    np.testing.assert_allclose(np.corrcoef(track, conversation[:, 0])[0, 1], 1.0, atol=1e-4)
    # the agent: silent but in its turns, whose sound follows one frame after their codes
    silent = dialogue.codes == silence_codes(ear.codec)
    assert silent[~dialogue.speaking].all()
    runs = np.flatnonzero(np.diff(dialogue.speaking.astype(int)) == 1) + 1
    starts = [start_s + 0.05 for role, start_s, _ in STARTS if role == "agent"]
    assert runs.tolist() == [int((start_s - 0.02) / FRAME_S) for start_s in starts]
    heard = dialogue.leak[FRAME_SAMPLES:]  # the true place of the agent's sound
    speech = np.abs(conversation[:, 1]) > 0.03
    assert np.corrcoef(heard[speech], conversation[speech, 1])[0, 1] > 0.999
    # words
    assert tokenizer.text(dialogue.text.tolist()) == " ".join(words_of(f"{ANSWER} {REPLY}"))
    assert tokenizer.text(dialogue.words.tolist()) == " ".join(words_of(f"{QUESTION} {SECOND}"))
    first_word = np.flatnonzero(dialogue.text > 1)[0]
    assert first_word == runs[0]  # its text leads its sound, not before the turn begins
    last_word_s = (np.flatnonzero(dialogue.words > PAD)[-1] - 1) * FRAME_S
    second_end_s = STARTS[2][1] + say(SECOND, "hibari:heart:f0x0.60:fmt0.92").size / SAMPLE_RATE_HZ
    assert last_word_s == pytest.approx(second_end_s, abs=0.3)
    assert (dialogue.voice, dialogue.kind) == (0, "recorded")


def test_decoded_codes_sound_like_the_recording(
    prepared: Path, ear: Ear, conversation: Audio
) -> None:
    dialogue = held(prepared, ear).dialogue
    codes = torch.from_numpy(dialogue.codes.astype(np.int64)).t()[None]
    sound = ear.codec.decode(codes)[0, 0].numpy()
    loud = np.abs(sound.reshape(-1, FRAME_SAMPLES)).max(axis=1) > 0.02
    track = conversation[:, 1].reshape(-1, FRAME_SAMPLES)
    true = np.abs(track).max(axis=1) > 0.02
    assert (loud[: len(true)] == true).mean() > 0.95  # codes of frame t: heard in frame t + 1 - 1


def test_a_refused_turn_is_a_hole(prepared: Path, ear: Ear) -> None:
    (row,) = read_conversations(prepared, "train")
    turns = [dict(turn) for turn in row["turns"]]
    turns[2] = {key: turns[2][key] for key in ("role", "start_s", "end_s")} | {"hole": True}
    turns[1]["phonemes"] = "not misaki 日本"
    made = held(prepared, ear, turns=turns)
    at = np.flatnonzero(made.hole) * FRAME_S
    for turn in (turns[1], turns[2]):
        assert any(abs(at - turn["start_s"]) < 0.1)
        assert any(abs(at - turn["end_s"]) < 0.2)
    for first, last in excerpts(made):
        assert not made.hole[first:last].any()
        part = excerpt(made.dialogue, first, last)
        assert len(part.codes) == len(part.text) == len(part.words) == last - first
        assert part.user.size == part.leak.size == (last - first) * FRAME_SAMPLES
    said = TextTokenizer.load().text(made.dialogue.text.tolist())
    assert said == " ".join(words_of(REPLY))


def mask(frames: int, *spans: tuple[int, int]) -> np.ndarray:
    made = np.zeros(frames, bool)
    for first, last in spans:
        made[first:last] = True
    return made


def parts(frames: int, holes: list, user: list, agent: list) -> list[tuple[int, int]]:
    made = Held(None, mask(frames, *holes), mask(frames, *user), mask(frames, *agent))  # type: ignore[arg-type]
    return excerpts(made)


def test_excerpts_by_hand() -> None:
    # two exchanges of 180 frames: cut where the user is next, not between question and answer
    user, agent = [(10, 60), (185, 240)], [(70, 170), (250, 350)]
    assert parts(380, [], user, agent) == [(0, 184), (184, 380)]
    # the agent goes on after the cut: the second part waits for the user
    user, agent = [(10, 60), (260, 300)], [(70, 150), (160, 250)]
    assert parts(400, [], user, agent) == [(0, 159), (250, 400)]
    # after a hole as well; before it nothing was lost
    assert parts(150, [(70, 80)], [(10, 60), (100, 110)], [(82, 95)]) == [(0, 70), (95, 150)]
    # an agent may open the conversation
    assert parts(100, [], [(60, 80)], [(10, 50)]) == [(0, 100)]
    # nobody ever pauses
    assert parts(450, [], [(0, 450)], []) == [(0, 200)]
    assert parts(450, [], [], []) == []
    assert parts(20, [(LEAST_FRAMES - 1, 20)], [(0, 20)], []) == []


SPANS = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200)), max_size=8)


@given(SPANS, SPANS, SPANS, st.integers(0, 900))
def test_excerpts_lie_outside_holes_and_begin_with_the_user(
    holes: list[tuple[int, int]],
    user: list[tuple[int, int]],
    agent: list[tuple[int, int]],
    frames: int,
) -> None:
    hole, says, answers = (
        mask(frames, *((a, a + n) for a, n in spans)) for spans in (holes, user, agent)
    )
    end = 0
    for first, last in excerpts(Held(None, hole, says, answers)):  # type: ignore[arg-type]
        assert end <= first
        assert LEAST_FRAMES <= last - first <= MOST_FRAMES
        assert not hole[first:last].any()
        assert (says | answers)[first:last].any()
        if first > 0:
            opening = np.flatnonzero((says | answers)[first:])[0] + first
            assert says[opening]
            assert not answers[opening]
        end = last


def test_shards_weigh_about_the_same() -> None:
    assert grouped([100.0]) == [[0]]
    assert grouped([SHARD_S, 100.0]) == [[0, 1]]
    assert grouped([SHARD_S, 2 * SHARD_S, 10.0, SHARD_S]) == [[0], [1], [2, 3]]
    many = grouped([300.0] * 21)
    assert [number for group in many for number in group] == list(range(21))
    assert {len(group) for group in many} == {4, 5}


def test_shards_can_be_trained_on_and_go_on(prepared: Path, ear: Ear, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    made = compose_recorded(prepared, shards, passes=2, seed=3, ear=ear)
    assert made == (("bob",), 1, 2, 12.0, pytest.approx(12.08))
    one, two = (read_shard(shards / f"0000{n}.npz") for n in (0, 1))
    assert one.first.tolist() == [0, 151]
    assert one.kind.tolist() == ["recorded"]
    assert one.ear.shape == (151, 456)
    np.testing.assert_array_equal(one.codes, two.codes)
    assert not np.array_equal(one.ear, two.ear)  # another room
    (shards / "00001.npz").unlink()
    compose_recorded(prepared, shards, passes=2, seed=3, ear=ear)
    np.testing.assert_array_equal(read_shard(shards / "00001.npz").ear, two.ear)


def test_folders_without_conversations(prepared: Path, tmp_path: Path, ear: Ear) -> None:
    with pytest.raises(ConversationError, match="sts-core prepare"):
        read_conversations(tmp_path, "train")
    with pytest.raises(ConversationError, match="no conversation of the split 'validation'"):
        read_conversations(prepared, "validation")
    with pytest.raises(ConversationError, match="bob is none of the agent's voices"):
        compose_recorded(prepared, tmp_path / "s", agent_voices=("ann",), ear=ear)
    file = prepared / "conversations.jsonl"
    row = json.loads(file.read_text())
    for change in (
        {"tracks": {"user": "../x.flac", "agent": "a.flac"}},
        {"turns": [{}]},
        {"seconds": "x"},
    ):
        file.write_text(json.dumps(row | change) + "\n")
        with pytest.raises(ConversationError, match=r"conversations\.jsonl:1: not a conversation"):
            read_conversations(prepared, "train")
    file.write_text("[]\n")
    with pytest.raises(ConversationError, match="not a conversation"):
        read_conversations(prepared, "train")
