"""A whole run on fakes: outputs, determinism, resume after kill -9, and targets that misbehave."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sts_eval import runner
from sts_eval.engine.worker import limit_threads
from sts_eval.observation import Status
from sts_eval.planning import RunError, RunOptions
from sts_eval.record import load_run
from sts_eval.runner import Progress
from sts_eval.trace import load_trace

SUITE = """\
suite: tiny
question: Does the engine survive?
seed: 5
target: scripted
judges: {asr: none, vad: energy}
deadline_s: 3
min_n: 2
cold_starts: 1
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 1}
    lead_s: [0.2, 0.4]
    listen_s: 1.5
gates:
  - response_rate >= 0.1
"""

BROKEN = """
import os, sys, time
import numpy as np
from sts_eval.target import Emission

class Session:
    def __init__(self, how, bad):
        self.how, self.bad, self.pushes = how, bad, 0
    def push(self, frame):
        self.pushes += 1
        if self.bad and self.pushes == 5:
            if self.how == "raises": raise ValueError("boom <b>")
            if self.how == "exits": sys.exit(7)
            if self.how == "dies": os._exit(9)
            if self.how == "hangs": time.sleep(60)
            if self.how == "nan": return Emission(np.full(10, np.nan, np.float32))
            if self.how == "floods": return Emission(np.zeros(24_000 * 200, np.float32))
            if self.how == "garbage": return "no emission"
        return Emission()
    def close(self):
        return Emission()

class Target:
    clock = "lockstep"
    def __init__(self, how):
        self.how, self.name, self.opened = how, "broken", 0
    def describe(self):
        return {"name": self.name, "how": self.how}
    def open(self, setup):
        # one scenario breaks, the others are fine
        return Session(self.how, "am_puck" in setup.scenario_id)
    def shutdown(self):
        pass

def make(how):
    return lambda: Target(how)

for how in ("raises", "exits", "dies", "hangs", "nan", "floods", "garbage"):
    globals()[how] = make(how)
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


def run(suite, tmp_path, **options):
    options = RunOptions(suite=suite, out=tmp_path / "reports", **options)
    folder = runner.start_run(options, Progress())
    return folder, runner.score_run(folder, Progress(), judge_reports=False)


def test_a_run_leaves_everything_it_promises(suite, tmp_path):
    folder, record = run(suite, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert {"run.json", "report.html", "junit.xml", "summary.md", "traces"} <= names
    assert record.exit_code == 0
    assert len(record.scenarios) == 4
    assert load_run(folder) == record
    onset = {o.scenario_id: o.value for o in record.observations if "onset_audio" in o.metric}
    assert all(value == pytest.approx(320, abs=15) for value in onset.values())
    cold = [o for o in record.observations if o.metric.startswith("cold")]
    assert [o.status for o in cold] == [Status.MEASURED]  # the others were warm
    trace = load_trace(folder / record.scenarios[0].trace)
    assert trace.user.size == trace.agent.size == round(trace.meta.seconds * 24_000)


def test_scoring_again_gives_the_same_bytes(suite, tmp_path):
    folder, _ = run(suite, tmp_path)
    names = ("run.json", "report.html", "junit.xml", "summary.md")
    before = {name: (folder / name).read_bytes() for name in names}
    runner.score_run(folder, Progress(), judge_reports=False)
    for name in names:
        assert (folder / name).read_bytes() == before[name], name


def test_the_same_seed_gives_the_same_audio_clock_numbers(suite, tmp_path):
    first, second = run(suite, tmp_path)[1], run(suite, tmp_path)[1]

    def audio_clock(record):
        wall = {s.name for s in record.metrics if s.clock in ("wall", "heard")}
        return [o for o in record.observations if o.metric not in wall]

    assert audio_clock(first) == audio_clock(second)
    assert first.run_id != second.run_id
    other = run(suite, tmp_path, seed=6)[1]
    assert {s.id for s in other.scenarios} != {s.id for s in first.scenarios}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", r"target raised ValueError: boom <b> \(broken_target.py:\d+\)"),
        ("exits", "exit|SystemExit"),
        ("dies", "its process ended \\(exit code 9\\)"),
        ("hangs", "no sign of life for 3 s"),
        ("nan", "NaN"),
        ("floods", "waits to be played"),
        ("garbage", "not an Emission"),
    ],
)
def test_a_broken_target_costs_its_scenario_and_not_the_run(
    suite, tmp_path, monkeypatch, how, message
):
    (tmp_path / "broken_target.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    _, record = run(suite, tmp_path, target=f"python:broken_target:{how}")
    failed = [s for s in record.scenarios if s.status == "error"]
    assert [s.conditions["voice"] for s in failed] == ["am_puck"]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failed[0].error)
    estimate = next(e for e in record.estimates if e.key == "response_rate.rate" and not e.slice)
    assert (estimate.n, estimate.n_error) == (3, 1)
    assert record.exit_code == 4


