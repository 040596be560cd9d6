"""The chat endpoint against a real HTTP server on loopback, in its good and its bad moods."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.target import TargetError
from sts_eval.targets.cascade.chat import ChatResponder, ChatSettings, deltas, sentences


def event(text: str) -> str:
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]}) + "\n\n"


class Server:
    """Answers every request with `body` and keeps what it was asked."""

    def __init__(self) -> None:
        self.body, self.status = "", 200
        self.release: threading.Event | None = None
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), asked))
                self.send_response(outer.status)
                self.end_headers()
                first, rest = outer.body[: len(outer.body) // 2], outer.body[len(outer.body) // 2 :]
                self.wfile.write(first.encode())
                self.wfile.flush()
                if outer.release is not None:
                    outer.release.wait(10)
                self.wfile.write(rest.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def ask(server: Server) -> Callable[..., list[str]]:
    def reply(heard: str = "Hi.", *history: tuple[str, str], timeout_s: float = 5.0) -> list[str]:
        settings = ChatSettings(server.url, "tiny", "STS_TEST_KEY", timeout_s, seed=7)
        return list(ChatResponder(settings).reply(heard, list(history)))

    return reply


def test_streamed_answer_becomes_sentences(
    server: Server, ask: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STS_TEST_KEY", "secret")
    pieces = ["Sure", ". It ", "is 3.5 degrees", "! Bye"]
    server.body = ": ping\n\n" + "".join(map(event, pieces)) + "data: [DONE]\n\n"
    assert ask("How cold?", ("Hello.", "Hi there.")) == ["Sure.", "It is 3.5 degrees!", "Bye"]
    ((path, headers, asked),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert (asked["model"], asked["seed"], asked["stream"]) == ("tiny", 7, True)
    said = [(m["role"], m["content"]) for m in asked["messages"][1:]]
    assert said == [("user", "Hello."), ("assistant", "Hi there."), ("user", "How cold?")]


def test_the_first_sentence_does_not_wait_for_the_second(server: Server) -> None:
    first, second = event("One is done. "), event("Two.")
    server.body = first + second.rjust(len(first), "\n")  # halves: the server waits between them
    server.release = threading.Event()
    answer = ChatResponder(ChatSettings(server.url)).reply("Hi.", [])
    assert next(answer) == "One is done."
    assert not server.release.is_set()
    server.release.set()
    assert list(answer) == ["Two."]


def test_an_endpoint_that_does_not_stream_is_fine(
    server: Server, ask: Callable[..., list[str]]
) -> None:
    server.body = json.dumps({"choices": [{"message": {"content": "Plain. Answer."}}]}, indent=1)
    assert ask() == ["Plain.", "Answer."]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, "overloaded", "HTTP 500 overloaded"),
        (401, "no key", "HTTP 401"),
        (200, "data: not json\n\n", "not a chat answer"),
        (200, "<html>hello</html>", "not a chat answer"),
        (200, 'data: {"error": {"message": "quota"}}\n\n', "quota"),
        (200, 'data: {"choices": [{"delta": {"content": 5}}]}\n\n', "wrong type"),
        (200, "data: [1]\n\n", "not a chat answer"),
    ],
)
def test_bad_answers_are_target_errors(
    server: Server, ask: Callable[..., list[str]], status: int, body: str, reason: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(TargetError, match=reason):
        ask()


def test_a_hanging_endpoint_times_out(server: Server, ask: Callable[..., list[str]]) -> None:
    server.body = event("Well") + event("...")
    server.release = threading.Event()
    with pytest.raises(TargetError, match="timed out"):
        ask(timeout_s=0.2)
    server.release.set()


def test_nobody_there_and_wrong_address() -> None:
    with pytest.raises(TargetError, match="chat endpoint"):
        list(ChatResponder(ChatSettings("http://127.0.0.1:9/v1")).reply("Hi.", []))
    with pytest.raises(TargetError, match="not an http"):
        ChatSettings("file:///etc/passwd")


@given(st.lists(st.text(alphabet="ab.!? ", max_size=12), max_size=12))
def test_sentences_lose_no_words(pieces: list[str]) -> None:
    whole = "".join(pieces)
    assert " ".join(sentences(pieces)).split() == whole.split()


def test_an_endless_answer_is_cut() -> None:
    endless = ("word " for _ in iter(int, 1))
    assert sum(map(len, sentences(endless))) <= 4_000
    assert list(deltas([])) == []
