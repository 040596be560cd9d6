"""Turn taking on hand-worked cases: user speaks from 1 s to 3 s, the answer may come until 8 s."""

import pytest

from sts_eval.metrics import turns
from sts_eval.metrics.turns import Turn, TurnOutcome
from sts_eval.trace import Span

TURN = Turn(start_s=1.0, end_s=3.0, listen_s=5.0)
PAUSED = Turn(1.0, 3.0, 5.0, pauses=(Span(start_s=1.8, end_s=2.4),))


def spans(*pairs: tuple[float, float]) -> list[Span]:
    return [Span(start_s=a, end_s=b) for a, b in pairs]


@pytest.mark.parametrize(
    ("agent", "outcome", "onset_s"),
    [
        ([(3.4, 4.0)], TurnOutcome.RESPONDED, 0.4),
        ([(2.7, 4.0)], TurnOutcome.RESPONDED, -0.3),  # a small overlap is a negative latency
        ([(2.5, 4.0)], TurnOutcome.RESPONDED, -0.5),  # the largest one allowed
        ([(2.4, 4.0)], TurnOutcome.CUT_IN, None),
        ([(0.2, 9.0)], TurnOutcome.ALREADY_SPEAKING, None),
        ([(0.2, 3.0)], TurnOutcome.NO_RESPONSE, None),  # ended exactly with the turn
        ([(0.2, 2.0), (3.5, 4.0)], TurnOutcome.RESPONDED, 0.5),
        ([(1.5, 1.9), (3.5, 4.0)], TurnOutcome.RESPONDED, 0.5),  # an interjection, then the answer
        ([(8.0, 9.0)], TurnOutcome.RESPONDED, 5.0),
        ([(8.01, 9.0)], TurnOutcome.NO_RESPONSE, None),
        ([], TurnOutcome.NO_RESPONSE, None),
    ],
)
def test_every_outcome(agent, outcome, onset_s):
    assert turns.react(TURN, spans(*agent)).outcome is outcome
    onset = turns.response_onset_s(TURN, spans(*agent))
    assert onset == (None if onset_s is None else pytest.approx(onset_s))


def test_never_stopping_is_not_a_latency_of_zero():
    # Full-Duplex-Bench clamps this case to 0 s and a takeover rate of 1
    assert turns.response_onset_s(TURN, spans((0.0, 10.0))) is None


def test_interruption_is_inside_the_turn_but_not_in_its_pauses():
    assert turns.interruption_onset(TURN, spans((1.5, 1.9))).start_s == 1.5
    assert turns.interruption_onset(TURN, spans((0.5, 1.9))) is None
    assert turns.interruption_onset(TURN, spans((2.6, 4.0))) is None
    assert turns.interruption_onset(PAUSED, spans((2.0, 2.3))) is None


def test_the_answer_begins_after_what_was_said_before():
    assert turns.answer_from_s(TURN, spans((3.4, 4.0))) == 2.5
    assert turns.answer_from_s(TURN, spans((1.5, 2.9), (3.4, 4.0))) == 2.9


def test_takeover_is_an_onset_inside_a_pause():
    assert turns.takeover_onset(PAUSED, spans((2.0, 2.3))).start_s == 2.0
    assert turns.takeover_onset(PAUSED, spans((1.7, 2.3))) is None
    assert turns.takeover_onset(TURN, spans((2.0, 2.3))) is None
