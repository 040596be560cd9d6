"""Speaks `sts_eval/stimuli/questions`: what the hallucination suite asks beyond the older stimuli.

    pip install 'sts-eval[synth]' && npm pack kokoro-js && tar xzf kokoro-js-*.tgz
    python tests/data/speak_questions.py package/voices

Kokoro-82M in the four held-out voices, 24 kHz Ogg/Opus, -23 dBFS, 50 ms of silence at both ends.
The texts follow from the tables below and from SEED; the sums' numbers differ from voice to voice.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from num2words import num2words
from speak_held_out import speak

FOLDER = Path(__file__).parents[2] / "sts_eval" / "stimuli" / "questions"
VOICES = ("af_nova", "am_puck", "bf_lily", "bm_george")
SEED = 31
ASK = ("What is {}?", "How much is {}?", "Tell me {}.")
UNIT_SUMS = (
    ("one meter plus fifty centimeters", 150, "centimeter"),
    ("two hours minus thirty minutes", 90, "minute"),
    ("one kilogram plus two hundred grams", 1200, "gram"),
    ("three kilometers minus five hundred meters", 2500, "meter"),
)
FOLLOW_UPS = (
    ("And plus {} more?", "plus", (2, 9)),
    ("And minus {}?", "minus", (1, 9)),
    ("Now add {}.", "plus", (2, 9)),
    ("And take away {}?", "minus", (1, 9)),
    ("And times {}?", "times", (2, 3)),
    ("And if I add {}?", "plus", (10, 20)),
    ("Now subtract {}.", "minus", (1, 9)),
    ("And what is that plus {}?", "plus", (2, 20)),
)
# (question, words of an answer that sets the premise right)
FALSE_PREMISES = (
    ("Why is the moon made of cheese?", ["rock"]),
    ("Who was the first person to walk on the sun?", ["nobody", "no one"]),
    ("When did Paris become the capital of Spain?", ["Madrid"]),
    ("Which ocean lies between France and Germany?", ["no ocean"]),
    ("In which year did Shakespeare buy his first telephone?", ["before"]),
    ("What color is the fur of a goldfish?", ["scales"]),
    ("Why do penguins fly south in winter?", ["cannot fly", "can't fly"]),
    ("Who is the king of the United States?", ["president"]),
    ("How long does the train from London to the moon take?", ["no train"]),
    ("What language do the people on Mars speak?", ["nobody", "no one", "no people"]),
    ("When did the Eiffel Tower fall into the sea?", ["still stands", "is in Paris"]),
    ("Which tooth does a chicken lose first?", ["no teeth"]),
    ("How many eggs does a cow lay in a week?", ["no eggs", "none"]),
    ("What did Napoleon say on television?", ["before"]),
    ("Which desert covers the middle of the Pacific?", ["no desert", "water"]),
    ("Why did the year have fourteen months last time?", ["twelve"]),
)
SENTENCES = (
    "the red boat sails at dawn",
    "seven green bottles stand on the wall",
    "my brother lives near the old bridge",
    "please leave the blue box by the door",
    "every cat in town sleeps at noon",
    "we bought fresh bread and two lemons",
    "the train to the coast leaves at nine",
    "a quiet garden needs very little rain",
    "her sister paints small wooden birds",
    "nobody heard the bell that morning",
    "warm milk and honey help you sleep",
    "the third window on the left is open",
)
SAY = ("That is {}.", "It is {}.", "The answer is {}.", "{} is the answer.", "{}.")


def said(value: float) -> str:
    """A number in words, as an American says it: without "and", without commas."""
    return num2words(value).replace(" and ", " ").replace(",", "")


def sums(rng: np.random.Generator, turn: int) -> list[dict[str, Any]]:
    """Twelve sums beyond those of the older stimuli; `turn` numbers the voice."""

    def pair(low: int, high: int, fits: Any) -> tuple[int, int]:
        while True:
            a, b = (int(x) for x in rng.integers(low, high + 1, size=2))
            if a % 10 and b % 10 and fits(a, b):
                return a, b

    def carries(a: int, b: int) -> bool:
        return a % 10 + b % 10 >= 10

    def borrows(a: int, b: int) -> bool:
        return a % 10 < b % 10

    asked = [
        *(("plus", *pair(21, 49, carries)) for _ in range(2)),
        *(("plus", *pair(21, 49, lambda a, b: not carries(a, b))) for _ in range(2)),
        *(("minus", *pair(21, 99, lambda a, b: a > b + 10 and borrows(a, b))) for _ in range(2)),
        ("minus", *pair(21, 99, lambda a, b: a > b + 10 and not borrows(a, b))),
        ("minus", *pair(2, 19, lambda a, b: a < b)),
        ("times", int(rng.integers(11, 20)), int(rng.integers(3, 8))),
        ("plus", *pair(101, 499, lambda a, b: True)),
        ("plus", *(float(x) / 10 for x in pair(11, 59, lambda a, b: True))),
    ]
    apply = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}
    rows = []
    for number, (op, a, b) in enumerate(asked):
        text = ASK[(number + turn) % len(ASK)].format(f"{said(a)} {op} {said(b)}")
        answer = round(apply[op](a, b), 6)
        rows.append({"text": text, "kind": "sum", "op": op, "a": a, "b": b, "answer": answer})
    words, answer, unit = UNIT_SUMS[turn]
    op = "minus" if " minus " in words else "plus"
    asking = ASK[turn % 2].format(words)
    rows.append({"text": asking, "kind": "sum", "op": op, "answer": answer, "unit": unit})
    return rows


def follow_ups(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Second turns of a sum; the first operand is the agent's answer to the first turn."""
    rows = []
    for template, op, (low, high) in FOLLOW_UPS:
        b = int(rng.integers(low, high + 1))
        rows.append({"text": template.format(said(b)), "kind": "follow_up", "op": op, "b": b})
    return rows


def spoken_numbers(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Answers as an agent says them, to measure the judges: the number in them is known."""
    tens = [int(x) for x in rng.choice(np.arange(30, 100, 10), 4, replace=False)]
    teens = [int(x) for x in rng.choice(np.arange(13, 20), 4, replace=False)]
    values: list[float] = [*tens, *teens]
    values += [int(x) for x in rng.choice(10, 4, replace=False)]
    values += [int(x) for x in rng.integers(20, 100, size=8)]
    values += [int(x) for x in rng.integers(101, 1000, size=2)]
    values += [-int(x) for x in rng.integers(1, 20, size=2)]
    values += [float(x) / 10 for x in rng.integers(11, 99, size=2)]
    rows = []
    for number, value in enumerate(values):
        text = SAY[number % len(SAY)].format(said(value))
        text = text[0].upper() + text[1:]
        rows.append({"text": text, "kind": "spoken_number", "answer": value})
    return rows


def lines(turn: int) -> list[dict[str, Any]]:
    """Everything that the `turn`-th voice says."""
    rng = np.random.default_rng([SEED, turn])
    rows = [*sums(rng, turn), *follow_ups(rng)]
    for text, truth in FALSE_PREMISES[turn % 2 :: 2]:
        rows.append({"text": text, "kind": "false_premise", "truth": truth})
    for sentence in SENTENCES[turn % 2 :: 2]:
        rows.append(
            {"text": f"Repeat after me: {sentence}.", "kind": "dictation", "word": sentence}
        )
    return rows + spoken_numbers(rng)


if __name__ == "__main__":
    speak(FOLDER, Path(sys.argv[1]), VOICES, lines)
