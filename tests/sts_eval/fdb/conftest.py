"""A small Full-Duplex-Bench folder made from the packaged voices, with known times."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sts_eval import runner
from sts_eval.record import RunRecord
from sts_eval.runner import Progress, RunOptions
from sts_eval.stimuli import Stimuli
from sts_eval.target import Samples
from sts_eval.trace import silence

SUITE = Path(__file__).parents[3] / "suites" / "full_duplex_bench.yaml"
RATE_HZ = 24_000


@dataclass
class Bench:
    """Writes items below `root` and scores them with the shipped suite."""

    root: Path
    stimuli: Stimuli

    def speech(self, index: int, seconds: float | None = None) -> Samples:
        """A packaged utterance from its first to its last sound, cut or repeated to a length."""
        speech = self.stimuli.items[index].speech()
        if seconds is None:
            return speech
        size = round(seconds * RATE_HZ)
        return np.resize(speech, size).astype(np.float32)

    def track(self, seconds: float, *parts: tuple[float, Samples]) -> Samples:
        """Silence of a length with speech put in at given times."""
        track = silence(round(seconds * RATE_HZ))
        for at_s, speech in parts:
            start = round(at_s * RATE_HZ)
            size = min(speech.size, track.size - start)
            track[start : start + size] = speech[:size]
        return track

    def item(
        self,
        path: str,
        user: Samples,
        agent: Samples,
        words: list[tuple[str, float | None, float | None]] | None = None,
        rate_hz: int = RATE_HZ,
        **files: Any,
    ) -> Path:
        """Write one item; `files` are JSON files by their stem."""
        folder = self.root / path
        folder.mkdir(parents=True)
        soundfile.write(folder / "input.wav", user, RATE_HZ)
        soundfile.write(folder / "output.wav", agent, rate_hz)
        if words is not None:
            chunks = [{"text": t, "timestamp": [a, b]} for t, a, b in words]
            files["output"] = {"text": " ".join(t for t, _, _ in words), "chunks": chunks}
        for stem, body in files.items():
            (folder / f"{stem}.json").write_text(json.dumps(body))
        return folder

    def run(self, tmp_path: Path, *, target: str | None = None, suite: Path = SUITE) -> RunRecord:
        """Run and score the folder."""
        options = RunOptions(
            suite=suite,
            target=target or f"recorded:path={self.root}",
            out=tmp_path / "reports",
        )
        folder = runner.start_run(options, Progress())
        return runner.score_run(folder, Progress(), judge_reports=False)


@pytest.fixture
def bench(tmp_path: Path, stimuli: Stimuli) -> Bench:
    """An empty benchmark folder."""
    root = tmp_path / "fdb"
    root.mkdir()
    return Bench(root, stimuli)


@pytest.fixture
def values() -> Callable[[RunRecord, str], dict[str, float | None]]:
    """Scenario id -> value of a metric (None where it was not measured)."""

    def look_up(record: RunRecord, metric: str) -> dict[str, float | None]:
        return {o.scenario_id: o.value for o in record.observations if o.metric == metric}

    return look_up
