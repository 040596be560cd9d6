"""The parts are tried on known material before they may say anything: polarity, loudly.

Known voices are those of the packaged stimuli: the encoder must find two utterances of one voice
nearer than two voices. Detectors hear the packaged known recordings; one of the user's own may
bring its own check, `self_check()`, that raises AuditError.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from sts_eval.audit import AuditError
from sts_eval.audit.case.parts import check_encoder, load_detector, load_encoder
from sts_eval.target import Samples


def check_parts(detectors: tuple[str, ...], encoder: str | None) -> None:
    """Raises AuditError when a part fails on known material."""
    if encoder:
        check_encoder(load_encoder(encoder), known_voices())
    for name in detectors:
        part = load_detector(name)
        if not name.startswith("python:"):
            from sts_eval.audit.detectors import check_polarity

            check_polarity(part.part)
        elif hasattr(part.part, "self_check"):
            part.part.self_check()
        low, high = part.calibration.log10_lr([-1e3, 1e3])
        if not low < high:
            raise AuditError(f"the calibration of {part.label} says nothing")


def known_voices(each_s: float = 6.0) -> list[tuple[Samples, Samples]]:
    """Two different stretches of speech for each packaged voice."""
    from sts_eval.stimuli import Stimuli

    stimuli = Stimuli.load()
    by_voice: dict[str, list[Samples]] = defaultdict(list)
    for item in stimuli.items:
        if sum(map(len, by_voice[item.voice])) < 2 * each_s * 24_000:
            by_voice[item.voice].append(item.audio())
    found = []
    for clips in by_voice.values():
        joined = np.concatenate(clips)
        half = len(joined) // 2
        found.append((joined[:half], joined[half:]))
    return found
