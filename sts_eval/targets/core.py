"""The one door from the harness to the reference core (`sts_core`), and the core as a target.

    reference   reference:temperature=0.8,voice=hibari:heart   reference:weights=my.safetensors

Torch is imported with the first session or codec, so that a suite without them never loads it; the
recogniser, `moonshine_model`, and the VAD, `silero_model`, need numpy and onnxruntime only.

Stages are reported per frame, as events of the trace: `stage.encode` (codec and student),
`stage.temporal`, `stage.depth`, `stage.decode`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sts_core.asr import moonshine as moonshine_model
from sts_core.asr import vad as silero_model
from sts_eval.target import (
    Emission,
    MissingDependencyError,
    Samples,
    SessionSetup,
    TargetError,
    TargetEvent,
)

if TYPE_CHECKING:
    from sts_core.codec.base import Codec
    from sts_core.session import BatchSession, Reply, SessionOptions, System

__all__ = [
    "ReferenceTarget",
    "apply_tone",
    "load_codec",
    "moonshine_model",
    "renditions",
    "semantic_codebooks",
    "silero_model",
    "tone_replies",
    "tones",
]

REFERENCE = "reference"


def load_codec(name: str = REFERENCE) -> Codec:
    """The reference codec, or encodec, dac, mimi or hf:FOLDER (extra `[hf]`).

    Raises TargetError when there is none of this name or it does not load.
    """
    from sts_core.codec.files import load_codec as load_reference
    from sts_core.codec.hf import load_hf_codec
    from sts_core.hf import MissingExtraError

    try:
        return load_reference() if name == REFERENCE else load_hf_codec(name)
    except MissingExtraError as error:
        raise MissingDependencyError(str(error)) from error
    except ValueError as error:  # CodecError, WeightsError
        raise TargetError(f"codec {name!r}: {error}") from error


def tones() -> tuple[str, ...]:
    """The tones that `apply_tone` can give to speech."""
    from sts_core.data.prosody import TONES

    return tuple(TONES)


def apply_tone(
    audio: Samples, tone: str, rng: np.random.Generator, strength: float = 1.0
) -> Samples:
    """Speech float32 [S] at 24 kHz in another tone of voice, float32 [S'] (vocoder: pyworld).

    Raises MissingDependencyError when the vocoder is not installed, ValueError on another tone.
    """
    return renditions(audio, [tone], rng, strength)[0]


def tone_replies() -> dict[str, list[str]]:
    """What the reference was trained to reply to each tone, whatever the words."""
    from sts_core.data.texts import load_texts

    replies: dict[str, list[str]] = load_texts()["emotional"]["replies"]
    return {tone: list(texts) for tone, texts in replies.items()}


def renditions(
    audio: Samples, asked: Sequence[str], rng: np.random.Generator, strength: float = 1.0
) -> list[Samples]:
    """`apply_tone` for several tones of one recording, which is taken apart only once.

    Returns one float32 [S'] for each. Raises as `apply_tone`.
    """
    from sts_core.data.prosody import MissingVocoderError, apply_tones

    try:
        made = apply_tones(audio, asked, rng, strength)
    except MissingVocoderError as error:
        raise MissingDependencyError(str(error)) from error
    return [np.asarray(each, np.float32) for each in made]


def semantic_codebooks(codec: Codec) -> int:
    """How many of its first codebooks are taught to hold what is said: 1 or 0."""
    return int(codec.name in ("sts-core", "mimi"))


class ReferenceTarget:
    """The duplex language model of `sts_core`.

    weights: a language model's weights file; empty: the packaged one. seed: added to each
    scenario's own. temperature: of everything that is drawn, 0 is greedy. voice: of the agent;
    empty: its first. threads: for torch; 0 leaves them as they are.
    """

    name = REFERENCE
    clock: Literal["lockstep"] = "lockstep"
    # No agent_prefix: the model plans from its text and does not hear its own sound.
    options = frozenset({"temperature", "voice"})

    def __init__(
        self,
        weights: str = "",
        seed: int = 0,
        temperature: float = 0.0,
        voice: str = "",
        threads: int = 0,
    ) -> None:
        if not (np.isfinite(temperature) and temperature >= 0):
            raise TargetError("reference: temperature must be at least 0")
        if seed < 0 or threads < 0:
            raise TargetError("reference: seed and threads must be at least 0")
        if weights and not Path(weights).is_file():
            raise TargetError(f"reference: there is no weights file {Path(weights).name}")
        self._weights, self._voice = weights, voice or None
        self._seed, self._temperature, self._threads = seed, float(temperature), threads

    def describe(self) -> dict[str, Any]:
        """Name, settings and the hash of the weights."""
        from sts_core.lm.weights import DEFAULT_WEIGHTS

        file = Path(self._weights) if self._weights else DEFAULT_WEIGHTS
        if not file.is_file():
            raise TargetError("reference: this package has no weights of the language model")
        with file.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return {
            "name": self.name,
            "weights": file.name,
            "weights_sha256": sha256,
            "seed": self._seed,
            "temperature": self._temperature,
            "voice": self._voice or "default",
        }

    def open(self, setup: SessionSetup) -> ReferenceSession:
        """Begin a conversation. Raises TargetError when weights or voice cannot be used."""
        return ReferenceSession(self.open_batch([setup]))

    def open_batch(self, setups: list[SessionSetup]) -> ReferenceBatch:
        """Begin conversations that are stepped together; see `open`.

        They must ask for the same temperature.
        """
        try:
            if self._threads:
                import torch

                torch.set_num_threads(self._threads)
            system = load_system(self._weights)
            return ReferenceBatch(system.open_batch([self._options(setup) for setup in setups]))
        except ValueError as error:  # WeightsError, SessionError
            raise TargetError(f"reference: {error}") from error

    def _options(self, setup: SessionSetup) -> SessionOptions:
        from sts_core.session import SessionOptions

        asked = setup.options
        return SessionOptions(
            seed=(setup.seed + self._seed) % 2**32,
            voice=asked.get("voice", self._voice),
            temperature=asked.get("temperature", self._temperature),
        )

    def shutdown(self) -> None:
        """Forget the models."""
        load_system.cache_clear()


class ReferenceBatch:
    """n conversations stepped together (`sts_eval.target.BatchSession`)."""

    def __init__(self, batch: BatchSession) -> None:
        self._batch = batch

    def push(self, frames: Samples) -> list[Emission]:
        """Hear frames float32 [n, 1920]; one emission for each conversation."""
        return [_emission(reply) for reply in self._batch.push(frames)]

    def close(self, row: int) -> Emission:
        """Nothing is left to say."""
        return Emission()


class ReferenceSession:
    """One conversation."""

    def __init__(self, batch: ReferenceBatch) -> None:
        self._batch = batch

    def push(self, frame: Samples) -> Emission:
        """Hear a frame float32 [1920]; always gives one back."""
        return self._batch.push(frame[None])[0]

    def close(self) -> Emission:
        """Nothing is left to say."""
        return Emission()


@lru_cache(maxsize=1)
def load_system(weights: str) -> System:
    """The system with these weights, read once per process. Raises ValueError (WeightsError)."""
    from sts_core.session import System

    return System.load(weights or None)


def _emission(reply: Reply) -> Emission:
    stages = reply.stages._asdict()
    events = tuple(
        TargetEvent(f"stage.{name.removesuffix('_ms')}", {"compute_ms": round(value, 3)})
        for name, value in stages.items()
    )
    return Emission(reply.audio, reply.text, events)


def training_rows() -> list[dict[str, Any]]:
    """What the reference was trained to hear and say, as rows of a training manifest.

    Each has `id`, `text`, `role`, `kind`; an answer also `prompts`, the texts it answers; what the
    agent says also `voice`, with which `speak` says it as its training recordings were made. Sums
    are left out: they are made from templates, so no one of them was learnt as a text.
    """
    from sts_core.data.texts import load_texts
    from sts_core.data.voices import AGENT_VOICE

    texts = load_texts()
    rows: list[dict[str, Any]] = []

    def add(kind: str, name: Any, text: str, role: str, prompts: list[str] | None = None) -> None:
        row: dict[str, Any] = {"id": f"{kind}-{name}-{role}", "text": text, "role": role}
        row |= {"kind": kind} | ({"prompts": prompts} if prompts else {})
        rows.append(row | ({"voice": AGENT_VOICE} if role == "agent" else {}))

    for fact in texts["facts"]:
        add("fact", fact["id"], fact["answer"], "agent", fact["questions"])
        for n, question in enumerate(fact["questions"]):
            add("fact", f"{fact['id']}.{n}", question, "user")
    unanswerable = [q for item in texts["unanswerable"]["questions"] for q in item["questions"]]
    for n, reply in enumerate(texts["unanswerable"]["replies"]):
        add("unanswerable", n, reply, "agent", unanswerable)
    for n, question in enumerate(unanswerable):
        add("unanswerable", n, question, "user")
    remarks = [item["text"] for item in texts["emotional"]["sentences"]]
    for tone, replies in texts["emotional"]["replies"].items():
        for n, reply in enumerate(replies):
            add("emotional", f"{tone}.{n}", reply, "agent", remarks)
    for n, remark in enumerate(remarks):
        add("emotional", n, remark, "user")
    for kind, asked, answered in (("greetings", "user", "agent"), ("long", "prompt", "answer")):
        for item in texts[kind]:
            add(kind, item["id"], item[answered], "agent", [item[asked]])
            add(kind, item["id"], item[asked], "user")
    for kind in ("backchannels", "interruptions"):
        for n, text in enumerate(texts[kind]):
            add(kind, n, text, "user")
    for n, text in enumerate(texts["generic"]):
        add("generic", n, text, "agent")
    return rows


def canary_file() -> Path | None:
    """The list of canaries of the reference's overfit control, or None when there is none."""
    from sts_core.checkpoint import __file__ as anchor

    file = Path(anchor).parent / "weights" / "lm" / "canaries.yaml"
    return file if file.is_file() else None


def speak(text: str, voice: str, seed: int = 0) -> Samples:
    """Text in a voice of the training corpus, float32 [S] at 24 kHz, finished as its recordings.

    Raises ValueError for a voice that needs more than the wheel of hibari-tts holds.
    """
    from sts_core.data.synth import level, trim

    rng = np.random.default_rng(seed)
    engine = _hibari()
    return np.asarray(level(trim(engine.speak(engine.phonemize(text), voice, 1.0, rng))))


@lru_cache(maxsize=1)
def _hibari() -> Any:
    from sts_core.data.voices import Hibari

    return Hibari()
