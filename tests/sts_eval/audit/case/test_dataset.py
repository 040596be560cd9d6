"""A training set with one fault of each kind: each is found, and nothing else is said."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from sts_eval.audit.case.inventory import take_inventory
from sts_eval.audit.cli import audit
from sts_eval.audit.dataset.copies import Copy, Track, find_copies, groups
from sts_eval.audit.dataset.manifest import read_manifests
from sts_eval.audit.dataset.plan import LOG_NAME, WORK_NAME, evaluation_items
from sts_eval.metrics.fingerprint import Landmarks

RATE = 24_000
SENTENCE = "What is the tallest mountain on Mars?"


def command(*arguments: object) -> Result:
    result = CliRunner().invoke(audit, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def dataset(folder: Path, out: Path, *more: object) -> Result:
    return command("dataset", folder, "--out", out, "--workers", 0, *more)


def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "dataset.json").read_text())
    return found


def kinds(out: Path) -> set[tuple[str, str]]:
    """(kind, file) of every issue; (kind, "") where it is about no file."""
    return {
        (issue["kind"], file) for issue in report(out)["issues"] for file in issue["files"] or [""]
    }


def write(path: Path, samples: np.ndarray, **more: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, **more)


def say(folder: Path, *lines: dict[str, str]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)


@pytest.fixture
def cut(speech: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Stretches of 6 s of each packaged voice."""
    return {voice: [all_[k * 6 * RATE :][: 6 * RATE] for k in range(4)] for voice, all_ in
            speech.items()}  # fmt: skip


@pytest.fixture
def evaluation(tmp_path: Path, cut: dict[str, list[np.ndarray]]) -> Path:
    """An evaluation set in one voice, nova, with one sentence."""
    made = tmp_path / "evaluation"
    for k in range(2):
        write(made / f"e{k}.wav", cut["af_nova"][k])
    say(made, {"path": "e0.wav", "voice": "nova", "text": SENTENCE},
        {"path": "e1.wav", "voice": "nova", "text": "Hello."})  # fmt: skip
    return made


@pytest.fixture
def clean(tmp_path: Path, cut: dict[str, list[np.ndarray]]) -> Path:
    """A set in one voice, puck, with nothing wrong."""
    made = tmp_path / "set"
    for k in range(3):
        write(made / f"p{k}.wav", cut["am_puck"][k])
    say(made, *({"path": f"p{k}.wav", "speaker": "Puck"} for k in range(3)))
    return made


@pytest.fixture
def registry(tmp_path: Path, speech: dict[str, np.ndarray]) -> Path:
    """Puck and Anon consented to training; George, enrolled, to synthesis."""
    path, enrolment = tmp_path / "voices.yaml", tmp_path / "george.wav"
    write(enrolment, speech["bm_george"][: 12 * RATE])
    result = command("enroll", "George", enrolment, "--registry", path)
    assert result.exit_code == 0, result.output
    (tmp_path / "form.txt").write_text("yes")
    digest = hashlib.sha256(b"yes").hexdigest()

    def consents(scope: str) -> str:
        return (
            f"    consents:\n      - {{scope: [{scope}], purpose: [any], from: 2026-01-01, "
            f"evidence: {{file: form.txt, sha256: {digest}}}}}\n"
        )

    with path.open("a") as file:
        file.write(consents("synthesis"))
        for name in ("Puck", "Anon"):
            file.write(f"  {name.lower()}:\n    name: {name}\n{consents('training')}")
    return path


