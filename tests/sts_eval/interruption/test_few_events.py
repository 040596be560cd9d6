"""Rates of fewer than ten events are not measured: no number, in no place."""

import pytest

from sts_eval.observation import Observation
from sts_eval.probes.interruption import operating_point
from sts_eval.probes.interruption_specs import INTERRUPTION_METRICS, MIN_EVENTS, YIELD_1S
from sts_eval.stats import estimate


def yields(count):
    return [
        Observation(
            metric=YIELD_1S.name,
            scenario_id=f"s{n}",
            status="measured",
            value=float(n % 5 > 0),
            cluster=f"c{n}",
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "value"), [(1, None), (9, None), (10, 0.8)])
def test_the_tenth_event_makes_the_rate(count, value):
    found = estimate(yields(count), YIELD_1S, "rate", seed=1)
    assert found.value == value
    assert found.n == count
    assert (found.lo is None) is (value is None)
    assert ("fewer than 10" in found.reason) is (value is None)


def test_every_metric_of_events_keeps_the_rule():
    shared_with_latency = "agent_interruption_rate"
    for spec in INTERRUPTION_METRICS:
        if spec.direction != "none" and spec.name != shared_with_latency:
            assert spec.min_events == MIN_EVENTS, spec.name


def test_the_operating_point_gives_both_shares_or_says_why_not():
    said = operating_point(yields(10))
    assert "80 %" in said
    assert "n = 10" in said
    assert "not measured (no observation)" in said
