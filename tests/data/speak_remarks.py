"""Speaks `sts_eval/stimuli/remarks`: what the emotion suite says in every tone of voice.

    pip install 'sts-eval[synth]' && npm pack kokoro-js && tar xzf kokoro-js-*.tgz
    python tests/data/speak_remarks.py package/voices

Kokoro-82M in the six held-out voices, 24 kHz Ogg/Opus, -23 dBFS, 50 ms of silence at both ends; all
voices say the same sentences, neutrally. A remark's words fit any tone; a loaded remark's are glad
or unhappy. Those with an id are among the reference system's training texts (in other voices).
"""

from __future__ import annotations

import sys
from pathlib import Path

from speak_held_out import speak

from sts_core.data.voices import HELD_OUT_VOICES

FOLDER = Path(__file__).parents[2] / "sts_eval" / "stimuli" / "remarks"
REMARKS = (
    ("E00", "So this is really happening."),
    ("E04", "You came back."),
    ("E05", "I got the letter this morning."),
    ("E07", "It is finally over."),
    ("E09", "I did not expect to see you here."),
    ("E12", "I just heard the news."),
    ("E14", "She is moving back home."),
    ("E20", "My brother is at the door."),
)
LOADED = (
    ("E03", "positive", "Well, that is just great."),
    ("E06", "positive", "They gave the job to me."),
    ("E08", "positive", "You remembered my birthday."),
    ("", "positive", "What a lovely surprise."),
    ("", "positive", "This is the best day of my life."),
    ("E15", "negative", "We are going to be late again."),
    ("E23", "negative", "I have to start all over."),
    ("E24", "negative", "You told them everything."),
    ("", "negative", "My car broke down this morning."),
    ("", "negative", "I lost my keys again."),
)


def lines(_: int) -> list[dict[str, str]]:
    """What each voice says."""
    open_ones = [{"kind": "remark", "sentence_id": key, "text": text} for key, text in REMARKS]
    loaded = [
        {"kind": "loaded_remark", "valence": valence, "sentence_id": key, "text": text}
        for key, valence, text in LOADED
    ]
    return [{k: v for k, v in row.items() if v} for row in (*open_ones, *loaded)]


if __name__ == "__main__":
    speak(FOLDER, Path(sys.argv[1]), sorted(HELD_OUT_VOICES), lines)
