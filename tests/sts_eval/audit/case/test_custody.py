"""The custody log: every changed byte is found; a crash costs at most the last line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.audit.case.custody import START, CustodyLog, LogError, read_log


def make(path: Path) -> bytes:
    with CustodyLog.create(path) as log:
        log.append("opened", {"name": "naïve \u2028 line", "n": 1.5})
        log.append("recording", {"id": "r00001", "values": [1, 2]})
        log.append("sealed", {})
    return path.read_bytes()


def test_round_trip(tmp_path: Path) -> None:
    make(tmp_path / "log")
    entries = read_log(tmp_path / "log")
    assert [entry.event for entry in entries] == ["opened", "recording", "sealed"]
    assert entries[0].prev == START
    assert entries[2].prev == entries[1].hash
    assert entries[0].data["name"] == "naïve \u2028 line"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("log") / "log")


@given(st.data())
def test_any_changed_byte_is_found(content: bytes, data: st.DataObject) -> None:
    import tempfile

    at = data.draw(st.integers(0, len(content) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda each: each != content[at]))
    changed = content[:at] + bytes([value]) + content[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(changed)
        with pytest.raises(LogError):
            read_log(path)


@pytest.mark.parametrize("keep", [[0, 2], [1, 2], [0, 2, 1], [0, 0, 1, 2]])
def test_lines_taken_out_or_moved_are_found(tmp_path: Path, keep: list[int]) -> None:
    lines = make(tmp_path / "log").splitlines(keepends=True)
    (tmp_path / "log").write_bytes(b"".join(lines[k] for k in keep))
    with pytest.raises(LogError, match="missing or was moved"):
        read_log(tmp_path / "log")


def test_a_torn_last_line_is_dropped_and_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = make(path)
    path.write_bytes(content[:-20])
    with pytest.raises(LogError, match="torn"):
        read_log(path)
    with CustodyLog.reopen(path) as log:
        log.append("resumed", {})
    assert [entry.event for entry in read_log(path)] == [
        "opened",
        "recording",
        "torn line dropped",
        "resumed",
    ]


def test_only_one_writer_and_no_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with CustodyLog.create(path) as log:
        log.append("opened", {})
        with pytest.raises(LogError, match="another audit"):
            CustodyLog.reopen(path)
    with pytest.raises(LogError, match="exists"):
        CustodyLog.create(path)
    with CustodyLog.reopen(path) as log, pytest.raises(ValueError, match="JSON"):
        log.append("x", {"value": float("nan")})
