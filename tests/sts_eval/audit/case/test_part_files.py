"""A report names the files behind its ratios, and goes on with none but these."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sts_eval.audit import DEFAULT_DETECTOR, AuditError
from sts_eval.audit.case.custody import read_log
from sts_eval.audit.case.parts import part_files
from sts_eval.audit.cli import audit
from sts_eval.audit.detectors import WEIGHTS


def command(*arguments: object) -> Result:
    return CliRunner().invoke(audit, [str(each) for each in arguments])


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_files_of_shipped_parts_and_of_ones_own(tmp_path: Path) -> None:
    shipped = [f"{DEFAULT_DETECTOR}.safetensors", f"{DEFAULT_DETECTOR}.calibration.json"]
    assert part_files([DEFAULT_DETECTOR], "") == {name: digest(WEIGHTS / name) for name in shipped}
    scale = tmp_path / "own.scale.json"
    shutil.copy(WEIGHTS / "dvector.scale.json", scale)
    assert set(part_files([], f"scale:{scale}")) == {str(scale), "ge2e.safetensors"}
    assert set(part_files([], "voicefilter")) == {"voicefilter.scale.json"}
    assert part_files(["python:a:b"], "python:a:b") == {}
    with pytest.raises(AuditError, match=r"none\.safetensors: No such file"):
        part_files([f"weights:{tmp_path / 'none.safetensors'}"], "")


def test_an_audit_goes_on_with_the_same_files_only(folder: Path, tmp_path: Path) -> None:
    for name in ("safetensors", "calibration.json"):
        shutil.copy(WEIGHTS / f"{DEFAULT_DETECTOR}.{name}", tmp_path / f"own.{name}")
    out, fitted = tmp_path / "out", tmp_path / "own.calibration.json"
    name = f"weights:{tmp_path / 'own.safetensors'}"
    command(folder, "--out", out, "--detector", name, "--workers", 0, "--no-evidence")
    files = json.loads((out / "audit.json").read_text())["settings"]["part_files"]
    assert files[str(fitted)] == digest(fitted)
    assert read_log(out / "custody.jsonl")[0].data["part_files"] == files
    assert files[str(fitted)] in (out / "report.html").read_text()
    lines = (out / "custody.jsonl").read_bytes().splitlines(keepends=True)
    (out / "custody.jsonl").write_bytes(b"".join(lines[:4]))
    before = fitted.read_text()
    fitted.write_text(before + "\n")
    refused = command("run", "--resume", out, "--workers", 0)
    assert refused.exit_code == 2
    assert "own.calibration.json has changed since" in refused.output.replace("\n", "")
    fitted.write_text(before)
    assert command("run", "--resume", out, "--workers", 0).exit_code in (0, 1, 3)
