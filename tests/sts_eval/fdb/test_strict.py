"""The strict scorer on hand-made spans, and what counts as a disagreement."""

import pytest

from sts_eval.metrics.turns import Turn
from sts_eval.probes.full_duplex_bench_item import Said, disagreement
from sts_eval.probes.full_duplex_bench_strict import (
    backchannel_stretches,
    stretches,
    took_floor,
    took_pause,
    was_selective,
    yielding,
)
from sts_eval.trace import Span


def spans(*pairs):
    return [Span(start_s=a, end_s=b, label="agent") for a, b in pairs]


def test_gaps_of_half_a_second_are_part_of_the_speech():
    assert stretches(spans((1, 2), (2.5, 3), (3.6, 4))) == spans((1, 3), (3.6, 4))
    assert stretches([]) == []


PAUSES = (Span(start_s=2, end_s=3), Span(start_s=5, end_s=6))


@pytest.mark.parametrize(
    ("agent", "took"),
    [
        ([], False),
        (spans((7, 8)), False),
        (spans((2.5, 4)), True),
        (spans((1, 2.5), (5.1, 5.3)), True),  # could have begun in the second pause, and did
        (spans((1, 2.5)), False),  # spoke into the first pause, was silent in the second
        (spans((0, 9)), None),  # had no turn to take: it never stopped
        (spans((2, 4)), True),  # an onset with the pause itself
    ],
)
def test_pauses(agent, took):
    assert took_pause(Turn(0, 8, 4, PAUSES), agent) is took


@pytest.mark.parametrize(
    ("agent", "latency_s", "in_time"),
    [
        (spans((1, 5.5)), 1.5, True),
        (spans((1, 6)), 2.0, True),
        (spans((1, 6.5)), 2.5, False),
        (spans((1, 9.95)), None, False),  # still talking when the recording ends
    ],
)
def test_yielding(agent, latency_s, in_time):
    found = yielding(4.0, agent, 10.0)
    assert found is not None
    assert (found.latency_s, found.in_time) == (latency_s, in_time)


def test_a_silent_agent_has_nothing_to_yield():
    assert yielding(4.0, spans((1, 3.9), (4.5, 6)), 10.0) is None


@pytest.mark.parametrize(
    ("agent", "selective"),
    [
        (spans((1, 6)), True),  # talked on
        (spans((1, 5)), False),  # silent 1.0 s after the onset
        ([], True),
        (spans((6.9, 8)), False),  # spoke up 1.9 s after the end
        (spans((7.1, 8)), True),  # later than 2 s: something else
        (spans((4.5, 6)), False),  # spoke up during the event
    ],
)
def test_selectivity(agent, selective):
    assert was_selective((4.0, 5.0), agent) is selective


def test_the_order_of_backchannels_does_not_matter():
    agent = spans((0, 0.5), (2, 3.5), (6, 6.9))
    assert took_floor(agent) is took_floor(agent[::-1]) is True
    assert backchannel_stretches(agent) == [(0, 0.5), (6, 6.9)]
    assert took_floor(spans((2, 3)))
    assert not took_floor([])


@pytest.mark.parametrize(
    ("compat", "strict", "apart"),
    [
        (Said("a", True, 0.5), Said("b", True, 0.7), False),
        (Said("a", True, 0.5), Said("b", True, 0.76), True),
        (Said("a", True, 0.0), Said("b", took_turn=False), True),
        (Said("a", took_turn=False), Said("b", took_turn=False), False),
        (Said("a", took_turn=True), Said("b"), True),
        (Said("a", stop_s=1.0), Said("b"), True),
        (Said("a", stop_s=1.0), Said("b", stop_s=1.2), False),
        (Said("a", took_turn=False, hollow="a number"), Said("b", took_turn=False), True),
    ],
)
def test_disagreement(compat, strict, apart):
    words = disagreement(compat, strict)
    assert bool(words) is apart
    assert not apart or (words.startswith("fdb-compat: a") and words.endswith("strict: b"))
