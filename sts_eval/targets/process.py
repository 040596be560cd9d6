"""`process`: any program that speaks the frame protocol (`sts_eval.targets.wire`) on stdin/stdout.

One process per session. Its stderr is kept (the last 2,000 characters) for the error message. The
program is started without a shell, in its own process group, which is killed when the session ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from typing import IO, Any

from sts_eval.target import Emission, Samples, SessionSetup, TargetError
from sts_eval.targets.wire import Unpacker, check_ready, pack, pack_frame, pack_setup, to_emission

READ_BYTES = 1 << 16
STDERR_CHARS = 2000


class ProcessTarget:
    """A target that is a program.

    command: the command line, split as a shell would, run without a shell.
    timeout_s: how long one answer (and the start) may take.
    cwd: folder to run it in.
    """

    clock = "lockstep"
    options = None  # the program says so itself

    def __init__(self, command: str, timeout_s: float = 30.0, cwd: str | None = None) -> None:
        self._argv = shlex.split(str(command))
        if not self._argv:
            raise TargetError("process: the command is empty")
        self._timeout_s, self._cwd = float(timeout_s), cwd
        self.name = f"process:{os.path.basename(self._argv[0])}"

    def describe(self) -> dict[str, Any]:
        """Name and the program's arguments (folders are cut from the paths)."""
        return {"name": self.name, "command": [os.path.basename(part) for part in self._argv]}

    def open(self, setup: SessionSetup) -> ProcessSession:
        """Start the program and wait until it is ready. Raises TargetError."""
        return ProcessSession(self._argv, self._cwd, self._timeout_s, setup)

    def shutdown(self) -> None:
        """Nothing is kept between sessions."""


class ProcessSession:
    """One running program."""

    def __init__(
        self, argv: list[str], cwd: str | None, timeout_s: float, setup: SessionSetup
    ) -> None:
        self._timeout_s, self._setup = timeout_s, setup
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the session
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise TargetError(f"cannot start {argv[0]!r}: {error.strerror or error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._unpacker = Unpacker()
        self._pending: list[tuple[str, bytes]] = []
        try:
            self._exchange(pack_setup(setup), until="R")
        except BaseException:
            self._end()
            raise

    def push(self, frame: Samples) -> Emission:
        """Send a frame, return what the program answered up to its D message."""
        return to_emission(self._exchange(pack_frame(frame), until="D"))

    def close(self) -> Emission:
        """Tell the program to end, then end it."""
        with contextlib.suppress(OSError, TargetError):
            self._write(pack("C"), time.monotonic() + 1.0)
            self._stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        self._end()
        return Emission()

    def _exchange(self, request: bytes, until: str) -> list[tuple[str, bytes]]:
        """Write a message, then read messages until one of type `until` (not returned)."""
        deadline = time.monotonic() + self._timeout_s
        self._write(request, deadline)
        answer: list[tuple[str, bytes]] = []
        while True:
            while self._pending:
                kind, payload = self._pending.pop(0)
                if kind == until:
                    if kind == "R":
                        check_ready(payload, self._setup)
                    return answer
                answer.append((kind, payload))
                if kind == "X":
                    to_emission(answer)
            self._pending += self._unpacker.feed(self._read(deadline))

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin.fileno(), view) :]
            except BlockingIOError:
                self._wait(self._stdin, selectors.EVENT_WRITE, deadline)
            except OSError as error:
                raise self._failure("the program closed its input") from error

    def _read(self, deadline: float) -> bytes:
        self._wait(self._stdout, selectors.EVENT_READ, deadline)
        data = os.read(self._stdout.fileno(), READ_BYTES)
        if not data:
            raise self._failure("the program ended")
        return data

    def _wait(self, stream: IO[bytes], event: int, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(stream, event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise self._failure(f"no answer within {self._timeout_s:g} s")

    def _failure(self, what: str) -> TargetError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.2)
        code = self._process.poll()
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - STDERR_CHARS))
        said = self._stderr.read().decode("utf-8", errors="replace").strip()
        ended = "" if code is None else f" (exit code {code})"
        return TargetError(f"{what}{ended}" + (f"; stderr: {said}" if said else ""))

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()
