"""From a speech cache to composed conversations: everything before `train lm` and `dialogue`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from sts_core.data.cache import SpeechCache
from sts_core.data.library import prepare, silence_codes
from sts_core.data.pools import make_pools
from sts_core.data.scenes import Scenes, SceneShares
from sts_core.data.shards import compose
from sts_core.data.turns import AGENT_VOICES
from sts_core.lm.ear import Ear
from sts_core.lm.text import DEFAULT_FILE, TextTokenizer, train_tokenizer

VOCABULARY = 1024
# Pre-training: the agent's own channel, and listening without a part to play.
PRETRAINING = SceneShares(
    question=0.25,
    two_questions=0.0,
    follow_up=0.0,
    correction=0.0,
    barge_in=0.0,
    stop=0.0,
    back_channel=0.0,
    background=0.0,
    statement=0.2,
    silence=0.02,
    tone=0.0,
    monologue=0.53,
)

# The overfit control: half canaries, half the usual, so that it goes on working.
CANARIES = SceneShares(canary=1.0)
# The emotion control: remarks whose tone of voice says nothing about the reply.
TONE_DEAF = SceneShares(tone=0.0, tone_deaf=0.6)
STAGES = {
    "lm": PRETRAINING,
    "dialogue": SceneShares(),
    "canary": CANARIES,
    "tone_deaf": TONE_DEAF,
}


def compose_for_stage(
    cache_folder: Path,
    out: Path,
    stage: str,
    dialogues: int,
    seed: int,
    threads: int,
    *,
    agent_voices: tuple[str, ...] = AGENT_VOICES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Conversations of a stage (one of STAGES) into `out`; returns the number of shards.

    Args:
        agent_voices: voices or speakers of the corpus that the agent speaks with; the place of
            each is the number of its voice in the model.

    Raises:
        CacheError: no speech cache.
        WeightsError: no codec, student or tokenizer.
    """
    torch.set_num_threads(threads)
    ear = Ear.load()
    library = prepare(cache_folder, ear, agent_voices, progress=progress)
    scenes = Scenes(
        library,
        make_pools(library, agent_voices),
        TextTokenizer.load(),
        silence_codes(ear.codec),
        STAGES[stage],
    )
    return compose(out, scenes, ear, dialogues=dialogues, seed=seed, progress=progress)


def fit_tokenizer(cache_folder: Path, file: Path = DEFAULT_FILE) -> TextTokenizer:
    """Fit the text tokenizer to all English texts of a cache and write it to `file`."""
    rows = SpeechCache.open(cache_folder).rows
    texts = sorted({row["text"] for row in rows if row.get("lang") == "en" and row.get("text")})
    train_tokenizer(texts, VOCABULARY, file)
    return TextTokenizer.load(file)
