"""`tcp`: a server on its own clock that speaks the frame protocol (`sts_eval.targets.wire`).

Frames are sent at real time; audio may come at any time, in bursts, faster or slower than real
time, and is laid on the track where it arrived. This is how remote speech-to-speech servers behave;
their adapters can use the same `PacedSession` contract.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from sts_eval.target import Emission, Samples, SessionSetup, TargetError
from sts_eval.targets.wire import Unpacker, check_ready, pack, pack_frame, pack_setup, to_emission
from sts_eval.units import FRAME_S

READ_BYTES = 1 << 16


class TcpTarget:
    """A target behind a TCP socket.

    host, port: where it listens. timeout_s: for connecting, for the ready message, and for how long
    the connection may stay unwritable.
    """

    clock = "paced"
    options = None  # the server says so itself

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 10.0) -> None:
        self._address = (str(host), int(port))
        self._timeout_s = float(timeout_s)
        self.name = "tcp"

    def describe(self) -> dict[str, Any]:
        """Name and port."""
        return {"name": self.name, "port": self._address[1]}

    def open(self, setup: SessionSetup) -> TcpSession:
        """Connect and wait for the ready message. Raises TargetError."""
        try:
            link = socket.create_connection(self._address, timeout=self._timeout_s)
        except OSError as error:
            raise TargetError(f"cannot connect to port {self._address[1]}: {error}") from error
        return TcpSession(link, setup, self._timeout_s)

    def shutdown(self) -> None:
        """Nothing is kept between sessions."""


class TcpSession:
    """One connection; a reader thread stamps each message with its arrival time."""

    def __init__(self, link: socket.socket, setup: SessionSetup, timeout_s: float) -> None:
        self._link = link
        self._timeout_s, self._setup = timeout_s, setup
        self._lock = threading.Lock()
        self._arrived: list[tuple[float, str, bytes]] = []
        self._failure: TargetError | None = None
        self._ready = threading.Event()
        self._origin: float | None = None
        self._closing = False
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send(pack_setup(setup))
        if not self._ready.wait(timeout_s):
            self._shut()
            raise TargetError(f"no ready message within {timeout_s:g} s")
        if self._failure is not None:
            self._shut()
            raise self._failure

    def push(self, frame: Samples) -> Emission:
        """Send a frame; what has arrived comes through `poll`."""
        if self._origin is None:
            # the first frame is complete, and sent, one frame after the conversation began
            self._origin = time.monotonic() - FRAME_S
        self._send(pack_frame(frame))
        return Emission()

    def poll(self) -> list[Emission]:
        """Everything that arrived since the last poll, in order. Raises TargetError if it broke."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
            failure = self._failure
        origin = self._origin if self._origin is not None else time.monotonic()
        emissions = [to_emission([(kind, body)], at - origin) for at, kind, body in arrived]
        if failure is not None:
            raise failure
        return emissions

    def close(self) -> Emission:
        """Say goodbye and close the socket."""
        self._closing = True
        with contextlib.suppress(TargetError):
            self._send(pack("C"))
        self._shut()
        return Emission()

    def _send(self, data: bytes) -> None:
        try:
            self._link.settimeout(self._timeout_s)
            self._link.sendall(data)
        except OSError as error:
            raise self._failure or TargetError(f"the connection broke: {error}") from error

    def _read(self) -> None:
        unpacker = Unpacker()
        try:
            while True:
                try:
                    data = self._link.recv(READ_BYTES)
                except TimeoutError:
                    continue
                now = time.monotonic()
                if not data:
                    raise TargetError("the server closed the connection")
                for kind, payload in unpacker.feed(data):
                    if kind == "R":
                        check_ready(payload, self._setup)
                        self._ready.set()
                        continue
                    with self._lock:
                        self._arrived.append((now, kind, payload))
        except (OSError, TargetError) as error:
            if not self._closing:
                with self._lock:
                    self._failure = (
                        error
                        if isinstance(error, TargetError)
                        else TargetError(f"the connection broke: {error}")
                    )
            self._ready.set()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        self._reader.join(timeout=1.0)
