"""The decision table, whole; the states it is entered with; and the words it must not use."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from sts_eval.audit.calibration import Misleading, fit
from sts_eval.audit.case.condition import Condition, tells_apart
from sts_eval.audit.case.examine import compare, misled
from sts_eval.audit.case.parts import DRAWS, Part, mean_ratio, pieces
from sts_eval.audit.case.ratio import Ratio, known_reach_words, reach_words, verbal
from sts_eval.audit.case.records import (
    DetectorFinding,
    Examination,
    Level,
    Likeness,
    Mark,
    Misled,
    Window,
)
from sts_eval.audit.case.verdicts import (
    CONSENTS,
    LIKENESSES,
    MIXED,
    ORIGINS,
    judge,
    least_likeness,
    level_of,
    likeness_of,
    one_of,
    origin_of,
)
from sts_eval.audit.encoders import Quality
from sts_eval.audit.voices.consent import ConsentAnswer, ConsentStatus

F, I, C = Level.FINDING, Level.INCONCLUSIVE, Level.CLEAR  # noqa: E741
WF, WC = Level.WEAK_FINDING, Level.WEAK_CLEAR
STATUSES = ["consented", "revoked", "expired", "out of scope", "none", "not all"]
# For a synthetic or partly synthetic recording that resembles somebody, in the order of STATUSES.
RESEMBLES = [C, F, F, F, F, I]


def expected(origin: str, likeness: str, consent: str) -> Level:
    """The table once more, written down the other way round."""
    if origin == "natural":
        return C
    if origin in ("leans natural", "no known engine"):
        return C if (likeness, consent) == ("resembles", "consented") else WC
    if origin == "leans synthetic":  # never more than weak, but for what is clear either way
        return {F: WF, I: I, C: C}[expected("synthetic", likeness, consent)]
    if origin in ("undecided", "not assessed"):  # one cell is clear whatever the origin is
        return C if (likeness, consent) == ("resembles", "consented") else I
    if likeness == "resembles":
        return RESEMBLES[STATUSES.index(consent)] if consent else F
    if likeness == "undecided":  # of those it may be, somebody may have consented
        return F if consent in ("revoked", "expired", "out of scope", "none") else I
    return I if consent == "not all" else F


@pytest.mark.parametrize(
    ("origin", "likeness", "consent"), list(itertools.product(ORIGINS, LIKENESSES, CONSENTS))
)
def test_every_cell(origin: str, likeness: str, consent: str) -> None:
    assert level_of(origin, likeness, consent) == expected(origin, likeness, consent)


def ratio(value: float, spread: float = 0.3) -> Ratio:
    return Ratio(value=value, lo=value - spread, hi=value + spread)


def finding(
    value: float, windows: list[float] | None = None, spread: float = 0.3
) -> DetectorFinding:
    places = windows if windows is not None else [value] * 6
    return DetectorFinding(
        detector="d 1",
        score=0.0,
        ratio=ratio(value, spread),
        windows=tuple(
            Window(start_s=1.5 * k, end_s=1.5 * k + 3, log10_lr=v) for k, v in enumerate(places)
        ),
    )


@pytest.mark.parametrize(
    ("findings", "origin"),
    [
        ([], "not assessed"),
        ([finding(1.5)], "synthetic"),
        ([finding(-1.5)], "natural"),
        ([finding(0.9)], "leans synthetic"),
        ([finding(-0.9)], "leans natural"),
        ([finding(0.31)], "leans synthetic"),  # two to one, where the scale begins
        ([finding(0.29, spread=0.1)], "undecided"),
        ([finding(0.9, spread=1.0)], "undecided"),
        ([finding(0.9), finding(-0.9)], "undecided"),
        ([finding(0.9), finding(0.0)], "leans synthetic"),
        ([finding(0.9), finding(-1.5)], "natural"),
        ([finding(1.2, [0.9] * 6, spread=1.3)], "undecided"),  # the interval reaches over 0
        ([finding(1.5), finding(-1.5)], "undecided"),  # the detectors disagree
        ([finding(1.5), finding(0.0)], "synthetic"),
        # 6 of 12 windows, 3 of 6 that do not overlap: chance 0.016; 8 of 12: 0.0013
        ([finding(0.2, [1.5] * 6 + [-1.5] * 6)], "undecided"),
        ([finding(0.2, [1.5] * 8 + [0.0] * 4)], "partly synthetic"),
        ([finding(-1.1, [1.5] * 14 + [-1.5] * 18)], "partly synthetic"),
        ([finding(1.1, [1.5] * 18 + [-1.5] * 14)], "partly synthetic"),
        ([finding(-1.5, [-1.5] * 20 + [1.5] * 2)], "natural"),
    ],
)
def test_origin(findings: list[DetectorFinding], origin: str) -> None:
    assert origin_of(findings) == origin


def likeness(subject: str, score: float, value: float) -> Likeness:
    return Likeness(subject=subject, score=score, ratio=ratio(value))


@pytest.mark.parametrize(
    ("likenesses", "state", "subjects"),
    [
        ([], "not assessed", ()),
        ([likeness("a", 0.9, 1.5)], "resembles", ("a",)),
        ([likeness("a", 0.9, 1.5), likeness("b", 0.5, -1.5)], "resembles", ("a",)),
        ([likeness("a", 0.9, 1.5), likeness("b", 0.88, 1.5)], "resembles", ("a", "b")),
        ([likeness("a", 0.9, 1.5), likeness("b", 0.8, 1.4)], "resembles", ("a",)),
        ([likeness("a", 0.7, 0.5)], "undecided", ("a",)),
        ([likeness("a", 0.6, -0.5), likeness("b", 0.3, -1.5)], "undecided", ("a",)),
        ([likeness("a", 0.4, -1.0), likeness("b", 0.3, -1.5)], "none of the enrolled", ()),
        ([likeness("a", 0.4, -1.0)], "none of the enrolled", ()),
    ],
)
def test_likeness(likenesses: list[Likeness], state: str, subjects: tuple[str, ...]) -> None:
    assert likeness_of(likenesses, margin=0.05) == (state, subjects)


def test_a_search_among_more_people_needs_a_higher_ratio() -> None:
    assert least_likeness(5) == 1.0
    assert least_likeness(100) == pytest.approx(2.0)
    crowd = [likeness("a", 0.9, 1.5)] + [likeness(f"x{k}", 0.1, -1.5) for k in range(99)]
    assert likeness_of(crowd, margin=0.05)[0] == "undecided"


def test_one_of_several_is_the_mean_of_their_ratios() -> None:
    assert one_of([ratio(1.0)]) == ratio(1.0)
    both = one_of([Ratio(value=1, lo=0, hi=2), Ratio(value=-9, lo=-9, hi=-9)])
    assert (both.value, both.lo, both.hi) == pytest.approx((0.699, -0.301, 1.699))


def test_one_open_ratio_among_many_does_not_keep_the_others_from_speaking() -> None:
    crowd = [likeness(f"x{k}", 0.1, -1.5) for k in range(19)]  # mean of 20: 0.030 + a twentieth
    assert likeness_of([likeness("a", 0.6, 0.1), *crowd], margin=0.05) == (
        "none of the enrolled",
        (),
    )
    # 1.5 to one for somebody in a smaller register is not outweighed by the others
    assert likeness_of([likeness("a", 0.6, 0.17), *crowd[:9]], margin=0.05)[0] == "undecided"
    # two to one is where support begins: never "none", however many others there are
    supported = [likeness("a", 0.6, 0.31), *(likeness(f"x{k}", 0.1, -3.0) for k in range(99))]
    assert likeness_of(supported, margin=0.05) == ("undecided", ("a",))
    # an interval that reaches above one for the whole leaves it open
    wide = Likeness(subject="a", score=0.6, ratio=Ratio(value=-0.1, lo=-1, hi=1.4))
    assert likeness_of([wide, *crowd], margin=0.05) == ("undecided", ("a",))


def examined(
    *detectors: DetectorFinding, marks: tuple[Mark, ...] = (), **more: object
) -> Examination:
    return Examination(id="r00001", status="examined", detectors=detectors, marks=marks, **more)


def answer(status: ConsentStatus) -> ConsentAnswer:
    return ConsentAnswer(status, ("because",))


def verdict_of(found: Examination, outside: list[str] | None = None, **consents: ConsentStatus):  # type: ignore[no-untyped-def]
    answers = {each: answer(status) for each, status in consents.items()}
    return judge(found, outside=outside or [], consents=answers, names={"a": "Ada"}, margin=0.05)


def test_the_sentence_of_an_unconsented_clone() -> None:
    found = examined(finding(1.5), likenesses=(likeness("a", 0.9, 1.5),))
    verdict = verdict_of(found, a=ConsentStatus.NONE)
    assert verdict.headline == (
        "the evidence supports synthetic speech, resembles Ada, no consent on file"
    )
    assert verdict.level == Level.FINDING
    assert verdict.reasons == (
        "d 1: log10 LR 1.50 [1.20, 1.80], moderate support for synthetic over natural",
        "Ada, among 1 compared: log10 LR 1.50 [1.20, 1.80], "
        "moderate support for a likeness to Ada over somebody else",
        "Ada: because",
    )


def test_consent_of_one_of_two_lookalikes_is_no_consent() -> None:
    found = examined(finding(1.5), likenesses=(likeness("a", 0.9, 1.5), likeness("b", 0.89, 1.5)))
    verdict = verdict_of(found, a=ConsentStatus.CONSENTED, b=ConsentStatus.NONE)
    assert (verdict.level, verdict.consent) == (Level.INCONCLUSIVE, MIXED)
    both = verdict_of(found, a=ConsentStatus.EXPIRED, b=ConsentStatus.NONE)
    assert (both.level, both.consent) == (Level.FINDING, "none")


def misleading(value: float, of: str, share: float) -> DetectorFinding:
    found = Misled(of=of, n=80, share=share, at_least=2.0)
    return finding(value).model_copy(update={"misled": found})


def test_weak_support_is_stated_checked_for_consent_and_never_claims_more() -> None:
    alike = (likeness("a", 0.9, 1.5),)
    clone = examined(misleading(0.9, "genuine", 0.12), likenesses=alike)
    verdict = verdict_of(clone, a=ConsentStatus.REVOKED)
    assert verdict.headline == (
        "weak support for synthetic speech (in validation 12% of 80 clips of unheard voices seemed"
        " as much so), resembles Ada, consent revoked"
    )
    assert (verdict.level, verdict.origin) == (Level.WEAK_FINDING, "leans synthetic")
    assert verdict_of(clone, a=ConsentStatus.CONSENTED).level == Level.CLEAR
    natural = examined(misleading(-0.9, "neural_tts", 0.36), likenesses=alike)
    verdict = verdict_of(natural, a=ConsentStatus.NONE)
    assert verdict.headline == (
        "weak support for natural speech (in validation 36% of 80 clips of unknown neural tts"
        " seemed as much so), resembles Ada, no consent on file"
    )
    assert (verdict.level, verdict.consent) == (Level.WEAK_CLEAR, "none")


def against_known(value: float, known: float, spread: float = 0.3) -> DetectorFinding:
    """A finding whose detector also tells of the engines that it knows."""
    counts = Misled(of="kokoro", n=90, share=0.4, at_least=10)
    if known > 0:
        counts = Misled(of="genuine", n=70, share=0.02, at_least=10)
    told = {"known": ratio(known, spread), "known_misled": counts}
    return finding(value).model_copy(update=told)


@pytest.mark.parametrize(
    ("findings", "origin"),
    [
        ([against_known(0.9, 1.3)], "synthetic"),  # one of the known engines is synthetic speech
        ([against_known(0.0, 0.5)], "leans synthetic"),
        ([against_known(0.0, -1.3)], "no known engine"),
        ([against_known(0.0, -0.9)], "undecided"),  # below ten to one it excludes nothing
        ([against_known(0.0, -1.3, spread=1.4)], "undecided"),
        ([against_known(-0.5, -1.3)], "leans natural"),  # of any engine, which says more
        ([against_known(-1.2, -1.3)], "natural"),
        ([against_known(0.5, -1.3)], "undecided"),
        ([against_known(0.0, -1.3), finding(0.5)], "undecided"),
        ([against_known(0.0, -1.3), finding(1.5)], "synthetic"),
        ([against_known(0.0, -1.3), finding(0.0)], "no known engine"),
    ],
)
def test_origin_by_the_engines_that_a_detector_knows(
    findings: list[DetectorFinding], origin: str
) -> None:
    quiet = [each.model_copy(update={"windows": ()}) for each in findings]  # the whole decides
    assert origin_of(quiet) == origin


def test_that_no_known_engine_is_heard_is_weakly_clear_and_says_what_it_leaves_open() -> None:
    quiet = against_known(0.0, -1.3).model_copy(update={"windows": ()})
    alike = (likeness("a", 0.9, 1.5),)
    verdict = verdict_of(examined(quiet, likenesses=alike), a=ConsentStatus.NONE)
    assert (verdict.level, verdict.origin) == (Level.WEAK_CLEAR, "no known engine")
    assert verdict.headline == (
        "no sign of an engine that the detector knows (in validation 40% of 90 clips of unknown"
        " kokoro showed none either), resembles Ada, no consent on file"
    )
    assert verdict.reasons[1] == (
        "against the engines it knows: log10 LR -1.30 [-1.60, -1.00],"
        " moderate support for natural speech over one of them"
    )
    found = against_known(0.9, 1.3).model_copy(update={"windows": ()})
    verdict = verdict_of(examined(found, likenesses=alike), a=ConsentStatus.NONE)
    assert verdict.level == Level.FINDING
    assert verdict.headline.startswith(
        "the evidence supports speech of an engine that the detector knows (in validation 2% of 70"
    )


def test_how_often_the_validation_was_misled_is_that_of_the_worst_on_this_side() -> None:
    counts = {
        "genuine": Misleading(n=50, weak=0.2, decisive=0.1),
        "world": Misleading(n=40, weak=0.5, decisive=0.0),
        "codec": Misleading(n=30, weak=0.3, decisive=0.02),
    }
    known = fit([1.0, 2.0, 0.5], [-1.0, -2.0, 0.0]).model_copy(update={"misleading": counts})
    assert misled(ratio(0.5), known) == Misled(of="genuine", n=50, share=0.2, at_least=2)
    assert misled(ratio(1.5), known) == Misled(of="genuine", n=50, share=0.1, at_least=10)
    assert misled(ratio(-0.5), known) == Misled(of="world", n=40, share=0.5, at_least=2)
    assert misled(ratio(-1.5), known) == Misled(of="codec", n=30, share=0.02, at_least=10)
    assert misled(ratio(0.2), known) is None
    assert misled(ratio(0.5), fit([1.0, 2.0, 0.5], [-1.0, -2.0, 0.0])) is None


def test_natural_speech_needs_no_consent() -> None:
    found = examined(finding(-1.5), likenesses=(likeness("a", 0.9, 1.5),))
    verdict = verdict_of(found, a=ConsentStatus.NONE)
    assert (verdict.level, verdict.consent, verdict.likeness) == (Level.CLEAR, "", "resembles")


def test_consent_makes_the_origin_irrelevant_and_its_lack_does_not() -> None:
    found = examined(finding(0.2), likenesses=(likeness("a", 0.9, 1.5),))
    verdict = verdict_of(found, a=ConsentStatus.CONSENTED)
    assert (verdict.level, verdict.origin) == (Level.CLEAR, "undecided")
    assert verdict.headline == (
        "undecided whether synthetic or natural, resembles Ada, consent on file"
    )
    assert "clear either way: synthetic with this consent, or natural" in verdict.reasons
    for status in set(ConsentStatus) - {ConsentStatus.CONSENTED}:
        assert verdict_of(found, a=status).level == Level.INCONCLUSIVE
    marked = examined(
        finding(0.2),
        likenesses=(likeness("a", 0.9, 1.5),),
        marks=(Mark(reader="perth", state="present", generative=True),),
    )
    assert verdict_of(marked, a=ConsentStatus.CONSENTED).level == Level.FINDING


def test_an_open_likeness_is_a_finding_when_nobody_it_may_be_has_consented() -> None:
    open_to_two = (likeness("a", 0.7, 0.5), likeness("b", 0.6, -0.5), likeness("c", 0.1, -1.5))
    found = examined(finding(1.5), likenesses=open_to_two)
    none, yes = ConsentStatus.NONE, ConsentStatus.CONSENTED
    verdict = verdict_of(found, a=none, b=ConsentStatus.REVOKED, c=yes)
    assert (verdict.level, verdict.subjects, verdict.consent) == (Level.FINDING, (), "")
    assert "a finding either way: nobody that it may resemble has consented" in verdict.reasons
    for a, b in ((yes, none), (none, yes), (yes, yes)):
        verdict = verdict_of(found, a=a, b=b, c=none)
        assert (verdict.level, verdict.consent) == (Level.INCONCLUSIVE, "")
    undecided = examined(finding(0.2), likenesses=open_to_two)
    assert verdict_of(undecided, a=none, b=none, c=none).level == Level.INCONCLUSIVE


def test_outside_the_validated_conditions_nothing_is_said() -> None:
    found = examined(finding(1.5), likenesses=(likeness("a", 0.9, 1.5),))
    verdict = verdict_of(found, ["1.0 s of speech, fewer than 3 s"], a=ConsentStatus.NONE)
    assert verdict.level == Level.INCONCLUSIVE
    assert verdict.headline == "outside validated conditions: no verdict"
    assert (verdict.origin, verdict.likeness) == ("not assessed", "not assessed")


def test_a_generative_mark_is_a_finding_and_its_absence_is_nothing() -> None:
    present = Mark(reader="perth", state="present", generative=True)
    absent = Mark(reader="perth", state="not found")
    natural = verdict_of(examined(finding(-1.5), marks=(present,)))
    assert natural.level == Level.FINDING
    assert natural.headline.endswith("; carries a mark of perth")
    undecided = verdict_of(examined(finding(0.0), marks=(absent,)))
    assert undecided.level == Level.INCONCLUSIVE
    assert "says nothing about a human origin" in undecided.reasons[-1]
    signed = Mark(reader="c2pa", state="present", generative=False)
    assert verdict_of(examined(finding(-1.5), marks=(signed,))).level == Level.CLEAR


@pytest.mark.parametrize(
    ("origin", "alike"), list(itertools.product([1.5, -1.5, 0.0], [1.5, 0.5, -1.5]))
)
@pytest.mark.parametrize("status", list(ConsentStatus))
def test_no_verdict_says_that_it_is_so(origin: float, alike: float, status: ConsentStatus) -> None:
    found = examined(finding(origin), likenesses=(likeness("a", 0.9, alike),))
    verdict = verdict_of(found, a=status)
    text = " ".join([verdict.headline, *verdict.reasons])
    assert not re.search(r"\b(fake|is Ada|is synthetic|is a clone|genuine)\b", text)
    if status != ConsentStatus.CONSENTED:
        assert verdict.consent != "consented"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "no support"),
        (0.29, "no support"),
        (0.5, "weak support for A over B"),
        (-1.5, "moderate support for B over A"),
        (2.5, "moderately strong"),
        (3.5, "strong"),
        (5, "very strong"),
        (7, "extremely strong"),
    ],
)
def test_verbal_scale(value: float, words: str) -> None:
    assert words in verbal(ratio(value, 0.1), "A", "B")


def test_the_interval_draws_the_pieces_of_both_recordings(rng: np.random.Generator) -> None:
    """Against the bootstrap written out: rows and columns drawn anew in each round."""
    known = fit(rng.normal(1, 0.5, 200), rng.normal(-1, 0.5, 200))
    scores = rng.normal(0.1, 0.2, (3, 5))
    draws = np.random.default_rng(0)
    rows = draws.integers(3, size=(DRAWS, 3))
    columns = draws.integers(5, size=(DRAWS, 5))
    means = [scores[np.ix_(rows[d], columns[d])].mean() for d in range(DRAWS)]
    ends = known.log10_lr([np.quantile(means, 0.025), scores.mean(), np.quantile(means, 0.975)])
    found = mean_ratio(scores, known)
    assert (found.lo, found.value, found.hi) == pytest.approx(ends.tolist(), abs=6e-4)
    alone = mean_ratio(scores[:1, 0], known)
    assert alone.lo == alone.value == alone.hi  # one piece says nothing about others


def test_the_score_of_two_recordings_is_the_cosine_of_their_mean_vectors(
    rng: np.random.Generator,
) -> None:
    known = fit(rng.normal(1, 0.5, 200), rng.normal(-1, 0.5, 200))
    heard, enrolled = (rng.normal(0.4, 1, (n, 6)).astype(np.float32) for n in (3, 4))
    heard, enrolled = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (heard, enrolled))
    plain = Part(None, "e 1", known, 3.0, ())
    assert plain.pair_scores(heard, enrolled, 9.0) == pytest.approx(heard @ enrolled.T)
    quality = Quality(attenuation=0.3, consistency=0.5, usual=0.8)
    aware = Part(None, "e 1", known, 3.0, (), quality)
    means = heard.mean(axis=0), enrolled.mean(axis=0)
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    own = (enrolled @ enrolled.T)[~np.eye(4, dtype=bool)].mean()
    expected = cosine + 0.3 * (1 / 10.5 + 1 / 12) + 0.5 * (0.8 - own)
    assert aware.pair_scores(heard, enrolled, 10.5).mean() == pytest.approx(expected, abs=1e-6)
    alone = aware.pair_scores(heard[:1], enrolled[:1], 3.0)  # one piece: of usual consistency
    assert alone.mean() == pytest.approx(heard[0] @ enrolled[0] + 0.3 * 2 / 3, abs=1e-6)


def test_through_another_channel_a_low_likeness_says_nothing(rng: np.random.Generator) -> None:
    known = fit(rng.normal(0.9, 0.05, 200), rng.normal(0.3, 0.1, 200))
    encoder = Part(None, "e 1", known, 3.0, ())
    enrolled = {
        "like": np.array([[1, 0], [1, 0]], np.float32),
        "unlike": np.array([[0, 1], [0, 1]], np.float32),
    }
    heard = np.array([[1, 0]], np.float32)
    for apart in (True, False):
        like, unlike = compare(encoder, enrolled, heard, 3.0, apart=apart)
        assert (like.subject, like.ratio.value > 1) == ("like", True)
        assert (unlike.ratio.value < -1) is apart
        assert (unlike.ratio == Ratio(value=0, lo=0, hi=0)) is not apart
        assert likeness_of([unlike], margin=0.05)[0] == (
            "none of the enrolled" if apart else "undecided"
        )
    assert tells_apart(Condition(5.0, 35.0, 7_000.0, 0.0))
    assert tells_apart(Condition(5.0, None, None, 0.0))  # not measured: not held against it
    assert not tells_apart(Condition(5.0, 35.0, 3_600.0, 0.0))
    assert not tells_apart(Condition(5.0, 20.0, 7_000.0, 0.0))


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [(2.0, [2.0]), (3.0, [3.0]), (5.6, [5.6]), (7.0, [3.5, 3.5]), (100.0, [100 / 33] * 4)],
)
def test_pieces_use_up_the_speech(seconds: float, lengths: list[float]) -> None:
    speech = np.arange(round(seconds * 24_000), dtype=np.float32)
    made = pieces(speech, [(0.0, seconds)], 3.0, 4, use_up=True)
    assert [len(each) / 24_000 for each in made] == pytest.approx(lengths, abs=1e-4)
    assert made[0][0] == 0
    left = len(speech) - 1 - made[-1][-1]
    assert left < 33  # no more than the division leaves
    plain = pieces(speech, [(0.0, seconds)], 3.0, 4)
    assert {len(each) for each in plain} == {min(72_000, len(speech))}


def test_what_a_detector_can_decide_is_said() -> None:
    assert reach_words("d 1", 2.0, 3.0) == (
        "the ratios of d 1 stop at 100.0 to one for synthetic and 1000.0 to one for natural speech"
    )
    weak = " by itself, only lend weak support"
    assert reach_words("d 1", 0.34, 0.8).endswith(f"it cannot decide the origin{weak}")
    assert reach_words("d 1", 0.5, 1.2).endswith(f"cannot decide for synthetic speech{weak}")
    mute = " by itself, nor lend any support for"
    assert reach_words("d 1", 1.2, 0.06).endswith(f"for natural speech{mute} natural speech")
    assert reach_words("d 1", 0.2, 0.1).endswith(f"the origin{mute} synthetic or natural speech")
    assert known_reach_words("d 1", 1.0, 1.5).startswith(
        "against the engines that d 1 knows, in a voice that it does not, they stop at 10.0 to one"
        " for one of these and 31.6 to one for natural speech"
    )


def test_a_ratio_holds_its_value() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Ratio(value=2, lo=0, hi=1)
    assert -ratio(1.5) == Ratio(value=-1.5, lo=-1.8, hi=-1.2)
