"""Recordings of people from folders of short files: checked, trimmed, and no voice under two names.

A root holds one folder for each voice (games and language courses lay out their sounds so: one
volunteer for each language), or its files' names tell the voice (`named`). What is left of them is
a folder as `training_set` reads it: `manifest.jsonl` (`path`, `speaker`, `voice`, `source`,
`seconds`), trimmed FLAC files at 24 kHz, `pauses/`: what each recording room sounds like when
nobody speaks (the channel of training adds it to clips of every class), and `voices.json`: every
voice with what was left out, and why.

A file is left out when it cannot be read, its samples were there before, it is silent, clipped
(`Limits.max_clipped_share`), narrow-band (below `LEAST_BAND_HZ`: the channel of training reaches
7 kHz, and a band that only one class has would be learnt), or shorter than `LEAST_S` of speech.
Single syllables are welcome: sources of training are joined from them.

A voice is left out with less than `LEAST_VOICE_S`, or when its pitch does not move (a tone, a hum,
a robot): median over its files of the spread of the pitch below `LEAST_PITCH_SPREAD` semitones.

Two folders may be one person: where the encoder's cosines between stretches of 3 s of two voices
(their `QUANTILE`) reach the encoder's threshold, they become one speaker, named after both, and so
do chains of such pairs. A wrong match costs a voice; a missed one would let a voice stand on both
sides of a fold.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import active_level_dbfs, rms_dbfs, write_flac
from sts_eval.audit import AuditError
from sts_eval.audit.attacks import load_pyworld
from sts_eval.audit.case.condition import Limits, band_hz, speech_spans
from sts_eval.audit.case.sound import UnusableFile, read_sound
from sts_eval.audit.encoders import SpeakerEncoder
from sts_eval.runner import Progress
from sts_eval.stimuli.conditions import trim
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

SUFFIXES: Final = (".wav", ".ogg", ".oga", ".opus", ".flac", ".mp3", ".aiff")
LEAST_S: Final = 0.25
LEAST_VOICE_S: Final = 7.0
LEAST_BAND_HZ: Final = 5_500.0
LEAST_PITCH_SPREAD: Final = 0.5
QUIETEST_DBFS: Final = -60.0
QUANTILE: Final = 0.75
PIECE_S: Final = 3.0
MOST_PIECES: Final = 8
MOST_PITCHED: Final = 20
_MOST_FILE_S: Final = 60.0
_PEAK: Final = 0.9
_PAD_S: Final = 0.3
_GUARD_S: Final = 0.1
PAUSES: Final = "pauses"
LEAST_PAUSE_S: Final = 1.0
MOST_PAUSE_S: Final = 8.0
QUIETEST_PAUSE_DBFS: Final = -80.0

Vectors = NDArray[np.float32]


@dataclass
class Voice:
    """One folder. files, seconds: kept; left_out: reason -> files; why: it was left out, if it was.

    pitch_spread: semitones; alike: other voices of the same speaker with their cosine.
    """

    name: str
    source: str
    files: int = 0
    seconds: float = 0.0
    left_out: dict[str, int] = field(default_factory=dict)
    pitch_spread: float | None = None
    why: str = ""
    speaker: str = ""
    alike: dict[str, float] = field(default_factory=dict)


def gather(
    roots: Mapping[str, Path],
    target: Path,
    encoder: SpeakerEncoder,
    threshold: float,
    progress: Progress,
    leave_out: Mapping[str, str] | None = None,
    named: Mapping[str, str] | None = None,
) -> list[Voice]:
    """Write `target` (see the module); returns what became of every voice.

    roots: folders by the name of their source. leave_out: reasons by the name of a voice
    ("source-folder"). threshold: cosine from which two voices count as one. named: a regular
    expression for a source: its first group in a file's path is the voice. Raises AuditError.
    """
    named = dict(named or {})
    if strange := set(named) - set(roots):
        raise AuditError(f"no source {min(strange)!r} whose names could tell the voice")
    found = [
        (f"{source}-{voice}", source, root, files)
        for source, root in roots.items()
        for voice, files in sorted(_voices_in(root, named.get(source)).items())
    ]
    unknown = set(leave_out or ()) - {name for name, *_ in found}
    if unknown:
        raise AuditError(f"no voice {min(unknown)!r} to leave out")
    if (target / "manifest.jsonl").exists():
        raise AuditError(f"{target} holds a manifest already: name another folder")
    heard: set[str] = set()
    kept: dict[str, list[Usable]] = {}
    voices: list[Voice] = []
    progress.begin("voices", len(found))
    for name, source, root, files in found:
        voice = Voice(name, source, why=(leave_out or {}).get(name, ""))
        if not voice.why:
            kept[name] = _keep(files, root, voice, heard)
        voices.append(voice)
        progress.step(name)
    used = [voice for voice in voices if not voice.why]
    link(used, {v.name: embed([u.speech for u in kept[v.name]], encoder) for v in used}, threshold)
    rows = [row for voice in used for row in _write(voice, kept[voice.name], target)]
    if not rows:
        raise AuditError("nothing usable in these folders")
    manifest = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (target / "voices.json").write_text(json.dumps([asdict(v) for v in voices], indent=1) + "\n")
    (target / "manifest.jsonl").write_text(manifest, encoding="utf-8")
    return voices


def _voices_in(root: Path, pattern: str | None) -> dict[str, list[Path]]:
    """Files by voice: by folder, or by the first group of the pattern in the path of a file."""
    if not root.is_dir():
        raise AuditError(f"{root}: no such folder")
    if pattern is None:
        folders = [each for each in sorted(root.iterdir()) if each.is_dir()]
        found = {each.name: files for each in folders if (files := list(_sounds(each)))}
        if not found:
            raise AuditError(f"{root}: no folders with recordings in it")
        return found
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise AuditError(f"{pattern!r} is not a regular expression: {error}") from error
    if expression.groups < 1:
        raise AuditError(f"{pattern!r} has no group (...) around the voice")
    by_voice: dict[str, list[Path]] = defaultdict(list)
    for path in _sounds(root):
        if (match := expression.search(path.relative_to(root).as_posix())) and match[1]:
            by_voice[match[1]].append(path)
    if not by_voice:
        raise AuditError(f"{root}: no recording whose name has {pattern!r}")
    return dict(by_voice)


def _sounds(folder: Path) -> Iterator[Path]:
    yield from (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES)


@dataclass(frozen=True)
class Usable:
    """A file that can be used: its speech, trimmed, and what is around it; float32 at 24 kHz."""

    name: str
    speech: Samples
    pause: Samples


def _keep(files: Sequence[Path], root: Path, voice: Voice, heard: set[str]) -> list[Usable]:
    """The usable files; fills in the voice."""
    kept: list[Usable] = []
    reasons: Counter[str] = Counter()
    for path in files:
        name = path.relative_to(root).with_suffix("").as_posix()
        found = usable(path, name, heard)
        if isinstance(found, Usable):
            kept.append(found)
        else:
            reasons[found] += 1
    voice.left_out = dict(sorted(reasons.items()))
    voice.files = len(kept)
    voice.seconds = round(sum(len(each.speech) for each in kept) / SAMPLE_RATE_HZ, 2)
    if voice.seconds < LEAST_VOICE_S:
        voice.why = f"{voice.seconds:.1f} s of usable speech, fewer than {LEAST_VOICE_S:g} s"
        return []
    voice.pitch_spread = pitch_spread([each.speech for each in kept])
    if voice.pitch_spread is None or voice.pitch_spread < LEAST_PITCH_SPREAD:
        voice.why = "its pitch does not move"
    return kept


def usable(path: Path, name: str, heard: set[str]) -> Usable | str:
    """A file, or the reason why it is left out.

    heard: digests of the samples so far; that of this file is added.
    """
    try:
        sound = read_sound(path, _MOST_FILE_S)
    except UnusableFile as error:
        return str(error)
    if sound.sha256_pcm in heard:
        return "a copy of another file"
    heard.add(sound.sha256_pcm)
    if active_level_dbfs(sound.samples) < QUIETEST_DBFS:
        return "silent"
    if sound.clipped_share > Limits().max_clipped_share:
        return "clipped"
    speech, pause = _parted(sound.samples)
    if len(speech) < LEAST_S * SAMPLE_RATE_HZ:
        return f"fewer than {LEAST_S:g} s of speech"
    band = band_hz(speech, [(0.0, len(speech) / SAMPLE_RATE_HZ)])
    if band is None or band < LEAST_BAND_HZ:
        return f"band below {LEAST_BAND_HZ / 1000:g} kHz"
    scale = np.float32(min(1.0, _PEAK / float(np.abs(speech).max())))
    return Usable(name, speech * scale, pause * scale)


def _parted(samples: Samples) -> tuple[Samples, Samples]:
    """From the first to the last sound of speech, and what is well outside of it.

    By Silero: in a noisy room a level finds noise as well.
    """
    pad = round(_PAD_S * SAMPLE_RATE_HZ)
    spans = speech_spans(np.pad(samples, pad))  # a syllable cut closely is not found without
    if not spans:
        return samples[:0], samples[:0]
    first, last = (round(at * SAMPLE_RATE_HZ) - pad for at in (spans[0][0], spans[-1][1]))
    guard = round(_GUARD_S * SAMPLE_RATE_HZ)
    pause = np.concatenate([samples[: max(0, first - guard)], samples[last + guard :]])
    return trim(samples[max(0, first) : max(0, last)]), pause


def pitch_spread(utterances: Sequence[Samples]) -> float | None:
    """Median over utterances of the standard deviation of the pitch, semitones."""
    pyworld = load_pyworld()
    chosen = np.unique(np.linspace(0, len(utterances) - 1, MOST_PITCHED).round().astype(int))
    spreads = []
    for number in chosen.tolist():
        wave = utterances[number].astype(np.float64)
        pitch, _ = pyworld.dio(wave, SAMPLE_RATE_HZ, frame_period=10.0)
        voiced = pitch[pitch > 0]
        if len(voiced) >= 5:
            spreads.append(float(np.std(12 * np.log2(voiced))))
    return round(float(np.median(spreads)), 2) if spreads else None


def embed(utterances: Sequence[Samples], encoder: SpeakerEncoder) -> Vectors:
    """Embeddings [P, D] of stretches of `PIECE_S`, spread over the voice."""
    speech = np.concatenate(utterances)
    size = round(PIECE_S * SAMPLE_RATE_HZ)
    count = len(speech) // size
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_PIECES)).round().astype(int))
    vectors = []
    for k in chosen.tolist():
        try:
            vectors.append(encoder.embed(speech[k * size : (k + 1) * size]))
        except AuditError:  # too little of a stretch is loud enough: the others count
            continue
    if not vectors:
        raise AuditError("no voice can be read from these recordings")
    return np.stack(vectors)


def link(voices: Sequence[Voice], vectors: Mapping[str, Vectors], threshold: float) -> None:
    """Name the speakers of the voices: voices that are alike, directly or by others, are one."""
    parent = {voice.name: voice.name for voice in voices}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for at, one in enumerate(voices):
        for other in voices[at + 1 :]:
            cosine = likeness(vectors[one.name], vectors[other.name])
            if cosine >= threshold:
                one.alike[other.name] = other.alike[one.name] = cosine
                parent[root(one.name)] = root(other.name)
    members: dict[str, list[str]] = defaultdict(list)
    for voice in voices:
        members[root(voice.name)].append(voice.name)
    for voice in voices:
        voice.speaker = "+".join(members[root(voice.name)])


def likeness(one: Vectors, other: Vectors) -> float:
    """Cosine that `1 - QUANTILE` of the pairs of stretches of two voices [P, D], [N, D] reach."""
    return round(float(np.quantile(one.astype(np.float64) @ other.T, QUANTILE)), 3)


def _write(voice: Voice, kept: Sequence[Usable], target: Path) -> Iterator[dict[str, Any]]:
    pause = np.concatenate([each.pause for each in kept])[: round(MOST_PAUSE_S * SAMPLE_RATE_HZ)]
    if len(pause) >= LEAST_PAUSE_S * SAMPLE_RATE_HZ and rms_dbfs(pause) > QUIETEST_PAUSE_DBFS:
        write_flac(target / PAUSES / f"{voice.name}.flac", pause)
    for number, each in enumerate(kept):
        path = f"audio/{voice.name}/{number:04d}.flac"
        write_flac(target / path, each.speech)
        yield {
            "path": path,
            "speaker": voice.speaker,
            "voice": voice.name,
            "source": voice.source,
            "name": each.name,
            "seconds": round(len(each.speech) / SAMPLE_RATE_HZ, 3),
        }


Say = Callable[[str], None]


def tell(voices: Sequence[Voice], say: Say) -> None:
    """One line for each voice, then the sums."""
    for voice in voices:
        out = ", ".join(f"{count} {reason}" for reason, count in voice.left_out.items())
        state = voice.why or f"{voice.files} files, {voice.seconds:.0f} s"
        alike = f"; one speaker: {voice.speaker}" if "+" in voice.speaker else ""
        say(f"{voice.name}: {state}{alike}" + (f" (left out: {out})" if out else ""))
    used = [voice for voice in voices if not voice.why]
    people, minutes = len({v.speaker for v in used}), sum(v.seconds for v in used) / 60
    say(f"{people} speakers in {len(used)} voices, {minutes:.1f} minutes")
