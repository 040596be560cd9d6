"""Examine one recording: read, measure, score, leave its evidence beside the report. No verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sts_eval.audit import AuditError
from sts_eval.audit.calibration import GENUINE, Calibration
from sts_eval.audit.case import condition
from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.marks import read_marks
from sts_eval.audit.case.parts import (
    Part,
    load_detector,
    load_encoder,
    pieces,
    side_by_side,
    window_scores,
)
from sts_eval.audit.case.ratio import DECISIVE_LOG10, WEAK_LOG10, Ratio
from sts_eval.audit.case.records import (
    DetectorFinding,
    EvidenceFile,
    Examination,
    Likeness,
    Misled,
    SoundFacts,
    Window,
)
from sts_eval.audit.case.sound import Sound, UnusableFile, read_sound
from sts_eval.audit.voices.enrolment import Vectors
from sts_eval.judges.base import Interval
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

MOST_PIECES: Final = 12
MOST_WINDOWS: Final = 60


@dataclass(frozen=True)
class ExamineConfig:
    """What a worker needs (plain data: it crosses a process border).

    enrolled: embeddings by subject, float32 [N, D]. detectors: names, may be empty.
    """

    root: Path
    out: Path
    detectors: tuple[str, ...]
    encoder: str
    enrolled: Mapping[str, Vectors]
    marks: tuple[str, ...]
    max_seconds: float
    evidence: bool = True


def start(config: ExamineConfig) -> Callable[[InventoryEntry], Examination]:
    """Load the parts in a worker; returns the function that examines one entry."""
    import torch

    torch.set_num_threads(1)
    detectors = [load_detector(name) for name in config.detectors]
    encoder = load_encoder(config.encoder) if config.enrolled else None
    return lambda entry: examine(entry, config, detectors, encoder)


def examine(
    entry: InventoryEntry, config: ExamineConfig, detectors: list[Part], encoder: Part | None
) -> Examination:
    """Everything measured on one file. A file at fault is a result, not an exception."""
    path = entry.path(config.root)
    try:
        sound = read_sound(path, config.max_seconds)
    except UnusableFile as error:
        return Examination(
            id=entry.id,
            status="unreadable",
            reason=str(error),
            not_audio=not error.is_audio,
            sha256_bytes=error.sha256_bytes,
        )
    spans = condition.speech_spans(sound.samples)
    quality = condition.measure(sound.samples, spans, sound.clipped_share)
    found = Examination(
        id=entry.id,
        status="examined",
        sha256_bytes=sound.sha256_bytes,
        sha256_pcm=sound.sha256_pcm,
        sound=_facts(sound, quality, spans),
        marks=read_marks(config.marks, path, sound.samples),
    )
    files = _leave_evidence(entry.id, config, sound.samples) if config.evidence else ()
    return found.model_copy(
        update={
            "files": files,
            "detectors": tuple(
                finding
                for each in detectors
                if (finding := _detect(each, sound.samples, spans)) is not None
            ),
            "likenesses": ()
            if encoder is None
            else compare(
                encoder,
                config.enrolled,
                *embed_speech(encoder, sound.samples, spans),
                apart=condition.tells_apart(quality),
            ),
        }
    )


def _facts(sound: Sound, quality: condition.Condition, spans: list[Interval]) -> SoundFacts:
    return SoundFacts(
        container=sound.container,
        codec=sound.codec,
        sample_rate_hz=sound.sample_rate_hz,
        channels=sound.channels,
        seconds=round(sound.seconds, 3),
        peak_dbfs=round(sound.peak_dbfs, 1),
        clipped_share=quality.clipped_share,
        dc_offset=round(sound.dc_offset, 5),
        speech_s=quality.speech_s,
        snr_db=quality.snr_db,
        band_hz=quality.band_hz,
        speech=tuple(spans),
    )


def _detect(detector: Part, samples: Samples, spans: list[Interval]) -> DetectorFinding | None:
    """Scores of the windows of a recording and of it as a whole; None without speech."""
    try:
        places = window_scores(detector, samples, spans, MOST_WINDOWS)
    except AuditError:  # too short or too quiet for the detector: the conditions say so as well
        return None
    if not places:
        return None
    scores = np.array([score for _, _, score in places])
    known = detector.calibration.known
    single = -(known or detector.calibration).log10_lr(scores)
    heard = side_by_side([(a, b) for a, b, _ in places], detector.seconds)
    ratio, met = -detector.ratio(scores, heard), detector.known_ratio(scores, heard)
    return DetectorFinding(
        detector=detector.label,
        score=round(float(scores.mean()), 5),
        ratio=ratio,
        side_by_side=heard if detector.calibration.lengths else None,
        misled=misled(ratio, detector.calibration, heard),
        known=-met if met else None,
        known_misled=misled(-met, known, heard) if met and known else None,
        windows=tuple(
            Window(start_s=a, end_s=b, log10_lr=round(float(value), 3))
            for (a, b, _), value in zip(places, single, strict=True)
        ),
    )


def misled(ratio: Ratio, calibration: Calibration, windows: float = 1.0) -> Misled | None:
    """How often the validation was misled to at least two (ten) to one for the same side.

    ratio: for synthetic over natural; windows: that it was read for.
    """
    size, misleading = abs(ratio.value), calibration.misleading_at(windows)
    if misleading is None or size < WEAK_LOG10:
        return None
    decisive = size >= DECISIVE_LOG10
    shares = {
        name: (each.decisive if decisive else each.weak, each.n)
        for name, each in misleading.items()
        if (name == GENUINE) == (ratio.value > 0)
    }
    if not shares:
        return None
    of = max(shares, key=lambda name: shares[name])
    return Misled(of=of, n=shares[of][1], share=shares[of][0], at_least=10.0 if decisive else 2.0)


def embed_speech(
    encoder: Part, samples: Samples, spans: list[Interval], *, use_up: bool = True
) -> tuple[Vectors | None, float]:
    """Embeddings float32 [P, D] of the pieces of the speech and the seconds of speech in them.

    None where there are none. use_up: leave nothing of the speech over, where the scale of the
    encoder allows pieces of any length.
    """
    vectors, heard = [], 0
    use_up = use_up and encoder.quality is not None
    for piece in pieces(samples, spans, encoder.seconds, MOST_PIECES, use_up=use_up):
        try:
            vectors.append(encoder.part.embed(piece))
        except AuditError:  # too little of a piece is speech for the encoder: the others count
            continue
        heard += len(piece)
    return (np.stack(vectors) if vectors else None), heard / SAMPLE_RATE_HZ


def compare(
    encoder: Part,
    enrolled: Mapping[str, Vectors],
    heard: Vectors | None,
    heard_s: float,
    *,
    apart: bool,
) -> tuple[Likeness, ...]:
    """Likeness of pieces heard [P, D], `heard_s` in all, to everybody in `enrolled` [N, D].

    apart: whether a low one may speak for somebody else (`condition.tells_apart`).
    """
    if heard is None:
        return ()
    found = []
    for subject, voice in enrolled.items():
        scores = encoder.pair_scores(heard, voice, heard_s)  # [P, N]
        score = round(float(scores.mean()), 5)
        ratio = encoder.ratio(scores)
        ratio = ratio if apart else ratio.not_below_one()
        found.append(Likeness(subject=subject, score=score, ratio=ratio))
    return tuple(sorted(found, key=lambda each: -each.score))


def _leave_evidence(name: str, config: ExamineConfig, samples: Samples) -> tuple[EvidenceFile, ...]:
    from sts_eval.audit.case.pictures import listening_copy, spectrogram

    folder = config.out / "evidence"
    made = {f"{name}.webp": spectrogram(samples), f"{name}.ogg": listening_copy(samples)}
    files = []
    for file, content in made.items():
        (folder / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(EvidenceFile(name=f"evidence/{file}", sha256=digest))
    return tuple(files)
