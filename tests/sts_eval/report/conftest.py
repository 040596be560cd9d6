"""A realistic run for the report: eight scenarios with real audio, every outcome and status."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Outcome, Status, Verdict
from sts_eval.record import JudgeReport, Mark, RunRecord, ScenarioResult, Word, load_run, save_run
from sts_eval.target import Samples
from sts_eval.trace import Span, Trace, TraceMeta, save_trace
from sts_eval.units import SAMPLE_RATE_HZ

SECONDS = 8.0
VOICES = ("af_nova", "am_puck", "bf_lily", "bm_george")
NOISES = ("clean", "20", "10", "5")


def voice_like(seconds: float, pitch_hz: float, seed: int) -> Samples:
    """A harmonic tone in syllables, float32 [S]: looks and sounds enough like speech."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = pitch_hz * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * t + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    harmonics = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * t + rng.uniform(0, 6)) + 0.35, 0, 1)
    loudness = syllables * (0.7 + 0.3 * np.sin(2 * np.pi * 0.9 * t))
    return (0.09 * harmonics * loudness).astype(np.float32)


def place(track: Samples, sound: Samples, at_s: float) -> None:
    """Add a sound to a track at a time."""
    start = round(at_s * SAMPLE_RATE_HZ)
    track[start : start + len(sound)] += sound[: len(track) - start]


ONSET = MetricSpec(
    name="response_onset_audio_ms",
    title="Response onset",
    unit="ms",
    direction="lower",
    statistics=("p50", "p90", "p95"),
    version=1,
    meaning="How long after the user's last word the agent's voice is heard; below zero where "
    "it begins early.",
    method="Onset of the agent's first speech after the user's turn, minus the end of the turn.",
    limits="Says nothing about what is answered. An agent that was already speaking is counted "
    "elsewhere.",
    origin="end of the user's speech, from the stimulus",
    endpoint="first agent speech, VAD refined to 10 ms",
    clock="audio",
    resolution_ms=10,
    source="agent track, Silero VAD",
)
RESPONSE = MetricSpec(
    name="response_rate",
    title="Questions answered",
    unit="",
    direction="higher",
    statistics=("rate",),
    version=1,
    meaning="Share of questions after which the agent says anything within the listening time.",
    method="An agent speech span begins within 6 s of the end of the user's turn.",
    limits="A cough counts as an answer.",
    source="agent track, Silero VAD",
)
TAKEOVER = RESPONSE.model_copy(
    update={
        "name": "takeover_rate",
        "title": "Takeover during pauses",
        "direction": "lower",
        "meaning": "Share of pauses inside a turn in which the agent starts to speak.",
        "method": "An agent span begins inside a pause that the suite put into the turn.",
        "limits": 'A back-channel such as "mm-hm" counts as a takeover.',
    }
)
PUSH = ONSET.model_copy(
    update={
        "name": "push_wall_ms",
        "title": "Compute per frame",
        "statistics": ("p50", "p99"),
        "meaning": "Time the target needs for each 80 ms of the user's sound.",
        "method": "Wall time of one push.",
        "limits": "Depends on this machine and on what else it does.",
        "origin": "call of push",
        "endpoint": "its return",
        "clock": "wall",
        "resolution_ms": 0.001,
        "source": "harness",
    }
)


def estimate(spec: MetricSpec, statistic: str, value: float | None, **extra: Any) -> Estimate:
    """An estimate with a plausible interval around its value."""
    fields: dict[str, Any] = {
        "metric": spec.name,
        "statistic": statistic,
        "value": value,
        "n": 7,
        "n_clusters": 7,
        "unit": spec.unit,
        "direction": spec.direction,
        "method": "order statistics",
        "version": spec.version,
    }
    if value is not None:
        fields |= {"lo": value * 0.85, "hi": value * 1.12 if spec.unit else min(1.0, value + 0.2)}
    return Estimate(**fields | extra)


