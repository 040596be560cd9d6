"""The metrics of replies to a tone of voice: their contracts in words (see `sts_eval.metric`)."""

from __future__ import annotations

from sts_eval.metric import MetricSpec
from sts_eval.observation import Direction

MIN_EVENTS = 10
_CODE = "sts_eval.metrics.tone_reply"
_HEARD = "ASR judge on the agent's track"
_LISTS = (
    "Only for agents that reply from lists which the suite names; tones are made by a vocoder and"
    " are plainer than felt ones."
)


def _spec(
    name: str,
    title: str,
    words: tuple[str, str, str],
    code: str,
    *,
    statistic: str = "rate",
    direction: Direction = "higher",
    source: str = _HEARD,
) -> MetricSpec:
    meaning, method, limits = words
    return MetricSpec(
        name=name,
        title=title,
        unit="ratio",
        direction=direction,
        statistics=(statistic,),
        version=1,
        min_events=MIN_EVENTS,
        meaning=meaning,
        method=method,
        limits=limits,
        source=source,
        code=code,
    )


REPLIED = _spec(
    "tone_reply_rate",
    "Remarks that get a reply",
    (
        "The share of remarks to which the agent says something that the judge hears as words.",
        "1 when the ASR judge hears a word of the agent from the start of the remark on.",
        "A reply without words (a laugh, a sigh) counts as none, and so is in no other metric.",
    ),
    "",
)
ACCURACY = _spec(
    "response_emotion_accuracy_rate",
    "Response-emotion accuracy",
    (
        "The share of replies that fit the user's tone of voice, where the same words are said in"
        " every tone; chance is one over the number of tones (25 % of four), and an agent that"
        " knows the words only cannot do better.",
        "1 when the reply comes nearest, by word errors, to a sentence of the list for the user's"
        " tone; a reply that fits no list is wrong. Each sentence counts once for each tone.",
        _LISTS,
    ),
    f"{_CODE}:reply_tone",
)
CHANGES_WITH = _spec(
    "reply_changes_with_tone_rate",
    "Reply changes with the tone",
    (
        "How often two tones of the same sentence get different replies.",
        "1 for a pair of renditions in different tones whose replies differ in more than a third"
        " of their letters; all pairs of tones of each sentence.",
        "An agent whose replies are drawn at random changes them, too: read it with the control.",
    ),
    f"{_CODE}:replies_differ",
    direction="none",
)
CHANGES_WITHIN = _spec(
    "reply_changes_in_tone_rate",
    "Reply changes in the same tone (control)",
    (
        "How often the same sentence, said again in the same tone, gets another reply.",
        "As the change with the tone, on one pair of each sentence: two renditions in one tone that"
        " differ in their details.",
        "It holds chance, sampling and mishearing together.",
    ),
    f"{_CODE}:replies_differ",
    direction="none",
)
CHANGE_EXCESS = _spec(
    "reply_change_excess_ratio",
    "Reply changes because of the tone",
    (
        "By how much more often the reply changes from tone to tone than within one: what the tone"
        " itself does; 0 for an agent that knows the words only.",
        "Rate of change between tones minus that of the same-tone control, over the sentences that"
        " have both; voices are drawn anew, never narrower than Newcombe's interval of as many"
        " sentences.",
        "It says that the reply changes, not that it fits. Needs no lists, so it is measured for"
        " any agent.",
    ),
    "sts_eval.stats.pooled:rate_difference",
    statistic="mean",
)
TONE_OVER_WORDS = _spec(
    "tone_over_words_rate",
    "Reply follows the tone against the words",
    (
        "Sarcasm: the share of remarks with glad words in a sad or angry voice, or unhappy words in"
        " a happy one, whose reply follows the voice.",
        "1 when the reply's list is for glad tones and so is the user's, or both are for unhappy"
        " ones; equally many glad and unhappy words.",
        f"An agent that always gives one glad reply follows the voice half of the time. {_LISTS}",
    ),
    f"{_CODE}:side_taken",
)
WORDS_OVER_TONE = _spec(
    "words_over_tone_rate",
    "Reply follows the words against the tone",
    (
        "The share of the same remarks whose reply follows the words and not the voice.",
        "1 when the reply's list is for glad tones and the words are glad, or both are unhappy.",
        f"A neutral reply follows neither. {_LISTS}",
    ),
    f"{_CODE}:side_taken",
    direction="lower",
)
TONE_MINUS_WORDS = _spec(
    "tone_minus_words_ratio",
    "Tone against words",
    (
        "Which of the two the reply follows where they disagree: 1 always the tone, -1 always the"
        " words; an agent that knows the words only reaches 0 at most.",
        "Rate of following the tone minus rate of following the words, over the remarks in which"
        " they disagree, glad and unhappy words weighing the same; voices are drawn anew, never"
        " narrower than Newcombe's interval.",
        _LISTS,
    ),
    "sts_eval.stats.pooled:rate_difference",
    statistic="mean",
)


def _follows(name: str, title: str, what: str, unit: str) -> MetricSpec:
    return _spec(
        f"own_{name}_follows_ratio",
        title,
        (
            f"How much the {what} of the agent's own voice changes with the user's from tone to"
            " tone of one sentence: 1 as much as the user's, 0 not at all, below 0 against it.",
            f"Slope through the origin over pairs of tones of a sentence, in {unit}; the agent's"
            " values are taken against a neutral reading of the same words (hibari-tts), so that"
            " other words are no other voice. Voices are drawn anew for the interval.",
            "Whether it should follow is not said: an angry user may be better served by a calm"
            " voice. The neutral reading stands in for the agent's own neutral voice: with few"
            " different replies its own melody does not average out.",
        ),
        f"{_CODE}:following",
        statistic="mean",
        direction="none",
        source="both tracks; ASR judge for the words",
    )


FOLLOWS = {
    "pitch": _follows("pitch", "Own pitch follows", "median pitch", "semitones"),
    "range": _follows("range", "Own pitch range follows", "pitch range", "semitones"),
    "level": _follows("level", "Own loudness follows", "active level", "dB"),
    "rate": _follows("rate", "Own speaking rate follows", "speaking rate", "octaves of speed"),
}
EMOTION_REPLY_METRICS = (
    REPLIED,
    ACCURACY,
    CHANGE_EXCESS,
    CHANGES_WITH,
    CHANGES_WITHIN,
    TONE_MINUS_WORDS,
    TONE_OVER_WORDS,
    WORDS_OVER_TONE,
    *FOLLOWS.values(),
)
