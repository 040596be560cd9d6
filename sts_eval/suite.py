"""Suite files: the schema, and an explanation of every mistake in one.

    suite: latency
    question: How soon does the agent answer, and does it wait for its turn?
    seed: 17
    target: cascade
    scenarios:
      - kind: question
        pick: {kind: [arithmetic, fact], per_voice: 8}
        conditions: {snr_db: [null, 20, 10], rate: [0.9, 1.0, 1.15]}
        listen_s: 6
    gates:
      - response_onset_audio_ms.p50 <= 800
      - response_onset_audio_ms.p95 no worse than baseline by 80

Config is data: no class paths, templates or code. An unknown key is an error that names the file,
the line and the nearest valid key. Everything is checked before any target opens.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sts_eval.gate import Gate, GateSyntaxError, parse_gate
from sts_eval.metric import MetricSpec
from sts_eval.probes import KINDS, Kind, ScenarioBlock
from sts_eval.registry import RegistryError, nearest
from sts_eval.yamlfile import (
    KeyPath,
    SuiteError,
    SuiteErrors,
    YamlDocument,
    explain,
    read_yaml,
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Judges(_Strict):
    """Which judges hear the traces; `second` is an ASR judge that kinds may ask against the
    first."""

    asr: str = "moonshine"
    vad: str = "silero"
    second: str = "none"


class Profile(_Strict):
    """A smaller or larger version of the suite, chosen with --profile."""

    limit: Annotated[int, Field(ge=1)] | None = None
    min_n: Annotated[int, Field(ge=1)] | None = None
    gates: tuple[str, ...] | None = None


class SuiteModel(_Strict):
    """A suite file as written.

    cluster: what is resampled together: "utterance" (conditions of one recording) or "voice".
    min_n: a gate on fewer measured observations is INCONCLUSIVE.
    deadline_s: a target that does not return from one push (or from open) for so long has hung.
    cold_starts: so many scenarios run in a process of their own, to measure the cold start.
    slices: the conditions that estimates are broken down by.
    batch: so many scenarios are stepped together, where the target can (`--batch`).
    """

    suite: Name
    question: Annotated[str, Field(min_length=1, max_length=500)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    target: str = "cascade"
    stimuli: str | None = None
    judges: Judges = Judges()
    cluster: Annotated[str, Field(pattern="^(utterance|voice)$")] = "utterance"
    min_n: Annotated[int, Field(ge=1)] = 10
    deadline_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    cold_starts: Annotated[int, Field(ge=0, le=20)] = 1
    slices: tuple[str, ...] = ("voice",)
    batch: Annotated[int, Field(ge=1, le=256)] = 1
    scenarios: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    gates: tuple[str, ...] = ()
    profiles: dict[str, Profile] = {}


@dataclass(frozen=True)
class Suite:
    """A checked suite: the model, its scenario blocks with their kinds, its gates and its hash."""

    model: SuiteModel
    blocks: tuple[tuple[Kind, ScenarioBlock], ...]
    gates: tuple[Gate, ...]
    metrics: dict[str, MetricSpec]
    file: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """The suite with its defaults filled in, for run.json."""
        filled: dict[str, Any] = self.model.model_dump(mode="json")
        filled["scenarios"] = [block.model_dump(mode="json") for _, block in self.blocks]
        return filled


def load_suite(path: Path, *, profile: str | None = None) -> Suite:
    """Read and check a suite file. Raises SuiteErrors naming every mistake and its line."""
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise SuiteErrors([SuiteError(document.file, 1, "a suite is a mapping of keys to values")])
    errors: list[SuiteError] = []
    model = _check_model(document, errors)
    blocks = _check_blocks(document, errors)
    if model is None or errors:
        raise SuiteErrors(errors)
    if profile is not None:
        model = _apply_profile(model, profile, document)
    metrics = {spec.name: spec for kind, _ in blocks for spec in kind.metrics}
    gates = _check_gates(model, document, metrics, errors)
    if errors:
        raise SuiteErrors(errors)
    return Suite(model, tuple(blocks), gates, metrics, document.file, _content_hash(model, blocks))


def _content_hash(model: SuiteModel, blocks: list[tuple[Kind, ScenarioBlock]]) -> str:
    """SHA-256 of what decides the scenarios and how they are judged; gates may change freely."""
    content = model.model_dump(
        mode="json",
        exclude={"batch", "gates", "profiles", "question", "target", "min_n", "scenarios"},
    )
    content["scenarios"] = [block.model_dump(mode="json") for _, block in blocks]
    if model.judges.second == "none":
        del content["judges"]["second"]  # so that suites without one keep their accepted baselines
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check_model(document: YamlDocument, errors: list[SuiteError]) -> SuiteModel | None:
    try:
        return SuiteModel.model_validate(document.data)
    except ValidationError as error:
        errors += explain(error, document, (), SuiteModel)
        return None


def _check_blocks(
    document: YamlDocument, errors: list[SuiteError]
) -> list[tuple[Kind, ScenarioBlock]]:
    checked: list[tuple[Kind, ScenarioBlock]] = []
    blocks = document.data.get("scenarios")
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        path: KeyPath = ("scenarios", index)
        if not isinstance(block, dict):
            continue  # the model check has said so already
        try:
            name = block.get("kind")
            if not isinstance(name, str):
                raise RegistryError(f"each scenario block needs `kind`{nearest('', KINDS)}")
            if name not in KINDS:
                raise RegistryError(f"unknown scenario kind {name!r}{nearest(name, KINDS)}")
            kind = KINDS[name]()
        except RegistryError as error:
            errors.append(SuiteError(document.file, document.line((*path, "kind")), str(error)))
            continue
        try:
            checked.append((kind, kind.block.model_validate(block)))
        except ValidationError as error:
            errors += explain(error, document, path, kind.block)
    return checked


def _check_gates(
    model: SuiteModel,
    document: YamlDocument,
    metrics: dict[str, MetricSpec],
    errors: list[SuiteError],
) -> tuple[Gate, ...]:
    gates = []
    for index, text in enumerate(model.gates):
        try:
            gates.append(parse_gate(text, metrics))
        except GateSyntaxError as error:
            line = document.line(("gates", index))
            errors.append(SuiteError(document.file, line, f"gate {text!r}: {error}"))
    return tuple(gates)


def _apply_profile(model: SuiteModel, name: str, document: YamlDocument) -> SuiteModel:
    if name not in model.profiles:
        message = f"no profile {name!r}{nearest(name, model.profiles)}"
        raise SuiteErrors([SuiteError(document.file, document.line(("profiles",)), message)])
    profile = model.profiles[name]
    changes: dict[str, Any] = {}
    if profile.min_n is not None:
        changes["min_n"] = profile.min_n
    if profile.gates is not None:
        changes["gates"] = profile.gates
    return model.model_copy(update=changes)
