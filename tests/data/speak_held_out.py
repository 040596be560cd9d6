"""Speaks lines in Kokoro's held-out voices: what `speak_questions` and `speak_remarks` share.

24 kHz Ogg/Opus, -23 dBFS, 50 ms of silence at both ends, and a manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sts_core.data.synth import level, trim
from sts_core.data.voices import Hibari, Kokoro

SPEEDS = (0.9, 1.0, 1.1)


class HeldOut(Kokoro):
    """Kokoro with the voices that its own class refuses: these clips are for evaluation."""

    def __init__(self, folder: Path, hibari: Hibari, voices: Sequence[str]) -> None:
        super().__init__(folder, hibari)
        self._files = {name: folder / f"{name}.bin" for name in voices}


def speak(
    folder: Path,
    vectors: Path,
    voices: Sequence[str],
    lines: Callable[[int], list[dict[str, Any]]],
) -> None:
    """Write the folder anew: what `lines` gives the n-th voice to say, `text` and other fields."""
    hibari = Hibari()
    kokoro = HeldOut(vectors, hibari, voices)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    manifest = []
    for turn, voice in enumerate(voices):
        for number, fields in enumerate(lines(turn)):
            name = f"{voice}-{fields['kind']}-{number:03d}"
            speed = SPEEDS[(number + turn) % len(SPEEDS)]
            phonemes = hibari.phonemize(fields["text"], british=kokoro.is_british(voice))
            audio = level(trim(kokoro.speak(phonemes, voice, speed, np.random.default_rng(0))))
            path = f"audio/{name}.opus"
            soundfile.write(folder / path, audio, 24_000, format="OGG", subtype="OPUS")
            row = {"id": name, "path": path, "text": fields.pop("text"), "phonemes": phonemes}
            row |= {"lang": "en", "role": "user", **fields, "voice": voice, "speed": speed}
            row |= {"engine": "kokoro", "seconds": round(audio.size / 24_000, 3)}
            manifest.append(json.dumps({**row, "split": "heldout"}))
            print(name, row["text"], flush=True)
    (folder / "manifest.jsonl").write_text("\n".join(manifest) + "\n", encoding="utf-8")
