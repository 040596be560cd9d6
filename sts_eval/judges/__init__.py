"""Judges by name, with settings where they have any:

    moonshine   pocketsphinx   faster_whisper:model=small.en   transformers:model=FOLDER
    endpoint:url=http://127.0.0.1:8000/v1,model=whisper-1,key_env=OPENAI_API_KEY

Plug-ins from outside: `python:package.module:factory`, called to make one.

Loading a judge imports its packages; its models are read when it first hears something, so that a
fully cached run loads none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sts_eval.judges.base import AsrJudge, JudgeError, Transcript, VadJudge
from sts_eval.registry import Entry, Registry, RegistryError, load_attribute

__all__ = [
    "JUDGES",
    "AsrJudge",
    "JudgeError",
    "Transcript",
    "VadJudge",
    "load_asr",
    "load_vad",
]

_HERE = "sts_eval.judges"

JUDGES = Registry(
    "judge",
    [
        Entry("moonshine", f"{_HERE}.moonshine:MoonshineJudge", "ASR: Moonshine base-en (default)"),
        Entry(
            "pocketsphinx",
            f"{_HERE}.sphinx:PocketsphinxJudge",
            "ASR: PocketSphinx en-us, a weak but unrelated second opinion",
            extra="pocketsphinx",
        ),
        Entry(
            "pocketsphinx_numbers",
            f"{_HERE}.sphinx_numbers:NumberGrammarJudge",
            "ASR: PocketSphinx that hears spoken numbers only, the second opinion on sums",
            extra="pocketsphinx",
        ),
        Entry(
            "faster_whisper",
            f"{_HERE}.faster_whisper:FasterWhisperJudge",
            "ASR: a Whisper model in CTranslate2 format, by name or folder",
            extra="faster-whisper",
        ),
        Entry(
            "transformers",
            f"{_HERE}.hf:TransformersJudge",
            "ASR: a local folder or a hub name, Whisper or CTC, through transformers",
            extra="hf",
        ),
        Entry(
            "endpoint",
            f"{_HERE}.endpoint:EndpointJudge",
            "ASR: an OpenAI-compatible /audio/transcriptions endpoint",
        ),
        Entry("silero", f"{_HERE}.vad:SileroJudge", "VAD: Silero, edges to 10 ms (default)"),
        Entry("energy", f"{_HERE}.vad:EnergyJudge", "VAD: level alone, for clean synthetic tracks"),
    ],
)


def load_asr(name: str) -> AsrJudge:
    """The ASR judge of this name. Raises JudgeError."""
    judge: AsrJudge = _load(name, "transcribe", "ASR")
    return judge


def load_vad(name: str) -> VadJudge:
    """The VAD judge of this name. Raises JudgeError."""
    judge: VadJudge = _load(name, "speech_spans", "VAD")
    return judge


@lru_cache(maxsize=8)
def _load(name: str, method: str, what: str) -> Any:
    try:
        if name.startswith("python:"):
            judge = load_attribute(name.removeprefix("python:"))()
        else:
            from sts_eval.targets import parse_spec

            judge_name, settings = parse_spec(name)
            judge = JUDGES.load(judge_name)(**settings)
    except (RegistryError, ImportError, TypeError) as error:
        raise JudgeError(f"{name}: {error}") from error
    if not hasattr(judge, method):
        raise JudgeError(f"{name!r} is not {what} judge (it has no {method})")
    return judge
