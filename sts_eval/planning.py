"""Planning a run: what the command line and the suite ask for, settled before any scenario runs.

Everything that decides a run is in its `plan.json`: an interrupted run is continued from it, and an
old one is scored from it.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sts_eval import __version__
from sts_eval.probes import PlanContext, plan_all
from sts_eval.scenario import Plan
from sts_eval.suite import Suite
from sts_eval.target import Target, steps_together

PLAN_SCHEMA = "sts-eval/plan/1"


class RunError(Exception):
    """A run cannot start, resume or be scored: a usage error (exit code 2)."""


class RunPlan(BaseModel):
    """What was asked for; equal in an interrupted and in a resumed run."""

    model_config = ConfigDict(extra="forbid")
    schema_: str = Field(PLAN_SCHEMA, alias="schema")
    run_id: str
    created: str
    suite_file: str
    suite_sha256: str
    profile: str | None
    target: str
    target_description: dict[str, Any]
    seed: int
    stimuli: str | None
    stimuli_sha256: str
    limit: int | None
    environment: dict[str, str]
    batch: int = 1
    plans: list[Plan]


@dataclass(frozen=True)
class RunOptions:
    """The command line of `run`; None means what the suite says."""

    suite: Path
    target: str | None = None
    stimuli: Path | None = None
    limit: int | None = None
    profile: str | None = None
    seed: int | None = None
    out: Path = Path("reports")
    workers: int = 1
    batch: int | None = None
    baseline: Path | None = None


def load_plan(folder: Path) -> RunPlan:
    """Read plan.json. Raises RunError."""
    try:
        return RunPlan.model_validate_json((folder / "plan.json").read_bytes())
    except OSError as error:
        raise RunError(f"{folder}: not a run folder: no readable plan.json") from error
    except ValueError as error:
        raise RunError(f"{folder}/plan.json: {error}") from error


def plan_run(suite: Suite, options: RunOptions) -> RunPlan:
    from sts_eval.stimuli import Stimuli
    from sts_eval.targets import make_target

    model = suite.model
    spec = options.target or model.target
    folder = options.stimuli or (Path(model.stimuli) if model.stimuli else None)
    if folder is not None and options.stimuli is None and not folder.is_absolute():
        folder = options.suite.parent / folder  # a path in a suite is relative to the suite
    seed = model.seed if options.seed is None else options.seed
    target = make_target(spec)
    batch = _batch(target, options.batch, model.batch)
    try:
        description = target.describe()
        own = getattr(target, "plans", None)
        stimuli_hash = ""
        if own is not None:
            planned = own(suite.blocks)
        else:
            stimuli = Stimuli.load(folder)
            stimuli_hash = stimuli.sha256
            planned = plan_all(suite.blocks, PlanContext(stimuli, seed, model.cluster))
    except ValueError as error:
        raise RunError(f"{suite.file}: {error}") from error
    finally:
        target.shutdown()
    limit = options.limit
    if limit is None and options.profile is not None:
        limit = model.profiles[options.profile].limit
    plans = _with_cold_starts(_limited(planned, limit), model.cold_starts)
    if not plans:
        raise RunError(f"{suite.file}: no scenarios: no stimulus fits the suite")
    now = datetime.now(UTC)
    return RunPlan(
        schema=PLAN_SCHEMA,
        run_id=_free_run_id(options.out / model.suite, now),
        created=now.isoformat(timespec="seconds"),
        suite_file=options.suite.name,
        suite_sha256=suite.sha256,
        profile=options.profile,
        target=spec,
        target_description=description,
        seed=seed,
        stimuli=None if folder is None else str(folder.resolve()),
        stimuli_sha256=stimuli_hash,
        limit=limit,
        environment=describe_environment(options.workers),
        batch=batch,
        plans=plans,
    )


def _batch(target: Target, asked: int | None, suites: int) -> int:
    """How many conversations to step together. What the suite says is for targets that can."""
    able = steps_together(target)
    if asked is not None and asked > 1 and not able:
        raise RunError(
            f"--batch: the target {target.name!r} cannot step conversations together (it has no"
            " `open_batch`)"
        )
    return (suites if asked is None else asked) if able else 1


def _limited(plans: list[Plan], limit: int | None) -> list[Plan]:
    """`limit` plans spread evenly over all, so that a short run still touches every block."""
    if limit is None or limit >= len(plans):
        return plans
    if limit < 1:
        raise RunError("--limit must be at least 1")
    return [plans[index * len(plans) // limit] for index in range(limit)]


def _with_cold_starts(plans: list[Plan], cold: int) -> list[Plan]:
    return [plan.model_copy(update={"cold": index < cold}) for index, plan in enumerate(plans)]


def _free_run_id(parent: Path, now: datetime) -> str:
    stamp = now.strftime("%Y%m%d-%H%M%S")
    names = [stamp, *(f"{stamp}-{count}" for count in range(2, 1000))]
    return next(name for name in names if not (parent / name).exists())


def describe_environment(workers: int) -> dict[str, str]:
    """Versions and hardware; nothing that names a user, a host or a path."""
    packages = ("numpy", "onnxruntime", "torch", "moonshine-cpp", "silero-vad", "hibari-tts")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "sts-eval": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_count": str(os.cpu_count() or 1),
        "workers": str(workers),
        **versions,
    }
