"""Planning and rendering: which questions, what is expected of them, and nothing at random."""

import numpy as np

from sts_eval.probes import PlanContext
from sts_eval.probes.hallucination import HallucinationBlock, HallucinationKind
from sts_eval.stimuli import QUESTIONS, Stimuli
from sts_eval.targets.answering import replies

KIND = HallucinationKind()


def plans_of(task, kind, per_voice=8):
    context = PlanContext(Stimuli.load(), 17)
    pick = {"kind": kind, "per_voice": per_voice}
    block = HallucinationBlock(kind="hallucination", task=task, pick=pick)
    return KIND.plan(block, context), context


def test_a_chain_expects_the_result_of_both_turns():
    plans, context = plans_of("chain", "arithmetic")
    assert len(plans) == 32
    for plan in plans:
        scenario = KIND.render(plan, context).scenario
        first, last = scenario.expected["first"], scenario.expected
        assert last["a"] == first["answer"]
        sign = {"plus": 1, "minus": -1}
        if last["op"] in sign:
            assert last["answer"] == last["a"] + sign[last["op"]] * last["b"]
        else:
            assert last["answer"] == last["a"] * last["b"]
            assert 0 <= last["a"] <= 12
        assert scenario.conditions["chained"] == "yes"
        assert len(replies(scenario.model_dump())) == 2


def test_conditions_of_sums():
    plans, context = plans_of("sum", "sum", per_voice=12)
    conditions = [KIND.render(plan, context).scenario.conditions for plan in plans]
    assert {c["size"] for c in conditions} >= {"21-99", "100+", "decimal", "units"}
    assert {c.get("carry", "") for c in conditions} == {"carry", "none", ""}
    assert {c["op"] for c in conditions} == {"plus", "minus", "times"}


def test_rendering_repeats():
    plans, context = plans_of("false_premise", "false_premise", per_voice=1)
    once, again = (KIND.render(plans[0], context) for _ in range(2))
    assert np.array_equal(once.user, again.user)
    assert once.scenario == again.scenario
    assert once.scenario.expected["truth"]


def test_the_questions_leave_the_other_stimuli_as_they_are():
    stimuli = Stimuli.load()
    more = stimuli.with_questions()
    assert more.items[: len(stimuli.items)] == stimuli.items
    assert len(more.items) == len(stimuli.items) + 240
    assert {item.voice for item in Stimuli.load(QUESTIONS).items} == {
        item.voice for item in stimuli.items
    }
    assert more is stimuli.with_questions()
