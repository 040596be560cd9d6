"""The fault `resumes_dropped`: what the user interrupted is taken up again after the answer."""

from __future__ import annotations

from sts_eval.metrics.interruption import JOIN_S
from sts_eval.target import Emission, Samples, Session, SessionSetup
from sts_eval.targets.faults import Fault, _Framewise
from sts_eval.trace import silence
from sts_eval.units import FRAME_S

PAUSE_FRAMES = round(JOIN_S / FRAME_S) + 2  # a silence that ends a turn, not one inside it


class ResumesDropped(Fault):
    """Yields and answers the new request, then goes on with the reply that it had dropped."""

    fault = "resumes_dropped"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Keep what a flush drops; play it once the answer is over."""
        return _ResumesSession(session)


class _ResumesSession(_Framewise):
    def __init__(self, inner: Session) -> None:
        super().__init__(inner)
        self._dropped: list[Samples] = []
        self._answered = False
        self._quiet = 0

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        if emission.flush and self._queue:
            self._dropped = list(self._queue)
            self._answered = False
        return super().alter(emission, frame)

    def next_frame(self, frame: Samples) -> Samples:
        due = self.pop()
        if due is not None:
            self._answered, self._quiet = bool(self._dropped), 0
            return due
        self._quiet += 1
        if self._answered and self._quiet >= PAUSE_FRAMES:
            self._queue.extend(self._dropped)
            self._dropped, self._answered = [], False
        return silence(0)
