"""A bounded read gives all of a file or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sts_core.reading import read_bounded


def test_a_file_of_just_the_limit_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes") as refused:
        read_bounded(file, 4)
    assert refused.value.strerror == "larger than 4 bytes"


def test_a_file_whose_size_is_unknown_is_bounded_too() -> None:
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_bounded(Path("/dev/zero"), 10)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 10)
