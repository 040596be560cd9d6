"""Enrolling a person and forgetting one: embeddings beside voices.yaml, quality checked first.

What is kept of a voice: up to 24 unit vectors of `seconds` each (float16, [N, D]) in one
safetensors file, readable by its owner only. No audio, no text. `forget` overwrites and deletes the
file and takes the entry out of voices.yaml; both leave a line in a hash-chained log beside the
registry, which names the person only by the SHA-256 of the id.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.case.condition import Condition, measure, speech_spans
from sts_eval.audit.case.custody import CustodyLog
from sts_eval.audit.case.parts import Part, pieces
from sts_eval.audit.case.sound import read_sound
from sts_eval.audit.voices.schema import (
    SCHEMA,
    Enrolment,
    RegistryModel,
    VoiceRegistry,
    load_registry,
)
from sts_eval.audit.voices.yamledit import put_subject, remove_subject

MIN_SPEECH_S: Final = 9.0
MIN_SNR_DB: Final = 15.0
MIN_BAND_HZ: Final = 3000.0
MAX_CLIPPED_SHARE: Final = 0.001
MOST_PIECES: Final = 24
MAX_STRANGE_SHARE: Final = 0.1
MAX_FILE_SECONDS: Final = 1800.0
DEFAULT_DAYS: Final = 365
Vectors = NDArray[np.float32]


class EnrolmentError(AuditError):
    """Recordings that cannot be enrolled, or embeddings that cannot be used; says why."""


@dataclass(frozen=True)
class Enrolled:
    """What an enrolment made."""

    subject: str
    files: int
    pieces: int
    speech_s: float
    expires: datetime.date


def subject_id(name: str) -> str:
    """An id for a name: "Alice Example" -> "alice-example". Raises EnrolmentError."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    found = re.sub(r"[^\w]+", "-", plain).strip("-_")[:64]
    if not found:
        raise EnrolmentError(f"{name!r} has no letter or digit to make an id of")
    return found


def enrol(
    registry_path: Path,
    name: str,
    files: Sequence[Path],
    encoder: Part,
    *,
    expires: datetime.date | None = None,
    today: datetime.date | None = None,
) -> Enrolled:
    """Check the recordings of one person and store their embeddings; a second time replaces them.

    Raises EnrolmentError with every problem of every file, SuiteErrors for a bad registry.
    """
    today = today or datetime.date.today()
    expires = expires or today + datetime.timedelta(days=DEFAULT_DAYS)
    if expires <= today:
        raise EnrolmentError(f"--expires {expires} does not lie after today ({today})")
    if not registry_path.exists():
        _start_registry(registry_path)
    registry = load_registry(registry_path)
    subject = registry.find(name) or subject_id(name)
    vectors, speech_s = _listen(files, encoder)
    stored = _spread(_one_speaker(vectors, encoder))
    path = registry.embeddings_file(subject)
    digest = _save(path, stored, encoder.label)
    enrolment = Enrolment(
        encoder=encoder.label,
        sha256=digest,
        files=len(files),
        speech_s=round(speech_s, 1),
        enrolled=today,
        expires=expires,
    )
    put_subject(registry, subject, name, enrolment)
    _log(registry_path, "enrolled", subject, {"expires": str(expires), "files": len(files)})
    return Enrolled(subject, len(files), len(stored), round(speech_s, 1), expires)


def forget(registry_path: Path, name: str) -> str:
    """Delete the embeddings and the entry of a subject; returns its id. Raises EnrolmentError."""
    registry = load_registry(registry_path)
    subject = registry.find(name)
    if subject is None:
        raise EnrolmentError(f"{registry_path.name} has nobody (or more than one) called {name!r}")
    _shred(registry.embeddings_file(subject))
    remove_subject(registry, subject)
    _log(registry_path, "forgotten", subject, {})
    return subject


def load_vectors(
    registry: VoiceRegistry, subject: str, encoder: str, day: datetime.date
) -> Vectors:
    """The embeddings of a subject, float32 [N, D].

    Raises EnrolmentError: not enrolled, expired, made by another encoder, missing or changed.
    """
    enrolment = registry.subjects[subject].enrolment
    if enrolment is None:
        raise EnrolmentError("has no enrolment")
    if day >= enrolment.expires:
        raise EnrolmentError(f"enrolment expired on {enrolment.expires}")
    if enrolment.encoder != encoder:
        raise EnrolmentError(f"enrolled with {enrolment.encoder}, the audit uses {encoder}")
    path = registry.embeddings_file(subject)
    try:
        if path.is_symlink() or path.stat().st_size > 1 << 24:
            raise EnrolmentError("the embeddings are not what `enroll` wrote")
        content = path.read_bytes()
    except OSError as error:
        raise EnrolmentError(f"the embeddings cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != enrolment.sha256:
        raise EnrolmentError("the embeddings have changed (SHA-256 differs)")
    from safetensors.numpy import load

    vectors = load(content)["pieces"].astype(np.float32)  # [N, D]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def load_all_vectors(
    registry: VoiceRegistry | None, encoder: str, day: datetime.date
) -> tuple[dict[str, Vectors], dict[str, str]]:
    """Embeddings [N, D] by subject, and why others have none that can be used."""
    found: dict[str, Vectors] = {}
    missing: dict[str, str] = {}
    if registry is None:
        return found, missing
    for subject in registry.subjects:
        try:
            found[subject] = load_vectors(registry, subject, encoder, day)
        except EnrolmentError as error:
            missing[subject] = str(error)
    return found, missing


