"""A target on its own clock: a small paced server on loopback, and its fault cases.

The server answers the first loud frame with half a second of a tone: `steady` in real time, `burst`
all at once, `stall` with a gap in the middle, `close` by hanging up half-way, `garbage` by breaking
the protocol, `mute_start` by never saying that it is ready.
"""

import contextlib
import socket
import threading
import time

import numpy as np
import pytest

from sts_eval import runner
from sts_eval.clock import drive_paced, new_recording
from sts_eval.metrics.signal import dropouts
from sts_eval.observation import Status
from sts_eval.planning import RunOptions
from sts_eval.runner import Progress
from sts_eval.target import PacedSession, SessionSetup, TargetError
from sts_eval.targets.tcp import TcpTarget
from sts_eval.targets.wire import Unpacker, pack
from sts_eval.trace import load_meta, load_trace, silence
from sts_eval.units import FRAME_SAMPLES

CHUNK = (0.4 * np.sin(np.arange(FRAME_SAMPLES) * 0.1)).astype("<f4").tobytes()
CHUNKS = 6


def answer(link, mode):
    for index in range(CHUNKS):
        if mode == "close" and index == 3:
            link.close()
            return
        if mode == "garbage" and index == 3:
            link.sendall(b"\xff" * 16)
            return
        if mode == "stall" and index == 3:
            time.sleep(0.4)
        link.sendall(pack("A", CHUNK))
        if mode in ("steady", "close", "garbage"):
            time.sleep(0.08)


def serve(listener, mode):
    link, _ = listener.accept()
    unpacker, answered = Unpacker(), False
    with link, contextlib.suppress(OSError):  # either side may hang up
        while data := link.recv(65536):
            for kind, body in unpacker.feed(data):
                if kind == "S" and mode != "mute_start":
                    link.sendall(pack("R", b'{"name": "loopback"}'))
                elif kind == "A" and not answered:
                    if np.frombuffer(body, "<f4").max() > 0.1:
                        answered = True
                        threading.Thread(target=answer, args=(link, mode), daemon=True).start()
                elif kind == "C":
                    return


@contextlib.contextmanager
def server(mode):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, mode), daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def converse(port, frames=16, **settings):
    user = silence(frames * FRAME_SAMPLES)
    user[2 * FRAME_SAMPLES : 3 * FRAME_SAMPLES] = 0.3  # complete, and sent, at 240 ms
    recording = new_recording(user)
    session = TcpTarget(port=port, **settings).open(SessionSetup())
    assert isinstance(session, PacedSession)
    try:
        drive_paced(session, user, recording, lambda: None)
    finally:
        session.close()
    return recording


def sounding_s(recording):
    loud = np.flatnonzero(np.abs(recording.agent) > 1e-4)
    return loud[0] / 24_000, loud[-1] / 24_000


def test_audio_lies_where_it_arrived():
    with server("steady") as port:
        recording = converse(port)
    start, end = sounding_s(recording)
    assert 0.24 <= start < 0.45  # not before the frame that caused it was complete
    assert end - start == pytest.approx(0.48, abs=0.15)


def test_a_burst_plays_in_order_at_normal_speed():
    with server("burst") as port:
        recording = converse(port)
    start, end = sounding_s(recording)
    assert end - start == pytest.approx(CHUNKS * 0.08, abs=0.03)
    assert dropouts(recording.agent) == []


def test_a_stall_is_heard_as_a_hole():
    with server("stall") as port:
        recording = converse(port)
    holes = [end - start for start, end in dropouts(recording.agent)]
    assert holes
    assert 0.05 < max(holes) < 0.5


@pytest.mark.parametrize(
    ("mode", "message"),
    [("close", "closed|broke"), ("garbage", "not the frame protocol")],
)
def test_a_server_that_breaks_off_is_an_error(mode, message):
    with server(mode) as port, pytest.raises(TargetError, match=message):
        converse(port)


def test_no_server_and_no_ready_message():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with pytest.raises(TargetError, match="cannot connect"):
        TcpTarget(port=free).open(SessionSetup())
    with server("mute_start") as port, pytest.raises(TargetError, match="no ready message"):
        TcpTarget(port=port, timeout_s=0.3).open(SessionSetup())


SUITE = """\
suite: paced
question: Does a remote target run through a suite?
judges: {asr: none, vad: energy}
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 1, voice: af_nova}
    lead_s: [0.2, 0.2]
    listen_s: 1
"""


@pytest.mark.parametrize(("mode", "status"), [("steady", "ok"), ("close", "error")])
def test_a_whole_run_in_real_time(tmp_path, mode, status):
    (tmp_path / "paced.yaml").write_text(SUITE)
    with server(mode) as port:
        options = RunOptions(
            suite=tmp_path / "paced.yaml", target=f"tcp:port={port}", out=tmp_path / "reports"
        )
        folder = runner.start_run(options, Progress())
    record = runner.score_run(folder, Progress(), judge_reports=False)
    (scenario,) = record.scenarios
    assert scenario.status == status
    assert load_meta(folder / scenario.trace).clock == "paced"
    # what was recorded until the failure is kept
    assert len(scenario.agent_spans) == (1 if status == "ok" else 0)
    compute = next(o for o in record.observations if o.metric == "real_time_factor")
    assert compute.status is (Status.UNMEASURED if status == "ok" else Status.ERROR)
    if status == "error":
        agent = load_trace(folder / scenario.trace).agent
        assert np.abs(agent).max() > 0.1
