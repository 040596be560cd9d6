"""Recordings of several windows to calibrate on, made of what the training clips are made of.

A training clip is one window; an audit hears a recording, and averages the scores of its windows.
They have voice, attack, room and channel in common, so that their mean errs by more than the error
of one over the root of their number: how much more is measured on recordings, not assumed.

    sources of one voice (`training_set.sources`), up to `PIECES`, a pause between them
    -> one attack for all of it (a copy is made of the joined speech) -> one room -> one channel
    -> windows of `WINDOW_S` every `HOP_S`, as an audit cuts them

Sources end anywhere in a word, so their ends are faded. A voice that has no more sources leaves a
shorter recording. Every family of attacks is in every voice; its program is that of the first
source. The result is a folder of chunks, and survives interruption.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.channel import CODECS, RATE_HZ, draw_channel
from sts_eval.audit.detectors import HOP_S, WINDOW_S, window_starts
from sts_eval.audit.room import draw_room, load_pauses
from sts_eval.audit.training_set import (
    CLIP_S,
    Clip,
    SetOptions,
    as_recorded,
    claim,
    clips,
    statistics,
)
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

PIECES: Final = 4
PAUSE_S: Final = (0.1, 0.5)
FADE_S: Final = 0.01
CHUNK: Final = 32


class Recordings(NamedTuple):
    """clips: what each recording is; windows: the statistics [W, D] of its windows, in order."""

    clips: list[Clip]
    windows: list[NDArray[np.float32]]


class Source(NamedTuple):
    """One to be made. parts: [n] stretches at 24 kHz; copied_by: of their copy, "" for none."""

    clip: Clip
    parts: list[Array]
    copied_by: str


def joined(genuine: list[Path], synthetic: list[Path], options: SetOptions) -> Iterator[Source]:
    """The recordings to make, in a fixed order; the codec of their clips is not drawn yet."""
    waiting: dict[tuple[str, ...], Source] = {}
    group, draw = "", 0
    for clip, audio in clips(genuine, synthetic, options):
        # Each draw of the channel for one genuine source, which follow each other, is a recording.
        draw = draw + 1 if clip.group == group and not clip.attack else 0
        group = clip.group
        key = (clip.folder, clip.speaker, clip.family, str(draw))
        part, copied_by = audio if isinstance(audio, tuple) else (audio, "")
        waiting.setdefault(key, Source(clip, [], copied_by)).parts.append(part)
        if len(waiting[key].parts) == PIECES:
            yield waiting.pop(key)
    yield from waiting.values()


def build(
    genuine: list[Path],
    synthetic: list[Path],
    target: Path,
    options: SetOptions,
    progress: Any,
) -> None:
    """Write recordings to the folder `target`; what is there already is kept.

    progress: has begin(what, total) and step(). Raises AuditError.
    """
    from sts_eval.trace import write_text_atomic

    claim(target, genuine, synthetic, {**asdict(options), "pieces": PIECES})
    pauses, number = load_pauses(genuine), 0
    progress.begin("recordings", 0)
    for number, chunk in enumerate(batched(joined(genuine, synthetic, options), CHUNK)):
        file = target / f"{number:05d}.npz"
        if not file.is_file():
            _write(file, chunk, np.random.default_rng([options.seed, number, CHUNK]), pauses)
        progress.step(file.name)
    write_text_atomic(target / "complete", f"{number + 1}\n")


def batched(sources: Iterator[Source], size: int) -> Iterator[list[Source]]:
    """Lists of `size` each; the last one may be shorter."""
    while chunk := list(itertools.islice(sources, size)):
        yield chunk


def _write(
    file: Path, chunk: list[Source], rng: np.random.Generator, pauses: Sequence[Array]
) -> None:
    rows, heard = [], []
    for source in chunk:
        codec = str(rng.choice(CODECS))
        audio = render(source, codec, pauses, rng)
        heard.append(np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16))
        rows.append({**asdict(source.clip), "codec": codec})
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            audio=np.concatenate(heard),
            lengths=np.array([len(each) for each in heard]),
            clips=np.array(json.dumps(rows)),
        )
    partial.rename(file)


def render(source: Source, codec: str, pauses: Sequence[Array], rng: np.random.Generator) -> Array:
    """The recording at 16 kHz, `CLIP_S` for each part: copy, room and channel of its own draw."""
    fade = np.linspace(0, 1, round(FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)
    pieces: list[Array] = []
    for part in source.parts:
        part = part.copy()
        part[: len(fade)] *= fade
        part[-len(fade) :] *= fade[::-1]
        pieces += [part, np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ), np.float32)]
    speech = np.concatenate(pieces[:-1])
    seconds = CLIP_S * len(source.parts)
    room, channel = draw_room(rng), draw_channel(rng, codec)
    return as_recorded(speech, source.copied_by, room, channel, pauses, seconds)


def load(*folders: Path) -> Recordings:
    """Recordings of complete folders, joined, with the statistics of their windows.

    Raises AuditError.
    """
    for folder in folders:
        if not (folder / "complete").is_file():
            raise AuditError(f"{folder}: no complete recordings; build them first")
    found = Recordings([], [])
    for file in (file for folder in folders for file in sorted(folder.glob("*.npz"))):
        with np.load(file, allow_pickle=False) as content:
            audio, lengths = content["audio"], content["lengths"]
            found.clips.extend(Clip(**row) for row in json.loads(str(content["clips"])))
        cut = [windows_of(each) for each in np.split(audio, np.cumsum(lengths)[:-1])]
        every = statistics(np.concatenate(cut))
        found.windows.extend(np.split(every, np.cumsum([len(each) for each in cut])[:-1]))
    return found


def windows_of(audio: NDArray[Any]) -> NDArray[Any]:
    """[W, WINDOW_S * 16000] windows of audio [S] at 16 kHz, as an audit cuts them."""
    size, hop = round(WINDOW_S * RATE_HZ), round(HOP_S * RATE_HZ)
    return np.stack([audio[at : at + size] for at in window_starts(len(audio), size, hop)])
