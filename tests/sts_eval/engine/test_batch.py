"""Runs in batches: the traces of single runs, and what a failure in a batch costs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from sts_eval import runner
from sts_eval.engine.lot import batches
from sts_eval.engine.supervisor import _lots
from sts_eval.engine.take import Job
from sts_eval.observation import Status
from sts_eval.planning import RunError, RunOptions, plan_run
from sts_eval.runner import Progress
from sts_eval.scenario import Plan
from sts_eval.suite import load_suite
from sts_eval.trace import load_meta, save_trace

SUITE = """\
suite: tiny
question: Does the engine survive?
seed: 5
target: "python:batch_target:fine"
judges: {asr: none, vad: energy}
deadline_s: 60
min_n: 2
cold_starts: 1
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 1}
    lead_s: [0.2, 0.6]
    listen_s: 1.5
  - kind: interruption
    event: stop
    pick: {kind: long, per_voice: 1}
    at_s: [0.3]
    listen_s: 1
gates:
  - response_rate >= 0.1
  - missed_deadline_ratio <= 0.5
"""

# Answers with noise after every half second of silence, and stops when it hears something.
TARGET = """
import os, sys, time
import numpy as np
from sts_eval.target import Emission, TargetEvent

class Session:
    def __init__(self, seed):
        self.rng, self.heard, self.quiet = np.random.default_rng(seed), False, 0
    def push(self, frame):
        loud = float(np.abs(frame).max()) > 0.02
        self.heard, self.quiet = self.heard or loud, 0 if loud else self.quiet + 1
        if loud:
            return Emission(flush=True)
        if not (self.heard and self.quiet == 6):
            return Emission()
        self.heard = False
        noise = self.rng.uniform(-0.3, 0.3, 16_000).astype(np.float32)
        stages = (TargetEvent("stage.end", {"wait_ms": 480.0}),
                  TargetEvent("stage.noise", {"compute_ms": 3.0}))
        return Emission(noise, " noise", stages)
    def close(self):
        return Emission(text=" bye")

def spoiled(how, session, emission):
    session.pushes = getattr(session, "pushes", 0) + 1
    if session.pushes != 5:
        return emission
    if how == "raises": raise ValueError("boom <b>")
    if how == "exits": sys.exit(7)
    if how == "dies": os._exit(9)
    if how == "hangs": time.sleep(60)
    if how == "nan": return Emission(np.full(10, np.nan, np.float32))
    return emission

class Alone(Session):
    def __init__(self, how, seed):
        super().__init__(seed)
        self.how = how
    def push(self, frame):
        return spoiled(self.how, self, super().push(frame))

class Batch:
    def __init__(self, how, rows):
        self.how, self.rows = how, rows
    def push(self, frames):
        if self.how == "together": raise RuntimeError("not together")
        return [row.push(frame) for row, frame in zip(self.rows, frames, strict=True)]
    def close(self, row):
        return self.rows[row].close()

class Target:
    clock = "lockstep"
    def __init__(self, how):
        self.how, self.name = how, "noise"
    def describe(self):
        return {"name": self.name, "how": self.how}
    def open(self, setup):
        return Alone(self.how if "am_puck-fact" in setup.scenario_id else "", setup.seed)
    def open_batch(self, setups):
        if self.how == "closed": raise RuntimeError("no batches today")
        return Batch(self.how, [self.open(setup) for setup in setups])
    def shutdown(self):
        pass

def make(how):
    return lambda: Target(how)

for how in ("fine", "raises", "exits", "dies", "hangs", "nan", "together", "closed"):
    globals()[how] = make(how)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The folder of the target, importable here and by the workers."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "batch_target.py").write_text(TARGET)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture
