"""A whole audit through the command line: hostile folders, resuming, verifying, exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from sts_eval.audit import DEFAULT_DETECTOR
from sts_eval.audit.case.case import read_case
from sts_eval.audit.case.custody import read_log
from sts_eval.audit.case.outputs import safe_cell
from sts_eval.audit.case.page import _short, build_page
from sts_eval.audit.case.parts import load_detector
from sts_eval.audit.case.ratio import reach_words
from sts_eval.audit.case.rows import make_rows
from sts_eval.audit.cli import audit
from sts_eval.audit.voices.schema import load_registry

DETECTOR = "python:tests.sts_eval.audit.case.parts_for_tests:LevelDetector"
EVIL = "<img src=x onerror=alert(1)>.wav"


def command(*arguments: object) -> Result:
    result = CliRunner().invoke(audit, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run(
    folder: Path, out: Path, *more: object, detector: str = DETECTOR, workers: int = 0
) -> Result:
    return command(folder, "--out", out, "--detector", detector, "--workers", workers, *more)


def report(out: Path) -> dict[str, dict]:  # type: ignore[type-arg]
    rows = json.loads((out / "audit.json").read_text())["rows"]
    return {row["file"]: row for row in rows}


@pytest.fixture
def registry(tmp_path: Path, enrolment_files: dict[str, Path]) -> Path:
    """Nova, enrolled, without a consent; and Ghost, who has no enrolment."""
    path = tmp_path / "voices.yaml"
    result = command("enroll", "Nova", enrolment_files["af_nova"], "--registry", path)
    assert result.exit_code == 0, result.output
    with path.open("a") as file:
        file.write("  ghost:\n    name: Ghost\n")
    return path


def test_without_a_word_about_detectors_the_shipped_one_hears(folder: Path, tmp_path: Path) -> None:
    result = command(folder, "--out", tmp_path / "out", "--workers", 0, "--no-evidence")
    assert result.exit_code in (0, 1, 3), result.output
    part = load_detector(DEFAULT_DETECTOR)
    told = reach_words(part.label, *part.reach).removeprefix("the ")
    assert told in " ".join(result.output.split())
    assert told in (tmp_path / "out/report.html").read_text()
    for row in report(tmp_path / "out").values():
        (finding,) = row["found"]["detectors"]
        assert finding["detector"].startswith(f"{DEFAULT_DETECTOR} ")


def quiet(path: Path) -> None:
    """Make a recording quiet: synthetic to the detector of these tests."""
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, samples * (0.05 / np.max(np.abs(samples))), rate, subtype="PCM_24")


def test_a_hostile_folder_loses_nothing(folder: Path, registry: Path, tmp_path: Path) -> None:
    quiet(folder / "af_nova.wav")
    shutil.copy(folder / "am_puck.wav", folder / EVIL)
    shutil.copy(folder / "am_puck.wav", folder / "=cmd|calc.wav")
    shutil.copy(folder / "am_puck.wav", folder / "renamed.txt")
    (folder / "sub").mkdir()
    shutil.copy(folder / "am_puck.wav", folder / "sub" / "..%2f..%2fx.wav")
    with open(os.fsencode(folder) + b"/bad\xff\n.wav", "wb") as file:
        file.write((folder / "am_puck.wav").read_bytes())
    (folder / "empty.wav").touch()
    (folder / "corrupt.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    (folder / "really.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "notes.txt").write_text("a note")
    (folder / "out.wav").symlink_to("/etc/passwd")
    (folder / "nowhere.wav").symlink_to("missing.wav")
    (folder / "inside.wav").symlink_to("am_puck.wav")
    os.mkfifo(folder / "pipe.wav")
    soundfile.write(
        folder / "nan.wav", np.full(48_000, np.nan, np.float32), 24_000, subtype="FLOAT"
    )
    soundfile.write(
        folder / "short.wav", soundfile.read(folder / "am_puck.wav")[0][:24_000], 24_000
    )
    with soundfile.SoundFile(folder / "long.wav", "w", 8000, 1, "PCM_U8") as file:
        file.write(np.zeros(8000 * 61, np.float32))
    out = tmp_path / "out"
    result = run(folder, out, "--registry", registry, "--max-seconds", 60)
    assert result.exit_code == 1, result.output
    found = report(out)
    levels = {name: row["verdict"]["level"] for name, row in found.items()}
    assert levels == {
        EVIL: "clear", "=cmd|calc.wav": "clear", "renamed.txt": "clear",
        "sub/..%2f..%2fx.wav": "clear", "bad\\xff\\u000a.wav": "clear", "am_puck.wav": "clear",
        "af_nova.wav": "finding", "empty.wav": "unexamined", "corrupt.wav": "unexamined",
        "really.wav": "unexamined", "notes.txt": "skipped", "out.wav": "unexamined",
        "nowhere.wav": "unexamined", "inside.wav": "skipped", "pipe.wav": "unexamined",
        "nan.wav": "unexamined", "short.wav": "inconclusive", "long.wav": "unexamined",
        "registry: ghost": "inconclusive",
    }  # fmt: skip
    assert all(row["verdict"]["headline"] for row in found.values())
    assert found["af_nova.wav"]["verdict"]["headline"] == (
        "the evidence supports synthetic speech, resembles Nova, no consent on file"
    )
    assert "a PNG picture" in found["really.wav"]["verdict"]["headline"]
    assert "hides that it holds WAV" in " ".join(found["renamed.txt"]["verdict"]["reasons"])
    assert EVIL in found["am_puck.wav"]["same_sound_as"]
    assert "outside validated conditions" in found["short.wav"]["verdict"]["headline"]
    page = (out / "report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    with (out / "audit.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(found)
    assert "'=cmd|calc.wav" in [line["file"] for line in lines]
    assert command("verify", out).output.startswith("intact")


def test_verify_finds_every_change(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(folder, out)
    assert result.exit_code == 0, result.output
    head = result.output.strip().split()[-1]
    assert command("verify", out, "--head", head).exit_code == 0
    assert command("verify", out, "--head", "0" * 64).exit_code == 1
    (recording,) = folder.glob("am_puck.wav")
    (evidence,) = (out / "evidence").glob("r00001.webp")
    for path in (recording, evidence, out / "audit.csv", out / "report.html", out / "audit.json",
                 out / "custody.jsonl"):  # fmt: skip
        original = path.read_bytes()
        path.write_bytes(original[:100] + bytes([original[100] ^ 1]) + original[101:])
        changed = command("verify", out)
        assert changed.exit_code == 1, path
        assert path.name in changed.output
        path.write_bytes(original)
    lines = (out / "custody.jsonl").read_bytes().splitlines(keepends=True)
    (out / "custody.jsonl").write_bytes(b"".join(lines[:-1]))
    assert "not sealed" in command("verify", out).output
    (out / "custody.jsonl").write_bytes(b"".join(lines))
    (out / "evidence" / "extra.txt").touch()
    assert "was added" in command("verify", out).output
    (out / "evidence" / "extra.txt").unlink()
    recording.rename(tmp_path / "moved.wav")
    assert "am_puck.wav" in command("verify", out).output
    assert command("verify", out, "--no-recordings").exit_code == 0
    assert command("verify", tmp_path).exit_code == 2


def test_resume_does_what_is_missing(folder: Path, tmp_path: Path) -> None:
    """A log cut in the middle of a line, as kill -9 leaves it."""
    out = tmp_path / "out"
    assert run(folder, out).exit_code == 0
    before = report(out)
    assert "sealed" in command("run", "--resume", out).output
    lines = (out / "custody.jsonl").read_bytes().splitlines(keepends=True)
    (out / "custody.jsonl").write_bytes(b"".join(lines[:4]) + lines[4][:50])
    (out / "report.html").unlink()
    lost = json.loads(lines[4])["data"]["id"]  # the longest came first
    (out / "evidence" / f"{lost}.webp").write_bytes(b"half")
    result = command("run", "--resume", out, "--workers", 0)
    assert result.exit_code == 0, result.output
    assert report(out) == before
    events = [entry.event for entry in read_log(out / "custody.jsonl")]
    assert events == ["opened", "inventory", "registry", "recording", "torn line dropped",
                      "resumed", "recording", "sealed"]  # fmt: skip
    checked = command("verify", out)
    assert checked.exit_code == 0, checked.output
    assert command("run", "--resume", out, "--language", "en").exit_code == 2


def test_a_crash_in_a_worker_costs_one_row(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest alone puts the repository on the path of this process; a worker gets its own
    monkeypatch.syspath_prepend(Path(__file__).parents[4])
    samples, rate = soundfile.read(folder / "af_nova.wav")
    soundfile.write(folder / "killer.wav", samples / np.max(np.abs(samples)), rate)
    out = tmp_path / "out"
    result = run(folder, out, detector=DETECTOR.replace("Level", "Crashing"), workers=1)
    assert result.exit_code == 3, result.output
    found = report(out)
    assert found["killer.wav"]["verdict"]["level"] == "unexamined"
    assert "the worker ended (exit code 11)" in found["killer.wav"]["verdict"]["headline"]
    assert found["am_puck.wav"]["verdict"]["level"] == "clear"


def test_consent_follows_the_declared_use(folder: Path, registry: Path, tmp_path: Path) -> None:
    quiet(folder / "af_nova.wav")
    (tmp_path / "consent.txt").write_text("yes")
    digest = __import__("hashlib").sha256(b"yes").hexdigest()
    text = registry.read_text()
    added = (
        "    consents:\n      - {scope: [synthesis], purpose: [advert], from: 2026-01-01, "
        f"until: 2026-12-31, evidence: {{file: consent.txt, sha256: {digest}}}}}\n"
    )
    registry.write_text(text.replace("  ghost:\n    name: Ghost\n", added))
    asked = [("advert", "2026-05-01", "consented", 0), ("advert", "2027-05-01", "expired", 1),
             ("", "2026-05-01", "out of scope", 1)]  # fmt: skip
    context = tmp_path / "context.csv"
    for number, (purpose, date, status, code) in enumerate(asked):
        context.write_text(f"file,purpose,date\naf_nova.wav,{purpose},{date}\n")
        out = tmp_path / f"out{number}"
        result = run(folder, out, "--registry", registry, "--context", context, "--no-evidence")
        assert result.exit_code == code, result.output
        assert report(out)["af_nova.wav"]["verdict"]["consent"] == status


def test_exit_codes_and_usage(tmp_path: Path) -> None:
    assert run(tmp_path / "missing", tmp_path / "o1").exit_code == 2
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "empty.wav").touch()
    assert run(tmp_path / "only", tmp_path / "o2").exit_code == 4
    assert run(tmp_path / "only", tmp_path / "o2").exit_code == 2  # there is a report already
    assert run(tmp_path / "only", tmp_path / "o3", "--mark", "c2pq").exit_code == 2
    bad = tmp_path / "context.csv"
    bad.write_text("file,date\nx.wav,tomorrow\n")
    result = run(tmp_path / "only", tmp_path / "o4", "--context", bad)
    assert result.exit_code == 2
    assert "context.csv:2: date" in result.stderr
    assert "voices.yaml" in run(
        tmp_path / "only", tmp_path / "o5", "--registry", tmp_path / "voices.yaml"
    ).stderr  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_an_unreadable_folder_is_a_row(folder: Path, tmp_path: Path) -> None:
    (folder / "closed").mkdir(mode=0o000)
    assert run(folder, tmp_path / "out").exit_code == 3
    assert "cannot be read" in report(tmp_path / "out")["closed"]["verdict"]["headline"]


def test_ratios_on_the_page_have_one_zero() -> None:
    assert [_short(value) for value in (-0.04, 0.04, -0.06, 1.25)] == [
        "+0.0",
        "+0.0",
        "-0.1",
        "+1.2",
    ]


def test_the_page_follows_from_the_log(folder: Path, registry: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, out, "--registry", registry)
    entries = read_log(out / "custody.jsonl")[:-1]  # without the seal
    case = read_case(entries)
    page = build_page(case, make_rows(case, load_registry(registry)), entries[-1].hash)
    assert page == (out / "report.html").read_text()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "|x"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert safe_cell("plain") == "plain"
    assert safe_cell(-1.5) == -1.5
    assert safe_cell(None) == ""
