"""From findings to a verdict: three questions kept apart, then one table. Pure.

Origin (synthetic or natural), by each detector's ratio:
    synthetic          decisively so (see `ratio`), and no detector decisively the other way
    partly synthetic   windows decisively on that side, more than chance explains (`_windows_say`),
                       while the rest is not
    natural
    leans synthetic, leans natural   weakly so, and no detector weakly the other way
    no known engine    none of these, but decisively natural against the engines that a detector
                       knows, and no detector weakly the other way
    undecided, not assessed (outside the validated conditions, no detector)

Two ratios bear on it. One is for synthetic speech of any engine, calibrated on engines that the
detector had not met; where it has one, the other is for speech of an engine that it has met. Either
may find speech synthetic. That it is natural takes the first one: the second leaves engines open
that it has not met.

Likeness, among everybody enrolled (an open set):
    resembles            log10 LR of the best one at least `least_likeness`, its interval above 0
    none of the enrolled the ratio of "one of them" to "none of them" is decisively small, and
                         nobody has even weak support
    undecided, not assessed
With everybody enrolled equally likely, the ratio of "one of them" is the mean of their ratios
(`one_of`), because the likelihood of a composite proposition is the mean of those of its parts. So
one among twenty whose ratio is 1 : 3 does not keep the others' 1 : 30 from speaking.
A search among N people finds N times as many coincidences as one comparison, so `least_likeness` is
10 or N to one, whichever is more. Others whose score is within a factor of ten of the best one's
ratio are named along with it, and must have consented as well.

What is not known matters only where it makes a difference: the table is asked for each answer that
is open, and what all give is the verdict. So speech that resembles somebody who has consented is
clear whatever its origin, and synthetic speech is a finding when nobody that it may resemble (who
is not decisively somebody else) has consented.

Weak support claims no more than it holds. Where it leans, the table is asked what that origin would
give, consent and all, and the row is a *weak* finding, or weakly clear, which never makes an audit
clean or a failure: detectors are bounded by the size of their validation, and one that stops below
ten to one can still say which recordings to look at first. Where known engines alone are excluded
the row is no more than weakly clear, either. How often the validation was misled to as much support
stands in the headline.

Marks stand beside the table: a generative watermark or manifest makes a finding of a recording that
was not called synthetic. That none was found is never evidence of a human.

No verdict says that a recording *is* somebody or *is* fake; it says what the evidence supports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sts_eval.audit.calibration import GENUINE
from sts_eval.audit.case.ratio import DECISIVE_LOG10, WEAK_LOG10, Ratio, verbal
from sts_eval.audit.case.records import (
    DetectorFinding,
    Examination,
    Level,
    Likeness,
    Misled,
    Verdict,
)
from sts_eval.audit.voices.consent import ConsentAnswer, ConsentStatus

SYNTHETIC, PARTLY, NATURAL = "synthetic", "partly synthetic", "natural"
RESEMBLES, NOBODY = "resembles", "none of the enrolled"
LEANS_SYNTHETIC, LEANS_NATURAL = "leans synthetic", "leans natural"
NO_KNOWN = "no known engine"
UNDECIDED, NOT_ASSESSED = "undecided", "not assessed"
LEANING = {LEANS_SYNTHETIC: SYNTHETIC, LEANS_NATURAL: NATURAL, NO_KNOWN: NATURAL}
ORIGINS = (SYNTHETIC, PARTLY, NATURAL, *LEANING, UNDECIDED, NOT_ASSESSED)
WEAKLY = {Level.FINDING: Level.WEAK_FINDING, Level.CLEAR: Level.WEAK_CLEAR}
LIKENESSES = (RESEMBLES, NOBODY, UNDECIDED, NOT_ASSESSED)
MIXED = "not all"  # several people may be meant, and some have consented
CONSENTS = (*(str(status) for status in ConsentStatus), MIXED, "")
CHANCE = 0.01


def level_of(origin: str, likeness: str, consent: str) -> Level:
    """The decision table.

    consent: of those it resembles, or may resemble where that is undecided; "" for nobody.
    """
    if origin in LEANING:
        whatever = level_of(UNDECIDED, likeness, consent)
        leant = level_of(LEANING[origin], likeness, consent)
        return whatever if whatever != Level.INCONCLUSIVE else WEAKLY.get(leant, leant)
    if origin in (UNDECIDED, NOT_ASSESSED):
        either = {level_of(each, likeness, consent) for each in (SYNTHETIC, NATURAL)}
        return either.pop() if len(either) == 1 else Level.INCONCLUSIVE
    if origin == NATURAL:
        return Level.CLEAR
    if likeness == RESEMBLES and consent == ConsentStatus.CONSENTED:
        return Level.CLEAR
    if likeness == UNDECIDED and consent in (ConsentStatus.CONSENTED, ""):
        return Level.INCONCLUSIVE
    return Level.INCONCLUSIVE if consent == MIXED else Level.FINDING


def origin_of(detectors: Sequence[DetectorFinding]) -> str:
    """Origin by all detectors."""
    if not detectors:
        return NOT_ASSESSED
    synthetic = any(each.decisive() for each in _for_synthetic(detectors))
    natural = any((-each.ratio).decisive() for each in detectors)
    if synthetic and natural:
        return UNDECIDED
    here = any(_windows_say(each, synthetic=True) for each in detectors)
    there = any(_windows_say(each, synthetic=False) for each in detectors)
    if (synthetic and there) or (here and not synthetic):
        return PARTLY
    return SYNTHETIC if synthetic else NATURAL if natural else _leaning(detectors)


def _for_synthetic(detectors: Sequence[DetectorFinding]) -> list[Ratio]:
    """Both ratios of all detectors."""
    return [ratio for each in detectors for ratio in (each.ratio, each.known) if ratio]


def _leaning(detectors: Sequence[DetectorFinding]) -> str:
    synthetic = any(each.decisive(WEAK_LOG10) for each in _for_synthetic(detectors))
    natural = any((-each.ratio).decisive(WEAK_LOG10) for each in detectors)
    no_known = any(each.known and (-each.known).decisive() for each in detectors)
    if synthetic:
        return UNDECIDED if natural or no_known else LEANS_SYNTHETIC
    return LEANS_NATURAL if natural else NO_KNOWN if no_known else UNDECIDED


def _windows_say(finding: DetectorFinding, *, synthetic: bool) -> bool:
    """Whether so many windows are decisively on one side that chance (1 %) does not explain it.

    A ratio of ten or more for the wrong side has at most one chance in ten. Neighbouring windows
    overlap by half, so they count half.
    """
    ratios = [each.log10_lr if synthetic else -each.log10_lr for each in finding.windows]
    n = math.ceil(len(ratios) / 2)
    k = sum(ratio >= DECISIVE_LOG10 for ratio in ratios) // 2
    if k == 0:
        return False
    chance = 10**-DECISIVE_LOG10
    tail = sum(math.comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(k, n + 1))
    return tail < CHANCE


def least_likeness(people: int) -> float:
    """log10 LR that a likeness needs among so many people."""
    return max(DECISIVE_LOG10, math.log10(max(1, people)))


def one_of(ratios: Sequence[Ratio]) -> Ratio:
    """The ratio of "one of these" against "none of these", each equally likely beforehand.

    The ends of its interval are those of all of them at once, which is wider than 95 %.
    """
    ends = [[getattr(each, end) for each in ratios] for end in ("lo", "value", "hi")]
    lo, value, hi = (round(math.log10(sum(10.0**x for x in side) / len(side)), 3) for side in ends)
    return Ratio(value=value, lo=lo, hi=hi)


def likeness_of(likenesses: Sequence[Likeness], margin: float) -> tuple[str, tuple[str, ...]]:
    """(state, subjects it resembles, or may resemble where that is undecided).

    margin: difference of scores that is worth a ratio of ten.
    """
    if not likenesses:
        return NOT_ASSESSED, ()
    best = max(likenesses, key=lambda each: each.score)
    least = least_likeness(len(likenesses))
    if best.ratio.decisive(least):
        named = [
            each
            for each in likenesses
            if each.ratio.decisive(least) and each.score >= best.score - margin
        ]
        named.sort(key=lambda each: -each.score)
        return RESEMBLES, tuple(each.subject for each in named)
    supported = any(each.ratio.value >= WEAK_LOG10 for each in likenesses)
    if (-one_of([each.ratio for each in likenesses])).decisive() and not supported:
        return NOBODY, ()
    return UNDECIDED, tuple(each.subject for each in likenesses if not (-each.ratio).decisive())


def judge(
    found: Examination,
    *,
    outside: Sequence[str],
    consents: Mapping[str, ConsentAnswer],
    names: Mapping[str, str],
    margin: float,
) -> Verdict:
    """The verdict on an examined recording.

    outside: why it lies outside the validated conditions. consents: the answer for each subject
    that may be named; names: their names.
    """
    origin = NOT_ASSESSED if outside else origin_of(found.detectors)
    likeness, subjects = (NOT_ASSESSED, ()) if outside else likeness_of(found.likenesses, margin)
    asked = bool(subjects) and origin != NATURAL
    statuses = {str(consents[each].status) for each in subjects} if asked else set()
    consent = statuses.pop() if len(statuses) == 1 else _worst(statuses)
    level = level_of(origin, likeness, consent)
    marks = [mark for mark in found.marks if mark.state == "present"]
    generative = [mark for mark in marks if mark.generative]
    if generative and origin not in (SYNTHETIC, PARTLY):
        level = Level.FINDING
    either_way = _either_way(level, origin, likeness) if not generative else []
    if likeness == UNDECIDED:  # who it only may be is not named, nor is told of a consent
        subjects, consent, asked = (), "", False
    people = " and ".join(names.get(each, each) for each in subjects)
    misled = _misled(found.detectors, origin)
    said = _ORIGIN_WORDS[origin]
    if origin == SYNTHETIC and not any(each.ratio.decisive() for each in found.detectors):
        said = "the evidence supports speech of an engine that the detector knows"
    headline = _headline(said, misled, likeness, consent, people)
    if outside:
        headline = "outside validated conditions: no verdict"
    if marks:
        headline += "; carries a mark of " + ", ".join(mark.reader for mark in marks)
    reasons = [f"outside validated conditions: {each}" for each in outside]
    if not outside:
        reasons += _evidence(found, subjects, names)
    reasons += either_way
    if asked:
        for each in subjects:
            reasons += [f"{names.get(each, each)}: {line}" for line in consents[each].reasons]
    reasons += [_mark_words(mark.reader, mark.state, mark.detail) for mark in found.marks]
    return Verdict(
        level=level,
        headline=headline,
        reasons=tuple(reasons),
        origin=origin,
        likeness=likeness,
        subjects=subjects,
        consent=consent,
    )


def _either_way(level: Level, origin: str, likeness: str) -> list[str]:
    """Why a question that is open made no difference, if one is and did not."""
    if level == Level.CLEAR and origin in (UNDECIDED, NOT_ASSESSED, *LEANING):
        return ["clear either way: synthetic with this consent, or natural"]
    if level in (Level.FINDING, Level.WEAK_FINDING) and likeness == UNDECIDED:
        return ["a finding either way: nobody that it may resemble has consented"]
    return []


def _worst(statuses: set[str]) -> str:
    if not statuses:
        return ""
    if ConsentStatus.CONSENTED in statuses:
        return MIXED
    return next(str(each) for each in reversed(ConsentStatus) if each in statuses)


_ORIGIN_WORDS = {
    SYNTHETIC: "the evidence supports synthetic speech",
    PARTLY: "the evidence supports partly synthetic speech",
    NATURAL: "the evidence supports natural speech",
    LEANS_SYNTHETIC: "weak support for synthetic speech",
    LEANS_NATURAL: "weak support for natural speech",
    NO_KNOWN: "no sign of an engine that the detector knows",
    UNDECIDED: "undecided whether synthetic or natural",
    NOT_ASSESSED: "not assessed whether synthetic or natural",
}
_CONSENT_WORDS = {
    ConsentStatus.CONSENTED: "consent on file",
    ConsentStatus.EXPIRED: "consent not valid on that day",
    ConsentStatus.REVOKED: "consent revoked",
    ConsentStatus.OUT_OF_SCOPE: "out of the scope of the consent on file",
    ConsentStatus.NONE: "no consent on file",
    MIXED: "consent of some of them only",
}


def _headline(said: str, misled: str, likeness: str, consent: str, people: str) -> str:
    parts = [said + (f" ({misled})" if misled else "")]
    if likeness == RESEMBLES:
        parts.append(f"resembles {people}")
    elif likeness == NOBODY:
        parts.append("resembles none of the enrolled")
    elif likeness == UNDECIDED:
        parts.append("undecided whether it resembles anybody enrolled")
    if consent:
        parts.append(_CONSENT_WORDS[consent])
    return ", ".join(parts)


def _misled(detectors: Sequence[DetectorFinding], origin: str) -> str:
    """How often what a verdict on the origin rests on was there and wrong, in the worst case."""
    side = LEANING.get(origin, origin)
    if side not in (SYNTHETIC, NATURAL):
        return ""
    least = WEAK_LOG10 if origin in (LEANS_SYNTHETIC, LEANS_NATURAL) else DECISIVE_LOG10
    counts = [
        count
        for each in detectors
        for ratio, count in _rests_on(each, origin)
        if ratio and count and (ratio if side == SYNTHETIC else -ratio).decisive(least)
    ]
    if not counts:
        return ""
    worst = max(counts, key=lambda each: each.share)
    what = "unheard voices" if worst.of == GENUINE else f"unknown {worst.of.replace('_', ' ')}"
    seemed = "showed none either" if origin == NO_KNOWN else "seemed as much so"
    return f"in validation {worst.share:.0%} of {worst.n} clips of {what} {seemed}"


def _rests_on(finding: DetectorFinding, origin: str) -> list[tuple[Ratio | None, Misled | None]]:
    """The ratios that may speak for this origin, each with what misled it."""
    any_engine, known = (finding.ratio, finding.misled), (finding.known, finding.known_misled)
    if origin == NO_KNOWN:
        return [known]
    return [any_engine, known] if LEANING.get(origin, origin) == SYNTHETIC else [any_engine]


def _evidence(found: Examination, subjects: Sequence[str], names: Mapping[str, str]) -> list[str]:
    lines = []
    for each in found.detectors:
        words = verbal(each.ratio, "synthetic", "natural")
        lines.append(f"{each.detector}: {numbers(each.ratio)}, {words}{_length_words(each)}")
        if each.known:
            words = verbal(each.known, "one of them", "natural speech")
            lines.append(f"against the engines it knows: {numbers(each.known)}, {words}")
    ranked = sorted(found.likenesses, key=lambda each: -each.score)
    shown = [each for each in ranked if each.subject in subjects] or ranked[:1]
    for one in shown:
        name = names.get(one.subject, one.subject)
        words = verbal(one.ratio, f"a likeness to {name}", "somebody else")
        lines.append(f"{name}, among {len(ranked)} compared: {numbers(one.ratio)}, {words}")
    return lines


def _length_words(finding: DetectorFinding) -> str:
    """What the mean over the windows was read for."""
    n, worth = len(finding.windows), finding.side_by_side
    if worth is None or n < 2:
        return ""
    return f" (mean of {n} windows, read as that of {worth:.1f} side by side)"


def numbers(ratio: Ratio) -> str:
    """A ratio with its interval: "log10 LR 1.52 [0.9, 2]"."""
    return f"log10 LR {ratio.value:.2f} [{ratio.lo:.2f}, {ratio.hi:.2f}]"


def _mark_words(reader: str, state: str, detail: str) -> str:
    words = {
        "present": "a mark is present",
        "not found": "no mark found, which says nothing about a human origin",
        "not examined": "not examined, so unknown",
    }[state]
    return f"{reader}: {words}" + (f" ({detail})" if detail else "")
