"""Gates on runs with known values: PASS, FAIL, INCONCLUSIVE, and the reasons given."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from sts_eval.baseline import accept
from sts_eval.gate import evaluate_gates, exit_code, parse_gate
from sts_eval.metric import MetricSpec
from sts_eval.observation import Outcome, Verdict
from sts_eval.record import RunRecord

MakeRecord = Callable[..., RunRecord]
Judge = Callable[..., list[Verdict]]
DELAYS = list(np.random.default_rng(7).normal(700, 80, 80))


@pytest.fixture
def judge(specs: dict[str, MetricSpec]) -> Judge:
    def evaluate(
        record: RunRecord,
        *texts: str,
        baseline: Mapping[str, Any] | None = None,
        min_n: int = 10,
    ) -> list[Verdict]:
        return evaluate_gates([parse_gate(t, specs) for t in texts], record, baseline, min_n)

    return evaluate


@pytest.mark.parametrize("statistic", ["mean", "p50"])
def test_pass_fail_and_between(statistic: str, make_record: MakeRecord, judge: Judge) -> None:
    record = make_record({"delay_ms": DELAYS})
    centre = {"mean": np.mean, "p50": np.median}[statistic](DELAYS)
    gates = [f"delay_ms.{statistic} <= {bound}" for bound in (800, centre + 2, 600)]
    found = [judge(record, gate)[0] for gate in gates]
    assert [v.outcome for v in found] == [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]
    assert found[0].hi <= 800
    assert found[2].lo > 600
    assert found[2].p_holm < 0.05
    assert "even the unfavourable end is at most 800 ms" in found[0].reason
    assert "ruled out" in found[2].reason


def test_at_least(make_record: MakeRecord, judge: Judge) -> None:
    record = make_record({"delay_ms": DELAYS})
    found = judge(record, "delay_ms.mean >= 600", "delay_ms.mean >= 800")
    assert [v.outcome for v in found] == [Outcome.PASS, Outcome.FAIL]


def test_the_bound_itself_is_allowed(make_record: MakeRecord, judge: Judge) -> None:
    record = make_record({"delay_ms": [240.0] * 30})
    assert judge(record, "delay_ms.p50 <= 240")[0].outcome is Outcome.PASS
    assert judge(record, "delay_ms.mean <= 239")[0].outcome is Outcome.FAIL


def test_worst_scenarios_are_those_beyond_the_bound(make_record: MakeRecord, judge: Judge) -> None:
    values = [100.0] * 20
    values[3], values[11], values[7] = 900.0, 950.0, 300.0
    found = judge(make_record({"delay_ms": values}), "delay_ms.mean <= 400")[0]
    assert found.worst == ("s011", "s003")


@pytest.mark.parametrize(("n", "outcome"), [(64, Outcome.INCONCLUSIVE), (72, Outcome.PASS)])
def test_a_perfect_rate_needs_enough(
    n: int, outcome: Outcome, make_record: MakeRecord, judge: Judge
) -> None:
    found = judge(make_record({"answer_rate": [1.0] * n}), "answer_rate >= 95 %")[0]
    assert found.outcome is outcome
    if outcome is Outcome.INCONCLUSIVE:
        assert "64/64 cannot show >= 95 %: needs n >= 72" in found.reason


def test_a_rate_that_needs_more_says_how_many(make_record: MakeRecord, judge: Judge) -> None:
    values = [1.0] * 78 + [0.0] * 2
    found = judge(make_record({"answer_rate": values}), "answer_rate >= 95 %")[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "78/80 cannot show >= 95 %: at this rate it needs about n = 292" in found.reason
    assert found.worst == ("s078", "s079")


def test_one_hundred_percent_can_never_be_shown(make_record: MakeRecord, judge: Judge) -> None:
    found = judge(make_record({"answer_rate": [1.0] * 900}), "answer_rate >= 100 %")[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "no number of observations can" in found.reason


def test_a_bad_rate_fails(make_record: MakeRecord, judge: Judge) -> None:
    found = judge(make_record({"answer_rate": [1.0, 0.0] * 20}), "answer_rate >= 90 %")[0]
    assert found.outcome is Outcome.FAIL
    assert found.value == 0.5


def test_a_quantile_without_an_upper_bound(make_record: MakeRecord, judge: Judge) -> None:
    record = make_record({"delay_ms": DELAYS[:60]})
    high, low = judge(record, "delay_ms.p95 <= 2000", "delay_ms.p95 <= 500")
    assert high.outcome is Outcome.INCONCLUSIVE
    assert "p95 of 60 observations has no upper bound: needs n >= 72" in high.reason
    assert low.outcome is Outcome.FAIL


def test_a_maximum_can_be_refuted_but_not_shown(make_record: MakeRecord, judge: Judge) -> None:
    record = make_record({"delay_ms": DELAYS})
    over, under = judge(record, "delay_ms.max <= 750", "delay_ms.max <= 5000")
    assert over.outcome is Outcome.FAIL
    assert under.outcome is Outcome.INCONCLUSIVE
    assert judge(record, "delay_ms.max >= 750")[0].outcome is Outcome.PASS


def test_holm_counts_all_gates_of_the_suite(make_record: MakeRecord, judge: Judge) -> None:
    values = [1.0] * 12 + [0.0] * 8  # P(Bin(20, 0.8) <= 12) = 0.032
    record = make_record({"answer_rate": values, "delay_ms": DELAYS[:20]})
    gate = "answer_rate >= 80 %"
    alone = judge(record, gate)[0]
    assert alone.outcome is Outcome.FAIL
    assert alone.p_holm == alone.p_value
    among = judge(record, gate, "delay_ms.mean <= 900", "delay_ms.p50 <= 900")[0]
    assert among.outcome is Outcome.INCONCLUSIVE
    assert among.p_holm == pytest.approx(3 * alone.p_value)


@pytest.mark.parametrize(
    ("values", "outcome", "reason"),
    [
        ([500.0] * 9, Outcome.INCONCLUSIVE, "only 9 values; the suite asks for at least 10"),
        (["no answer"] * 30, Outcome.INCONCLUSIVE, "nothing measured .* mostly: no answer"),
        ([500.0] * 38 + [None] * 2, Outcome.PASS, "even the unfavourable end"),
        ([500.0] * 37 + [None] * 3, Outcome.INCONCLUSIVE, "3 of 40 observations are errors"),
        ([500.0] * 32 + ["no answer"] * 8, Outcome.PASS, "even the unfavourable end"),
        ([500.0] * 31 + ["no answer"] * 9, Outcome.INCONCLUSIVE, "mostly: no answer"),
        ([1500.0] * 20 + [None] * 20, Outcome.FAIL, "ruled out"),
    ],
)
def test_what_is_missing(
    values: list[Any], outcome: Outcome, reason: str, make_record: MakeRecord, judge: Judge
) -> None:
    found = judge(make_record({"delay_ms": values}), "delay_ms.p50 <= 800")[0]
    assert found.outcome is outcome, found.reason
    assert re.search(reason, found.reason), found.reason


def test_errors_come_first_among_the_worst_when_they_block(
    make_record: MakeRecord, judge: Judge
) -> None:
    found = judge(
        make_record({"delay_ms": [900.0, *[500.0] * 30, None, None]}), "delay_ms.p50 <= 800"
    )
    assert found[0].worst == ("s031", "s032", "s000")


def test_slices(make_record: MakeRecord, judge: Judge) -> None:
    record = make_record(
        {"delay_ms": [500.0, 900.0] * 20}, conditions=lambda i: {"snr_db": ("10", "5")[i % 2]}
    )
    found = judge(
        record,
        "delay_ms{snr_db=10}.p50 <= 800",
        "delay_ms{snr_db=5}.p50 <= 800",
        "delay_ms{snr_db=7}.p50 <= 800",
        "delay_ms{voice=x}.p50 <= 800",
    )
    assert [v.outcome.value for v in found] == ["PASS", "FAIL", "INCONCLUSIVE", "INCONCLUSIVE"]
    assert found[0].n == 20
    assert "no observation has snr_db=7: snr_db is one of 10, 5" in found[2].reason
    assert "there is no 'voice'" in found[3].reason


def test_a_metric_that_the_run_lacks(make_record: MakeRecord, judge: Judge) -> None:
    found = judge(make_record({"delay_ms": DELAYS}), "answer_rate >= 0.5")[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "does not have the metric" in found.reason


# --- against a baseline ---------------------------------------------------------------------------

MARGIN = "delay_ms.p50 no worse than baseline by 40"


@pytest.mark.parametrize(
    ("shift", "outcome"), [(0, Outcome.PASS), (25, Outcome.PASS), (90, Outcome.FAIL)]
)
def test_non_inferiority(
    shift: float, outcome: Outcome, make_record: MakeRecord, judge: Judge
) -> None:
    rng = np.random.default_rng(3)
    baseline = accept(make_record({"delay_ms": DELAYS}))
    after = [value + shift + rng.normal(0, 5) for value in DELAYS]
    found = judge(make_record({"delay_ms": after}), MARGIN, baseline=baseline)[0]
    assert found.outcome is outcome, found.reason
    assert found.value == pytest.approx(shift, abs=12)
    assert found.threshold == 40
    assert found.n == 80
    assert found.detectable > 0
    assert "would be found 80 % of the time" in found.reason


def test_pairing_sees_what_the_values_alone_would_not(
    make_record: MakeRecord, judge: Judge
) -> None:
    """Scenarios differ by 80 ms among themselves; a 30 ms change in each is still found."""
    baseline = accept(make_record({"delay_ms": DELAYS}))
    record = make_record({"delay_ms": [value + 30 + i % 5 for i, value in enumerate(DELAYS)]})
    found = judge(record, "delay_ms.mean no worse than baseline by 20", baseline=baseline)[0]
    assert found.outcome is Outcome.FAIL


def test_worst_are_the_scenarios_that_got_worse(make_record: MakeRecord, judge: Judge) -> None:
    baseline = accept(make_record({"delay_ms": DELAYS}))
    after = list(DELAYS)
    after[5] += 300
    after[9] += 500
    after[2] -= 900
    found = judge(make_record({"delay_ms": after}), MARGIN, baseline=baseline)[0]
    assert found.worst == ("s009", "s005")


def test_rates_against_a_baseline(make_record: MakeRecord, judge: Judge) -> None:
    baseline = accept(make_record({"answer_rate": [1.0] * 64}))
    record = make_record({"answer_rate": [1.0] * 64})
    tight, loose = judge(
        record,
        "answer_rate no worse than baseline by 5 %",
        "answer_rate no worse than baseline by 10 %",
        baseline=baseline,
    )
    assert tight.outcome is Outcome.INCONCLUSIVE
    assert loose.outcome is Outcome.PASS
    worse = make_record({"answer_rate": [1.0] * 40 + [0.0] * 24})
    gate = "answer_rate no worse than baseline by 10 %"
    assert judge(worse, gate, baseline=baseline)[0].outcome is Outcome.FAIL


def test_without_a_baseline(make_record: MakeRecord, judge: Judge) -> None:
    found = judge(make_record({"delay_ms": DELAYS}), MARGIN)[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "there is no baseline: `sts-eval baseline accept RUN` makes one" in found.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"suite_sha256": "b" * 64}, r"another content of the suite \(aaaaaaaa, this run bbbbbbbb"),
        ({"versions": {"delay_ms": 2}}, "delay_ms is version 2 here and 1 in the baseline"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    fields: dict[str, Any], reason: str, make_record: MakeRecord, judge: Judge
) -> None:
    baseline = accept(make_record({"delay_ms": DELAYS}))
    found = judge(make_record({"delay_ms": DELAYS}, **fields), MARGIN, baseline=baseline)[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert re.search(reason, found.reason), found.reason


def test_scenarios_that_this_run_lost_block_a_pass(make_record: MakeRecord, judge: Judge) -> None:
    baseline = accept(make_record({"delay_ms": DELAYS}))
    lost: list[Any] = [*DELAYS[:50], *["no answer"] * 30]
    found = judge(make_record({"delay_ms": lost}), MARGIN, baseline=baseline)[0]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "30 of 80 scenarios of the baseline were not measured in this run" in found.reason


def test_a_limited_run_is_held_against_its_part_of_the_baseline(
    make_record: MakeRecord, judge: Judge
) -> None:
    baseline = accept(make_record({"delay_ms": DELAYS}))
    found = judge(make_record({"delay_ms": DELAYS[:20]}), MARGIN, baseline=baseline)[0]
    assert found.outcome is Outcome.PASS
    assert found.n == 20


# --- exit codes -----------------------------------------------------------------------------------


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(gate="g", metric="m", statistic="mean", outcome=outcome, reason="r")


@pytest.mark.parametrize(
    ("errors", "outcomes", "state", "code"),
    [
        (0, [], "complete", 0),
        (0, [Outcome.PASS], "complete", 0),
        (1, [Outcome.PASS], "complete", 0),
        (0, [Outcome.PASS, Outcome.INCONCLUSIVE], "complete", 3),
        (0, [Outcome.INCONCLUSIVE, Outcome.FAIL], "complete", 1),
        (0, [Outcome.PASS], "partial", 3),
        (0, [Outcome.FAIL], "partial", 1),
        (2, [Outcome.PASS], "complete", 4),
        (2, [Outcome.INCONCLUSIVE], "complete", 4),
        (2, [Outcome.FAIL], "complete", 1),
        (20, [Outcome.FAIL], "complete", 4),
    ],
)
def test_exit_codes(
    errors: int, outcomes: list[Outcome], state: str, code: int, make_record: MakeRecord
) -> None:
    values: list[Any] = [None] * errors + [1.0] * (20 - errors)
    record = make_record(
        {"delay_ms": values}, state=state, verdicts=[verdict(item) for item in outcomes]
    )
    assert exit_code(record) == code


def test_a_run_without_scenarios_is_broken(make_record: MakeRecord) -> None:
    assert exit_code(make_record({})) == 4
