"""Clips to train and test the countermeasure on: sources, copies, one channel for all, features.

A *source* is `SOURCE_S` of speech of one voice, of utterances joined at 80 ms gaps. Genuine speech
may come as sentences or as single words, so for half of the sources utterances are cut to words
first: joints and silences are the same for people and machines. Folders hold a `manifest.jsonl`
with `path` and `speaker` or `voice`, and for synthetic speech `engine`:

    genuine folder     -> bona fide, and of each source one copy per family of `attacks.FAMILIES`
                          and of each of the `vocoders`, by one of the programs of the family
    synthetic folder   -> attacks named after `engine`, which is a family, or one of `ENGINE_FAMILY`

Every clip goes through a room and a channel of its own draw. The result is a folder with the
clips, 16 bit at 16 kHz, and what each is; made in chunks, so that it survives interruption.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import load_audio, resample
from sts_eval.audit import AuditError
from sts_eval.audit.attacks import FAMILIES, FAMILY_OF, copy_synthesis, programs_of
from sts_eval.audit.channel import CODECS, RATE_HZ, Channel, apply_channel, draw_channel
from sts_eval.audit.items import Item
from sts_eval.audit.room import Room, apply_room, draw_room, gaps_of, load_pauses
from sts_eval.audit.vocoders import check_vocoders
from sts_eval.stimuli.conditions import trim
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

CLIP_S: Final = 3.0
SOURCE_S: Final = 3.3
GAP_S: Final = 0.08
LEAST_S: Final = 0.25
WORD_S: Final = (0.4, 1.1)
CHUNK: Final = 64
ENGINE_FAMILY: Final = {
    "kokoro": "kokoro",  # StyleTTS 2 and iSTFTNet
    "hibari": "kokoro",  # distilled from it
    "piper": "hifigan",  # VITS: its decoder is the generator of HiFi-GAN
    "fastspeech2": "melgan",  # both speak through Multi-band MelGAN
    "tacotron2": "melgan",
}


@dataclass(frozen=True)
class Clip:
    """One clip of the set. attack "" and family "": bona fide. folder: its source, if named."""

    speaker: str
    group: str
    attack: str
    family: str
    codec: str
    folder: str

    def item(self, index: int) -> Item:
        """The same as an item of the folds; its path is its number."""
        return Item(
            path=Path(f"clip{index}"),
            label="spoof" if self.attack else "bonafide",
            speaker=self.speaker,
            attack=self.attack,
            family=self.family,
            codec=self.codec,
            group=self.group,
            corpus="set",
            subset=self.folder,
        )


@dataclass(frozen=True)
class SetOptions:
    """How many: sources per genuine voice, draws of the channel per genuine source, sources per
    synthetic engine, how many copies of each source the reference codec makes, and by which neural
    vocoders (`vocoders.VOCODERS`) there are copies."""

    per_voice: int = 80
    variants: int = 2
    per_engine: int = 100
    codec_copies: int = 1
    vocoders: tuple[str, ...] = ()
    seed: int = 0


def sources(folder: Path, key: str, limit: int, seed: int) -> Iterator[tuple[str, str, Any, Array]]:
    """(voice, name, row of its first utterance, audio [SOURCE_S * 24000]) by turns of the voices.

    limit: of sources per value of `key` (a field of the manifest: voice, speaker or engine).
    """
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise AuditError(f"{folder}: no manifest.jsonl here")
    by_voice = defaultdict(list)
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        voice = str(row.get("speaker") or row.get("voice"))
        # A blend is of voices that may stand on the other side of a fold.
        if row.get("seconds", 9.0) >= LEAST_S and not voice.startswith("blend:"):
            by_voice[voice].append(row)
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.permutation(sorted(by_voice))]
    queues = {
        name: [by_voice[name][i] for i in rng.permutation(len(by_voice[name]))] for name in names
    }
    made: dict[str, int] = defaultdict(int)
    while queues:
        for name in list(queues):
            first = queues[name][0] if queues[name] else None
            if first is None or made[str(first.get(key))] >= limit:
                del queues[name]
                continue
            longest = float(rng.uniform(*WORD_S)) if rng.random() < 0.5 else None
            audio = _join(folder, queues[name], longest)
            if audio is None:
                del queues[name]
                continue
            made[str(first.get(key))] += 1
            yield name, f"{folder.name} {first['path']}", first, audio


def _join(folder: Path, queue: list[Any], longest: float | None) -> Array | None:
    """The next source of a voice; None when its utterances are used up.

    longest: seconds, of a word: what is longer is cut; None: utterances stay as they are.
    """
    size, gap = (
        round(SOURCE_S * SAMPLE_RATE_HZ),
        np.zeros(round(GAP_S * SAMPLE_RATE_HZ), np.float32),
    )
    parts: list[Array] = []
    while queue and sum(map(len, parts)) < size:
        path = folder / str(queue.pop(0)["path"])
        audio = load_audio(path, max_seconds=600)
        if float(np.abs(audio).max()) > 1e-3:
            for word in words(trim(audio), longest):
                parts += [word, gap]
    joined = np.concatenate(parts) if parts else gap
    return joined[:size] if len(joined) >= size else None


def words(speech: Array, longest: float | None) -> list[Array]:
    """Speech [S] at 24 kHz cut at its quietest points to `longest` seconds or less; none: as is."""
    found = []
    while longest is not None and len(speech) > longest * SAMPLE_RATE_HZ:
        most, width = round(longest * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ // 100
        start = most // 2
        blocks = speech[start : start + (most - start) // width * width].reshape(-1, width)
        cut = start + int(np.argmin(np.square(blocks).sum(axis=1))) * width + width // 2
        found.append(speech[:cut])
        speech = speech[cut:]
    return [*found, speech] if len(speech) else found


def clips(genuine: list[Path], synthetic: list[Path], options: SetOptions) -> Iterator[Any]:
    """(Clip without its codec, audio at 24 kHz) in a fixed order, cheap until it is asked for."""
    rng = np.random.default_rng(options.seed)
    for folder in genuine:
        for voice, name, row, audio in sources(folder, "speaker", options.per_voice, options.seed):
            recorded = str(row.get("source") or folder.name)
            for _ in range(options.variants):
                yield Clip(voice, name, "", "", "", recorded), audio
            books = rng.choice(np.arange(1, 9), options.codec_copies, replace=False)
            others = [str(rng.choice(programs_of(f))) for f in FAMILIES if f != "codec"]
            neural = [str(rng.choice(programs_of(name))) for name in options.vocoders]
            for attack in (*others, *(f"codec{k}" for k in books), *neural):
                made = Clip(voice, name, attack, FAMILY_OF[attack], "", recorded)
                yield made, (audio, attack)
    for folder in synthetic:
        for voice, name, row, audio in sources(folder, "engine", options.per_engine, options.seed):
            engine = str(row.get("engine") or folder.name)
            family = ENGINE_FAMILY.get(engine, engine)
            yield Clip(voice, name, engine, family, "", folder.name), audio


def build(
    genuine: list[Path],
    synthetic: list[Path],
    target: Path,
    options: SetOptions,
    progress: Any,
    share: tuple[int, int] = (0, 1),
) -> None:
    """Write the set to the folder `target`, in chunks; what is there already is kept.

    progress: has begin(what, total) and step(). share: (i, n) makes every n-th chunk from i, so
    that n processes can build one set. Raises AuditError.
    """
    from sts_eval.trace import write_text_atomic

    check_vocoders(options.vocoders)
    claim(target, genuine, synthetic, asdict(options))
    chunk: list[tuple[Clip, Any]] = []
    number, pauses = 0, load_pauses(genuine)
    progress.begin("clips", 0)
    for made in itertools.chain(clips(genuine, synthetic, options), [None]):
        if made is not None:
            chunk.append(made)
        if len(chunk) == CHUNK or (made is None and chunk):
            file = target / f"{number:05d}.npz"
            if number % share[1] == share[0] and not file.is_file():
                _write_chunk(file, chunk, number, options, pauses)
            progress.step(file.name)
            chunk, number = [], number + 1
    if len(list(target.glob("*.npz"))) == number:
        write_text_atomic(target / "complete", f"{number}\n")


def claim(
    target: Path, genuine: list[Path], synthetic: list[Path], options: dict[str, Any]
) -> None:
    """Make the folder `target` for what is made with these settings, or go on with it.

    Raises AuditError: it was made with others.
    """
    from sts_eval.trace import write_text_atomic

    target.mkdir(parents=True, exist_ok=True)
    settings = {"genuine": [f.name for f in genuine], "synthetic": [f.name for f in synthetic]}
    text = json.dumps({**settings, **options}, sort_keys=True)
    about = target / "settings.json"
    if about.is_file() and about.read_text() != text:
        raise AuditError(f"{target} was made with other settings: delete it or name another folder")
    write_text_atomic(about, text)


def as_recorded(
    speech: Array,
    attack: str,
    room: Room,
    channel: Channel,
    pauses: Sequence[Array],
    seconds: float,
) -> Array:
    """Speech [S] at 24 kHz, or its copy by an attack ("": none), heard in a room, at 16 kHz."""
    made = copy_synthesis(speech, attack) if attack else speech
    narrow = resample(made, SAMPLE_RATE_HZ, RATE_HZ)
    gaps = np.resize(gaps_of(speech)[::3].repeat(2), len(narrow))
    return apply_channel(apply_room(narrow, room, pauses, gaps), channel, seconds)


def _write_chunk(
    file: Path,
    chunk: list[tuple[Clip, Any]],
    number: int,
    options: SetOptions,
    pauses: list[Array],
) -> None:
    rows, done = [], []
    for at, (clip, audio) in enumerate(chunk):
        source, attack = audio if isinstance(audio, tuple) else (audio, "")
        rng = np.random.default_rng([options.seed, number, at])
        codec = CODECS[zlib.crc32(f"{clip.group} {clip.attack} {at}".encode()) % len(CODECS)]
        channel = draw_channel(rng, codec)
        heard = as_recorded(source, attack, draw_room(rng), channel, pauses, CLIP_S)
        rows.append(np.round(np.clip(heard, -1, 1) * 32767).astype(np.int16))
        done.append({**asdict(clip), "codec": codec})
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, audio=np.stack(rows), clips=np.array(json.dumps(done)))
    partial.rename(file)


def statistics(audio: NDArray[Any]) -> NDArray[np.float32]:
    """Statistics [N, 1304] of clips [N, S] at 16 kHz, int16 or float in [-1, 1]."""
    import torch

    from sts_eval.audit.clip_statistics import Statistics

    extract, found = Statistics(), []
    scale = 1 / 32767 if audio.dtype == np.int16 else 1.0
    with torch.inference_mode():
        for start in range(0, len(audio), 16):
            block = audio[start : start + 16].astype(np.float32) * np.float32(scale)
            found.append(extract(torch.from_numpy(block)).numpy())
    return np.concatenate(found)


def load_set(*folders: Path) -> tuple[list[Clip], NDArray[np.float32]]:
    """(clips, statistics [N, 1304]) of complete sets, joined. Raises AuditError.

    A voice must have one name in all of them: it must not stand on both sides of a fold.
    """
    for folder in folders:
        if not (folder / "complete").is_file():
            raise AuditError(f"{folder}: no complete training set; build it first")
    clips_found: list[Clip] = []
    parts = []
    for file in (file for folder in folders for file in sorted(folder.glob("*.npz"))):
        with np.load(file, allow_pickle=False) as content:
            parts.append(statistics(content["audio"]))
            clips_found += [Clip(**row) for row in json.loads(str(content["clips"]))]
    return clips_found, np.concatenate(parts)
