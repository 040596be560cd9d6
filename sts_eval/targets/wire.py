"""The frame protocol: how a program in any language plugs in as a target.

Every message is a 4-byte little-endian length n (of what follows the length), one type byte, and
n-1 bytes of payload. Audio is mono float32 little-endian at 24 kHz.

    harness -> program                         program -> harness
    S  setup, JSON {"protocol": 1, "seed",     R  ready, JSON {"name": ...}: once, after S
       "scenario_id", "sample_rate_hz",        A  audio, any number of samples
       "frame_samples", "options"}             T  text the agent says, UTF-8
    A  one frame of the user: 1920 samples     E  event, JSON {"name": ..., "data": {...}}
    C  close                                   F  flush: drop audio that is queued but not played
                                               D  done with this frame (lockstep only)
                                               X  failure, UTF-8 message: the scenario is an error

S has "options" only where the scenario asks for some (`sts_eval.options`); audio among them is
{"f4le_base64": "..."}, little-endian float32. R then lists those that the program honours,
{"options": [names]}; a scenario that asks for another one is not measured.

Over stdin/stdout (`process`) the program answers every A with any messages and then one D. Over a
socket (`tcp`) there is no D: messages may come at any time.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from sts_eval.options import refuse_missing, to_wire
from sts_eval.target import Emission, Samples, SessionSetup, TargetError, TargetEvent
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

PROTOCOL = 1
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # 174 s of audio: more is garbage, not an answer
HEADER = struct.Struct("<I")


def pack(kind: str, payload: bytes = b"") -> bytes:
    """One message."""
    return HEADER.pack(len(payload) + 1) + kind.encode("ascii") + payload


def pack_setup(setup: SessionSetup) -> bytes:
    """The S message that opens a session."""
    body: dict[str, Any] = {
        "protocol": PROTOCOL,
        "seed": setup.seed,
        "scenario_id": setup.scenario_id,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_samples": FRAME_SAMPLES,
    }
    if setup.options:
        body["options"] = to_wire(setup.options)
    return pack("S", json.dumps(body).encode())


def check_ready(payload: bytes, setup: SessionSetup) -> None:
    """Check the R message of a program that was sent `setup`.

    Raises TargetError on garbage, UnsupportedOptionError when it does not honour an option.
    """
    try:
        body: Any = json.loads(payload or b"{}")
        honoured = {str(name) for name in body.get("options") or ()}
    except (ValueError, AttributeError, TypeError) as error:
        raise TargetError(f"the R message is not JSON: {error}") from error
    refuse_missing(setup.options, honoured)


def pack_frame(frame: Samples) -> bytes:
    """The A message of one user frame."""
    return pack("A", np.ascontiguousarray(frame, dtype="<f4").tobytes())


class Unpacker:
    """Cuts a byte stream into messages; refuses lengths that no honest program sends."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Add bytes; return the complete messages as (type, payload). Raises TargetError."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer)
            if not 1 <= length <= MAX_MESSAGE_BYTES:
                raise TargetError(
                    f"not the frame protocol: a message of {length} bytes was announced"
                    " (does the program print to stdout?)"
                )
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            kind = chr(self._buffer[HEADER.size])
            messages.append((kind, bytes(self._buffer[HEADER.size + 1 : end])))
            del self._buffer[:end]
        return messages


def to_emission(messages: list[tuple[str, bytes]], arrived_s: float | None = None) -> Emission:
    """Merge A, T, E and F messages into one emission. Raises TargetError on X or garbage."""
    chunks: list[Samples] = []
    text, flush, events = "", False, []
    for kind, payload in messages:
        if kind == "A":
            if len(payload) % 4:
                raise TargetError("an audio message is not a whole number of float32 samples")
            chunks.append(np.frombuffer(payload, dtype="<f4").astype(np.float32, copy=False))
        elif kind == "T":
            text += payload.decode("utf-8", errors="replace")
        elif kind == "E":
            events.append(_event(payload))
        elif kind == "F":
            flush, chunks = True, []
        elif kind == "X":
            raise TargetError(payload.decode("utf-8", errors="replace")[:2000])
        else:
            raise TargetError(f"unexpected message type {kind!r}")
    audio = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    return Emission(audio, text, tuple(events), flush, arrived_s)


def _event(payload: bytes) -> TargetEvent:
    try:
        body: Any = json.loads(payload)
        return TargetEvent(str(body["name"]), dict(body.get("data", {})))
    except (ValueError, KeyError, TypeError) as error:
        raise TargetError(f"an event is not JSON with a name: {error}") from error
