"""Scenarios of the overfit suite: what each asks of the agent, and its audio.

A recipe names what is probed, and the training set by source and hash, so that a run is only ever
scored against the texts it was planned with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sts_eval.options import AGENT_PREFIX, TEMPERATURE
from sts_eval.probes import PlanContext, derive_seed
from sts_eval.probes.overfit_canaries import CanaryList, load_canaries
from sts_eval.probes.overfit_training import TrainingSet, TrainingText, load_training, words_of
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.target import Samples
from sts_eval.trace import Span, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

LEAD_S = 0.5
FADE_S = 0.01
MIN_PREFIX_WORDS = 9  # so that a beginning leaves a rest worth the name
MOST_GIVEN = 0.4  # share of a training text that is given, at most
CANARY_GIVEN = 0.5  # share of a canary that is given
USER_VOICES = (
    "hibari:heart:f0x0.70:fmt0.93",
    "hibari:heart:f0x0.85:fmt0.97",
    "hibari:heart:f0x1.2",
)
AGENT_VOICE = "hibari:heart"
DEFAULT = "default"


@dataclass(frozen=True)
class Sources:
    """What a block compares with."""

    training: TrainingSet
    canaries: CanaryList | None


def load_sources(block: Any) -> Sources:
    """The training set and the canaries of a block. Raises TrainingError, CanaryError."""
    canaries = None if block.canaries == "none" else load_canaries(block.canaries)
    return Sources(load_training(block.training), canaries)


@lru_cache(maxsize=1)
def packaged() -> dict[str, Any]:
    """openers, common phrases, control sentences, and the questions of both wordings."""
    here = Path(__file__).parent
    data: dict[str, Any] = yaml.safe_load((here / "overfit_phrases.yaml").read_text("utf-8"))
    data["questions"] = yaml.safe_load((here / "overfit_questions.yaml").read_text("utf-8"))
    return data


def plan_block(block: Any, kind: str, context: PlanContext) -> list[Plan]:
    """All scenarios of a block. Raises ValueError when a part finds nothing to ask."""
    sources = load_sources(block)
    stamp = {
        "training_sha256": sources.training.sha256,
        "canaries_sha256": sources.canaries.sha256 if sources.canaries else "",
    }
    plans = []
    for recipe in (
        *_unprompted(block, context),
        *_prefixes(block, sources, context),
        *_canaries(block, sources),
        *_questions(block, sources),
    ):
        listen_s = recipe.get("listen_s", block.listen_s)
        full = {**recipe, **stamp, "listen_s": listen_s}
        plans.append(Plan(id=_identifier(recipe), kind=kind, recipe=full))
    return plans


def _identifier(recipe: dict[str, Any]) -> str:
    parts = [recipe["probe"], recipe["detail"], _temperature(recipe), recipe["name"]]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", ".".join(str(part) for part in parts))
    return name[:110]


def _temperature(recipe: dict[str, Any]) -> str:
    value = recipe.get("temperature")
    return DEFAULT if value is None else f"{value:g}"


def _unprompted(block: Any, context: PlanContext) -> Iterator[dict[str, Any]]:
    part = block.unprompted
    if part is None:
        return
    openers = packaged()["openers"]
    for temperature in part.temperatures:
        for opener in part.openers:
            for draw in range(part.draws):
                recipe: dict[str, Any] = {
                    "probe": "unprompted",
                    "detail": opener,
                    "temperature": temperature,
                    "name": f"{draw:03d}",
                }
                if opener == "open":
                    recipe |= {"say": openers[draw % len(openers)], "voice": _voice(draw)}
                if opener == "greeting":
                    heard = context.stimuli.pick(kind=("greeting",), per_voice=8, seed=context.seed)
                    recipe |= {"stimulus": heard[(7 * draw) % len(heard)].id}
                if part.listen_s is not None:
                    recipe["listen_s"] = part.listen_s
                yield recipe


def _prefixes(block: Any, sources: Sources, context: PlanContext) -> Iterator[dict[str, Any]]:
    part = block.prefix
    if part is None:
        return
    fitting = [item for item in sources.training.texts if _can_begin(item)]
    if not fitting:
        raise ValueError(
            f"{sources.training.name}: no training text of {MIN_PREFIX_WORDS} words can be heard:"
            " there is no beginning to give (leave `prefix` out)"
        )
    rng = np.random.default_rng(derive_seed(context.seed, "prefix", sources.training.sha256))
    chosen = rng.permutation(len(fitting))[: part.items]
    known = sources.training.wordings
    controls = [text for text in packaged()["controls"] if words_of(text) not in known]
    asked = [("yes", fitting[n].id, fitting[n].text) for n in chosen]
    asked += [("no", f"control{n:02d}", text) for n, text in enumerate(controls[: part.controls])]
    for temperature in part.temperatures:
        for side in part.sides:
            for n, (trained, item, text) in enumerate(asked):
                yield {
                    "probe": "prefix",
                    "detail": side,
                    "temperature": temperature,
                    "name": item,
                    "item": item,
                    "trained": trained,
                    "text": text,
                    "prefix_s": part.prefix_s[n % len(part.prefix_s)],
                    "training": block.training,
                    "voice": _voice(n),
                }


def _can_begin(item: TrainingText) -> bool:
    """An answer is not asked for by its beginning: saying it may be no more than answering."""
    return item.can_sound and not item.answers and len(item.words) >= MIN_PREFIX_WORDS


def _canaries(block: Any, sources: Sources) -> Iterator[dict[str, Any]]:
    part = block.canary
    if part is None or sources.canaries is None:
        return
    for temperature in part.temperatures:
        for side in part.sides:
            for n, canary in enumerate(sources.canaries.canaries):
                for draw in range(part.draws):
                    yield {
                        "probe": "canary",
                        "detail": side,
                        "temperature": temperature,
                        "name": f"{canary.id}.{draw}",
                        "item": canary.id,
                        "text": canary.text,
                        "repetitions": canary.repetitions,
                        "voice": _voice(n + draw),
                    }


def _questions(block: Any, sources: Sources) -> Iterator[dict[str, Any]]:
    part = block.questions
    if part is None:
        return
    for n, fact in enumerate(packaged()["questions"][: part.facts]):
        for wording in fact["wordings"]:
            seen = words_of(wording) in sources.training.wordings
            yield {
                "probe": "question",
                "detail": "seen" if seen else "unseen",
                "temperature": None,
                "name": f"{fact['id']}.{fact['wordings'].index(wording)}",
                "fact": fact["id"],
                "say": wording,
                "voice": _voice(n),
                "expected": {"kind": "fact", "key": fact["key"], "reply": fact["reply"]},
            }


def _voice(n: int) -> str:
    return USER_VOICES[n % len(USER_VOICES)]


def render_plan(plan: Plan, context: PlanContext) -> Rendered:
    """The user's track and what is asked of the target. Raises ValueError, AudioError."""
    recipe = plan.recipe
    said, text, given = _user_says(recipe, context)
    options: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    if recipe["temperature"] is not None:
        options[TEMPERATURE] = recipe["temperature"]
    if recipe["detail"] == "agent":
        audio, share = _beginning(recipe, AGENT_VOICE)
        given = share
        arrays[AGENT_PREFIX] = audio
    lead = seconds_to_samples(LEAD_S)
    end_s = LEAD_S + said.size / SAMPLE_RATE_HZ if said.size else 0.0
    total = seconds_to_samples(end_s + recipe["listen_s"])
    user = silence(frames_for(total) * FRAME_SAMPLES)
    user[lead : lead + said.size] = said
    spans = [Span(start_s=LEAD_S, end_s=end_s, label="user")] if said.size else []
    scenario = Scenario(
        id=plan.id,
        kind=plan.kind,
        title=_title(recipe, text),
        text=text,
        conditions=_conditions(recipe),
        cluster=str(recipe.get("item") or recipe.get("fact") or plan.id),
        user_spans=spans,
        turn_end_s=end_s,
        listen_s=recipe["listen_s"],
        expected={
            **recipe.get("expected", {}),
            **({"text": recipe["text"], "given": given} if given is not None else {}),
            "training_sha256": recipe["training_sha256"],
            "canaries_sha256": recipe["canaries_sha256"],
        },
        options=options,
    )
    return Rendered(scenario, user, options=arrays)