def test_stimuli_of_any_rate_run_and_damaged_ones_cost_their_scenario(suite, tmp_path, stimuli):
    folder = tmp_path / "voices"
    folder.mkdir()
    speech = stimuli.items[0].audio()
    contents = {
        "8k": (speech[::3], 8_000),
        "stereo48k": (np.repeat(speech, 2)[:, None].repeat(2, axis=1), 48_000),
        "44k": (
            np.interp(np.arange(speech.size * 1.8375) / 1.8375, np.arange(speech.size), speech),
            44_100,
        ),
        "nan": (np.full(24_000, np.nan, np.float32), 24_000),
        "empty": (np.zeros(0, np.float32), 24_000),
        "silent": (np.zeros(24_000, np.float32), 24_000),
    }
    rows = []
    for name, (samples, rate_hz) in contents.items():
        soundfile.write(folder / f"{name}.wav", samples, rate_hz, subtype="FLOAT")
        rows.append({"id": name, "voice": name, "path": f"{name}.wav"})
    (folder / "corrupt.wav").write_bytes(b"RIFF\x00\x00garbage")
    rows.append({"id": "corrupt", "voice": "corrupt", "path": "corrupt.wav"})
    with (folder / "manifest.jsonl").open("w") as manifest:
        for row in rows:
            manifest.write(json.dumps(row | {"text": "?", "kind": "fact", "seconds": 1.0}) + "\n")
    _, record = run(suite, tmp_path, stimuli=folder)
    errors = {s.id.partition(".")[0]: s.error for s in record.scenarios}
    assert {name for name, error in errors.items() if not error} == {"8k", "stereo48k", "44k"}
    for name in ("nan", "empty", "silent", "corrupt"):
        assert errors[name].startswith("stimulus: "), errors


def test_kill_9_and_resume_equal_an_uninterrupted_run(suite, tmp_path):
    whole, _ = run(suite, tmp_path)
    out = tmp_path / "killed"
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from sts_eval import runner
        from sts_eval.planning import RunOptions
        from sts_eval.runner import Progress
        if __name__ == "__main__":
            runner.start_run(RunOptions(suite=Path({str(suite)!r}), out=Path({str(out)!r}),
                             target="slow:ms=40,share=1+scripted"), Progress())
        """
    )
    script = tmp_path / "start.py"
    script.write_text(program)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("tiny/*/traces/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (folder,) = out.glob("tiny/*")
    recorded = len(list((folder / "traces").glob("*.json")))
    assert recorded < 4
    partial = runner.score_run(folder, Progress(), judge_reports=False)
    assert (partial.state, len(partial.scenarios)) == ("partial", recorded)
    runner.resume_run(folder, 1, Progress())
    resumed = runner.score_run(folder, Progress(), judge_reports=False)
    assert resumed.state == "complete"
    for path in sorted((whole / "traces").glob("*.flac")):
        assert path.read_bytes() == (folder / "traces" / path.name).read_bytes()
    wall = {s.name for s in resumed.metrics if s.clock in ("wall", "heard")}
    kept = [o for o in resumed.observations if o.metric not in wall]
    assert kept == [o for o in load_run(whole).observations if o.metric not in wall]


def test_the_error_of_a_plan_comes_before_any_target_opens(suite, tmp_path):
    suite.write_text(SUITE.replace("kind: fact,", "kind: facts,"))
    with pytest.raises(RunError, match="did you mean 'fact'"):
        run(suite, tmp_path)
    assert not (tmp_path / "reports").exists()


def test_a_damaged_run_folder_is_refused(suite, tmp_path):
    folder, _ = run(suite, tmp_path, limit=1)
    with (folder / "suite.yaml").open("a") as handle:
        handle.write("cluster: voice\n")
    with pytest.raises(RunError, match="not the suite this run was made with"):
        runner.score_run(folder, Progress())
    (folder / "plan.json").write_text(json.dumps({"schema": "other"}))
    with pytest.raises(RunError, match=r"plan\.json"):
        runner.score_run(folder, Progress())
    with pytest.raises(RunError, match="not a run folder"):
        runner.find_run(Path(tmp_path))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("4", "4", "4")),
        ({"OMP_NUM_THREADS": "1"}, ("1", "1", "1")),
        ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "2"}, ("1", "2", "1")),
    ],
)
def test_a_user_who_asks_for_one_thread_gets_one_in_all_libraries(asked, expected):
    environ = dict(asked)
    limit_threads(environ, 4)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    assert tuple(environ[name] for name in names) == expected
