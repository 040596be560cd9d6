"""`process`: a real program over pipes, and everything a program can do wrong."""

import sys
import textwrap

import numpy as np
import pytest

from sts_eval.starter import TARGET
from sts_eval.target import SessionSetup, TargetError
from sts_eval.targets.process import ProcessTarget
from sts_eval.targets.wire import Unpacker, pack
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES

LOUD = np.full(FRAME_SAMPLES, 0.3, np.float32)
QUIET = silence(FRAME_SAMPLES)
PRELUDE = """
import json, struct, sys, time
def send(kind, payload=b""):
    sys.stdout.buffer.write(struct.pack("<I", len(payload) + 1) + kind + payload)
    sys.stdout.buffer.flush()
def receive():
    (n,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(n)
receive()
"""


def open_program(tmp_path, body, **settings):
    path = tmp_path / "program.py"
    path.write_text(PRELUDE + textwrap.dedent(body))
    return ProcessTarget(f"{sys.executable} {path}", **settings).open(SessionSetup())


def test_the_shipped_example_answers_after_the_user(tmp_path):
    (tmp_path / "my_target.py").write_text(TARGET)
    target = ProcessTarget(f"{sys.executable} my_target.py", cwd=str(tmp_path))
    session = target.open(SessionSetup(seed=1, scenario_id="x"))
    answers = [session.push(frame) for frame in [QUIET, *[LOUD] * 3, *[QUIET] * 8]]
    session.close()
    said = [index for index, answer in enumerate(answers) if answer.audio.size]
    assert said == [9]  # the sixth quiet frame after speech
    assert answers[9].audio.size == 24_000
    assert answers[9].text == "beep"


def test_all_messages_arrive(tmp_path):
    session = open_program(
        tmp_path,
        """
        send(b"R", b"{}")
        receive()
        send(b"A", struct.pack("<2f", 0.5, 0.25)); send(b"F"); send(b"A", struct.pack("<f", 0.125))
        send(b"T", "grüß".encode()); send(b"E", b'{"name": "stage.asr", "data": {"compute_ms": 3}}')
        send(b"D")
        receive()
        """,
    )
    emission = session.push(QUIET)
    assert emission.flush
    assert emission.audio.tolist() == [0.125]  # what came before the flush is dropped
    assert emission.text == "grüß"
    assert (emission.events[0].name, emission.events[0].data["compute_ms"]) == ("stage.asr", 3)
    session.close()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", r"the program ended \(exit code 3\)"),
        ("raise ValueError('no weights')", "(?s)stderr: .*no weights"),
        ("print('loading model ...'); sys.stdout.flush(); time.sleep(5)", "not the frame protocol"),
        ("send(b'R', b'{'); time.sleep(5)", "not JSON"),
        ("time.sleep(60)", "no answer within 0.5 s"),
        ("send(b'X', b'out of memory'); time.sleep(5)", "out of memory"),
    ],
)
def test_a_program_that_does_not_start_says_why(tmp_path, body, message):
    with pytest.raises(TargetError, match=message):
        open_program(tmp_path, body, timeout_s=0.5 if "60" in body else 20.0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(0)", "the program ended"),
        ("time.sleep(60)", "no answer within"),
        ("send(b'A', b'abc'); send(b'D'); time.sleep(9)", "whole number of float32"),
        ("send(b'Q'); send(b'D'); time.sleep(9)", "unexpected message type 'Q'"),
        ("send(b'E', b'[]'); send(b'D'); time.sleep(9)", "not JSON with a name"),
        ("send(b'X', b'CUDA error'); time.sleep(9)", "CUDA error"),
        ("sys.stdout.buffer.write(b'\\xff' * 64); sys.stdout.flush()", "not the frame protocol"),
    ],
)
def test_a_program_that_breaks_in_a_conversation_says_why(tmp_path, body, message):
    session = open_program(tmp_path, "send(b'R')\nreceive()\n" + body, timeout_s=1.5)
    with pytest.raises(TargetError, match=message):
        [session.push(QUIET) for _ in range(3)]
    session.close()
    assert session._process.poll() is not None  # nothing is left running


def test_no_such_program_and_no_program():
    with pytest.raises(TargetError, match="cannot start"):
        ProcessTarget("/nonexistent/program").open(SessionSetup())
    with pytest.raises(TargetError, match="empty"):
        ProcessTarget("  ")


def test_messages_survive_any_split(rng):
    stream = pack("T", b"one") + pack("A", b"\x00" * 4000) + pack("D")
    for _ in range(20):
        cuts = np.sort(rng.integers(0, len(stream), 5))
        unpacker, found = Unpacker(), []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            found += unpacker.feed(stream[start:end])
        assert [(kind, len(body)) for kind, body in found] == [("T", 3), ("A", 4000), ("D", 0)]
