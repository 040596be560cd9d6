"""Hear one file, or the voice in several: hashes, landmarks, speech, likeness. In a worker.

- A recording: both hashes, its landmarks (written to a working folder, removed at the end), its
  conditions, and where they allow it the likeness of its voice to every reference.
- A print: hashes and landmarks alone, for recordings of the evaluation set.
- A voice: the speech of several recordings put together, because training sets hold short
  utterances and the calibration of an encoder holds for stretches of its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sts_eval.audit.case import condition
from sts_eval.audit.case.examine import MOST_PIECES, compare, embed_speech
from sts_eval.audit.case.parts import Part, load_encoder
from sts_eval.audit.case.records import Likeness
from sts_eval.audit.case.sound import Sound, UnusableFile, read_sound
from sts_eval.audit.voices.enrolment import Vectors
from sts_eval.metrics.fingerprint import HOP_S, Landmarks, landmarks
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

MOST_FILES: Final = 40
SHIFTS: Final = (0, round(HOP_S * SAMPLE_RATE_HZ / 2))


@dataclass(frozen=True)
class ListenConfig:
    """What a worker needs. encoder: "" for no voices. references: float32 [N, D] by key."""

    work: Path
    encoder: str
    references: Mapping[str, Vectors]
    limits: condition.Limits
    max_seconds: float


@dataclass(frozen=True)
class Job:
    """One thing to hear. key: id of the recording, or name of the voice. shown: for people."""

    kind: Literal["recording", "print", "voice"]
    key: str
    paths: tuple[Path, ...]
    shown: str = ""


class Heard(BaseModel):
    """What was heard; `kind` and `key` of the job. outside: why no voice was compared.

    status: "examined"; "unreadable": the file is at fault; "failed": we are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: Literal["recording", "print", "voice"]
    key: str
    status: Literal["examined", "unreadable", "failed"]
    reason: str = ""
    not_audio: bool = False
    sha256_bytes: str = ""
    sha256_pcm: str = ""
    seconds: float = 0.0
    speech_s: float = 0.0
    files: int = 1
    outside: tuple[str, ...] = ()
    likenesses: tuple[Likeness, ...] = ()


def start(config: ListenConfig) -> Callable[[Job], tuple[Heard, Vectors | None]]:
    """Load the encoder in a worker; returns the function that does one job.

    The second of what it returns: the embeddings [P, D] of a voice, else None.
    """
    import torch

    torch.set_num_threads(1)
    encoder = load_encoder(config.encoder) if config.encoder else None

    def do(job: Job) -> tuple[Heard, Vectors | None]:
        if job.kind == "voice":
            assert encoder is not None
            return _hear_voice(job, config, encoder)
        return _hear_file(job, config, encoder), None

    return do


def print_file(work: Path, kind: str, key: str) -> Path:
    """Where the landmarks of a recording lie while the audit runs."""
    return work / f"{kind}-{key}.npy"


def load_print(work: Path, kind: str, key: str) -> tuple[Landmarks, ...]:
    """The landmarks that a worker wrote: of the recording as it is, and half a hop later."""
    shift, hashes, frames = np.load(print_file(work, kind, key), allow_pickle=False).astype(
        np.int64
    )
    return tuple(Landmarks(hashes[shift == k], frames[shift == k]) for k in range(len(SHIFTS)))


def make_print(samples: Samples) -> NDArray[np.int32]:
    """[3, n]: number of the shift, hash and frame of each landmark.

    A copy that was cut lies anywhere on the grid of frames, which costs it most of its landmarks
    when it is half a hop off; so each recording is looked up at both places.
    """
    parts = []
    for number, shift in enumerate(SHIFTS):
        marks = landmarks(np.concatenate([np.zeros(shift, np.float32), samples]))
        parts.append(np.stack([np.full_like(marks.hashes, number), marks.hashes, marks.frames]))
    return np.concatenate(parts, axis=1).astype(np.int32)


def _hear_file(job: Job, config: ListenConfig, encoder: Part | None) -> Heard:
    try:
        sound = read_sound(job.paths[0], config.max_seconds)
    except UnusableFile as error:
        return Heard(
            kind=job.kind,
            key=job.key,
            status="unreadable",
            reason=str(error),
            not_audio=not error.is_audio,
            sha256_bytes=error.sha256_bytes,
        )
    np.save(print_file(config.work, job.kind, job.key), make_print(sound.samples))
    heard = Heard(
        kind=job.kind,
        key=job.key,
        status="examined",
        sha256_bytes=sound.sha256_bytes,
        sha256_pcm=sound.sha256_pcm,
        seconds=round(sound.seconds, 3),
    )
    if job.kind == "print":
        return heard
    spans = condition.speech_spans(sound.samples)
    quality = condition.measure(sound.samples, spans, sound.clipped_share)
    outside = tuple(condition.outside(quality, config.limits))
    likenesses: tuple[Likeness, ...] = ()
    if encoder is not None and config.references and not outside:
        vectors, heard_s = embed_speech(encoder, sound.samples, spans)
        apart = condition.tells_apart(quality)
        likenesses = compare(encoder, config.references, vectors, heard_s, apart=apart)
    return heard.model_copy(
        update={"speech_s": quality.speech_s, "outside": outside, "likenesses": likenesses}
    )


def _hear_voice(job: Job, config: ListenConfig, encoder: Part) -> tuple[Heard, Vectors | None]:
    enough = round(MOST_PIECES * encoder.seconds * SAMPLE_RATE_HZ)
    # Spread over what there is: neighbours often come from one session.
    chosen = np.unique(np.linspace(0, len(job.paths) - 1, min(MOST_FILES, len(job.paths))).round())
    parts: list[Samples] = []
    files, apart = 0, True
    for number in chosen.astype(int):
        if sum(map(len, parts)) >= enough:
            break
        try:
            sound = read_sound(job.paths[number], config.max_seconds)
        except UnusableFile:
            continue  # it has its own row
        spoken, quality = _usable_speech(sound, config.limits)
        if spoken:
            parts += spoken
            files += 1
            apart = apart and condition.tells_apart(quality)
    speech = np.concatenate(parts)[:enough] if parts else np.zeros(0, np.float32)
    speech_s = len(speech) / SAMPLE_RATE_HZ
    heard = Heard(
        kind="voice", key=job.key, status="examined", speech_s=round(speech_s, 2), files=files
    )
    if speech_s < config.limits.min_speech_s:
        least = config.limits.min_speech_s
        reason = f"{speech_s:.1f} s of usable speech, fewer than {least:g} s"
        return heard.model_copy(update={"outside": (reason,)}), None
    # Vectors of a voice may become a reference: each is of `encoder.seconds`.
    vectors, heard_s = embed_speech(encoder, speech, [(0.0, speech_s)], use_up=False)
    likenesses = compare(encoder, config.references, vectors, heard_s, apart=apart)
    return heard.model_copy(update={"likenesses": likenesses}), vectors


def _usable_speech(
    sound: Sound, limits: condition.Limits
) -> tuple[list[Samples], condition.Condition]:
    """The stretches of speech of a recording, none outside the conditions, and its condition.

    Its length does not matter.
    """
    spans = condition.speech_spans(sound.samples)
    quality = condition.measure(sound.samples, spans, sound.clipped_share)
    if condition.outside(quality, limits.model_copy(update={"min_speech_s": 0.0})):
        return [], quality
    rate = SAMPLE_RATE_HZ
    cut = [sound.samples[round(begin * rate) : round(end * rate)] for begin, end in spans]
    return cut, quality
