"""Scenarios of the emotion tokens: one sentence of one speaker in each emotion, one by one.

    packaged    a stimulus as it is ("original") and in each tone, made by one vocoder; neutral
                passes through it, too
    corpus      the recordings of a sentence that a download holds (`emotion_token_corpora`)

Nothing of it is played to the target: the track is what the codec encodes (`emotion_token_pool`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sts_eval.probes import PlanContext, derive_seed
from sts_eval.probes.emotion_token_corpora import read_corpus
from sts_eval.probes.emotion_token_files import Recording, choose, text_key
from sts_eval.probes.emotion_token_tasks import ORIGINAL
from sts_eval.probes.latency import Pick
from sts_eval.registry import nearest
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.target import Samples
from sts_eval.trace import Span, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

GAP_S = 0.4
MOST_RECORDING_S = 30.0


def plan_block(block: Any, kind: str, context: PlanContext) -> list[Plan]:
    """One plan for each sentence of each speaker. Raises ValueError when there is nothing."""
    recipes = _corpus(block, context) if block.corpus else _packaged(block, context)
    return [
        Plan(id=_identifier(block.name, recipe), kind=kind, recipe={**recipe, "set": block.name})
        for recipe in recipes
    ]


def prefix(name: str) -> str:
    """What the ids of a block's scenarios begin with."""
    return f"tokens-{name}." if name else "tokens."


def _identifier(block: str, recipe: dict[str, Any]) -> str:
    said = f"{prefix(block)}{recipe['speaker']}.{recipe.get('stimulus') or recipe['text']}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", said).strip("-.")
    whole = name == said and len(name) <= 90
    return name if whole else f"{name[:80]}-{derive_seed(said):08x}"


def _packaged(block: Any, context: PlanContext) -> Iterator[dict[str, Any]]:
    from sts_eval.targets.core import tones

    for tone in block.tones:
        if tone not in tones():
            raise ValueError(f"no tone {tone!r}{nearest(tone, tones())}")
    pick: Pick = block.pick
    for item in context.stimuli.with_remarks().pick(
        kind=(pick.kind,) if isinstance(pick.kind, str) else pick.kind,
        voice=(pick.voice,) if isinstance(pick.voice, str) else pick.voice,
        per_voice=pick.per_voice,
        seed=context.seed,
    ):
        yield {
            "stimulus": item.id,
            "speaker": item.voice,
            "words": item.text,
            "text": text_key(item.text),
            "tones": list(block.tones or tones()),
            "strength": block.strength,
        }


def _corpus(block: Any, context: PlanContext) -> Iterator[dict[str, Any]]:
    asked = block.corpus
    folder = Path(asked.folder).expanduser().resolve()
    corpus = read_corpus(asked.layout, folder)
    chosen = choose(
        corpus.recordings,
        emotions=asked.emotions,
        speakers=asked.speakers,
        per_emotion=asked.per_emotion,
        takes=asked.takes,
        seed=context.seed,
    )
    groups: dict[tuple[str, str], list[Recording]] = {}
    for each in chosen:
        groups.setdefault((each.speaker, each.text), []).append(each)
    about = {
        "layout": asked.layout,
        "parallel": corpus.parallel,
        "found": len(corpus.recordings),
        "notes": list(corpus.notes),
    }
    for (speaker, text), own in sorted(groups.items()):
        yield {
            "folder": str(folder),
            "files": [[each.emotion, each.path.relative_to(folder).as_posix()] for each in own],
            "speaker": speaker,
            "text": text,
            "words": own[0].words,
            "corpus": about,
        }


def render_plan(plan: Plan, context: PlanContext) -> Rendered:
    """All renditions of the sentence on the user's track. Raises AudioError, ValueError."""
    recipe = plan.recipe
    damaged: list[str] = []
    if "files" in recipe:
        said = _recorded(recipe, damaged)
    else:
        said = _spoken(plan, context)
    gap = silence(seconds_to_samples(GAP_S))
    parts, spans, at = [gap], [], gap.size
    for emotion, audio in said:
        end = at + audio.size
        spans.append(Span(start_s=at / SAMPLE_RATE_HZ, end_s=end / SAMPLE_RATE_HZ, label=emotion))
        parts += [audio, gap]
        at = end + gap.size
    track = np.concatenate(parts)
    user = silence(frames_for(track.size) * FRAME_SAMPLES)
    user[: track.size] = track
    scenario = Scenario(
        id=plan.id,
        kind=plan.kind,
        title=f"{recipe['words'] or recipe['text']} ({recipe['speaker']}: "
        f"{', '.join(emotion for emotion, _ in said)})",
        text=recipe["words"],
        conditions={"part": "tokens", "speaker": recipe["speaker"]},
        cluster=recipe["speaker"],
        user_spans=spans,
        turn_end_s=spans[-1].end_s,
        listen_s=0.0,
        expected={
            **{key: recipe[key] for key in ("set", "speaker", "text", "words")},
            **({"corpus": recipe["corpus"], "damaged": damaged} if "corpus" in recipe else {}),
        },
    )
    return Rendered(scenario, user, driven=False)


def _spoken(plan: Plan, context: PlanContext) -> list[tuple[str, Samples]]:
    from sts_eval.targets.core import renditions

    recipe = plan.recipe
    original = context.stimuli.with_remarks().get(recipe["stimulus"]).speech()
    rng = np.random.default_rng(derive_seed(context.seed, plan.id))
    made = renditions(original, recipe["tones"], rng, recipe["strength"])
    return [(ORIGINAL, original), *zip(recipe["tones"], made, strict=True)]


def _recorded(recipe: dict[str, Any], damaged: list[str]) -> list[tuple[str, Samples]]:
    """The recordings; those that cannot be read go to `damaged`. Raises AudioError without any."""
    from sts_eval.audio import SILENCE_DBFS, AudioError, load_audio, rms_dbfs
    from sts_eval.stimuli.conditions import trim

    said = []
    for emotion, name in recipe["files"]:
        try:
            audio = load_audio(Path(recipe["folder"]) / name, max_seconds=MOST_RECORDING_S)
            if rms_dbfs(audio) <= SILENCE_DBFS:
                raise AudioError(f"{Path(name).name}: digital silence, there is no speech in it")
        except AudioError as error:
            damaged.append(str(error))
            continue
        said.append((emotion, trim(audio)))
    if not said:
        raise AudioError("; ".join(damaged))
    return said
