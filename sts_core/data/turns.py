"""What conversations need beside single questions: follow-ups, corrections, a second agent voice.

    follow-up     "And plus two more?"     continues the sum that was just answered
    correction    "No, I meant nine."      replaces the second operand of the last sum
    agent         every reply of the texts, in the second agent voice

`sts-core synth --conversation` speaks them all once, in hibari's voice and shifts of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sts_core.data.texts import Line, load_texts
from sts_core.data.voices import AGENT_VOICE

SECOND_AGENT_VOICE = f"{AGENT_VOICE}:f0x0.58:fmt0.90"
AGENT_VOICES = (AGENT_VOICE, SECOND_AGENT_VOICE)

FOLLOW_UPS = {
    "plus": ("And plus {b}?", "And {b} more?", "And plus {b} more?", "Now add {b}."),
    "minus": ("And minus {b}?", "Now take {b} away.", "And if I subtract {b}?"),
    "times": ("And times {b}?", "Now multiply that by {b}."),
}
CORRECTIONS = ("No, I meant {b}.", "Sorry, I meant {b}.", "No, not that, {b}.", "I mean {b}.")
_LARGEST = {"plus": 12, "minus": 12, "times": 5}
_LARGEST_CORRECTION = 20
VOICES_EACH = 3  # pseudo-speakers a user's line is spoken by


def user_lines() -> Iterator[Line]:
    """Every follow-up and correction once."""
    words = load_texts()["arithmetic"]["number_words"]
    for op, templates in FOLLOW_UPS.items():
        for b in range(_LARGEST[op] + 1):
            for template in templates:
                text = template.format(b=words[b])
                yield Line(text, "user", "follow_up", {"op": op, "b": b})
    for b in range(_LARGEST_CORRECTION + 1):
        for template in CORRECTIONS:
            yield Line(template.format(b=words[b]), "user", "correction", {"b": b})


def agent_lines() -> Iterator[Line]:
    """Every reply that the agent can give, once (generic sentences are no replies)."""
    texts = load_texts()
    words, answers = texts["arithmetic"]["number_words"], texts["arithmetic"]["answers"]
    for op, a, b, answer in sums():
        values = {"a": words[a], "b": words[b], "c": words[answer], "op": op}
        text = answers["full"].format(**values)
        fields = {"op": op, "a": a, "b": b, "answer": answer, "form": "full"}
        yield Line(text[0].upper() + text[1:], "agent", "arithmetic", fields)
    for fact in texts["facts"]:
        yield Line(fact["answer"], "agent", "fact", {"fact_id": fact["id"], "key": fact["key"]})
    for reply in texts["unanswerable"]["replies"]:
        yield Line(reply, "agent", "unanswerable")
    for tone, replies in texts["emotional"]["replies"].items():
        for reply in replies:
            yield Line(reply, "agent", "emotional", {"tone": tone})
    for greeting in texts["greetings"]:
        yield Line(greeting["agent"], "agent", "greeting", {"greeting_id": greeting["id"]})
    for word in texts["repeat"]["words"]:
        text = texts["repeat"]["reply"].format(w=word)
        yield Line(text[0].upper() + text[1:], "agent", "repeat", {"word": word})
    for item in texts["long"]:
        yield Line(item["answer"], "agent", "long", {"long_id": item["id"]})


def sums() -> Iterator[tuple[str, int, int, int]]:
    """(op, a, b, answer) of every sum in the trained range."""
    for op, largest in (("plus", 20), ("minus", 20), ("times", 10)):
        for a, b in np.ndindex(largest + 1, largest + 1):
            if op != "minus" or a >= b:
                yield op, a, b, {"plus": a + b, "minus": a - b, "times": a * b}[op]


def conversation_lines() -> list[tuple[Line, int]]:
    """All lines in the order in which they are spoken, each with the number of its speaker."""
    spoken = [(line, copy) for copy in range(VOICES_EACH) for line in user_lines()]
    return [(line, -1) for line in agent_lines()] + spoken
