"""Contracts of the metrics about emotion in codec tokens."""

from __future__ import annotations

from sts_eval.metric import MetricSpec

_PROBING = "sts_eval.metrics.probing"
_INFORMATION = "sts_eval.metrics.token_information"
_SOURCE = "tokens of the codec for recordings of one sentence in several emotions"

SEPARATION = MetricSpec(
    name="emotion_token_separation",
    code=f"{_PROBING}:separation",
    title="Emotion in acoustic rather than semantic tokens",
    unit="ratio",
    direction="higher",
    statistics=("mean",),
    version=1,
    meaning="How much better an emotion is recognised from the acoustic tokens of a recording than"
    " from its semantic ones: 0 when both (or neither) tell it, below 0 when the semantic ones tell"
    " it better.",
    method="Unweighted average recall of a probe on all acoustic codebooks minus that of the same"
    " probe on the semantic ones, on speakers and texts that it was not trained on; interval by"
    " drawing whole speakers. A row of its own gives it for a small perceptron.",
    limits="There are more acoustic codebooks than semantic ones, which alone may favour them: see"
    " each codebook. High separation is no merit where neither stream tells much.",
    source=_SOURCE,
)
RECALL = MetricSpec(
    name="emotion_token_recall",
    code=f"{_PROBING}:read_linear",
    title="What tokens give away",
    unit="ratio",
    direction="none",
    statistics=("mean",),
    version=1,
    meaning="How well a small probe tells the emotion (or the speaker, or which sentence it is)"
    " from some of a recording's tokens. Chance is one over the number of classes.",
    method="Unweighted average recall of ridge regression (probe=linear) or a perceptron with one"
    " hidden layer (probe=mlp) on mean, deviation and change over time of the code vectors."
    " Emotion: speakers and texts of the test are not in training; speaker: texts are not; words:"
    " speakers are not. `audio` reads mel spectra of the sound, to compare with; it is no"
    " ceiling.",
    limits="A probe that fails does not show that the information is absent: a larger one with more"
    " recordings may find it. Transformed prosody is plainer than acted or felt emotion.",
    source=_SOURCE,
)
CONTROL = MetricSpec(
    name="emotion_token_control_recall",
    code=f"{_PROBING}:read_linear",
    title="What the probe must not read",
    unit="ratio",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="The recall of probes that should be at chance: on shuffled labels, on the words alone,"
    " and on whether a recording went through the vocoder that made the emotions. Where they are"
    " well above chance, the emotion recall beside them is not about emotion alone.",
    method="The linear probe on the same folds. shuffled_*: emotions shuffled within each sentence"
    " of a speaker (interval: 95 % of the shuffles); text: bag of words; length: number of frames"
    " alone; vocoder_*: neutral through the vocoder against the original, two classes.",
    limits="Emotions change the tempo, so that `length` is above chance for them and no fault. A"
    " vocoder that is told is no fault either as long as all emotions pass through it.",
    source=_SOURCE,
)
INFORMATION = MetricSpec(
    name="emotion_token_information_bits",
    code=f"{_INFORMATION}:token_information",
    title="Information of one token",
    unit="bits",
    direction="none",
    statistics=("mean",),
    version=1,
    meaning="How many bits one token of a codebook tells of the emotion (the speaker, the sentence)"
    " of its recording, on average.",
    method="Mutual information of tokens and labels from counts, corrected by Miller and Madow"
    " (1955), minus its mean over shuffled labels; below 0 means 0. No interval: drawing recordings"
    " twice would itself look like information; the section gives the p-value.",
    limits="Looks at single tokens: what only their order or combination tells is not seen. Small"
    " against what a whole recording tells.",
    source=_SOURCE,
)
DIVERGENCE = MetricSpec(
    name="emotion_token_divergence_bits",
    code=f"{_INFORMATION}:divergence_excess",
    title="Other emotion, other tokens",
    unit="bits",
    direction="none",
    statistics=("mean",),
    version=1,
    meaning="How much further the token histogram of a speaker in one emotion lies from other"
    " people's in other emotions than from theirs in the same one. 0: tokens are used alike.",
    method="Jensen-Shannon divergence (base 2) of one speaker's histogram to those of all others,"
    " by emotion, histograms of one size; other minus same, one value for each speaker.",
    limits="With few recordings most tokens occur once and all histograms lie far apart: the"
    " difference is then small for any codec.",
    source=_SOURCE,
)
DISTANCE = MetricSpec(
    name="emotion_token_edit_distance",
    code=f"{_INFORMATION}:edit_distance",
    title="Tokens that change with the emotion",
    unit="ratio",
    direction="none",
    statistics=("mean",),
    version=1,
    meaning="The share of a sentence's tokens that are other ones when the same speaker says it in"
    " another emotion. For semantic tokens it should be small, for acoustic ones it may be large.",
    method="Levenshtein distance over the longer sequence, runs of one token made one; mean over"
    " pairs of emotions of a sentence; interval by drawing speakers. The section shows beside it"
    " what the vocoder alone and what another sentence changes.",
    limits="A frame that begins a little later may change its token: much of the distance is not"
    " emotion. Read it against the two other columns.",
    source=_SOURCE,
)
TOKEN_METRICS = (SEPARATION, RECALL, CONTROL, INFORMATION, DIVERGENCE, DISTANCE)
