"""The offline responder on what recognisers really write."""

from __future__ import annotations

import pytest

from sts_eval.stimuli import Stimuli
from sts_eval.targets.cascade.skills import UNKNOWN, SkillResponder, respond


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ("What is two times eight?", "Two times eight is sixteen."),
        ("How much is 20 minus 7?", "Twenty minus seven is thirteen."),
        ("What is 20 - 7?", "Twenty minus seven is thirteen."),
        ("5 x 4?", "Five times four is twenty."),
        ("12 + 19", "Twelve plus nineteen is thirty-one."),
        ("Take two away from two.", "Two minus two is zero."),
        ("What do you get if you subtract 4 from 11?", "Eleven minus four is seven."),
        ("Multiply seven by ten, please.", "Seven times ten is seventy."),
        ("Can you add one and tens?", "One plus ten is eleven."),
        ("How much is for plus six?", "Four plus six is ten."),
        ("What is one time's eight?", "One times eight is eight."),
        ("If I have 5 and get 1 more, how many is that?", "Five plus one is six."),
        ("If I have seventeen and lose fourteen, how many are left?",
         "Seventeen minus fourteen is three."),
        ("What is three minus five?", "Three minus five is minus two."),
        ("Which city is the capital of Spain?", "The capital of Spain is Madrid."),
        ("uh what's the capital of france", "The capital of France is Paris."),
        ("Repeat after me, chocolate.", "Chocolate."),
        ("Please say the word river.", "River."),
        ("What is my middle name?", UNKNOWN),
        ("Who won the world cup in 1998?", UNKNOWN),
        ("Good morning.", "Good morning! Did you sleep well?"),
        ("They gave the job to me.", "That is wonderful news!"),
        ("I lost my keys again.", "I am sorry, that sounds hard."),
        ("You came back.", "All right, tell me more."),
        ("Mm-hmm.", ""),
        ("Okay.", ""),
        ("", ""),
        ("...", ""),
    ],
)  # fmt: skip
def test_answers(heard: str, answer: str) -> None:
    assert respond(heard) == answer


def test_every_packaged_question_has_its_answer(stimuli: Stimuli) -> None:
    from sts_eval.judges.numbers import number_to_words

    for item in stimuli.items:
        said = respond(item.text)
        if item.kind == "arithmetic":
            assert said.endswith(f" is {number_to_words(item.fields['answer'])}."), item.text
        elif item.kind == "fact":
            assert item.fields["key"].lower() in said.lower(), item.text
        elif item.kind == "unanswerable":
            assert said == UNKNOWN, item.text
        elif item.kind == "repeat":
            assert said.lower() == item.fields["word"] + ".", item.text


def test_sentences_come_one_by_one() -> None:
    said = list(SkillResponder().reply("Tell me a story about a fox.", []))
    assert len(said) == 2
    assert said[0].startswith("Once there was")
    assert list(SkillResponder().reply("Yeah.", [])) == []
