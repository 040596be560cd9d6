"""The cascade: VAD end-pointing -> speech recognition -> responder -> speech synthesis.

The traditional voice agent from real parts, offline: the baseline that every speech-to-speech
system is compared with. One 80 ms frame goes through

    session.push -> endpoint.step (Silero) -> recogniser (Moonshine) -> responder -> voice (hibari)
"""

from sts_eval.targets.cascade.session import CascadeSession
from sts_eval.targets.cascade.target import CascadeTarget

__all__ = ["CascadeSession", "CascadeTarget"]