def suite(tmp_path, module):
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def whole(module, tmp_path_factory):
    """A run without batches: (folder, record)."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(SUITE)
    return run(folder / "tiny.yaml", folder)


def run(suite, tmp_path, **options):
    folder = runner.start_run(
        RunOptions(suite=suite, out=tmp_path / "reports", **options), Progress()
    )
    return folder, runner.score_run(folder, Progress(), judge_reports=False)


def metas(folder):
    return {path.stem: load_meta(path) for path in sorted((folder / "traces").glob("*.json"))}


def assert_same_traces(one, other, but=()):
    first, second = metas(one), metas(other)
    assert first.keys() == second.keys()
    for stem in first.keys() - set(but):
        flacs = [(folder / "traces" / f"{stem}.flac").read_bytes() for folder in (one, other)]
        assert flacs[0] == flacs[1], stem
        timing = {"push_wall_ms", "open_wall_ms", "cold", "batch", "retried"}
        kept = [meta[stem].model_dump(exclude=timing) for meta in (first, second)]
        assert kept[0] == kept[1], stem


def test_a_batch_run_has_the_traces_of_a_single_one_and_no_wall_times(suite, tmp_path, whole):
    single, alone = whole
    folder, record = run(suite, tmp_path, batch=3)
    assert_same_traces(single, folder)
    assert sorted(meta.batch for meta in metas(folder).values()) == [1, 2, 2, 2, 2, 3, 3, 3]
    wall = {spec.name for spec in record.metrics if spec.clock in ("wall", "heard")}
    for mine, theirs in zip(record.observations, alone.observations, strict=True):
        if mine.metric not in wall or metas(folder)[mine.scenario_id].batch == 1:
            assert mine.metric == theirs.metric
            assert mine.metric in wall or mine == theirs
        elif mine.slices.get("stage") == "end":
            assert mine == theirs  # waiting is on the audio clock
        else:
            assert mine.status is Status.UNMEASURED
            assert mine.reason.startswith(("stepped together", "no answer to time"))


def test_what_cannot_be_measured_decides_no_gate_and_is_noted(suite, tmp_path):
    _, record = run(suite, tmp_path, batch=8)
    outcomes = {verdict.metric: verdict.outcome for verdict in record.verdicts}
    assert outcomes["missed_deadline_ratio"] == "INCONCLUSIVE"
    assert "7 of 8 scenarios were stepped together, up to 7 at once" in " ".join(record.notes)
    cold = [o for o in record.observations if o.metric.startswith("cold")]
    assert [o.status for o in cold] == [Status.MEASURED]  # cold starts are single


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "target raised ValueError: boom <b>"),
        ("exits", "SystemExit"),
        ("dies", r"its process ended \(exit code 9\)"),
        ("hangs", "no sign of life for 5 s"),
    ],
)
def test_a_failure_of_a_batch_costs_the_scenario_that_fails_alone(
    suite, tmp_path, whole, how, message
):
    if how == "hangs":
        suite.write_text(SUITE.replace("deadline_s: 60", "deadline_s: 5"))
    folder, record = run(suite, tmp_path, target=f"python:batch_target:{how}", batch=8)
    failed = [s for s in record.scenarios if s.status == "error"]
    assert [s.id.split(".")[0].split("-")[:2] for s in failed] == [["am_puck", "fact"]]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failed[0].error)
    assert_same_traces(whole[0], folder, but=[failed[0].id])
    retried = [meta for meta in metas(folder).values() if meta.retried]
    assert len(retried) == 7
    assert all(meta.batch == 1 and meta.push_wall_ms for meta in retried if meta.status == "ok")
    assert "7 scenarios ran again by themselves" in " ".join(record.notes)
    assert record.exit_code == 4


def test_garbage_of_one_row_costs_that_row_and_no_second_run(suite, tmp_path, whole):
    folder, record = run(suite, tmp_path, target="python:batch_target:nan", batch=8)
    (failed,) = [s for s in record.scenarios if s.status == "error"]
    assert failed.error == "target: audio holds NaN or infinite samples"
    assert not any(meta.retried for meta in metas(folder).values())
    assert_same_traces(whole[0], folder, but=[failed.id])


@pytest.mark.parametrize("how", ["together", "closed"])
def test_a_target_that_cannot_after_all_runs_singly(suite, tmp_path, whole, how):
    folder, record = run(suite, tmp_path, target=f"python:batch_target:{how}", batch=8)
    assert_same_traces(whole[0], folder)
    assert {s.status for s in record.scenarios} == {"ok"}
    assert any("ran again by themselves" in note for note in record.notes)


def test_a_damaged_stimulus_costs_its_scenario_and_not_its_batch(suite, tmp_path, stimuli):
    folder = tmp_path / "voices"
    folder.mkdir()
    rows = []
    for name in ("good", "better", "corrupt"):
        soundfile.write(folder / f"{name}.wav", stimuli.items[0].audio(), 24_000)
        rows.append({"id": name, "voice": name, "path": f"{name}.wav", "seconds": 1.0})
    (folder / "corrupt.wav").write_bytes(b"RIFF\x00\x00garbage")
    with (folder / "manifest.jsonl").open("w") as manifest:
        for row in rows:
            manifest.write(json.dumps(row | {"text": "?", "kind": "fact"}) + "\n")
    text = SUITE[: SUITE.index("  - kind: interruption")] + "gates: []\n"
    suite.write_text(text.replace("cold_starts: 1", "cold_starts: 0"))
    made, record = run(suite, tmp_path, stimuli=folder, batch=4)
    errors = {s.id.partition(".")[0]: s.error for s in record.scenarios}
    assert errors.pop("corrupt").startswith("stimulus: ")
    assert set(errors.values()) == {""}
    assert sorted(meta.batch for meta in metas(made).values()) == [1, 2, 2]


def test_a_resumed_run_goes_on_in_batches(suite, tmp_path):
    folder, _ = run(suite, tmp_path, batch=3)
    before = metas(folder)
    flacs = {path.name: path.read_bytes() for path in (folder / "traces").glob("*.flac")}
    traces = sorted((folder / "traces").glob("*.json"))
    kept = {path: path.read_bytes() for path in traces[:3]}
    for path in traces[3:]:
        path.unlink()
    runner.resume_run(folder, 1, Progress())
    assert {path: path.read_bytes() for path in kept} == kept
    assert before.keys() == metas(folder).keys()
    assert {path.name: path.read_bytes() for path in (folder / "traces").glob("*.flac")} == flacs
    assert max(meta.batch for stem, meta in metas(folder).items() if stem not in kept) > 1


def test_a_target_without_batches_is_refused_when_asked_and_spared_when_not(suite):
    def planned(**options):
        return plan_run(load_suite(suite), RunOptions(suite=suite, **options)).batch

    with pytest.raises(RunError, match="the target 'scripted' cannot step conversations together"):
        planned(target="scripted", batch=4)
    assert planned(target="scripted", batch=1) == planned() == 1
    sha256 = load_suite(suite).sha256
    suite.write_text(SUITE + "batch: 4\n")
    assert load_suite(suite).sha256 == sha256  # it decides no scenario
    assert (planned(target="scripted"), planned(), planned(batch=2)) == (1, 4, 2)


def take(frames, **asked):
    user = np.zeros(frames, np.float32)
    return SimpleNamespace(asked=asked, rendered=SimpleNamespace(user=user))


def test_a_batch_holds_what_goes_together():
    short, long = np.zeros(1920 * 2 - 5, np.float32), np.zeros(1920 * 3, np.float32)
    takes = [
        take(9, temperature=1.0),
        take(5),
        take(7, agent_prefix=short),
        take(3, voice="a"),
        take(4, agent_prefix=np.ones(1930, np.float32), voice="b"),  # two frames as well
        take(1, agent_prefix=long),
        take(4, voice="b"),
    ]
    sizes = [[t.rendered.user.size for t in batch] for batch in batches(takes, 8)]
    assert sizes == [[9], [3, 4, 5], [4, 7], [1]]
    even = [len(batch) for batch in batches([take(1)] * 10, 4)]
    assert even == [3, 3, 4]
    assert list(batches([], 4)) == []


def test_lots_leave_cold_starts_alone_and_feed_all_workers():
    jobs = [Job(Plan(id=str(k), kind="question", recipe={}, cold=k < 2), str(k)) for k in range(12)]

    def sizes(batch, workers):
        lots = _lots(jobs, batch, workers)
        assert sorted(int(job.stem) for lot in lots for job in lot) == list(range(12))
        return [len(lot) for lot in lots]

    assert sizes(1, 3) == [1] * 12
    assert sizes(2, 1) == [1, 1, 8, 2]
    assert sizes(2, 2) == [1, 1, 5, 5]
    assert sizes(4, 5) == [1, 1, 4, 4, 2]


def test_save_trace_keeps_the_batch(tmp_path):
    from sts_eval.trace import SCHEMA, Trace, TraceMeta, silence

    meta = TraceMeta(schema=SCHEMA, scenario={}, clock="lockstep", seed=0, batch=4, retried="x")
    save_trace(Trace(meta=meta, user=silence(1920), agent=silence(1920)), tmp_path, "a")
    loaded = load_meta(tmp_path / "a.json")
    assert (loaded.batch, loaded.retried) == (4, "x")
