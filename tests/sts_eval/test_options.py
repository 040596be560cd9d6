"""Options of a scenario: checked, carried to the target, or the reason why nothing was measured."""

import json
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from sts_eval import options as opt
from sts_eval.engine.scoring import JudgeNames, score_trace
from sts_eval.engine.worker import Job, Worker, WorkerConfig
from sts_eval.observation import Status
from sts_eval.probes import PlanContext
from sts_eval.probes.latency import QuestionKind
from sts_eval.probes.latency_specs import RESPONSE_RATE
from sts_eval.scenario import Rendered
from sts_eval.stats import estimate
from sts_eval.target import (
    Emission,
    SessionSetup,
    TargetError,
    TargetEvent,
    UnsupportedOptionError,
)
from sts_eval.targets.fakes import SilentTarget
from sts_eval.targets.faults import Late
from sts_eval.targets.process import ProcessTarget
from sts_eval.trace import load_meta

ASKED = {"temperature": 0.25}
PREFIX = np.ones(480, np.float32)


class Asking(QuestionKind):
    """A question that also asks for a temperature and for what the agent has said before."""

    def render(self, plan, context):
        made = super().render(plan, context)
        scenario = made.scenario.model_copy(update={"options": ASKED})
        return Rendered(scenario, made.user, options={"agent_prefix": PREFIX})


class HonestSession:
    def __init__(self, setup):
        self.seen = dict(setup.options)

    def push(self, frame):
        seen = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.seen.items()}
        return Emission(events=(TargetEvent("seen", seen),))

    def close(self):
        return Emission()


class Honours:
    clock, name, options = "lockstep", "honours", frozenset({"temperature", "agent_prefix"})

    def describe(self):
        return {"name": self.name}

    def open(self, setup):
        return HonestSession(setup)

    def shutdown(self):
        pass


class Deaf(Honours):
    options = frozenset({"temperature"})


@pytest.fixture
def ask(tmp_path, stimuli):
    """Run two questions that ask for more on a target; (trace meta, scored) of each."""
    block = QuestionKind.block(
        kind="question", pick={"kind": "fact", "per_voice": 1}, lead_s=[0.2, 0.4], listen_s=0.5
    )

    def run(target):
        config = WorkerConfig("", None, 5, "utterance", tmp_path, 1)
        worker = Worker(config, SimpleNamespace(value=0.0))
        worker.kinds["question"], worker.target = Asking(), target
        found = []
        for plan in Asking().plan(block, PlanContext(stimuli, 5))[:2]:
            worker.run(Job(plan, plan.id))
            path = tmp_path / f"{plan.id}.json"
            found.append((load_meta(path), score_trace(path, JudgeNames("none", "energy"))))
        return found

    return run


def test_what_is_asked_arrives_and_stands_in_the_trace(ask):
    for meta, scored in ask(Honours()):
        assert scored.result.status == "ok"
        seen = next(event.data for event in meta.events if event.name == "seen")
        assert seen == {"temperature": 0.25, "agent_prefix": [1.0] * 480}
        assert meta.scenario["options"]["temperature"] == 0.25
        assert meta.scenario["options"]["agent_prefix"]["samples"] == 480


@pytest.mark.parametrize("target", [Deaf(), Late(Deaf()), SilentTarget()])
def test_an_option_the_target_lacks_is_not_measured_and_no_error(ask, target):
    results = ask(target)
    assert {scored.result.status for _, scored in results} == {"skipped"}
    observations = [item for _, scored in results for item in scored.observations]
    assert observations
    assert {item.status for item in observations} == {Status.UNMEASURED}
    reason = "the target has no option 'agent_prefix'"
    assert {item.reason for item in observations} == {reason}
    rates = [item for item in observations if item.metric == RESPONSE_RATE.name]
    found = estimate(rates, RESPONSE_RATE, "rate", seed=0)
    assert (found.value, found.n, found.n_unmeasured, found.n_error) == (None, 0, 2, 0)


def test_options_are_checked(rng):
    scenario_options = {"temperature": 1, "voice": "amber", "style": {"pace": 2}}
    checked = opt.checked(scenario_options | {"agent_prefix": [0.0, 0.5]})
    assert checked["temperature"] == 1.0
    assert checked["agent_prefix"].dtype == np.float32
    back = opt.from_wire(json.loads(json.dumps(opt.to_wire(checked))))
    assert back["style"] == {"pace": 2}
    assert back["agent_prefix"].tolist() == [0.0, 0.5]
    assert opt.checked({}) == opt.to_wire({}) == opt.described({}) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "at least 0"),
        ({"temperature": float("nan")}, "finite"),
        ({"temperature": True}, "number"),
        ({"temperature": "hot"}, "number"),
        ({"voice": ""}, "a name"),
        ({"agent_prefix": np.zeros(0, np.float32)}, "shape"),
        ({"agent_prefix": np.zeros((2, 9), np.float32)}, "shape"),
        ({"agent_prefix": [float("inf")]}, "NaN or infinite"),
        ({"style": float("nan")}, "no JSON value"),
        ({"style": object()}, "no JSON value"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        opt.checked(options)


def test_a_scenario_that_asks_for_nonsense_says_so(stimuli):
    from sts_eval.scenario import Plan, unrendered

    rendered = unrendered(Plan(id="x", kind="question", recipe={}))
    asks = Rendered(rendered.scenario, rendered.user, options={"temperature": -1})
    with pytest.raises(ValueError, match="temperature"):
        asks.as_json()


PROGRAM = """
import base64, json, struct, sys
def send(kind, payload=b""):
    sys.stdout.buffer.write(struct.pack("<I", len(payload) + 1) + kind + payload)
    sys.stdout.buffer.flush()
def receive():
    (n,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(n)
setup = json.loads(receive()[1:])
asked = setup.get("options", {})
send(b"R", json.dumps({"name": "p", "options": HONOURED}).encode())
receive()
if "agent_prefix" in asked:
    send(b"A", base64.b64decode(asked["agent_prefix"]["f4le_base64"]))
send(b"T", str(asked.get("temperature")).encode())
send(b"D")
receive()
"""


@pytest.mark.parametrize("honoured", ["['temperature', 'agent_prefix']", "None", "7"])
def test_a_program_is_told_and_says_what_it_honours(tmp_path, honoured):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).replace("HONOURED", honoured))
    target = ProcessTarget(f"{sys.executable} {path}")
    prefix = np.array([0.5, -0.25], np.float32)
    setup = SessionSetup(options={"temperature": 0.5, "agent_prefix": prefix})
    if honoured == "None":
        with pytest.raises(UnsupportedOptionError, match="no option 'agent_prefix'"):
            target.open(setup)
        target.open(SessionSetup()).close()
    elif honoured == "7":
        with pytest.raises(TargetError, match="R message"):
            target.open(setup)
    else:
        session = target.open(setup)
        emission = session.push(np.zeros(1920, np.float32))
        session.close()
        assert emission.audio.tolist() == prefix.tolist()
        assert emission.text == "0.5"
