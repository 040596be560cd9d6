"""The cascade as a target: settings, checked at once, and models, loaded with the first session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sts_eval.registry import nearest
from sts_eval.target import MissingDependencyError, SessionSetup, TargetError
from sts_eval.targets.cascade.chat import ChatResponder, ChatSettings
from sts_eval.targets.cascade.endpoint import EndpointSettings, Listener
from sts_eval.targets.cascade.parts import RECOGNISERS, Responder, Voice
from sts_eval.targets.cascade.session import CascadeSession, Parts
from sts_eval.targets.cascade.skills import SkillResponder

VERSION = 2
MODELS = ("silero-vad", "moonshine-cpp", "hibari-tts")


@dataclass(frozen=True)
class CascadeTarget:
    """silero-vad end-pointing, Moonshine or PocketSphinx, a responder, hibari speech.

    endpoint_ms: silence that ends the user's turn. barge_in_ms: speech that stops the agent.
    threshold: speech probability. asr: "moonshine" or "pocketsphinx". speed: of the voice.
    chat_url: an OpenAI-compatible endpoint ("http://host:port/v1"); empty: the offline skills.
    chat_key_env: name of the environment variable that holds its key.
    """

    endpoint_ms: float = 500.0
    barge_in_ms: float = 240.0
    threshold: float = 0.5
    asr: str = "moonshine"
    speed: float = 1.0
    chat_url: str = ""
    chat_model: str = "default"
    chat_key_env: str = "OPENAI_API_KEY"
    chat_timeout_s: float = 20.0

    name = "cascade"
    clock: Literal["lockstep"] = "lockstep"

    def __post_init__(self) -> None:
        for setting, low, high in (
            ("endpoint_ms", 32, 5_000),
            ("barge_in_ms", 32, 5_000),
            ("threshold", 0.2, 0.99),
            ("speed", 0.5, 2.0),
            ("chat_timeout_s", 0.1, 600),
        ):
            value = getattr(self, setting)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TargetError(f"cascade: {setting} must be a number, not {value!r}")
            if not low <= value <= high:
                raise TargetError(f"cascade: {setting} is {value:g}, expected {low:g} to {high:g}")
        if self.asr not in RECOGNISERS:
            raise TargetError(
                f"cascade: unknown recogniser {self.asr!r}{nearest(str(self.asr), RECOGNISERS)}"
            )

        if self.chat_url:
            self._chat(seed=0)  # an address that cannot be used is refused here

    def describe(self) -> dict[str, Any]:
        """Name, version, settings and the versions of the models."""
        described = {key: getattr(self, key) for key in self.__dataclass_fields__}
        if not self.chat_url:
            for key in ("chat_url", "chat_model", "chat_key_env", "chat_timeout_s"):
                del described[key]
        return {
            "name": self.name,
            "version": VERSION,
            "responder": "chat" if self.chat_url else SkillResponder.name,
            **described,
            "models": _model_versions(),
        }

    def open(self, setup: SessionSetup) -> CascadeSession:
        """A new conversation. The first call loads the models. Raises TargetError."""
        settings = EndpointSettings(self.endpoint_ms, self.barge_in_ms, self.threshold)
        parts = Parts(
            listener=Listener(settings),
            recogniser=RECOGNISERS[self.asr],
            responder=self._responder(setup.seed),
            voice=Voice(self.speed),
        )
        _warm_up(self.asr)
        return CascadeSession(parts, setup.seed)

    def shutdown(self) -> None:
        """The models are shared by the process and stay."""

    def _responder(self, seed: int) -> Responder:
        return ChatResponder(self._chat(seed)) if self.chat_url else SkillResponder()

    def _chat(self, seed: int) -> ChatSettings:
        return ChatSettings(
            url=self.chat_url,
            model=self.chat_model,
            key_env=self.chat_key_env,
            timeout_s=self.chat_timeout_s,
            seed=seed,
        )


def _warm_up(asr: str) -> None:
    """Load the recogniser now, so that its time counts as opening and not as the first answer."""
    from sts_eval.judges.base import JudgeError

    try:
        if asr == "moonshine":
            from sts_eval.judges.moonshine import load_model

            load_model()
        else:
            from sts_eval.judges.sphinx import load_decoder

            load_decoder()
    except JudgeError as error:
        raise MissingDependencyError(f"cascade: {error}") from error


def _model_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in MODELS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
