"""Speed of the spine: run with `pytest tests/benchmarks --benchmark-only`.

Prints times, and as `extra_info` how many times faster than real time each part is.
"""

import numpy as np
import pytest

from sts_eval.clock import drive_lockstep, new_recording
from sts_eval.target import SessionSetup
from sts_eval.targets.fakes import EchoTarget
from sts_eval.trace import Trace, TraceMeta, save_trace
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

HOUR_S = 3600


@pytest.fixture(scope="module")
def hour(stimuli):
    """An hour of conversation: utterances and silence, float32 [S]."""
    clips = [item.audio() for item in stimuli.items[:60]]
    gap = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    minute = np.concatenate([part for clip in clips for part in (clip, gap)])
    whole = HOUR_S * SAMPLE_RATE_HZ // FRAME_SAMPLES * FRAME_SAMPLES
    return np.resize(minute, whole)


def test_echo_for_an_hour(benchmark, hour, tmp_path):
    def run():
        recording = new_recording(hour)
        drive_lockstep(EchoTarget().open(SessionSetup()), hour, recording, lambda: None)
        meta = TraceMeta(
            schema="sts-eval/trace/1",
            scenario={},
            clock="lockstep",
            seed=0,
            seconds=HOUR_S,
            push_wall_ms=recording.push_wall_ms,
            frame_push=recording.frame_push,
        )
        save_trace(Trace(meta=meta, user=hour, agent=recording.agent), tmp_path, "hour")

    benchmark.pedantic(run, rounds=3)
    benchmark.extra_info["times_real_time"] = round(HOUR_S / benchmark.stats["median"], 1)
    print(f"\ntick loop + trace writing: {HOUR_S / benchmark.stats['median']:.0f}x real time")
