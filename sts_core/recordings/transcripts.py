"""Transcripts beside recordings, and whose words they are.

    x.wav (one channel)     x.txt   what is said
                            x.json  {"text": "...", "kind": "fact", "reply": "..."}: see KINDS
    x.wav (two channels)    x.txt   lines "user: ..." and "agent: ..."
                            x.json  {"user": "...", "agent": [{"start_s": 1.2, "text": "..."}, ...]}

A channel's words are shared out over its turns by the recogniser's: both texts are aligned with the
least number of word errors, and each given word goes to the turn of the heard word it stands for;
one that stands for none goes with the word before it. Times in a transcript only give the order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sts_core.reading import read_bounded
from sts_core.recordings.speakers import AGENT, ROLES, USER
from sts_core.skills.answers import heard_words, word_error_rate

MAX_TRANSCRIPT_BYTES = 256 << 10  # an hour of talk has some 60 KB
SUFFIXES = (".txt", ".json")
RECORDED = "recorded"  # the kind of an utterance that nobody labelled; no composed scene draws it
# Kinds that composed conversations draw; to the first of them an agent's utterance is the reply.
ASKING = ("fact", "greeting", "long", "repeat", "unanswerable")
KINDS = (RECORDED, *ASKING, "backchannel", "generic", "interruption")
MAX_DIGITS = 12
_NUMBER = re.compile(
    r"(?<![\w.])(\$\s?)?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(st|nd|rd|th)?(?!\w|\.\d)"
)
_YEAR = re.compile(r"1[1-9]\d\d|20[1-9]\d")
_SIGNS = ((r"\+", "plus"), ("-", "minus"), ("=", "is"), ("[x*×]", "times"))
_LINE = re.compile(r"\s*(user|agent)\s*:\s*(.*)", re.IGNORECASE)


class TranscriptError(ValueError):
    """A transcript cannot be read; the message says why, without the path of its folder."""


@dataclass(frozen=True)
class Transcript:
    """What a file beside a recording says. `labels`: kind and reply of a single utterance."""

    text: dict[str, str] = field(default_factory=dict)  # by role; "" is the only channel
    labels: dict[str, str] = field(default_factory=dict)


def read_transcript(path: Path, channels: int) -> Transcript:
    """Read `x.txt` or `x.json` for a recording of so many channels.

    Raises:
        TranscriptError: unreadable, too large, not UTF-8, empty, or of another form.
    """
    try:
        content = read_bounded(path, MAX_TRANSCRIPT_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TranscriptError(f"{path.name}: {reason}") from error
    try:
        if path.suffix.lower() == ".json":
            return _from_json(content, channels)
        return _from_text(content, channels)
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"{path.name}: {error}") from error


def _from_text(content: str, channels: int) -> Transcript:
    if channels == 1:
        return Transcript({"": _said(content)})
    said: dict[str, list[str]] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: expected 'user: ...' or 'agent: ...'")
        said.setdefault(match[1].lower(), []).append(match[2])
    return _checked({role: " ".join(parts) for role, parts in said.items()})


def _from_json(content: str, channels: int) -> Transcript:
    given: Any = json.loads(content)
    if not isinstance(given, dict):
        raise ValueError("expected an object")
    known = {USER, AGENT} if channels == 2 else {"text", "kind", "reply"}
    if set(given) - known:
        extra = ", ".join(sorted(map(str, set(given) - known)))
        raise ValueError(f"unknown {extra}; known: {', '.join(sorted(known))}")
    if channels == 2:
        return _checked({role: _joined(given[role]) for role in ROLES if role in given})
    labels = {name: _said(given[name]) for name in ("kind", "reply") if name in given}
    kind = labels.get("kind", RECORDED)
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if (kind in ASKING) != ("reply" in labels):
        raise ValueError(f"a reply belongs to {', '.join(ASKING)}, and to these it must be given")
    text = {"": _said(given["text"])} if "text" in given else {}
    return Transcript(text, labels)


def _joined(value: Any) -> str:
    """The text of a channel, from a text or a list of {start_s, text}."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError("a channel is a text, or a list of {start_s, end_s, text}")
    parts: list[tuple[float, str]] = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("text"), str):
            raise ValueError("each part of a channel needs a text")
        start = item.get("start_s")
        if isinstance(start, bool) or not isinstance(start, int | float):
            raise ValueError("each part of a channel needs start_s, in seconds")
        parts.append((float(start), item["text"]))
    return " ".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def _checked(text: dict[str, str]) -> Transcript:
    if not text:
        raise ValueError("no words of the user or the agent in it")
    return Transcript({role: _clean(said) for role, said in text.items()})


def _said(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text must not be empty")
    return _clean(value)


def _clean(text: str) -> str:
    """One line, and no half of a surrogate pair, which JSON can hold and UTF-8 cannot."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def spoken(text: str) -> str:
    """An English text with its numbers in words, as they are most often read.

    "$5 on the 3rd in 1999" -> "five dollars on the third in nineteen ninety-nine"
    """
    from num2words import num2words

    def said(match: re.Match[str]) -> str:
        money, digits, ending = match[1], match[2].replace(",", ""), match[3]
        if len(digits) > MAX_DIGITS or (ending and "." in digits):
            return match[0]
        if ending:
            return str(num2words(int(digits), to="ordinal"))
        if _YEAR.fullmatch(match[2]) and not money:
            return str(num2words(int(digits), to="year"))
        name = str(num2words(float(digits) if "." in digits else int(digits)))
        return f"{name} dollars" if money else name

    for sign, word in _SIGNS:
        text = re.sub(rf"(?<=\d)\s*{sign}\s*(?=\d)", f" {word} ", text)
    return _NUMBER.sub(said, text)


def words_said(text: str) -> list[str]:
    """Words as they are compared: lower case, numbers in words, some spellings made one."""
    return heard_words(spoken(text))


def agreement(given: str, heard: str) -> float | None:
    """max(0, 1 - word errors / given words), compounds written apart or not; None without words."""
    wanted, got = words_said(given), words_said(heard)
    wanted, got = _compounds(wanted, got), _compounds(got, wanted)
    return max(0.0, 1.0 - word_error_rate(wanted, got)) if wanted else None


def _compounds(words: list[str], other: list[str]) -> list[str]:
    """Words with those pairs joined that the other text writes as one ("file name", "filename")."""
    known, joined = set(other), list[str]()
    for word in words:
        if joined and joined[-1] + word in known:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def share_out(text: str, heard: Sequence[str]) -> list[str]:
    """The parts of a channel's text that belong to each of its turns; together they are the text.

    Args:
        heard: what the recogniser made of each turn, in order; not empty.
    """
    from rapidfuzz.distance import Levenshtein

    given = text.split()
    written = [(word, n) for n, token in enumerate(given) for word in words_said(token)]
    found = [(word, turn) for turn, part in enumerate(heard) for word in words_said(part)]
    steps = Levenshtein.opcodes([word for word, _ in written], [word for word, _ in found])
    turns: list[int | None] = [None] * len(given)
    for step in steps:
        if step.tag not in ("equal", "replace"):
            continue
        for i, j in zip(
            range(step.src_start, step.src_end), range(step.dest_start, step.dest_end), strict=True
        ):
            at = written[i][1]
            if turns[at] is None:
                turns[at] = found[j][1]
    placed = [turn for turn in turns if turn is not None]
    now = placed[0] if placed else 0
    parts: list[list[str]] = [[] for _ in heard]
    for token, turn in zip(given, turns, strict=True):
        now = now if turn is None else turn
        parts[now].append(token)
    return [" ".join(part) for part in parts]
