"""The command line as a user types it: outputs, exit codes, and messages instead of tracebacks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sts_eval.cli import main
from sts_eval.suite import load_suite

SUITE = """\
suite: quick
question: Does the command line work?
target: scripted
judges: {asr: none, vad: energy}
min_n: 2
cold_starts: 0
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 2}
    lead_s: [0.2, 0.3]
    listen_s: 1.5
gates:
  - response_rate >= 0.4
  - response_onset_audio_ms.p50 no worse than baseline by 80 ms
"""


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "quick.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def runs(quick, tmp_path_factory, _private_cache):
    """A healthy run and a late one, in one reports folder with the first as baseline."""
    out = tmp_path_factory.mktemp("reports")
    quiet = ["--out", out, "--format", "json"]
    call("run", quick, *quiet, code=3)  # there is no baseline yet
    (first,) = (out / "quick").iterdir()
    call("baseline", "accept", first, "--out", out)
    call("run", quick, *quiet, "--target", "late:ms=320+scripted", code=1)
    (late,) = set((out / "quick").iterdir()) - {first}
    return out, first, late


def test_a_run_that_got_later_fails_against_the_baseline_and_a_repeat_passes(runs, quick):
    out, first, late = runs
    said = json.loads((late / "run.json").read_text())
    verdicts = {v["gate"]: v["outcome"] for v in said["verdicts"]}
    assert set(verdicts.values()) == {"PASS", "FAIL"}
    call("gate", first, "--baseline", out / "baselines" / "quick.json")
    call("score", first, "--baseline", out / "baselines" / "quick.json")


def test_compare_report_and_summary(runs, quick, tmp_path):
    _, first, late = runs
    rows = json.loads(call("compare", first, late, "--format", "json"))["rows"]
    (row,) = [
        r for r in rows if (r["metric"], r["statistic"]) == ("response_onset_audio_ms", "p50")
    ]
    assert row["difference"] == pytest.approx(320, abs=11)
    assert "response_onset_audio_ms" in call("compare", first, late, "--html", tmp_path / "c.html")
    assert "<html" in (tmp_path / "c.html").read_text()
    before = (first / "report.html").read_bytes()
    (first / "report.html").unlink()
    call("report", first)
    assert (first / "report.html").read_bytes() == before
    summary = tmp_path / "summary.md"
    call("run", quick, "--limit", 2, "--out", tmp_path, "--summary", summary, code=3)
    assert "|" in summary.read_text()


def test_the_starter_is_valid_and_runs(tmp_path, monkeypatch):
    said = call("init", tmp_path / "start")
    names = {Path(line).name for line in said.split()}
    assert names == {"suite.yaml", "my_target.py", "ci.yml"}
    load_suite(tmp_path / "start" / "suite.yaml", profile="smoke")
    call("init", tmp_path / "start", code=2)  # never over existing files
    monkeypatch.chdir(tmp_path / "start")
    target = f"process:command='{sys.executable} my_target.py'"
    text = (tmp_path / "start" / "suite.yaml").read_text()
    (tmp_path / "start" / "suite.yaml").write_text(text + "judges: {asr: none, vad: energy}\n")
    call("run", "suite.yaml", "--profile", "smoke", "--limit", 2, "--target", target, code=3)
    (run,) = (tmp_path / "start" / "reports" / "my_latency").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert [s["status"] for s in record["scenarios"]] == ["ok", "ok"]
    assert "beep" in {s["agent_text"] for s in record["scenarios"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "name a suite file"),
        (["run", "none.yaml"], "No such file"),
        (["run", "{suite}", "--target", "cascad"], "did you mean 'cascade'"),
        (["run", "{suite}", "--target", "scripted:delay=3"], "did you mean 'delay_ms'"),
        (["run", "{suite}", "--target", "scripted:delay_ms"], "expected key=value"),
        (["run", "{suite}", "--target", "python:nowhere:x"], "No module named 'nowhere'"),
        (["run", "{suite}", "--target", "python:json:nothing"], "no attribute 'nothing'"),
        (["run", "{suite}", "--profile", "smoke"], "no profile 'smoke'"),
        (["run", "{suite}", "--limit", "0"], "--limit"),
        (["run", "{suite}", "--stimuli", "{folder}"], "manifest.jsonl"),
        (["run", "{suite}", "--resume", "{folder}"], "give no other settings"),
        (["run", "--resume", "{folder}"], "not a run folder"),
        (["score", "{folder}"], "not a run folder"),
        (["report", "{folder}"], "run.json"),
        (["compare", "{folder}", "{folder}"], "run.json"),
        (["baseline", "accept", "{folder}"], "run.json"),
        (["list", "nothing"], "Invalid value"),
    ],
)
def test_mistakes_are_explained_with_exit_code_2(quick, tmp_path, arguments, message):
    filled = [a.format(suite=quick, folder=tmp_path) for a in arguments]
    assert message in call(*filled, code=2)


def test_validate_names_file_and_line(quick, tmp_path):
    assert "ok (1 blocks, 2 gates)" in call("validate", quick)
    bad = tmp_path / "bad.yaml"
    bad.write_text(SUITE.replace("min_n", "min_m"))
    said = call("validate", quick, bad, code=2)
    assert f"{bad}:5: unknown key 'min_m' - did you mean 'min_n'?" in said


def test_list_names_everything_that_is_registered():
    said = call("list")
    for name in ("cascade", "question_with_pause", "response_rate.{rate}", "moonshine", "late"):
        assert name in said
    assert "cascade" not in call("list", "judges")


def test_help_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from sts_eval.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'torch', 'scipy', 'pydantic', 'onnxruntime', 'rich', 'jinja2'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""
