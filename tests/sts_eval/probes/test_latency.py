"""The latency probe: scenarios are what the suite asks for, and known traces give known numbers."""

from collections import Counter

import numpy as np
import pytest

from sts_eval.observation import Status
from sts_eval.probes import KINDS, Evidence, PlanContext, plan_all
from sts_eval.probes.latency import PauseBlock, QuestionBlock
from sts_eval.record import Word
from sts_eval.scenario import Scenario
from sts_eval.trace import Span, Trace, TraceEvent, TraceMeta, silence

QUESTIONS = {
    "kind": "question",
    "pick": {"kind": ["arithmetic", "fact"], "per_voice": 6},
    "conditions": {"snr_db": [None, 10], "noise": ["street", "white"], "rate": [1.0, 1.15]},
}


def plans(stimuli, block, seed=1):
    kind = KINDS[block.kind]()
    return kind, kind.plan(block, PlanContext(stimuli, seed))


def test_conditions_are_dealt_evenly_and_ids_are_unique(stimuli):
    block = QuestionBlock.model_validate(QUESTIONS)
    _, made = plans(stimuli, block)
    # clean counts once whatever the noise: 2 + 2 x 2 combinations
    assert len(block.conditions.cells()) == 6
    assert len(made) == 24
    assert len({plan.id for plan in made}) == 24
    dealt = Counter((p.recipe["snr_db"], p.recipe["noise"], p.recipe["rate"]) for p in made)
    assert set(dealt.values()) == {4}
    crossed = QuestionBlock.model_validate(QUESTIONS | {"assign": "cross"})
    assert len(plans(stimuli, crossed)[1]) == 24 * 6


def test_rendering_is_deterministic_and_the_spans_are_true(stimuli):
    block = PauseBlock.model_validate(
        {
            "kind": "question_with_pause",
            "pick": {"kind": "fact", "per_voice": 1},
            "pause_s": [0.6],
            "listen_s": 2.0,
        }
    )
    kind, made = plans(stimuli, block)
    context = PlanContext(stimuli, 1)
    first, again = (kind.render(made[0], context) for _ in range(2))
    np.testing.assert_array_equal(first.user, again.user)
    scenario = first.scenario
    (pause,) = scenario.pauses
    assert pause.end_s - pause.start_s == pytest.approx(0.6, abs=0.011)
    assert first.user.size % 1920 == 0
    assert first.user.size / 24_000 >= scenario.turn_end_s + 2.0
    after = first.user[round(scenario.turn_end_s * 24_000) + 240 :]
    assert not after.any()  # clean: nothing after the turn
    start = round(scenario.user_spans[0].start_s * 24_000)
    assert not first.user[: start - 1].any()
    assert np.abs(first.user[start : start + 480]).max() > 0


def test_two_blocks_with_the_same_scenario_are_refused(stimuli):
    block = QuestionBlock.model_validate(QUESTIONS)
    kind = KINDS["question"]()
    with pytest.raises(Exception, match="two scenarios have the id"):
        plan_all([(kind, block), (kind, block)], PlanContext(stimuli, 1))


SCENARIO = Scenario(
    id="x",
    kind="question",
    title="?",
    cluster="c",
    user_spans=[Span(start_s=1.0, end_s=1.8), Span(start_s=2.4, end_s=3.0)],
    pauses=[Span(start_s=1.8, end_s=2.4)],
    turn_end_s=3.0,
    listen_s=4.0,
    conditions={"voice": "v"},
)


def observe(
    agent_spans, *, words=None, cold=False, status="ok", push_wall_ms=None, clock="lockstep"
):
    """Score a made-up trace of 8 s whose agent sounds (noise) exactly in the given spans."""
    rng = np.random.default_rng(3)
    user, agent = silence(8 * 24_000), silence(8 * 24_000)
    for span in SCENARIO.user_spans:
        cut = slice(round(span.start_s * 24_000), round(span.end_s * 24_000))
        user[cut] = rng.normal(0, 0.1, cut.stop - cut.start)
    spans = tuple(Span(start_s=a, end_s=b) for a, b in agent_spans)
    for span in spans:
        cut = slice(round(span.start_s * 24_000), round(span.end_s * 24_000))
        agent[cut] = rng.normal(0, 0.1, cut.stop - cut.start)
    meta = TraceMeta(
        schema="sts-eval/trace/1",
        scenario=SCENARIO.model_dump(),
        clock=clock,
        seed=0,
        status=status,
        error="it broke" if status == "error" else "",
        seconds=8.0,
        push_wall_ms=push_wall_ms or [10.0] * 100,
        frame_push=[-1, *range(99)],
        open_wall_ms=2000.0,
        cold=cold,
        events=[
            TraceEvent(t_s=3.3, name="stage.endpoint", data={"compute_ms": 9.0, "wait_ms": 300.0}),
            TraceEvent(t_s=3.3, name="stage.asr", data={"compute_ms": 120.0}),
            TraceEvent(t_s=6.0, name="stage.asr", data={"compute_ms": 777.0}),  # a later turn
        ],
    )
    heard = Evidence(spans, words)
    made = KINDS["question"]().score(SCENARIO, Trace(meta=meta, user=user, agent=agent), heard)
    return {(o.metric, o.slices.get("stage", "")): o for o in reversed(made)}