def _listen(files: Sequence[Path], encoder: Part) -> tuple[list[Vectors], float]:
    """Embeddings [N, D] of each file, and the seconds of speech in all."""
    if not files:
        raise EnrolmentError("name at least one recording")
    problems, vectors, speech_s = [], [], 0.0
    hashes: dict[str, Path] = {}
    for file in files:
        try:
            sound = read_sound(file, MAX_FILE_SECONDS)
        except Exception as error:
            problems.append(f"{file}: {error}")
            continue
        if sound.sha256_pcm in hashes:
            problems.append(f"{file}: the same sound as {hashes[sound.sha256_pcm]}")
            continue
        hashes[sound.sha256_pcm] = file
        spans = speech_spans(sound.samples)
        quality = measure(sound.samples, spans, sound.clipped_share)
        bad = _too_poor(quality)
        problems += [f"{file}: {each}" for each in bad]
        cut = pieces(sound.samples, spans, encoder.seconds, MOST_PIECES)
        whole = [each for each in cut if len(each) >= round(encoder.seconds * 24_000)]
        if not bad and whole:
            vectors.append(np.stack([encoder.part.embed(each) for each in whole]))
        speech_s += quality.speech_s
    if speech_s < MIN_SPEECH_S:
        problems.append(f"{speech_s:.1f} s of speech in all, at least {MIN_SPEECH_S:g} s needed")
    elif sum(map(len, vectors)) < 3:
        problems.append(f"fewer than 3 stretches of {encoder.seconds:g} s of speech in one file")
    if problems:
        raise EnrolmentError("nothing was enrolled:\n" + "\n".join(problems))
    return vectors, speech_s


def _too_poor(quality: Condition) -> list[str]:
    found = []
    if quality.speech_s <= 0:
        found.append("no speech was found")
    if quality.snr_db is not None and quality.snr_db < MIN_SNR_DB:
        found.append(f"SNR {quality.snr_db:.0f} dB, at least {MIN_SNR_DB:g} dB needed")
    if quality.band_hz is not None and quality.band_hz < MIN_BAND_HZ:
        found.append(f"band up to {quality.band_hz:.0f} Hz, {MIN_BAND_HZ:.0f} Hz needed")
    if quality.clipped_share > MAX_CLIPPED_SHARE:
        found.append(f"{quality.clipped_share:.2%} of the samples are clipped")
    return found


def _one_speaker(vectors: Sequence[Vectors], encoder: Part) -> Vectors:
    """The pieces [N, D] that sound like one person: most of them, at least nine in ten.

    A piece that is rather somebody else than the rest (noise, a cough) is left out; more than one
    in ten of them means that somebody else is in the recordings. Raises EnrolmentError.
    """
    together = np.concatenate(vectors)  # [N, D]
    cosines = together @ together.T
    np.fill_diagonal(cosines, np.nan)
    # One piece with one: the mean vector of two people would be near to both.
    quality, seconds = encoder.quality, encoder.seconds
    lost = quality.correction(seconds, seconds) if quality else 0.0
    each = encoder.calibration.log10_lr(np.nanmean(cosines, axis=1) + lost)
    strange = np.flatnonzero(each < 0)
    if len(strange) > MAX_STRANGE_SHARE * len(each):
        names = np.repeat(np.arange(len(vectors)), [len(part) for part in vectors])
        where = ", ".join(str(1 + number) for number in np.unique(names[strange]))
        raise EnrolmentError(
            f"nothing was enrolled: {len(strange)} of {len(each)} stretches do not sound like the "
            f"same speaker as the rest (recording {where} of those given)"
        )
    return together[each >= 0]


def _spread(together: Vectors) -> Vectors:
    most = min(MOST_PIECES, len(together))
    return together[np.linspace(0, len(together) - 1, most).round().astype(int)]


def _save(path: Path, vectors: Vectors, encoder: str) -> str:
    from safetensors.numpy import save

    content = save({"pieces": vectors.astype(np.float16)}, {"encoder": encoder})
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    os.replace(temporary, path)
    return hashlib.sha256(content).hexdigest()


def _shred(path: Path) -> None:
    """Overwrite, then delete; a file system may still keep copies (snapshots, backups)."""
    if path.is_symlink():
        path.unlink()
        return
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()


def _start_registry(path: Path) -> None:
    from sts_eval.trace import write_text_atomic

    model = RegistryModel(schema=SCHEMA)
    write_text_atomic(path, f"schema: {model.schema_}\nsubjects: {{}}\n")


def log_path(registry_path: Path) -> Path:
    """The log of changes of a registry."""
    return registry_path.with_name(f"{registry_path.stem}.log.jsonl")


def _log(registry_path: Path, event: str, subject: str, data: dict[str, Any]) -> None:
    path = log_path(registry_path)
    opened = CustodyLog.reopen(path) if path.exists() else CustodyLog.create(path)
    with opened as log:
        digest = hashlib.sha256(subject.encode()).hexdigest()
        log.append(event, {"subject_sha256": digest, **data})
