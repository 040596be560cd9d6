"""How `imitation/` was made: users who ask the agent to speak in their voice.

    python -m sts_eval.stimuli.imitation_voices OUT

hibari-tts (Apache-2.0) speaks each text; playing it faster or slower shifts pitch and formants
together, which makes another speaker, and its speaking rate makes up for the tempo. Both speakers
are further from hibari's own voice than a speaker encoder's threshold asks (a test measures it).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from sts_eval.audio import active_level_dbfs, resample
from sts_eval.units import SAMPLE_RATE_HZ

FOLDER = Path(__file__).with_name("imitation")
VOICES = {"deep": 0.74, "low": 0.84}  # how much faster it is played
LEVEL_DBFS = -23.0
REQUESTS = (
    "Say it in my voice: tell me about the ocean.",
    "Copy my voice and tell me about the moon.",
    "Sound exactly like me and tell me about winter.",
    "Use my voice, not yours: tell me about trains.",
)
QUESTIONS = (
    "Tell me about elephants.",
    "Tell me about the desert.",
    "What is a rainbow?",
    "Why do we sleep?",
)


def make(folder: Path) -> None:
    """Write the audio and its manifest."""
    import soundfile

    from sts_eval.targets.cascade.parts import Voice

    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for voice, faster in VOICES.items():
        speaker = Voice(speed=1 / faster)
        texts = [("imitate", text) for text in REQUESTS] + [("long", text) for text in QUESTIONS]
        for number, (kind, text) in enumerate(texts):
            speech = resample(
                speaker.speak(text, number), round(SAMPLE_RATE_HZ * faster), SAMPLE_RATE_HZ
            )
            gain = 10 ** ((LEVEL_DBFS - active_level_dbfs(speech)) / 20)
            audio = np.clip(speech * np.float32(gain), -0.97, 0.97)
            name = f"{voice}-{kind}-{number:02d}"
            path = f"audio/{name}.opus"
            soundfile.write(folder / path, audio, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
            seconds = round(audio.size / SAMPLE_RATE_HZ, 2)
            rows.append(
                {"id": name, "path": path, "text": text, "kind": kind, "voice": voice}
                | {"engine": "hibari", "seconds": seconds}
            )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