def test_a_plain_answer_has_every_number():
    words = (Word(text="early", start_s=0.2, end_s=0.3), Word(text="Nine", start_s=3.5, end_s=3.9))
    found = observe([(3.4, 4.4)], words=words, cold=True)
    expected = {
        "response_onset_audio_ms": 400.0,
        "response_onset_heard_ms": 410.0,  # 10 ms of compute
        "response_rate": 1.0,
        "already_speaking_rate": 0.0,
        "agent_interruption_rate": 0.0,
        "takeover_in_pause_rate": 0.0,
        "first_audible_audio_ms": 400.0,
        "first_word_audio_ms": 500.0,
        "cold_first_audio_wall_ms": 2410.0,
        "dropout_rate": 0.0,
        "echo_rate": 0.0,
        "push_wall_p50_ms": 10.0,
        "real_time_factor": 0.125,
        "missed_deadline_ratio": 0.0,
    }
    for metric, value in expected.items():
        assert found[metric, ""].value == pytest.approx(value, abs=1e-3), metric
    assert found["stage_compute_ms", "asr"].value == 120.0
    assert found["stage_latency_ms", "asr"].value == 120.0
    assert found["stage_latency_ms", "endpoint"].value == 300.0
    assert found["response_onset_audio_ms", ""].span_s == (3.0, 3.4)


@pytest.mark.parametrize(
    ("agent", "metric", "value"),
    [
        ([(1.4, 1.7), (3.4, 4.0)], "agent_interruption_rate", 1.0),
        ([(2.0, 2.3), (3.4, 4.0)], "takeover_in_pause_rate", 1.0),
        ([(0.1, 6.0)], "already_speaking_rate", 1.0),
        ([], "response_rate", 0.0),
        ([(7.5, 7.9)], "response_rate", 0.0),  # after the listening time
    ],
)
def test_each_event_is_its_own_rate(agent, metric, value):
    found = observe(agent)
    assert found[metric, ""].value == value
    for other in ("agent_interruption_rate", "takeover_in_pause_rate", "already_speaking_rate"):
        if other != metric:
            assert found[other, ""].value in (0.0, None)


def test_speaking_all_the_time_is_no_response_and_no_latency():
    found = observe([(0.0, 8.0)])
    for metric in ("response_rate", "response_onset_audio_ms", "agent_interruption_rate"):
        assert found[metric, ""].status is Status.UNMEASURED
        assert "already speaking" in found[metric, ""].reason


def test_missed_deadlines_and_percentiles_of_the_pushes():
    found = observe([(3.4, 4.0)], push_wall_ms=[10.0] * 96 + [100.0] * 4)
    assert found["missed_deadline_ratio", ""].value == 0.04
    assert found["push_wall_p95_ms", ""].value == pytest.approx(10.0)
    assert found["push_wall_p99_ms", ""].value == pytest.approx(100.0)
    paced = observe([(3.4, 4.0)], clock="paced")
    assert paced["real_time_factor", ""].status is Status.UNMEASURED


def test_an_error_is_in_the_denominator_of_every_metric_that_applies():
    found = observe([], status="error")
    assert {o.status for o in found.values()} == {Status.ERROR}
    assert {o.reason for o in found.values()} == {"it broke"}
    assert ("takeover_in_pause_rate", "") in found
    assert ("cold_first_audio_wall_ms", "") not in found  # the session was not a cold start


def test_without_an_asr_judge_the_first_word_says_so():
    observation = observe([(3.4, 4.0)])["first_word_audio_ms", ""]
    assert (observation.status, observation.reason) == (Status.UNMEASURED, "no ASR judge ran")
