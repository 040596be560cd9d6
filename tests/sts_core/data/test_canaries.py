"""Canary files: drawn, written, read back, and refused when wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sts_core.data.canaries import (
    Canary,
    CanaryError,
    draw_canaries,
    load_canaries,
    write_canaries,
)


def test_drawn_canaries_differ_and_repeat_with_the_seed() -> None:
    drawn = draw_canaries(1, (1, 8), each=2, controls=5)
    assert [canary.repetitions for canary in drawn] == [1, 1, 8, 8, 0, 0, 0, 0, 0]
    assert len({canary.text for canary in drawn}) == 9
    assert drawn == draw_canaries(1, (1, 8), each=2, controls=5)
    assert drawn != draw_canaries(2, (1, 8), each=2, controls=5)


def test_written_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "canaries.yaml"
    canaries = [Canary("The secret is seven.", 3), Canary("Never said.", 0)]
    write_canaries(file, canaries)
    assert load_canaries(file) == canaries


def test_the_packaged_list_is_what_the_control_was_trained_on() -> None:
    counts = [canary.repetitions for canary in load_canaries()]
    assert {c: counts.count(c) for c in sorted(set(counts))} == {0: 24, 1: 3, 4: 3, 16: 3, 64: 3}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a list"),
        ("text: a", "expected a list"),
        ("- {text: a}", "item 1: expected"),
        ("- {text: ' ', repetitions: 1}", "must not be empty"),
        ("- {text: a, repetitions: -1}", "whole number"),
        ("- {text: a, repetitions: true}", "whole number"),
        ("- {text: a, repetitions: 1}\n- {text: a, repetitions: 2}", "occurs twice"),
        ("- !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "canaries.yaml"
    file.write_text(text)
    with pytest.raises(CanaryError, match=problem):
        load_canaries(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CanaryError, match="No such file"):
        load_canaries(tmp_path / "none.yaml")
