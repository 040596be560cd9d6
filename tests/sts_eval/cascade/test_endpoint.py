"""Turn rules on probabilities worked out by hand (a chunk is 32 ms)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.targets.cascade.endpoint import (
    MAX_TURN_S,
    EndpointSettings,
    Heard,
    TurnState,
    follow,
)

SETTINGS = EndpointSettings(endpoint_ms=320, barge_in_ms=240, threshold=0.5)


def run(probabilities: list[float], step: int = 1) -> tuple[list[Heard], TurnState]:
    state, heard = TurnState(), []
    for at in range(0, len(probabilities), step):
        new, state = follow(probabilities[at : at + step], state, SETTINGS)
        heard.append(new)
    return heard, state


def test_a_turn_begins_with_its_first_chunk_and_ends_after_the_silence() -> None:
    heard, state = run([0.1] * 5 + [0.9] * 10 + [0.1] * 12)
    began = [each.began_s for each in heard if each.began_s is not None]
    (turn,) = [each.ended for each in heard if each.ended]
    assert began == [pytest.approx(5 * 0.032)]
    assert turn.start_s == pytest.approx(5 * 0.032)
    assert turn.end_s == pytest.approx(15 * 0.032)
    assert turn.decided_s == pytest.approx(25 * 0.032)  # 10 chunks of silence
    assert turn.speech_s == pytest.approx(10 * 0.032)
    assert state.start_s is None


def test_two_chunks_are_a_click_and_begin_nothing() -> None:
    heard, state = run([0.9, 0.9, 0.1] * 10)
    assert not any(each.began_s or each.ended for each in heard)
    assert state.start_s is None


def test_a_short_pause_does_not_end_a_turn_and_weak_speech_keeps_it() -> None:
    heard, _ = run([0.9] * 5 + [0.1] * 9 + [0.4] + [0.1] * 9 + [0.9] * 3 + [0.1] * 10)
    (turn,) = [each.ended for each in heard if each.ended]
    assert turn.end_s == pytest.approx(27 * 0.032)


def test_an_endless_turn_is_cut() -> None:
    heard, _ = run([0.9] * 1000)
    turn = next(each.ended for each in heard if each.ended)
    assert turn.decided_s - turn.start_s == pytest.approx(MAX_TURN_S, abs=0.032)


@given(st.lists(st.floats(0, 1), max_size=200), st.integers(2, 3))
def test_how_chunks_are_grouped_does_not_matter(p: list[float], step: int) -> None:
    assert run(p, 1)[1] == run(p, step)[1]


@given(st.lists(st.floats(0, 1), max_size=300))
def test_turns_are_ordered_and_separate(p: list[float]) -> None:
    turns = [each.ended for each in run(p)[0] if each.ended]
    for turn in turns:
        assert turn.start_s < turn.end_s <= turn.decided_s
    assert np.all(np.diff([t for turn in turns for t in (turn.start_s, turn.decided_s)]) >= 0)
