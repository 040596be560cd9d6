"""The gate language: what it reads, and what it says about mistakes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.gate_grammar import Gate, GateSyntaxError, parse_gate
from sts_eval.metric import MetricSpec

Specs = dict[str, MetricSpec]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("delay_ms.p50 <= 800", 800),
        ("delay_ms.p50<=800ms", 800),
        ("  delay_ms.p50   <=  0.8 s  ", 800),
        ("delay_ms.p50 <= 1e3 us", 1),
        ("delay_ms.p50 <= -200", -200),
        ("answer_rate.rate <= 95 %", 0.95),
        ("answer_rate.rate <= 0.95", 0.95),
        ("pitch_hz.mean <= 0.2 kHz", 200),
    ],
)
def test_bounds_and_units(text: str, bound: float, specs: Specs) -> None:
    gate = parse_gate(text, specs)
    assert gate.bound == pytest.approx(bound)
    assert (gate.comparator, gate.baseline, gate.text) == ("<=", False, text.strip())


def test_a_whole_gate(specs: Specs) -> None:
    text = "delay_ms{snr_db=10, voice=af_nova}.p95 >= 900 ms"
    assert parse_gate(text, specs) == Gate(
        text, "delay_ms", "p95", ">=", 900.0, "ms", False, {"snr_db": "10", "voice": "af_nova"}
    )


def test_the_only_statistic_may_be_left_out(specs: Specs) -> None:
    assert parse_gate("answer_rate >= 0.9", specs).statistic == "rate"
    assert parse_gate("answer_rate{voice=a} >= 0.9", specs).where == {"voice": "a"}


def test_no_worse_follows_the_direction(specs: Specs) -> None:
    delay = parse_gate("delay_ms.p95 no worse than baseline by 80", specs)
    assert (delay.comparator, delay.bound, delay.baseline) == ("<=", 80, True)
    answers = parse_gate("answer_rate.rate no  worse than baseline by 5 %", specs)
    assert (answers.comparator, answers.bound, answers.baseline) == (">=", -0.05, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: a gate starts with the name of a metric"),
        ("dely_ms.p50 <= 1", "column 1: unknown metric 'dely_ms' - did you mean 'delay_ms'"),
        (
            "delay_ms.p96 <= 1",
            "column 10: unknown statistic 'p96' of delay_ms - did you mean 'p95'",
        ),
        ("delay_ms. <= 1", r"column 10: unknown statistic '' of delay_ms \(known: max, mean"),
        ("delay_ms <= 1", "column 9: delay_ms needs a statistic: delay_ms.mean"),
        ("delay_ms.p50 < 1", "column 14: expected <=, >= or 'no worse .*', not '<'"),
        ("delay_ms.p50 == 1", "not '=='"),
        ("delay_ms.p50", "column 13: expected <=, >="),
        ("delay_ms.p50 <= fast", "column 17: expected a number, not 'fast'"),
        ("delay_ms.p50 <= nan", "expected a number"),
        ("delay_ms.p50 <= 1e999", "expected a number"),
        ("delay_ms.p50 <=", "expected a number, not ''"),
        ("delay_ms.p50 <= 8 %", "column 19: unknown unit '%' for delay_ms, which is in us, µs, ms"),
        ("delay_ms.p50 <= 8 ms please", "nothing may follow the bound, but 'please' does"),
        ("answer_rate.rate >= 95", "column 21: a rate lies between 0 and 1: write 95 %"),
        ("answer_rate.rate >= 9 ms", "unknown unit 'ms' for answer_rate"),
        ("delay_ms{voice}.p50 <= 1", "column 10: a condition reads key=value, not 'voice'"),
        ("delay_ms{a=1,a=2}.p50 <= 1", "column 14: the condition 'a' is given twice"),
        ("delay_ms{a=1.p50 <= 1", "column 9: the conditions that '{' opens are not closed"),
        ("delay_ms.p50 no worse than baseline", "needs its margin: no worse than baseline by 80"),
        ("delay_ms.p50 no worse than baseline by -3", "a margin is not negative"),
        ("pitch_hz.mean no worse than baseline by 3", "pitch_hz has no better direction"),
    ],
)
def test_mistakes_are_explained(text: str, message: str, specs: Specs) -> None:
    with pytest.raises(GateSyntaxError, match=message):
        parse_gate(text, specs)


@settings(deadline=None)
@given(text=st.text(alphabet="delay_ms.p50<=>{}, %1e", max_size=40))
def test_any_text_is_a_gate_or_a_syntax_error(text: str, specs: Specs) -> None:
    column = 1
    try:
        assert parse_gate(text, specs).metric in specs
    except GateSyntaxError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1
