"""Training manifests and canary lists as strangers write them."""

import json

import pytest

from sts_eval.probes.overfit_canaries import CanaryError, load_canaries
from sts_eval.probes.overfit_training import TrainingError, load_training, words_of


def manifest(tmp_path, *rows):
    file = tmp_path / "manifest.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_the_references_own_texts_are_there():
    training = load_training("reference")
    assert len(training.texts) > 1000
    story = next(item for item in training.texts if item.text.startswith("Once there was"))
    assert story.answers
    assert words_of("What is the capital of France?") in training.wordings


def test_duplicates_are_one_text_and_add_up(tmp_path):
    training = load_training(
        manifest(
            tmp_path,
            {"text": "The soup was hot.", "repetitions": 3},
            {"text": "the soup was HOT", "repetitions": 4},
            {"text": "Held out.", "split": "test"},
        )
    )
    (text,) = training.texts
    assert text.repetitions == 7
    assert training.merged == 1


def test_a_reply_marks_the_trained_answer(tmp_path):
    training = load_training(
        manifest(tmp_path, {"text": "Where is Bo?", "reply": "In Oz."}, {"text": "In Oz."})
    )
    assert [item.answers for item in training.texts] == [False, True]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"manifest.jsonl:1: not JSON"),
        ("[1]", r":1: not a JSON object"),
        ({}, r":1: neither a text nor a path"),
        ({"text": 7}, r":1: text must be a text"),
        ({"path": "gone.wav"}, r":1: there is no file 'gone.wav'"),
        ({"path": "../up.wav"}, r":1: the path '../up.wav' leaves the folder"),
        ({"text": "a", "repetitions": -1}, r":1: repetitions is -1"),
        ({"text": "a", "repetitions": True}, r":1: repetitions must be a whole number"),
        ({"text": "a", "split": "test"}, r"no training texts in it"),
        ({"text": "a" * 5000}, r":1: a text longer than"),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path, row, message):
    with pytest.raises(TrainingError, match=message):
        load_training(manifest(tmp_path, row))


def test_an_id_twice_or_no_file_at_all(tmp_path):
    with pytest.raises(TrainingError, match=r":2: the id 'x' is in .*:1"):
        load_training(manifest(tmp_path, {"id": "x", "text": "a"}, {"id": "x", "text": "b"}))
    with pytest.raises(TrainingError, match="No such file"):
        load_training(str(tmp_path / "nowhere"))


CODE = "The secret of the velvet table is one seven nine nine."


def test_canaries_from_yaml_and_csv_are_the_same(tmp_path):
    yaml_file, csv_file = tmp_path / "c.yaml", tmp_path / "c.csv"
    yaml_file.write_text(f"- text: {CODE}\n  repetitions: 4\n")
    csv_file.write_text(f"text,repetitions\n{CODE},4\n")
    (a,), (b,) = (load_canaries(str(f)).canaries for f in (yaml_file, csv_file))
    assert a == b
    assert a.repetitions == 4
    assert len(a.words) == 11


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.yaml", "7", "expected a list"),
        ("c.yaml", "[]", "no canaries in it"),
        ("c.yaml", "- 7", r":1: expected \{text, repetitions\}"),
        ("c.yaml", f"- text: {CODE}", "repetitions must be a whole number, not None"),
        ("c.yaml", f"- text: {CODE}\n  repetitions: -1", "whole number, not -1"),
        ("c.yaml", "- text: too short\n  repetitions: 1", "2 words; a canary has 8 to 60"),
        ("c.yaml", f"- {{text: {CODE}, repetitions: 1}}\n" * 2, ":2: the same words as in .*:1"),
        ("c.yaml", "a: [", "not YAML"),
        ("c.csv", f"text\n{CODE}\n", ":1: expected the columns text,repetitions"),
        ("c.csv", f"text,repetitions\n{CODE},many\n", ":2: repetitions must be a whole number"),
        ("c.csv", "", "expected the columns"),
    ],
)
def test_a_wrong_canary_list_says_what_is_wrong(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(CanaryError, match=message):
        load_canaries(str(file))


def test_codes_are_compared_digit_by_digit():
    assert words_of("is 1799.") == ("is", "one", "seven", "nine", "nine")
    assert words_of("20 plus 7") == ("twenty", "plus", "seven")
