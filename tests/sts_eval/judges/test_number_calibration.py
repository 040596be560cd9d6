"""The judges on spoken numbers: what is shipped is what they hear, and what follows from it."""

import pytest

from sts_eval.judges import load_asr
from sts_eval.judges.number_calibration import (
    SHIPPED_JUDGES,
    NumberHearing,
    likely_wrong,
    number_estimates,
    number_hearing,
)
from sts_eval.stimuli import QUESTIONS, Stimuli


def test_hand_worked_rates():
    rows = (("a", 30, "thirty"), ("b", 30, "thirteen"), ("c", 9, "no"), ("d", -3, "three"))
    hearing = NumberHearing(rows)
    assert hearing.right_kept().tolist() == [1, 0, 0, 0]
    # 13 is one of six likely wrong answers for 30, and 3 is one of five for -3
    assert hearing.wrong_kept() == pytest.approx([1, 1 - 1 / 6, 1, 1 - 1 / 5])
    assert likely_wrong(30) == (-30, 13, 20, 29, 31, 40)
    assert 30 in likely_wrong(13)


@pytest.mark.parametrize("name", SHIPPED_JUDGES)
def test_the_shipped_hearing_is_what_the_judge_hears(name):
    shipped = {clip: text for clip, _, text in number_hearing(name).rows}
    assert len(shipped) == 104
    material, judge = Stimuli.load(QUESTIONS), load_asr(name)
    for clip in list(shipped)[::35]:
        assert judge.transcribe(material.get(clip).audio()).text == shipped[clip]


def test_the_second_judge_is_the_better_one_on_numbers():
    first, second = (number_hearing(name).right_kept().mean() for name in SHIPPED_JUDGES)
    assert first > 0.85
    assert second > 0.92


def test_estimates_for_the_report():
    missed, passed = number_estimates("moonshine")
    assert missed.n == passed.n == 104
    assert 0 < missed.lo < missed.value < missed.hi < 0.2
    assert passed.value < 0.02