def test_a_clean_set_is_clean(
    clean: Path, evaluation: Path, registry: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = dataset(clean, out, "--registry", registry, "--evaluation", evaluation)
    assert kinds(out) == set()
    assert result.exit_code == 0, result.output
    found = report(out)
    assert found["counts"]["files"] == {"skipped": 1, "clear": 3}
    assert found["compared"] == ["enrolled:george", "evaluation:nova"]
    assert {row["consent"] for row in found["files"]} == {"consented", ""}
    assert not (out / WORK_NAME).exists()  # neither landmarks nor embeddings stay


def test_each_fault_is_found_and_nothing_else(
    clean: Path,
    evaluation: Path,
    registry: Path,
    tmp_path: Path,
    cut: dict[str, list[np.ndarray]],
) -> None:
    shutil.copy(clean / "p0.wav", clean / "bytes.wav")
    write(clean / "samples.flac", soundfile.read(clean / "p1.wav")[0], subtype="PCM_16")
    trimmed = 0.5 * cut["am_puck"][2][RATE // 2 + 77 : -RATE]
    write(clean / "encoded.ogg", trimmed, subtype="OPUS")
    write(clean / "leaked.ogg", cut["af_nova"][0][RATE // 2 :], subtype="OPUS")
    write(clean / "other_nova.wav", cut["af_nova"][3])
    write(clean / "george.wav", cut["bm_george"][3])
    write(clean / "lily.wav", cut["bf_lily"][0])
    write(clean / "lily_late.wav", cut["bf_lily"][1])
    puck = [{"path": f"{name}", "speaker": "puck", "split": "train"}
            for name in ("p0.wav", "p1.wav", "p2.wav", "bytes.wav", "samples.flac")]  # fmt: skip
    say(
        clean,
        *puck,
        {"path": "encoded.ogg", "voice": "puck", "split": "test"},
        {"path": "leaked.ogg", "speaker": "anon"},
        {"path": "other_nova.wav", "speaker": "anon"},
        {"path": "lily.wav", "speaker": "lily", "text": "what is the tallest mountain, on MARS"},
        {"path": "lily_late.wav", "speaker": "late", "text": "Hello."},
    )
    anon = registry.read_text().split("  anon:\n")[1]
    late = anon.replace("name: Anon", "name: Late").replace(
        "2026-01-01", "2026-01-01, revoked: 2026-02-01"
    )
    with registry.open("a") as file:
        file.write(f"  late:\n{late}")
    out = tmp_path / "out"
    result = dataset(clean, out, "--registry", registry, "--evaluation", evaluation)
    assert result.exit_code == 1, result.output
    assert kinds(out) == {
        ("duplicate", "p0.wav"),
        ("duplicate", "bytes.wav"),
        ("duplicate", "p1.wav"),
        ("duplicate", "samples.flac"),
        ("split leak", "p2.wav"),
        ("split leak", "encoded.ogg"),
        ("evaluation recording", "leaked.ogg"),
        ("evaluation text", "lily.wav"),
        ("evaluation voice", "leaked.ogg"),
        ("evaluation voice", "other_nova.wav"),
        ("consent", "lily.wav"),
        ("consent", "lily_late.wav"),
        ("resembles", "george.wav"),
        ("unknown speaker", "george.wav"),
        ("not compared", ""),  # Late has no enrolment: nobody can say that no file is Late's
    }
    said = {issue["kind"]: issue["headline"] for issue in report(out)["issues"]}
    assert said["split leak"].startswith("one recording in test and train: ")
    assert said["resembles"] == (
        "george.wav: the voice resembles George, without valid consent to training"
    )
    consent = {row["file"]: row["consent"] for row in report(out)["files"]}
    assert consent["p0.wav"] == "consented"
    assert consent["lily.wav"] == "none"
    assert consent["lily_late.wav"] == "revoked"
    assert consent["george.wav"] == "unknown speaker"
    reasons = [r for issue in report(out)["issues"] for r in issue["reasons"]]
    assert any("equal bytes" in r for r in reasons)
    assert any("equal samples" in r for r in reasons)
    assert any("of the landmarks agree over" in r for r in reasons)
    assert " is nova" not in (out / "report.html").read_text()


def test_a_borrowed_name_is_no_consent(
    evaluation: Path, registry: Path, tmp_path: Path, cut: dict[str, list[np.ndarray]]
) -> None:
    """George's consent would cover training, but the recording is not in George's voice."""
    registry.write_text(registry.read_text().replace("[synthesis]", "[training]"))
    folder = tmp_path / "set"
    write(folder / "a.wav", cut["bf_lily"][0])
    say(folder, {"path": "a.wav", "speaker": "George"})
    out = tmp_path / "out"
    result = dataset(folder, out, "--registry", registry, "--evaluation", evaluation)
    assert result.exit_code == 3, result.output
    assert kinds(out) == {("label", "a.wav")}


def test_hostile_files_are_rows(evaluation: Path, tmp_path: Path, clean: Path) -> None:
    evil = "<img src=x onerror=alert(1)>.wav"
    (clean / evil).write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    (clean / "=cmd|calc.wav").touch()
    with open(os.fsencode(clean) + b"/bad\xff\n.wav", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (clean / "out.wav").symlink_to("/etc/passwd")
    (clean / "inside.wav").symlink_to("p0.wav")
    os.mkfifo(clean / "pipe.wav")
    (clean / "notes.txt").write_text("a note")
    write(clean / "silent.wav", np.zeros(RATE, np.float32))
    with (clean / "manifest.jsonl").open("ab") as manifest:
        manifest.write(
            b'{"path": "../evaluation/e0.wav", "speaker": "x"}\n{"path": 3}\n[[[\n\xff\n'
        )
        manifest.write(b'{"path": "p0.wav", "speaker": "Somebody else"}\n{"path": "gone.wav"}\n')
    out = tmp_path / "out"
    result = dataset(clean, out, "--evaluation", evaluation)
    assert result.exit_code == 3, result.output
    levels = {row["file"]: row["level"] for row in report(out)["files"]}
    assert levels == {
        evil: "unexamined", "=cmd|calc.wav": "unexamined", "bad\\xff\\u000a.wav": "unexamined",
        "out.wav": "unexamined", "inside.wav": "skipped", "pipe.wav": "unexamined",
        "notes.txt": "skipped", "manifest.jsonl": "skipped", "silent.wav": "inconclusive",
        "p0.wav": "inconclusive", "p1.wav": "inconclusive", "p2.wav": "inconclusive",
    }  # fmt: skip
    (problem,) = [each for each in report(out)["issues"] if each["kind"] == "manifest"]
    assert problem["headline"].startswith("6 lines")
    assert "the consent of 1 speaker was not checked: no registry" in result.output
    assert "<img src=x" not in (out / "report.html").read_text()
    with (out / "dataset.csv").open(newline="") as file:
        assert "'=cmd|calc.wav" in [line["file"] for line in csv.DictReader(file)]


def test_resume_hears_what_is_missing(clean: Path, evaluation: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    skip = ("--skip", "consent", "--skip", "voices")
    shutil.copy(clean / "p0.wav", clean / "copy.wav")
    first = dataset(clean, out, "--evaluation", evaluation, *skip, "--json")
    assert first.exit_code == 1, first.output
    before = json.loads(first.output)
    assert "sealed" in command("dataset", "--resume", out).output
    lines = (out / LOG_NAME).read_bytes().splitlines(keepends=True)
    (out / LOG_NAME).write_bytes(b"".join(lines[:4]) + lines[4][:50])
    assert command("dataset", "--resume", out, "--purpose", "x").exit_code == 2
    assert command("dataset", "--resume", out, "--workers", 0).exit_code == 1
    assert report(out) == before


def test_exit_codes_and_usage(tmp_path: Path, evaluation: Path) -> None:
    (tmp_path / "empty").mkdir()
    skip = ("--skip", "consent", "--skip", "voices")
    more = ("--evaluation", evaluation, *skip)
    assert dataset(tmp_path / "empty", tmp_path / "o1", *more).exit_code == 4
    assert dataset(tmp_path / "empty", tmp_path / "o1", *more).exit_code == 2  # a report is there
    assert dataset(tmp_path / "missing", tmp_path / "o2", *more).exit_code == 2
    nowhere = ("--evaluation", tmp_path / "empty", *skip)
    assert dataset(tmp_path / "empty", tmp_path / "o3", *nowhere).exit_code == 2
    assert command("dataset").exit_code == 2


def test_verify_finds_every_change(clean: Path, evaluation: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    skip = ("--skip", "consent", "--skip", "voices")
    told = dataset(clean, out, "--evaluation", evaluation, *skip).output
    head = told.split("keep it elsewhere): ")[1].split()[0]
    assert command("verify", out, "--head", head).output == "intact: log, report and recordings\n"
    assert command("verify", out, "--head", "0" * 64).exit_code == 1
    for name in (LOG_NAME, "dataset.json", "dataset.csv", "report.html"):
        content = (out / name).read_bytes()
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        (out / name).write_bytes(changed)
        found = command("verify", out)
        assert found.exit_code == 1, name
        assert name in found.output
        (out / name).write_bytes(content)
    lines = (out / LOG_NAME).read_bytes().splitlines(keepends=True)
    (out / LOG_NAME).write_bytes(b"".join(lines[:-1]))
    assert "not sealed" in command("verify", out).output
    (out / LOG_NAME).write_bytes(b"".join(lines))
    (out / "more.txt").touch()
    assert "was added" in command("verify", out).output
    (out / "more.txt").unlink()
    with (clean / "p0.wav").open("ab") as file:
        file.write(b"\0")
    assert "recording p0.wav: changed" in command("verify", out).output
    (clean / "p0.wav").unlink()
    assert "recording p0.wav: " in command("verify", out).output
    assert command("verify", out, "--no-recordings").exit_code == 0


def test_the_default_evaluation_set_is_all_packaged_voices() -> None:
    items = evaluation_items(None)
    spoken = {"af_nova", "am_puck", "bf_lily", "bm_george"}
    assert {item.voice for item in items} == spoken | {"af_river", "am_eric"}
    assert {item.voice for item in items if "remark" not in item.shown} == spoken
    assert all(item.path.is_file() for item in items)
    assert len({item.key for item in items}) == len(items)


def test_manifests_below_and_splits_by_folder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.wav").touch()
        say(tmp_path / split, {"path": "./a.wav", "voice": split})
    inventory = take_inventory(tmp_path)
    manifest = read_manifests(tmp_path, inventory)
    found = {e.name: manifest.about(e) for e in inventory if e.name.endswith("wav")}
    assert {(name, said.speaker, said.split) for name, said in found.items()} == {
        ("train/a.wav", "train", "train"),
        ("test/a.wav", "test", "test"),
    }
    assert manifest.problems == []


def marks(*pairs: tuple[int, int]) -> Landmarks:
    hashes, frames = np.array(pairs, np.int64).reshape(-1, 2).T
    return Landmarks(hashes, frames)


def test_copies_by_hand() -> None:
    """100 landmarks; b holds 70 of them 40 frames later; c holds 50, too few; d equals a."""
    a = marks(*((k, 3 * k) for k in range(100)))
    b = marks(*((k, 3 * k + 40) for k in range(70)))
    c = marks(*((k, 3 * k) for k in range(50)))
    tracks = [Track("a", "A", "a", (a,)), Track("b", "B", "b", (b,)),
              Track("c", "C", "c", (c,)), Track("d", "D", "a", (a,))]  # fmt: skip
    within, of_known = find_copies(tracks, [Track("k", "A", "a", (a,))])
    assert {(copy.one, copy.other, copy.how) for copy in within} == {
        ("a", "d", "equal samples"),
        ("a", "b", "matching landmarks"),
    }
    assert {(copy.one, copy.how) for copy in of_known} == {
        ("a", "equal bytes"), ("d", "equal samples"), ("b", "matching landmarks"),
    }  # fmt: skip


def test_groups_are_connected_copies() -> None:
    how = "equal bytes"
    chain = [Copy("a", "b", how), Copy("c", "d", how), Copy("b", "e", how)]
    assert sorted(members for members, _ in groups(chain)) == [["a", "b", "e"], ["c", "d"]]
    assert groups([]) == []
