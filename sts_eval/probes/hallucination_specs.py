"""The metrics of the hallucination suite: their contracts in words (see `sts_eval.metric`)."""

from __future__ import annotations

from sts_eval.metric import MetricSpec

MIN_EVENTS = 10
_ANSWERS = "sts_eval.metrics.answers"
_DEGENERATE = "sts_eval.metrics.degenerate"
_JUDGE = "ASR judge on the agent's track; the right answer from the stimulus"
_TEXT = "the agent's own text stream"
_JUDGE_LIMIT = "Errors of the ASR judge count as the agent's; the report gives both rates."


def _rate(name: str, title: str, better: str, words: tuple[str, str, str], code: str) -> MetricSpec:
    meaning, method, limits = words
    return MetricSpec(
        name=name,
        title=title,
        unit="ratio",
        direction="higher" if better == "higher" else "lower",
        statistics=("rate",),
        version=1,
        min_events=MIN_EVENTS,
        meaning=meaning,
        method=method,
        limits=limits,
        source=_JUDGE,
        code=code,
    )


NUMBER = _rate(
    "number_accuracy_rate",
    "Right numbers, as heard",
    "higher",
    (
        "The share of spoken sums whose exact result is heard in the agent's voice, by operation,"
        " size of the operands, carry, and for follow-ups in a second turn.",
        "1 when the last number of the answer that does not repeat the question equals the result;"
        " words, digits, decimals, signs and units are read by text2num and pint. Degenerate"
        " answers are not measured here.",
        f"{_JUDGE_LIMIT} The second turn of a pair is judged by the true sum, so an error of the"
        " first turn counts twice.",
    ),
    f"{_ANSWERS}:blame",
)
NUMBER_CORRECTED = _rate(
    "number_accuracy_corrected_rate",
    "Right numbers, corrected for the judge",
    "higher",
    (
        "The share of right numbers that remains when the judge's own errors, measured on spoken"
        " numbers that are known, are taken out.",
        "Rogan and Gladen's estimate, clipped to 0..1; the interval draws the run's utterances and"
        " the judge's calibration clips anew.",
        "It assumes that the judge hears the agent as well as the calibration clips, short answers"
        " in four clean voices. An agent that is easier to hear is corrected too far up.",
    ),
    "sts_eval.metrics.correction:corrected_share",
)
NUMBER_TEXT = _rate(
    "number_accuracy_text_rate",
    "Right numbers in its text",
    "higher",
    (
        "The share of spoken sums whose exact result stands in the agent's own text stream.",
        "As the accuracy as heard, on the text in place of the audio; no judge is in it.",
        "Only for agents with a text stream, and it says nothing about what is heard.",
    ),
    f"{_ANSWERS}:SumTruth",
).model_copy(update={"source": _TEXT})
FACT = _rate(
    "fact_accuracy_rate",
    "Right facts, as heard",
    "higher",
    (
        "The share of simple questions of fact whose answer is heard in the agent's voice.",
        "1 when the key words of the answer (articles aside; numbers in any spelling) are among the"
        " words that the ASR judge hears. Degenerate answers are not measured here.",
        f"{_JUDGE_LIMIT} A right key inside a wrong sentence counts as right.",
    ),
    f"{_ANSWERS}:holds_fact",
)
GAP = MetricSpec(
    name="text_voice_gap_ratio",
    title="Text-voice gap",
    unit="ratio",
    direction="lower",
    statistics=("mean",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="How many more answers are right in the agent's text than in its voice: what speaking"
    " loses of what was thought.",
    method="Mean over sums and facts of (right in text) - (right in audio); an answer that is right"
    " in audio only counts -1.",
    limits="The ASR judge's errors widen it. Only for agents with a text stream.",
    source=f"{_JUDGE}; {_TEXT}",
    code=f"{_ANSWERS}:voice_gap",
)


def _split(name: str, title: str, what: str, limits: str) -> MetricSpec:
    return _rate(
        f"{name}_error_rate",
        title,
        "lower",
        (
            f"The share of spoken sums that went wrong because {what}.",
            "The first of these that is wrong takes the blame: what the agent says it heard (or"
            " repeats of the question), its text, the agreement of the two judges, its voice.",
            limits,
        ),
        f"{_ANSWERS}:blame",
    )


HEARING = _split(
    "hearing",
    "Wrong: misheard",
    "the agent heard other numbers than were said",
    "Seen only where the agent reports what it heard or repeats the question in its text.",
)
THINKING = _split(
    "thinking",
    "Wrong: miscalculated",
    "its text gives another number, while nothing shows that it misheard",
    "An agent that mishears and shows nothing of it counts here. Needs a text stream.",
)
SPEAKING = _split(
    "speaking",
    "Wrong: misspoken",
    "its voice says another number than its text, for both judges",
    "Two judges may mishear alike, above all teens and tens. Needs a text stream.",
)
JUDGED = _split(
    "judge",
    "Wrong: the judges disagree",
    "the first judge hears another number than the second, while the agent's text is right or"
    " missing",
    "These are errors of the measurement, or of a voice that is hard to understand.",
)
UNKNOWN = _split(
    "unsplit",
    "Wrong: cause unknown",
    "of something that cannot be told: the agent has no text stream",
    "Read the report's table of errors; a text stream would split these.",
)
SPLIT = {
    "hearing": HEARING,
    "thinking": THINKING,
    "speaking": SPEAKING,
    "judge": JUDGED,
    "unknown": UNKNOWN,
}
DISAGREE = _rate(
    "judges_disagree_rate",
    "Judges disagree",
    "lower",
    (
        "The share of sums in whose answer the two judges hear different numbers.",
        "First judge against a recogniser with a grammar of numbers; only where both hear one.",
        "It says how sure the accuracy as heard is, not how good the agent is.",
    ),
    f"{_ANSWERS}:judges_disagree",
)
FABRICATION = _rate(
    "fabrication_rate",
    "Fabrication",
    "lower",
    (
        "The share of questions that nobody could answer, or that rest on a false premise, to which"
        " the agent gives an answer all the same.",
        "1 when the answer neither says that it is not known nor, with a false premise, sets it"
        " right; told by phrases and key words. A question back is not measured.",
        "Phrases are a small net: an unusual way to decline counts as a fabrication. Read the"
        " answers behind a high rate.",
    ),
    f"{_ANSWERS}:claim_of",
)
REFUSAL_RECALL = _rate(
    "refusal_recall_rate",
    "Refusal recall",
    "higher",
    (
        "The share of questions that nobody could answer to which the agent says that it does not"
        " know.",
        "1 when the answer holds a phrase of not knowing; unanswerable questions only.",
        "An agent that never knows anything scores 100 %: read it with the precision.",
    ),
    f"{_ANSWERS}:is_refusal",
)
REFUSAL_PRECISION = _rate(
    "refusal_precision_rate",
    "Refusal precision",
    "higher",
    (
        "When the agent says that it does not know: how often there was indeed nothing to know.",
        "Over all refusals: 1 for an unanswerable question or a false premise, 0 for other ones.",
        "Depends on how many questions of each kind the suite asks.",
    ),
    f"{_ANSWERS}:is_refusal",
)
REPEAT = MetricSpec(
    name="repeat_word_error_ratio",
    title="Repeat-after-me word errors",
    unit="ratio",
    direction="lower",
    statistics=("mean",),
    version=1,
    min_events=MIN_EVENTS,
    meaning="How many of the words that it should repeat the agent gets wrong.",
    method="Word errors of the best-fitting stretch of what is heard, over the words asked for;"
    " each word weighs the same.",
    limits=f"{_JUDGE_LIMIT} Words before and after the repeated ones are free.",
    source=_JUDGE,
    code=f"{_ANSWERS}:repeat_errors",
)


def _voiced(name: str, title: str, what: str) -> MetricSpec:
    return MetricSpec(
        name=name,
        title=title,
        unit="ratio",
        direction="lower",
        statistics=("mean",),
        version=1,
        min_events=MIN_EVENTS,
        meaning=f"How many words {what}, as a share of the words of its text.",
        method="Minimum edit distance between the text stream and what the ASR judge hears, numbers"
        " and spellings made alike; mean over answers.",
        limits="The ASR judge's own word errors are in it (see the table of judges). Answers that"
        " the end of the scenario cuts off are not measured.",
        source=f"{_TEXT}; ASR judge",
        code=f"{_ANSWERS}:voiced",
    )


INSERTED = _voiced(
    "inserted_words_ratio", "Words said beyond the text", "the agent's voice adds to its text"
)
DROPPED = _voiced(
    "dropped_words_ratio", "Words of the text not said", "of its text the agent's voice leaves out"
)
VOICED = _voiced(
    "voiced_word_error_ratio", "Text against voice, all word errors", "differ from text to voice"
)


def _degenerate(name: str, title: str, what: str, method: str, code: str) -> MetricSpec:
    return _rate(
        name,
        title,
        "lower",
        (
            f"The share of turns to which the agent answers with {what}.",
            method,
            "Thresholds were set on clean synthetic speech; a request to say one word many times"
            " would be taken for a loop.",
        ),
        f"{_DEGENERATE}:{code}",
    )


SILENCE = _degenerate(
    "silent_answer_rate",
    "Silence",
    "silence",
    "1 when nothing of the agent's track reaches -50 dBFS after the turn began.",
    "is_silent",
)
LOOP = _degenerate(
    "loop_rate",
    "Loops",
    "something it repeats over and over",
    "1 when the audio is like itself some lag later (0.7 or more, no judge needed), or when its"
    " text or what is heard repeats a unit of words, compresses 2.4 times, or has a low word"
    " entropy.",
    "audio_repetition",
)
ENDLESS = _degenerate(
    "endless_rate",
    "Endless talk",
    "talk without an end",
    "1 when it is still audible when listening ends and was for 80 % of the time since its answer"
    " began, over at least 5 s.",
    "is_endless",
)
GIBBERISH = _degenerate(
    "gibberish_rate",
    "Gibberish",
    "sounds that are no words",
    "1 when at least half of three or more words, in its text or as heard, are in no dictionary.",
    "is_gibberish",
)
DEGENERATE = _degenerate(
    "degenerate_rate",
    "Degenerate output",
    "no answer at all: silence, a loop, endless talk or gibberish",
    "1 when any of the four is found. What such an answer says is not measured by other metrics.",
    "is_silent",
)
KINDS_OF_DEGENERATE = {
    "silence": SILENCE,
    "loop": LOOP,
    "endless": ENDLESS,
    "gibberish": GIBBERISH,
}
HALLUCINATION_METRICS = (
    NUMBER,
    NUMBER_CORRECTED,
    NUMBER_TEXT,
    FACT,
    GAP,
    *SPLIT.values(),
    DISAGREE,
    FABRICATION,
    REFUSAL_RECALL,
    REFUSAL_PRECISION,
    REPEAT,
    INSERTED,
    DROPPED,
    VOICED,
    DEGENERATE,
    *KINDS_OF_DEGENERATE.values(),
)
