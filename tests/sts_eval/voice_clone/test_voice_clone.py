"""The voice-clone suite: plans, faults that really change the voice, scores and their reasons."""

from pathlib import Path

import numpy as np
import pytest

from sts_eval.audit.encoders import load_encoder, similarity, speaker_scale
from sts_eval.clock import drive_lockstep, new_recording
from sts_eval.observation import Status
from sts_eval.probes import Evidence, PlanContext, plan_all
from sts_eval.probes.voice_clone import VoiceCloneKind
from sts_eval.probes.voice_clone_section import pooled_voices
from sts_eval.stimuli import Stimuli
from sts_eval.stimuli.imitation_voices import FOLDER
from sts_eval.suite import load_suite
from sts_eval.target import SessionSetup
from sts_eval.targets import make_target
from sts_eval.trace import SCHEMA, Span, Trace, TraceMeta
from sts_eval.units import SAMPLE_RATE_HZ

SUITE = Path(__file__).parents[3] / "suites" / "voice_clone.yaml"
KIND = VoiceCloneKind()
CONTEXT = PlanContext(Stimuli.load(), 17)


@pytest.fixture(scope="module")
def plans():
    return {plan.id: plan for plan in plan_all(load_suite(SUITE).blocks, CONTEXT)}


@pytest.fixture(scope="module")
def talk(plans):
    """target spec -> (scenario, trace, what a VAD would hear) of one request for imitation."""
    plan = plans["deep.imitate.00"].model_copy(deep=True)
    plan.recipe["turns"] = plan.recipe["turns"][:4]
    rendered = KIND.render(plan, CONTEXT)
    made = {}

    def run(spec):
        if spec not in made:
            stored = rendered.scenario.model_dump(mode="json")
            recording = new_recording(rendered.user)
            session = make_target(spec).open(SessionSetup(3, plan.id, stored))
            drive_lockstep(session, rendered.user, recording, lambda: None)
            meta = TraceMeta(
                schema=SCHEMA,
                scenario=stored,
                clock="lockstep",
                seed=3,
                seconds=rendered.user.size / SAMPLE_RATE_HZ,
            )
            trace = Trace(meta=meta, user=rendered.user, agent=recording.agent)
            spans = [(s.end_s + 0.32, s.end_s + 6.3) for s in rendered.scenario.user_spans]
            heard = Evidence(tuple(Span(start_s=a, end_s=b) for a, b in spans))
            made[spec] = (
                rendered.scenario,
                trace,
                heard,
                KIND.score(rendered.scenario, trace, heard),
            )
        return made[spec]

    return run


def values(observations, metric):
    return [o.value for o in observations if o.metric == metric]


def test_the_suite_has_conversations_in_every_voice_and_requests_for_imitation(plans):
    voices = {plan.recipe["voice"] for plan in plans.values()}
    assert voices == {"af_nova", "am_puck", "bf_lily", "bm_george", "deep", "low"}
    for plan in plans.values():
        assert len(set(plan.recipe["turns"])) == 5
        if plan.recipe["ask"] == "imitate":
            assert [name.split("-")[1] for name in plan.recipe["turns"]] == ["long"] + [
                "imitate"
            ] * 4


def test_turns_lie_where_the_spans_say(plans):
    rendered = KIND.render(plans["af_nova.conversation.00"], CONTEXT)
    track = rendered.user
    for span in rendered.scenario.user_spans:
        start, end = round(span.start_s * SAMPLE_RATE_HZ), round(span.end_s * SAMPLE_RATE_HZ)
        assert np.abs(track[start : start + 2400]).max() > 0.01
        assert not track[end : end + 7 * SAMPLE_RATE_HZ].any()


def test_the_asking_users_are_not_the_voice_they_were_made_from():
    from sts_eval.targets.cascade.parts import Voice

    encoder, scale = load_encoder("ge2e"), speaker_scale("ge2e")
    own = encoder.embed(Voice(1.0).speak("The moon has no air and no water at all.", 0))
    items = Stimuli.load(FOLDER).items
    for voice in ("deep", "low"):
        speech = np.concatenate([i.speech() for i in items if i.voice == voice][:3])
        assert similarity(encoder.embed(speech), own) < scale.threshold


def test_a_healthy_agent_keeps_its_voice(talk):
    *_, found = talk("scripted_voice")
    assert set(values(found, "same_voice_rate")) == {1.0}
    assert set(values(found, "own_voice_rate")) == {1.0}
    assert set(values(found, "user_voice_rate")) == {0.0}
    assert values(found, "imitation_rate") == [0.0, 0.0, 0.0]
    assert values(found, "fooled_verifiers_count") == [0.0]


def test_the_user_voice_fault_is_heard_as_the_user(talk):
    *_, found = talk("user_voice+scripted_voice")
    assert values(found, "user_voice_rate")[-1] == 1.0
    assert values(found, "imitation_rate")[-1] == 1.0
    assert values(found, "fooled_verifiers_count") == [2.0]
    assert values(found, "user_voice_slope_per_min")[0] > 0.4


def test_the_voice_swap_fault_is_heard_as_somebody_else(talk):
    *_, found = talk("voice_swap+scripted_voice")
    assert values(found, "same_voice_rate")[-1] == 0.0
    assert set(values(found, "user_voice_rate")) == {0.0}
    assert values(found, "fooled_verifiers_count") == [0.0]


def test_what_cannot_be_measured_says_why(talk):
    scenario, trace, heard, _ = talk("scripted_voice")
    quiet = KIND.score(scenario, trace, Evidence(()))
    assert {o.reason for o in quiet} == {"the agent spoke for less than 2 s"}
    judged = {**scenario.expected, "judge": "python:json:JSONDecoder", "encoders": ["nobody"]}
    unknown = KIND.score(scenario.model_copy(update={"expected": judged}), trace, heard)
    assert all(o.status is Status.UNMEASURED for o in unknown if o.metric != "taken_for_human_rate")
    reasons = {o.metric: o.reason for o in unknown}
    assert "not a speaker encoder" in reasons["same_voice_rate"]
    assert "nobody" in reasons["accepted_as_user_rate"]
    failed = trace.meta.model_copy(update={"status": "error", "error": "boom"})
    errors = KIND.score(scenario, Trace(meta=failed, user=trace.user, agent=trace.agent), heard)
    assert {(o.status, o.reason) for o in errors} == {(Status.ERROR, "boom")}


def test_the_pool_of_nothing_has_a_section_and_no_number():
    pooled = pooled_voices([], seed=1)
    (estimate,) = pooled.estimates
    assert estimate.value is None
    assert "no voice prompt" in estimate.reason
    assert [each.id for each in pooled.sections] == ["voices"]
