"""Transcripts: their forms, their mistakes, and whose words they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_core.recordings.transcripts import (
    MAX_TRANSCRIPT_BYTES,
    TranscriptError,
    agreement,
    read_transcript,
    share_out,
    spoken,
    words_said,
)


def read(tmp_path: Path, name: str, content: str, channels: int) -> dict[str, str]:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return read_transcript(tmp_path / name, channels).text


def test_forms(tmp_path: Path) -> None:
    assert read(tmp_path, "x.txt", "\ufeffHello  there,\n Bob.\n", 1) == {"": "Hello there, Bob."}
    lines = "user: Hello.\n\nAGENT:Hi there.\nuser: How are you?\n"
    both = {"user": "Hello. How are you?", "agent": "Hi there."}
    assert read(tmp_path, "x.txt", lines, 2) == both
    parts = [{"start_s": 3, "text": "How are you?"}, {"start_s": 0.5, "end_s": 1, "text": "Hello."}]
    given = json.dumps({"user": parts, "agent": "Hi there."})
    assert read(tmp_path, "x.json", given, 2) == both
    assert read(tmp_path, "x.json", '{"text": "Hi."}', 1) == {"": "Hi."}
    assert read(tmp_path, "x.json", '{"text": "half \\ud800 a pair"}', 1) == {"": "half ? a pair"}


def test_labels(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"kind": "fact", "reply": "It is green."}')
    told = read_transcript(tmp_path / "x.json", 1)
    assert told.text == {}
    assert told.labels == {"kind": "fact", "reply": "It is green."}


@pytest.mark.parametrize(
    ("name", "content", "channels", "message"),
    [
        ("x.txt", " \n", 1, "must not be empty"),
        ("x.txt", "", 2, "no words"),
        ("x.txt", "user: hi\nwho?", 2, "line 2: expected 'user: ...'"),
        ("x.json", "{", 1, "x.json: "),
        ("x.json", "[" * 100_000, 1, "x.json: "),
        ("x.json", "[]", 1, "expected an object"),
        ("x.json", '{"txt": "hi"}', 1, "unknown txt; known: kind, reply, text"),
        ("x.json", '{"text": 3}', 1, "must not be empty"),
        ("x.json", '{"text": "hi"}', 2, "unknown text; known: agent, user"),
        ("x.json", '{"user": 3}', 2, "a channel is a text, or a list"),
        ("x.json", '{"user": [{"text": "hi"}]}', 2, "needs start_s"),
        ("x.json", '{"user": [{"start_s": true, "text": "hi"}]}', 2, "needs start_s"),
        ("x.json", '{"user": [{"start_s": 1}]}', 2, "needs a text"),
        ("x.json", '{"kind": "song"}', 1, "'song' is none of"),
        ("x.json", '{"kind": "fact"}', 1, "a reply belongs to"),
        ("x.json", '{"kind": "generic", "reply": "hi"}', 1, "a reply belongs to"),
        ("x.txt", "x" * (MAX_TRANSCRIPT_BYTES + 1), 1, "larger than 262144 bytes"),
    ],
)
def test_mistakes(tmp_path: Path, name: str, content: str, channels: int, message: str) -> None:
    with pytest.raises(TranscriptError) as error:
        read(tmp_path, name, content, channels)
    assert message in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    with pytest.raises(TranscriptError, match=r"x\.txt: 'utf-8' codec"):
        read_transcript(tmp_path / "x.txt", 1)
    with pytest.raises(TranscriptError, match=r"y\.txt: No such file"):
        read_transcript(tmp_path / "y.txt", 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("In 1999, on the 3rd.", "In nineteen ninety-nine, on the third."),
        ("5 x 8 is 40", "five times eight is forty"),
        ("$5 and $1,200", "five dollars and one thousand, two hundred dollars"),
        ("12.5 of 100", "twelve point five of one hundred"),
        ("version 1.2.3, room B12, 7up", "version 1.2.3, room B12, 7up"),  # no numbers to be said
        ("9" * 13, "9" * 13),
        ("No numbers: well-known.", "No numbers: well-known."),
    ],
)
def test_numbers_as_they_are_read(text: str, said: str) -> None:
    assert spoken(text) == said


def test_words_that_sound_the_same_are_the_same() -> None:
    assert words_said("It's 20 + 7.") == words_said("it is twenty plus seven")


@pytest.mark.parametrize(
    ("given", "heard", "expected"),
    [
        ("Press 3 to rerecord it", "press three to re-record it", 1.0),
        ("the file name", "The filename.", 1.0),
        ("one two three four", "one two tree four", 0.75),
        ("one two", "one two three four five", 0.0),
        ("hello", "", 0.0),
        ("...", "hello", None),
    ],
)
def test_agreement(given: str, heard: str, expected: float | None) -> None:
    assert agreement(given, heard) == expected


@pytest.mark.parametrize(
    ("heard", "parts"),
    [
        (["hello there", "how are you"], ["Well, hello there.", "How are 20 cats?"]),
        (["well hello bear", "who are twenty cats"], ["Well, hello there.", "How are 20 cats?"]),
        (["well hello there how are", "twenty cats"], ["Well, hello there. How are", "20 cats?"]),
        (["hello", "are 20"], ["Well, hello there. How", "are 20 cats?"]),
        (["", "well hello"], ["", "Well, hello there. How are 20 cats?"]),
        (["", ""], ["Well, hello there. How are 20 cats?", ""]),
    ],
)  # fmt: skip
def test_a_word_that_was_not_heard_goes_with_its_neighbour(
    heard: list[str], parts: list[str]
) -> None:
    assert share_out("Well, hello there. How are 20 cats?", heard) == parts


WORDS = st.lists(st.sampled_from(["a", "be", "12", "see", "--", "it's"]), max_size=12).map(" ".join)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=4))
def test_no_word_is_lost_or_moved(text: str, heard: list[str]) -> None:
    parts = share_out(text, heard)
    assert len(parts) == len(heard)
    assert " ".join(" ".join(parts).split()) == text