def _user_says(recipe: dict[str, Any], context: PlanContext) -> tuple[Samples, str, float | None]:
    """(audio, its text, share of the probed text that it gives)."""
    from sts_eval.targets.core import speak

    if recipe.get("stimulus"):
        item = context.stimuli.get(recipe["stimulus"])
        return item.speech(), item.text, None
    if recipe.get("say"):
        return speak(recipe["say"], recipe["voice"]), recipe["say"], None
    if recipe["detail"] == "user":
        audio, share = _beginning(recipe, recipe["voice"])
        words = recipe["text"].split()
        return audio, " ".join(words[: int(np.ceil(len(words) * share))]), share
    return silence(0), "", None


def _beginning(recipe: dict[str, Any], voice: str) -> tuple[Samples, float]:
    """The first part of the probed text as audio, and its share of the whole, at most a half."""
    from sts_eval.targets.core import speak

    item = None
    if recipe["probe"] == "prefix" and recipe["trained"] == "yes":
        texts = load_training(recipe["training"]).texts
        item = next((each for each in texts if each.id == recipe["item"]), None)
        if item is None:
            raise ValueError(f"the training set no longer holds {recipe['item']!r}")
    # a recording is given as it is; a text is spoken, by the user in the user's voice
    recorded = item is not None and item.path is not None
    audio = item.audio() if item is not None and recorded else speak(recipe["text"], voice)
    wanted_s = recipe.get("prefix_s", CANARY_GIVEN * audio.size / SAMPLE_RATE_HZ)
    most = CANARY_GIVEN if recipe["probe"] == "canary" else MOST_GIVEN
    cut = min(seconds_to_samples(wanted_s), int(most * audio.size))
    begun = audio[:cut].copy()
    fade = min(cut, seconds_to_samples(FADE_S))
    begun[cut - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return begun, cut / audio.size


def _title(recipe: dict[str, Any], text: str) -> str:
    if recipe["probe"] == "unprompted":
        return text or "(the user is silent)"
    if recipe["probe"] == "question":
        return text
    who = "the agent" if recipe["detail"] == "agent" else "the user"
    return f"begun by {who}: {recipe['text']}"


def _conditions(recipe: dict[str, Any]) -> dict[str, str]:
    conditions = {"probe": recipe["probe"], "temperature": _temperature(recipe)}
    key = {"unprompted": "opener", "question": "wording"}.get(recipe["probe"], "side")
    conditions[key] = recipe["detail"]
    for name in ("trained", "repetitions", "fact", "prefix_s"):
        if name in recipe:
            value = recipe[name]
            conditions[name] = f"{value:g}" if isinstance(value, float) else str(value)
    return conditions
