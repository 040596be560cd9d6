"""Composition of conversations: what stands where, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from sts_core.data.align import WordSpan
from sts_core.data.dialogue import FRAME_S, NO_TONE, TEXT_LEAD_FRAMES, Draft, answer_frame
from sts_core.data.library import Utterance
from sts_core.data.prosody import TONES
from sts_core.lm.text import END_OF_PAD, PAD, TextTokenizer, words_of
from sts_core.units import FRAME_SAMPLES

SILENCE = np.arange(8, dtype=np.uint16)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load()


def reply(frames: int, words: tuple[WordSpan, ...]) -> Utterance:
    codes = np.full((frames, 8), 100, np.uint16) + np.arange(frames, dtype=np.uint16)[:, None]
    audio = np.full(frames * FRAME_SAMPLES, 1000, np.int16)
    return Utterance({"text": ""}, audio, words, codes)


def test_the_agent_speaks_in_its_frames_and_is_silent_in_all_others(
    tokenizer: TextTokenizer,
) -> None:
    draft = Draft(SILENCE, tokenizer)
    assert draft.agent_says(reply(3, ()), 2) == 5
    made = draft.finish(7, "test")
    assert made.codes[:, 0].tolist() == [0, 0, 100, 101, 102, 0, 0]
    assert made.codes[0].tolist() == SILENCE.tolist()
    assert made.speaking.tolist() == [False, False, True, True, True, False, False]


def test_a_reply_is_cut_where_the_agent_falls_silent(tokenizer: TextTokenizer) -> None:
    words = (WordSpan("five", 0.03, 0.1), WordSpan("six", 0.6, 0.7))
    draft = Draft(SILENCE, tokenizer)
    assert draft.agent_says(reply(9, words), 1, until=3) == 3
    made = draft.finish(8, "test")
    assert made.speaking.sum() == 2
    assert tokenizer.text(made.text.tolist()) == "five"  # "six" would begin after the cut


def test_after_a_hold_the_agent_goes_on_from_the_word_it_broke_off(
    tokenizer: TextTokenizer,
) -> None:
    # words at 0, 0.37 and 0.77 s of the codes: frames 0, 4 and 9
    words = (WordSpan("five", 0.03, 0.3), WordSpan("six", 0.4, 0.6), WordSpan("seven", 0.8, 1.0))
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(12, words), 1)
    assert draft.agent_holds(silent=7, again=10) == 10 + 8  # six frames were heard, four again
    made = draft.finish(20, "test")
    heard = [0, *range(100, 106), 0, 0, 0, *range(104, 112), 0, 0]
    assert made.codes[:, 0].tolist() == heard
    assert tokenizer.text(made.text.tolist()) == "five six six seven"
    (five,), (six,), (seven,) = (tokenizer.word(w) for w in ("five", "six", "seven"))
    at = [made.text.tolist().index(five), *np.flatnonzero(made.text == six)]
    # the first time six leads its sound; after the hold it begins with it
    assert at == [1, 5 - TEXT_LEAD_FRAMES, 10]
    assert made.text.tolist().index(seven) == 10 + 9 - 4 - TEXT_LEAD_FRAMES
    # what leaks into the room is what is said again, too
    assert np.flatnonzero(made.leak)[-1] < 19 * FRAME_SAMPLES
    assert not made.leak[8 * FRAME_SAMPLES : 11 * FRAME_SAMPLES].any()


def test_a_second_hold_before_the_word_is_over_repeats_it_again(tokenizer: TextTokenizer) -> None:
    words = (WordSpan("five", 0.03, 0.3), WordSpan("six", 0.4, 0.9))
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(12, words), 0)
    assert draft.agent_holds(silent=6, again=8) == 8 + 8
    assert draft.agent_holds(silent=10, again=13) == 13 + 8
    made = draft.finish(22, "test")
    assert made.codes[13:21, 0].tolist() == list(range(104, 112))
    assert tokenizer.text(made.text.tolist()) == "five six six six"


def test_what_begins_after_the_end_is_left_out(tokenizer: TextTokenizer) -> None:
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(4, (WordSpan("five", 0.03, 0.1),)), 9)
    made = draft.finish(7, "test")
    assert len(made.codes) == 7
    assert not made.speaking.any()
    assert (made.text == PAD).all()


def test_own_words_lead_their_sound(tokenizer: TextTokenizer) -> None:
    # the codes start 30 ms into the audio: 0.6 s is 0.57 s of them, which is frame 7
    words = (WordSpan("five", 0.03, 0.2), WordSpan("six", 0.6, 0.7))
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(9, words), 10)
    made = draft.finish(20, "test")
    (five,), (six,) = tokenizer.word("five"), tokenizer.word("six")
    at = 10 + 7 - TEXT_LEAD_FRAMES
    assert made.text[10] == five  # no word before the reply begins
    assert made.text[at] == six
    assert made.text[at - 1] == END_OF_PAD
    assert np.flatnonzero(made.text > PAD).tolist() == [10, at - 1, at]


def test_words_of_several_pieces_take_a_frame_each(tokenizer: TextTokenizer) -> None:
    pieces = tokenizer.word("elephants")
    assert len(pieces) > 1
    words = (WordSpan("elephants", 0.03, 0.1), WordSpan("six", 0.1, 0.2))
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(12, words), 0)
    made = draft.finish(12, "test")
    assert tokenizer.text(made.text.tolist()) == "elephants six"


def test_heard_words_stand_one_frame_after_their_end(tokenizer: TextTokenizer) -> None:
    draft = Draft(SILENCE, tokenizer)
    audio = np.ones(FRAME_SAMPLES, np.float32)
    draft.user_says(audio, (WordSpan("six", 0.0, 0.05),), at_s=2 * FRAME_S)
    draft.user_says(audio, (WordSpan("five", 0.0, 0.05),), at_s=0.0, heard=False)
    made = draft.finish(6, "test")
    assert np.flatnonzero(made.words > PAD).tolist() == [3]
    assert made.user[0] == 1.0
    assert made.user[2 * FRAME_SAMPLES] == 1.0
    assert made.user[FRAME_SAMPLES] == 0.0


def test_a_tone_stands_from_its_time_until_its_frame(tokenizer: TextTokenizer) -> None:
    draft = Draft(SILENCE, tokenizer)
    draft.user_sounds("sad", 0.17, 5)  # 0.17 s lies in frame 2
    tone = draft.finish(7, "tone").tone
    assert tone.tolist() == [NO_TONE, NO_TONE, 2, 2, 2, NO_TONE, NO_TONE]
    assert TONES[2] == "sad"


def test_the_agent_leaks_into_the_room_one_frame_later(tokenizer: TextTokenizer) -> None:
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(2, ()), 1)
    made = draft.finish(6, "test")
    heard = np.flatnonzero(made.leak)
    assert heard[0] == 2 * FRAME_SAMPLES
    assert heard[-1] == 4 * FRAME_SAMPLES - 1


def test_what_lies_beyond_the_end_is_dropped(tokenizer: TextTokenizer) -> None:
    draft = Draft(SILENCE, tokenizer)
    draft.agent_says(reply(5, (WordSpan("six", 0.3, 0.4),)), 2)
    draft.user_says(np.ones(5 * FRAME_SAMPLES, np.float32), (), at_s=0.2)
    made = draft.finish(3, "test")
    assert len(made.codes) == 3
    assert made.user.size == 3 * FRAME_SAMPLES


@pytest.mark.parametrize(("end_s", "frame"), [(0.0801, 2), (0.16, 2), (0.1601, 3)])
def test_the_answer_begins_in_the_frame_after_the_last_sound(end_s: float, frame: int) -> None:
    assert answer_frame(end_s) == frame
    assert answer_frame(end_s, 2) == frame + 2


def test_words_of_a_text() -> None:
    assert words_of("Thirty-one, please: it's \u201cnew\u201d!") == [
        "thirty",
        "one",
        "please",
        "it's",
        "new",
    ]
    assert words_of(" ?! ") == []
