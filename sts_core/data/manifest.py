"""Manifests: which recordings a folder holds and what is said in them.

A corpus is a folder with `manifest.jsonl`, one JSON object a line. Only `path` (relative to the
folder) is required; known optional fields:

    id        unique name (default: the path without its suffix)
    text      what is said;  phonemes  the same in misaki's alphabet;  lang  "en", "zh", ...
    voice     name of the synthetic voice;  speaker  name of a real person
    split     "train" (the default) or the name of a held-out part
    seconds   length of the decoded audio

Recordings may have any rate and any number of channels that libsndfile reads; they become 24 kHz
mono int16 here. A manifest is untrusted input: paths stay in its folder, and sizes are limited.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_core.units import SAMPLE_RATE_HZ

Row = dict[str, Any]

MANIFEST_NAME = "manifest.jsonl"
MAX_LINE_BYTES = 1 << 16
MAX_UTTERANCE_S = 600.0
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000


class ManifestError(ValueError):
    """A manifest or one of its recordings cannot be used; the message names file and line."""


def read_manifest(folder: Path) -> list[Row]:
    """All rows of `folder/manifest.jsonl`, each with `id` and `path` filled in.

    Raises:
        ManifestError: no manifest, a line that is no JSON object, a missing or escaping path, or an
            id that occurs twice.
    """
    file = folder / MANIFEST_NAME
    if not file.is_file():
        raise ManifestError(f"{folder}: no {MANIFEST_NAME} here")
    rows: list[Row] = []
    seen: set[str] = set()
    with file.open("rb") as lines:
        for number, line in enumerate(
            iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), start=1
        ):
            if not line.strip():
                continue
            row = _parse_line(line, f"{file}:{number}")
            if row["id"] in seen:
                raise ManifestError(f"{file}:{number}: id {row['id']!r} occurs twice")
            seen.add(row["id"])
            rows.append(row)
    return rows


def _parse_line(line: bytes, where: str) -> Row:
    if len(line) > MAX_LINE_BYTES:
        raise ManifestError(f"{where}: line longer than {MAX_LINE_BYTES} bytes")
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ManifestError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("path"), str) or not row["path"]:
        raise ManifestError(f'{where}: expected an object with a text field "path"')
    path = Path(row["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ManifestError(f"{where}: path {row['path']!r} leaves the corpus folder")
    row["id"] = str(row.get("id") or path.with_suffix("").as_posix())
    return row


def voice_of(row: Mapping[str, Any]) -> str:
    """The speaker identity of a row: its voice, else its speaker, else the corpus it came from."""
    return str(row.get("voice") or row.get("speaker") or row.get("corpus") or "unknown")


def parse_exclusions(options: Iterable[str]) -> list[tuple[str, str]]:
    """`["speaker=ann"]` -> `[("speaker", "ann")]`, as `sts-core cache --exclude` takes them.

    Raises:
        ManifestError: an option without "=".
    """
    pairs = []
    for option in options:
        key, equals, value = option.partition("=")
        if not (key and equals and value):
            raise ManifestError(f"--exclude {option!r}: expected FIELD=VALUE, as in speaker=ann")
        pairs.append((key, value))
    return pairs


def select(
    rows: Iterable[Row],
    *,
    splits: Iterable[str] = ("train",),
    exclude: Iterable[tuple[str, str]] = (),
) -> list[Row]:
    """The rows of the named splits (a row without one is "train") that match no exclusion.

    The default leans to safety: held-out voices give nothing unless their split is named.
    """
    wanted, banned = set(splits), list(exclude)
    return [
        row
        for row in rows
        if row.get("split", "train") in wanted
        and not any(str(row.get(key)) == value for key, value in banned)
    ]


def load_audio(path: Path, *, max_seconds: float = MAX_UTTERANCE_S) -> NDArray[np.int16]:
    """A recording as 24 kHz mono int16 [S] (channels averaged, resampled with soxr).

    Raises:
        ManifestError: unreadable, empty, longer than `max_seconds`, or not finite.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
                raise ManifestError(f"{path}: a rate of {file.samplerate} Hz is not supported")
            if file.frames > max_seconds * file.samplerate:
                raise ManifestError(f"{path}: longer than {max_seconds:g} s")
            limit = int(max_seconds * file.samplerate)
            audio = file.read(frames=limit, dtype="float32", always_2d=True)  # [S, C]
            rate_hz = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise ManifestError(f"{path}: cannot be read as audio: {error}") from error
    mono = audio.mean(axis=1)  # [S]
    if mono.size == 0:
        raise ManifestError(f"{path}: holds no audio")
    if not np.isfinite(mono).all():
        raise ManifestError(f"{path}: holds samples that are not finite numbers")
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr

        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    return np.round(np.clip(mono, -1.0, 32767 / 32768) * 32768).astype(np.int16)


def as_float(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 samples as float32 in [-1, 1)."""
    return np.multiply(audio, np.float32(1 / 32768), dtype=np.float32)


def replace_text(file: Path, text: str) -> None:
    """Write a text file so that an interruption leaves the old or the new one, never a part."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)