def _scenario(index: int, folder: Path) -> tuple[ScenarioResult, list[Observation]]:
    voice, noise = VOICES[index % 4], NOISES[index // 2 % 4]
    paused = index % 3 == 2
    stem = f"{voice}-{'pause' if paused else 'question'}-{index:03d}"
    rng = np.random.default_rng(index)
    start, onset = 0.4 + 0.2 * index, (0.62, 0.71, 0.83, 1.94, 0.55, 0.92, 1.31, 0.0)[index % 8]
    user = np.zeros(round(SECONDS * SAMPLE_RATE_HZ), np.float32)
    agent = user.copy()
    place(user, voice_like(0.9, 110 + 30 * (index % 4), index), start)
    second = start + 0.9 + (0.6 if paused else 0.05)
    place(user, voice_like(0.8, 110 + 30 * (index % 4), index + 50), second)
    end = second + 0.8
    if noise != "clean":
        user += rng.normal(0, 0.2 / float(noise), len(user)).astype(np.float32)
    silent = index % 8 == 7
    agent_spans = []
    if not silent:
        place(agent, voice_like(2.2, 190, index + 90), end + onset)
        agent_spans.append(Span(start_s=end + onset, end_s=end + onset + 2.2))
    scenario = ScenarioResult(
        id=stem,
        kind="question_with_pause" if paused else "question",
        title="What is two times eight?" if index % 2 else "How much is four plus six?",
        status="ok",
        conditions={"voice": voice, "snr_db": noise, "rate": "1.0"},
        trace=f"traces/{stem}.json",
        seconds=SECONDS,
        user_text="What is two times eight?",
        agent_text="" if silent else "Two times eight is sixteen.",
        heard_text="" if silent else "two times eight is sixteen",
        user_spans=[Span(start_s=start, end_s=start + 0.9), Span(start_s=second, end_s=end)],
        agent_spans=agent_spans,
        words=[]
        if silent
        else [
            Word(text=word, start_s=end + onset + 0.1 + 0.4 * k, end_s=end + onset + 0.45 + 0.4 * k)
            for k, word in enumerate(["two", "times", "eight", "is", "sixteen"])
        ],
        marks=[]
        if silent
        else [
            Mark(label="endpoint", start_s=end + 0.5),
            Mark(label="ASR 92 ms", start_s=end + 0.5, end_s=end + 0.592, kind="stage"),
            Mark(label="responder 1 ms", start_s=end + 0.592, end_s=end + 0.593, kind="stage"),
            Mark(label="TTS 140 ms", start_s=end + 0.593, end_s=end + 0.733, kind="stage"),
        ],
    )
    if paused:
        scenario.marks.append(
            Mark(label="pause 0.6 s", start_s=start + 0.9, end_s=second, kind="pause")
        )
    save_trace(
        Trace(
            meta=TraceMeta(
                schema="sts-eval/trace/1",
                scenario={"id": stem},
                clock="lockstep",
                seed=17,
                seconds=SECONDS,
            ),
            user=user,
            agent=agent,
        ),
        folder / "traces",
        stem,
    )
    return scenario, _observations(scenario, end, None if silent else onset, paused, index)


def _observations(
    scenario: ScenarioResult, end: float, onset: float | None, paused: bool, index: int
) -> list[Observation]:
    common: dict[str, Any] = {
        "scenario_id": scenario.id,
        "cluster": scenario.id,
        "slices": scenario.conditions,
    }
    found = [
        Observation(metric=ONSET.name, status=Status.UNMEASURED, reason="no agent speech", **common)
        if onset is None
        else Observation(
            metric=ONSET.name,
            status=Status.MEASURED,
            value=onset * 1000,
            span_s=(end, end + onset),
            **common,
        ),
        Observation(
            metric=RESPONSE.name,
            status=Status.MEASURED,
            value=float(onset is not None),
            span_s=(end, min(end + 6, SECONDS)),
            **common,
        ),
        Observation(
            metric=PUSH.name, status=Status.MEASURED, value=3.1 + 0.7 * (index % 5), **common
        ),
    ]
    if paused:
        found.append(
            Observation(
                metric=TAKEOVER.name,
                status=Status.MEASURED,
                value=float(index == 2),
                span_s=(end - 1.4, end - 0.8),
                **common,
            )
        )
    return found


def _verdicts(worst: tuple[str, ...], silent: tuple[str, ...]) -> list[Verdict]:
    return [
        Verdict(
            gate="response_onset_audio_ms.p95 <= 800",
            metric=ONSET.name,
            statistic="p95",
            outcome=Outcome.FAIL,
            reason="even the lower bound 1290 ms is above 800 ms",
            value=1751.0,
            lo=1290.0,
            hi=None,
            threshold=800.0,
            n=7,
            p_value=0.001,
            p_holm=0.003,
            unit="ms",
            worst=worst,
        ),
        Verdict(
            gate="response_rate >= 0.95",
            metric=RESPONSE.name,
            statistic="rate",
            outcome=Outcome.INCONCLUSIVE,
            reason="8 cases cannot decide it: n >= 59 is needed",
            value=0.875,
            lo=0.53,
            hi=0.98,
            threshold=0.95,
            n=8,
            unit="",
            worst=silent,
        ),
        Verdict(
            gate="push_wall_ms.p50 no worse than baseline by 2",
            metric=PUSH.name,
            statistic="p50",
            outcome=Outcome.PASS,
            reason="at most 0.9 ms slower than the baseline, 2 ms are allowed",
            value=0.3,
            lo=-0.2,
            hi=0.9,
            threshold=2.0,
            n=8,
            detectable=0.8,
            unit="ms",
        ),
    ]


def make_run(folder: Path, *, scenarios: int = 8) -> RunRecord:
    """Write run.json and traces of a small latency run; returns the record."""
    results, observations = [], []
    for index in range(scenarios):
        result, found = _scenario(index, folder)
        results.append(result)
        observations += found
    onsets = sorted(
        (o.value, o.scenario_id) for o in observations if o.metric == ONSET.name and o.value
    )
    silent = tuple(r.id for r in results if not r.agent_spans)
    estimates = [
        estimate(ONSET, "p50", 830.0, n_unmeasured=1),
        estimate(ONSET, "p90", 1560.0, hi=None),
        estimate(ONSET, "p95", 1751.0, hi=None, reason="p95 of 7 observations has no upper bound"),
        estimate(RESPONSE, "rate", 0.875, n=8, method="Wilson"),
        estimate(TAKEOVER, "rate", 0.5, n=2, method="Wilson"),
        estimate(PUSH, "p50", 4.5, n=8),
        estimate(PUSH, "p99", 5.9, n=8, lo=None, hi=None),
    ]
    for level, value in (("af_nova", 640.0), ("am_puck", 810.0), ("bf_lily", 1070.0)):
        estimates.append(estimate(ONSET, "p95", value, n=2, slice={"voice": level}))
    for level, value in (("clean", 610.0), ("20", 760.0), ("10", 880.0), ("5", 1400.0)):
        estimates.append(estimate(ONSET, "p95", value, n=2, slice={"snr_db": level}))
    record = RunRecord(
        schema="sts-eval/run/1",
        run_id="20261123-164000-cascade",
        created="2026-11-23T16:40:00Z",
        suite={
            "suite": "latency",
            "seed": 17,
            "question": "How soon does the agent answer, and does it wait for its turn?",
        },
        suite_sha256="5f" * 32,
        target={"name": "cascade", "settings": {"silence_ms": 500}},
        seed=17,
        environment={"python": "3.11.2", "cpu": "2 cores", "workers": "2"},
        metrics=[TAKEOVER, ONSET, RESPONSE, PUSH],
        scenarios=results,
        observations=observations,
        estimates=estimates,
        verdicts=_verdicts(tuple(i for v, i in onsets[::-1] if v > 800)[:6], silent),
        judges=[
            JudgeReport(
                name="silero",
                role="VAD",
                version="6.0",
                note="Onsets on stimuli whose true onset is known.",
                errors=[estimate(ONSET.model_copy(update={"name": "onset_error_ms"}), "p95", 20.0)],
            )
        ],
        notes=["2 scenarios of the suite were left out by --limit 8."],
        exit_code=1,
    )
    save_run(record, folder)
    return record


@pytest.fixture(scope="session")
def run_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder that others are copied from."""
    folder = tmp_path_factory.mktemp("run")
    make_run(folder)
    return folder


@pytest.fixture
def run_factory(run_template: Path) -> Callable[[Path], RunRecord]:
    """Makes a fresh copy of the run in a folder and returns its record."""

    def make(folder: Path) -> RunRecord:
        shutil.copytree(run_template, folder, dirs_exist_ok=True)
        return load_run(folder)

    return make
