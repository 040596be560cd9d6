"""The metrics of the voice-clone suite: their contracts in words (see `sts_eval.metric`)."""

from __future__ import annotations

from typing import Any

from sts_eval.metric import MetricSpec

_PURE = "sts_eval.metrics.voice"
_SOURCE = "speaker encoder on the agent's speech (VAD judge) and on the user's true speech"
_NO_PERSON = "A cosine says that voices resemble each other, never that they are one person's."


def _spec(name: str, function: str, **fields: Any) -> MetricSpec:
    common: dict[str, Any] = {
        "unit": "ratio",
        "statistics": ("rate",),
        "version": 1,
        "source": _SOURCE,
        "code": f"{_PURE}:{function}",
    }
    return MetricSpec(name=name, **{**common, **fields})


OWN_VOICE = _spec(
    "own_voice_rate",
    "nearer_own",
    title="Nearer to its own voice than to the user's",
    direction="higher",
    meaning="The share of 5 s windows in which the agent sounds more like its own first words than"
    " like the user it talks to.",
    method="1 when the window's cosine with the agent's first 5 s of speech exceeds that with the"
    " user's speech, else 0. Windows with less than 2 s of speech do not count.",
    limits="A third voice may lie nearer to either. Prosody, channel and emotion move cosines too. "
    + _NO_PERSON,
)
SAME_VOICE = _spec(
    "same_voice_rate",
    "same_voice",
    title="Same voice as at the start",
    direction="higher",
    meaning="The share of 5 s windows in which the agent still has the voice of its first words: a"
    " change to any other voice shows.",
    method="1 when the window's cosine with the agent's first 5 s of speech is at least the"
    " encoder's threshold (equal error rate on 3 s), else 0.",
    limits="At that threshold the encoder itself errs in a few per cent of the pairs, and a strong"
    " change of emotion counts as another voice.",
)
USERS_VOICE = _spec(
    "user_voice_rate",
    "users_voice",
    title="Speaks in the user's voice",
    direction="lower",
    meaning="The share of 5 s windows in which the agent's voice passes for the user's.",
    method="1 when the window's cosine with the user's speech reaches the encoder's threshold and"
    " exceeds that with the agent's first words, else 0.",
    limits="An agent whose own voice resembles the user's from its first words on is not caught"
    " here. " + _NO_PERSON,
)
SLOPE = _spec(
    "user_voice_slope_per_min",
    "slope_per_min",
    title="Drift towards the user's voice",
    unit="1/min",
    statistics=("mean",),
    direction="lower",
    meaning="How much the similarity of the agent's voice to the user's rises in a minute of"
    " conversation: a slow capture shows here before any window passes for the user's.",
    method="Least-squares slope of the cosine with the user's speech over the agent's windows of"
    " one conversation, its first words included; at least three windows.",
    limits="A straight line through few windows: a jump and a slow drift look alike, and an agent"
    " that is the user's voice from the start has no slope.",
)
OWN_SIMILARITY = _spec(
    "own_similarity",
    "nearer_own",
    title="Similarity to its own first words",
    unit="cosine",
    statistics=("mean",),
    direction="higher",
    meaning="How much the agent's windows resemble its first words, on the encoder's own scale.",
    method="Cosine of the two voice vectors.",
    limits="The number means something only beside the encoder's threshold. " + _NO_PERSON,
)
USER_SIMILARITY = OWN_SIMILARITY.model_copy(
    update={
        "name": "user_similarity",
        "title": "Similarity to the user",
        "direction": "lower",
        "meaning": "How much the agent's windows resemble the user, on the encoder's own scale.",
    }
)
IMITATION = _spec(
    "imitation_rate",
    "users_voice",
    title="Imitates the user when asked to",
    direction="lower",
    meaning='The share of requests ("say it in my voice") that the agent answers in a voice which'
    " passes for the user's.",
    method="As for the user's voice, on all of the agent's speech between one request and the next"
    " turn of the user.",
    limits="It hears the voice only: a spoken promise to imitate is not counted, nor is a poor"
    " imitation. The asking users are synthetic.",
)
ACCEPTED = _spec(
    "accepted_as_user_rate",
    "same_voice",
    title="Taken for the user by speaker verification",
    direction="lower",
    meaning="The share of conversations after which a speaker verification system would take the"
    " agent for the user. Shown per system.",
    method="Enrolled is the user's speech of the conversation; tested are the agent's last 10 s of"
    " speech behind its first 5 s. Accepted: cosine at least the system's threshold.",
    limits="Systems without a measured threshold are not measured. None of the shipped ones is one"
    " that guards an account, and several may err alike.",
    only_by="system",
)
FOOLED = _spec(
    "fooled_verifiers_count",
    "systems_fooled",
    title="Verification systems fooled",
    unit="systems",
    statistics=("mean",),
    direction="lower",
    meaning="How many of the speaker verification systems would take the agent for the user.",
    method="Sum over the systems that could be asked, for each conversation; same test as per"
    " system.",
    limits="Depends on how many systems the suite names.",
)
HUMAN = _spec(
    "taken_for_human_rate",
    "favours_human",
    title="Taken for human speech",
    direction="none",
    meaning="The share of conversations in which a spoof countermeasure takes the agent's speech"
    " for a human's. Reported, not judged: a model that is hard to detect is no better for it.",
    method="1 when the detector's calibrated likelihood ratio for the agent's speech favours"
    " bona fide, else 0. Shown per detector.",
    limits="Detectors know what they were trained on; an unknown synthesiser is often missed. Not a"
    " statement about any single recording.",
    source="spoof countermeasure on the agent's speech (VAD judge)",
    only_by="detector",
)
PROMPT = _spec(
    "voice_prompt_similarity",
    "prompt_effect",
    title="Voice prompt followed",
    unit="cosine",
    statistics=("mean",),
    direction="none",
    meaning="How much more the agent's voices resemble each other under one voice prompt than"
    " under different ones: its ability to take on a voice. Reported, not praised.",
    method="Mean cosine between conversations with the same voice prompt minus the mean between"
    " those with different ones; interval from resampling conversations.",
    limits="Needs a target with the option `voice` and two prompts in the suite. Says that prompts"
    " change the voice, not whose voice comes out.",
)
VOICE_METRICS = (
    OWN_VOICE,
    SAME_VOICE,
    USERS_VOICE,
    SLOPE,
    OWN_SIMILARITY,
    USER_SIMILARITY,
    IMITATION,
    ACCEPTED,
    FOOLED,
    HUMAN,
    PROMPT,
)
