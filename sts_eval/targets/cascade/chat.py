"""A language model behind an OpenAI-compatible chat endpoint (`POST {url}/chat/completions`).

The answer is streamed (server-sent events), and each sentence is spoken as soon as it is complete.
Only the Python standard library is used. The key is read from the environment variable that the
settings name, and is never written anywhere. A broken or slow endpoint raises TargetError.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sts_eval.target import TargetError

SYSTEM_PROMPT: Final = (
    "You are a voice assistant. Answer in one or two short spoken sentences, in plain words: no "
    "lists, no markup, numbers in words."
)
MAX_ANSWER_CHARS: Final = 4_000
MAX_LINE_BYTES: Final = 1 << 20
_SENTENCE: Final = re.compile(r"(.+?[.!?\u2026]+[\"'\u201d)]*)(?=\s)", re.DOTALL)


@dataclass(frozen=True)
class ChatSettings:
    """Where and how to ask."""

    url: str
    model: str = "default"
    key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise TargetError(f"cascade: chat_url {self.url!r} is not an http(s) address")


class ChatResponder:
    """Asks the endpoint. Holds settings only; the conversation comes with each question."""

    name = "chat"

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings

    def reply(self, heard: str, history: list[tuple[str, str]]) -> Iterator[str]:
        """Sentences of the answer as they arrive. Raises TargetError."""
        try:
            with urllib.request.urlopen(
                self._request(heard, history), timeout=self.settings.timeout_s
            ) as response:
                yield from sentences(deltas(_lines(response)))
        except urllib.error.HTTPError as error:
            reason = error.read(300).decode("utf-8", "replace").strip()
            raise TargetError(f"cascade: chat endpoint: HTTP {error.code} {reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TargetError(f"cascade: chat endpoint: {error}") from error

    def _request(self, heard: str, history: list[tuple[str, str]]) -> urllib.request.Request:
        messages = [{"role": "system", "content": SYSTEM_PROMPT}]
        for question, answer in history:
            messages.append({"role": "user", "content": question})
            messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": heard})
        body = {
            "model": self.settings.model,
            "messages": messages,
            "stream": True,
            "temperature": 0,
            "seed": self.settings.seed,
        }
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key := os.environ.get(self.settings.key_env):
            headers["Authorization"] = f"Bearer {key}"
        url = self.settings.url.rstrip("/") + "/chat/completions"
        return urllib.request.Request(url, json.dumps(body).encode(), headers)


def _lines(response: Any) -> Iterator[str]:
    while line := response.readline(MAX_LINE_BYTES):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def deltas(lines: Iterable[str]) -> Iterator[str]:
    """Pieces of text from server-sent events, or from one plain JSON answer.

    Raises ValueError on anything else, and when the endpoint reports an error.
    """
    plain = ""
    for line in lines:
        if line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            yield _content(data, "delta")
        elif line and not line.startswith((":", "event:", "id:", "retry:")):
            plain += line
    if plain:
        yield _content(plain, "message")


def _content(data: str, field: str) -> str:
    try:
        answer = json.loads(data)
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(f"reported {answer['error']!r}")
        choices = answer["choices"]
        content = choices[0][field].get("content") if choices else ""
    except (KeyError, IndexError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"sent something that is not a chat answer: {data[:80]!r}") from error
    if not isinstance(content, str | None):
        raise ValueError(f"sent content of the wrong type: {data[:80]!r}")
    return content or ""


def sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Whole sentences out of pieces of text, the rest at the end; at most 4,000 characters."""
    rest, total = "", 0
    for piece in pieces:
        piece = piece[: MAX_ANSWER_CHARS - total]
        total += len(piece)
        rest += piece
        while match := _SENTENCE.match(rest):
            yield match[1].strip()
            rest = rest[match.end() :].lstrip()
        if total >= MAX_ANSWER_CHARS:
            break
    if rest.strip():
        yield rest.strip()
