"""What the training corpus says: lines drawn from `texts.yaml`, with the fields of the manifest.

A line is one utterance: a user's question, an agent's reply, a back-channel. Both sides of an
exchange are drawn independently; a user's line names its `reply`, the text that answers it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

TEXTS_FILE = Path(__file__).with_name("texts.yaml")
# Shares of the kinds: arithmetic is the largest closed skill; generic sentences cover the sounds.
USER_SHARES = {
    "arithmetic": 0.28,
    "fact": 0.22,
    "generic": 0.22,
    "emotional": 0.06,
    "unanswerable": 0.05,
    "interruption": 0.05,
    "backchannel": 0.04,
    "repeat": 0.04,
    "greeting": 0.03,
    "long": 0.01,
}
AGENT_SHARES = {
    "arithmetic": 0.4,
    "fact": 0.2,
    "generic": 0.25,
    "repeat": 0.05,
    "emotional": 0.03,
    "long": 0.03,
    "greeting": 0.02,
    "unanswerable": 0.02,
}
_OPERATIONS = {"plus": (0, 20), "minus": (0, 20), "times": (0, 10)}  # smallest, largest operand


@dataclass(frozen=True)
class Line:
    """One utterance to be spoken."""

    text: str
    role: str  # "user" or "agent"
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)  # further manifest fields


@cache
def load_texts() -> dict[str, Any]:
    """The parsed `texts.yaml`."""
    return yaml.safe_load(TEXTS_FILE.read_text(encoding="utf-8"))


def draw_line(role: str, rng: np.random.Generator, kinds: Collection[str] = ()) -> Line:
    """A random line of "user" or "agent"; depends on nothing but `rng`.

    Args:
        kinds: of the role's kinds draw these alone, in proportion to their shares; empty: all.
    """
    shares = USER_SHARES if role == "user" else AGENT_SHARES
    wanted = {kind: share for kind, share in shares.items() if not kinds or kind in kinds}
    weights = np.array(list(wanted.values()))
    kind = list(wanted)[rng.choice(len(wanted), p=weights / weights.sum())]
    return _DRAW[kind](role, rng)


def _pick(items: list[Any], rng: np.random.Generator) -> tuple[int, Any]:
    index = int(rng.integers(len(items)))
    return index, items[index]


def _arithmetic(role: str, rng: np.random.Generator) -> Line:
    texts = load_texts()["arithmetic"]
    words = texts["number_words"]
    _, op = _pick(list(_OPERATIONS), rng)
    low, high = _OPERATIONS[op]
    a, b = (int(x) for x in rng.integers(low, high + 1, size=2))
    if op == "minus":
        a, b = max(a, b), min(a, b)
    answer = {"plus": a + b, "minus": a - b, "times": a * b}[op]
    values = {"a": words[a], "b": words[b], "c": words[answer], "op": op}
    full = _sentence(texts["answers"]["full"].format(**values))
    sums = {"op": op, "a": a, "b": b, "answer": answer}
    if role == "user":
        index, template = _pick(texts["templates"][op], rng)
        fields = sums | {"template": f"{op}{index}", "reply": full}
        return Line(_sentence(template.format(**values)), role, "arithmetic", fields)
    index, form = _pick([texts["answers"]["full"], *texts["answers"]["short"]], rng)
    if index == 0:
        return Line(full, role, "arithmetic", sums | {"form": "full"})
    fields = {"answer": answer, "form": f"short{index - 1}"}
    return Line(_sentence(form.format(**values)), role, "arithmetic", fields)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _fact(role: str, rng: np.random.Generator) -> Line:
    _, fact = _pick(load_texts()["facts"], rng)
    fields = {"fact_id": fact["id"], "key": fact["key"]}
    if role == "agent":
        return Line(fact["answer"], role, "fact", fields)
    index, question = _pick(fact["questions"], rng)
    fields |= {"question_index": index, "reply": fact["answer"]}
    return Line(question, role, "fact", fields)


def _unanswerable(role: str, rng: np.random.Generator) -> Line:
    texts = load_texts()["unanswerable"]
    index, reply = _pick(texts["replies"], rng)
    if role == "agent":
        return Line(reply, role, "unanswerable", {"reply_index": index})
    _, item = _pick(texts["questions"], rng)
    index, question = _pick(item["questions"], rng)
    fields = {"unanswerable_id": item["id"], "question_index": index, "reply": reply}
    return Line(question, role, "unanswerable", fields)


def _emotional(role: str, rng: np.random.Generator) -> Line:
    texts = load_texts()["emotional"]
    if role == "agent":
        _, tone = _pick(sorted(texts["replies"]), rng)
        index, reply = _pick(texts["replies"][tone], rng)
        return Line(reply, role, "emotional", {"tone": tone, "reply_index": index})
    _, item = _pick(texts["sentences"], rng)
    fields = {"tone": "neutral", "sentence_id": item["id"]}
    return Line(item["text"], role, "emotional", fields)


def _greeting(role: str, rng: np.random.Generator) -> Line:
    _, item = _pick(load_texts()["greetings"], rng)
    if role == "agent":
        return Line(item["agent"], role, "greeting", {"greeting_id": item["id"]})
    return Line(item["user"], role, "greeting", {"greeting_id": item["id"], "reply": item["agent"]})


def _repeat(role: str, rng: np.random.Generator) -> Line:
    texts = load_texts()["repeat"]
    _, word = _pick(texts["words"], rng)
    reply = _sentence(texts["reply"].format(w=word))
    if role == "agent":
        return Line(reply, role, "repeat", {"word": word})
    index, template = _pick(texts["templates"], rng)
    fields = {"word": word, "template": index, "reply": reply}
    return Line(template.format(w=word), role, "repeat", fields)


def _long(role: str, rng: np.random.Generator) -> Line:
    _, item = _pick(load_texts()["long"], rng)
    if role == "agent":
        return Line(item["answer"], role, "long", {"long_id": item["id"]})
    return Line(item["prompt"], role, "long", {"long_id": item["id"], "reply": item["answer"]})


def _listed(section: str, kind: str, id_field: str) -> Any:
    """The drawer of a section that is a plain list of sentences."""

    def draw(role: str, rng: np.random.Generator) -> Line:
        index, text = _pick(load_texts()[section], rng)
        return Line(text, role, kind, {id_field: index})

    return draw


_DRAW = {
    "arithmetic": _arithmetic,
    "fact": _fact,
    "unanswerable": _unanswerable,
    "emotional": _emotional,
    "greeting": _greeting,
    "repeat": _repeat,
    "long": _long,
    "generic": _listed("generic", "generic", "generic_id"),
    "backchannel": _listed("backchannels", "backchannel", "phrase_id"),
    "interruption": _listed("interruptions", "interruption", "phrase_id"),
}
