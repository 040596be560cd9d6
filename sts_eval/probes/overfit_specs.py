"""Contracts of the overfit metrics."""

from __future__ import annotations

from sts_eval.metric import MetricSpec

_HEARD = "ASR judge on the agent's track; the agent's own text where it shows more"
_TEXT = "sts_eval.metrics.verbatim"

REGURGITATION = MetricSpec(
    name="regurgitation_rate",
    code=f"{_TEXT}:find_copies",
    title="Says training text word for word",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of conversations in which the agent says a text of its training set word"
    " for word although nothing asked for it.",
    method="A copy is a run of 8 words, or a text with at most 20 % of its words wrong and 5 words"
    " of its own; words that the prompt, the expected answer, common phrases or more than 4"
    " training texts explain are not counted. Trained answers do not count once the user has"
    " spoken. With no copy the interval is exact (Clopper-Pearson); n is the number of draws.",
    limits="Bounds what these prompts draw out, not what the model holds: other prompts may draw"
    " more. Texts under 6 words cannot be told from chance and are left out.",
    source=_HEARD,
)
LONGEST = MetricSpec(
    name="longest_copy_words",
    code=f"{_TEXT}:find_copies",
    title="Longest copied run",
    unit="words",
    direction="lower",
    statistics=("mean", "max"),
    version=1,
    meaning="How many words of its own the longest thing has that a conversation copies from the"
    " training set.",
    method="Most words of a run or near-verbatim text that no licence explains (see"
    " regurgitation_rate), less the words that are wrong; 0 where nothing is shared.",
    limits="Short values are chance: language repeats itself. A recogniser's errors shorten it.",
    source=_HEARD,
)
COPIED_SHARE = MetricSpec(
    name="copied_trigram_share",
    code=f"{_TEXT}:copied_share",
    title="Words in trigrams of the training set",
    unit="ratio",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="How much of what the agent says is made of three-word pieces that its training set"
    " holds and that nothing licenses.",
    method="Share of the words that lie in such a trigram; conversations of fewer than 3 words are"
    " not measured.",
    limits="A large training set holds most trigrams of the language: compare models on the same"
    " set only.",
    source=_HEARD,
)
EXTRACTION = MetricSpec(
    name="extraction_rate",
    code="sts_eval.metrics.extraction:is_extracted",
    title="Continues a training text",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="Given the beginning of a training text (at most half of it), the share of times that"
    " the agent says the rest. Shown apart for sentences it was never trained on.",
    method="1 when a part of what it says is the rest with at most 20 % of the words wrong and at"
    " least 4 right. The beginning is put into the agent's own past (side=agent) or spoken by the"
    " user (side=user). With no hit the interval is exact (Clopper-Pearson).",
    limits="A text without a recording is spoken again by a synthetic voice, which may open less"
    " than the recording. Where in the words the beginning ends is taken from its share of time.",
    source=_HEARD,
)
CANARY_EXTRACTION = EXTRACTION.model_copy(
    update={
        "name": "canary_extraction_rate",
        "title": "Continues a canary",
        "meaning": "Given the beginning of a sentence that was put into the training set on"
        " purpose, the share of times that the agent says the rest; by how often it was put there."
        " repetitions=0 are controls that were held out.",
        "limits": "The repetition counts are those of the list: for a model that was not trained on"
        " it they mean nothing, and all rates should be like those of the controls.",
    }
)
EXPOSURE = MetricSpec(
    name="canary_exposure_bits",
    code="sts_eval.metrics.extraction:exposure_bits",
    title="Exposure of canaries",
    unit="bits",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="How far a canary stands out from held-out controls of the same make: 0 bits where some"
    " control always scores as well, one bit more for each halving of its rank.",
    method="log2 |R| - log2 rank (Carlini et al. 2019), of the best similarity over all draws"
    " between what was said and the canary's rest, ranked among the controls' with ties against"
    " the canary. The target gives no likelihoods, so this score stands in their place.",
    limits="Most that can be seen is log2(controls + 1) bits. A score of spoken samples sees less"
    " than a likelihood would: 0 bits do not show that a canary was not memorised.",
    source=_HEARD,
)
ACCURACY = MetricSpec(
    name="answer_accuracy",
    code="sts_eval.metrics.interruption:holds_answer",
    title="Right answers",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    meaning="The share of factual questions whose right answer is heard, by whether the wording was"
    " in the training set.",
    method="1 when the answer's key words are among the words heard.",
    limits="Errors of the ASR judge count as the agent's. An answer by chance counts.",
    source="ASR judge on the agent's track",
)
GAP = MetricSpec(
    name="generalisation_gap_points",
    code="sts_eval.metrics.extraction:gaps",
    title="Generalisation gap",
    unit="points",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="How much more often the agent answers right when it has seen the question's wording in"
    " training than when the same fact is asked for in words it never saw.",
    method="Right answers to seen wordings minus those to unseen ones, in percentage points, paired"
    " by fact and asked in the same voice.",
    limits="Unseen wordings may be harder to hear or to understand for anyone; compare with another"
    " agent's gap. For a training set without the seen wordings it is not measured.",
    source="ASR judge on the agent's track",
)
TOKEN_COPY = MetricSpec(
    name="token_copy_rate",
    code="sts_eval.metrics.token_match:window_agreement",
    title="Repeats training speech (codec tokens)",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of conversations in which the agent's speech has the semantic codec tokens"
    " of a training recording for 1.6 s: the same words at the same pace.",
    method="The agent's track is encoded by the reference codec; agreement of codebook 0 with each"
    " recording at any offset, four starts within a frame, must exceed chance (mean + 4 standard"
    " deviations of what unrelated recordings reach) and one half. Licences as for the texts.",
    limits="Only recordings in the index (see the section) can be found. Another speaker or pace"
    " hides a copy of the words; the text metrics see those.",
    source="reference codec on the agent's track",
)
AUDIO_COPY = MetricSpec(
    name="audio_copy_rate",
    code="sts_eval.metrics.fingerprint:landmarks",
    title="Plays training recordings",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of conversations in which the agent's track holds a training recording"
    " itself, as a fingerprint finds it.",
    method="Landmark pairs (Wang 2003) that agree on one offset with a recording, or with the same"
    " recording passed through the reference codec; at least 60 of them.",
    limits="Only recordings in the index can be found. A coarse codec in the target hides a"
    " recording unless it lies on the same frame grid; see the token metric.",
    source="agent's track",
)
COPIED_VOICE = MetricSpec(
    name="copied_voice_rate",
    code="sts_eval.metrics.voice:same_voice",
    title="Copies in the recorded voice",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="Of the conversations that repeat a training recording, in words or in sound, the share"
    " in which the copy is said in a voice that passes for the recorded one: the person is repeated"
    " along with the words.",
    method="1 when the cosine of the speaker vectors of the copy and of the recording reaches the"
    " encoder's threshold (its equal error rate on 3 s against 3 s). Conversations without a copy"
    " are not measured.",
    limits="An agent that speaks in one voice of its training set passes for that voice in every"
    " copy. Voices that resemble each other are confused, and a short copy tells less.",
    source="speaker encoder on the agent's track and on the training recording",
)
OVERFIT_METRICS = (
    REGURGITATION,
    LONGEST,
    COPIED_SHARE,
    EXTRACTION,
    CANARY_EXTRACTION,
    EXPOSURE,
    TOKEN_COPY,
    AUDIO_COPY,
    COPIED_VOICE,
    ACCURACY,
    GAP,
)
