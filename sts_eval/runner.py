"""A run, from a checked suite to a run folder; and scoring an old folder again.

    run folder:  plan.json  suite.yaml  traces/  ->  run.json  report.html  junit.xml  summary.md

`plan.json` and the copy of the suite are written before the first scenario, so that an interrupted
run can be continued (`--resume`) or scored as it stands. Nothing in run.json depends on when
scoring ran.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from sts_eval.engine.pooling import PooledRun, pool_kind, pooling_kinds
from sts_eval.engine.scoring import JudgeNames, Scored, score_all
from sts_eval.engine.supervisor import run_jobs
from sts_eval.engine.take import Done, Job
from sts_eval.engine.worker import WorkerConfig
from sts_eval.observation import Observation, Verdict
from sts_eval.planning import RunError, RunOptions, RunPlan, load_plan, plan_run
from sts_eval.probes import PlanContext
from sts_eval.record import RunRecord, save_run
from sts_eval.scenario import unrendered
from sts_eval.suite import Suite, load_suite
from sts_eval.trace import SCHEMA, Trace, TraceMeta, save_trace, silence, write_text_atomic
from sts_eval.units import SAMPLE_RATE_HZ


class Progress:
    """What a run tells while it goes on; the silent default. The CLI draws a bar."""

    def begin(self, what: str, total: int) -> None:
        """A phase of `total` steps starts."""

    def step(self, note: str = "") -> None:
        """One step is done."""


def start_run(options: RunOptions, progress: Progress) -> Path:
    """Plan and execute a new run; returns its folder.

    Raises SuiteErrors, RegistryError, RunError.
    """
    suite = load_suite(options.suite, profile=options.profile)
    plan = plan_run(suite, options)
    folder = options.out / suite.model.suite / plan.run_id
    (folder / "traces").mkdir(parents=True)
    write_text_atomic(folder / "suite.yaml", options.suite.read_text(encoding="utf-8"))
    write_text_atomic(folder / "plan.json", plan.model_dump_json(by_alias=True, indent=1) + "\n")
    execute(folder, plan, suite, options.workers, progress)
    return folder


def resume_run(folder: Path, workers: int, progress: Progress) -> None:
    """Continue an interrupted run: the scenarios without a trace are run."""
    plan = load_plan(folder)
    execute(folder, plan, load_run_suite(folder, plan), workers, progress)


def load_run_suite(folder: Path, plan: RunPlan) -> Suite:
    """The suite as it was when the run started. Raises RunError when it has been changed."""
    suite = load_suite(folder / "suite.yaml", profile=plan.profile)
    if suite.sha256 != plan.suite_sha256:
        raise RunError(f"{folder}/suite.yaml is not the suite this run was made with")
    return suite


def execute(folder: Path, plan: RunPlan, suite: Suite, workers: int, progress: Progress) -> None:
    """Run the scenarios of a plan that have no trace yet."""
    traces = folder / "traces"
    jobs = [Job(item, item.id) for item in plan.plans if not (traces / f"{item.id}.json").exists()]
    progress.begin("running", len(plan.plans))
    for _ in range(len(plan.plans) - len(jobs)):
        progress.step("already recorded")
    if plan.target.startswith("recorded"):
        _import_recorded(traces, plan, jobs, progress)
        return
    config = WorkerConfig(
        target=plan.target,
        stimuli=plan.stimuli,
        seed=plan.seed,
        cluster=suite.model.cluster,
        folder=traces,
        threads=max(1, (os.cpu_count() or 1) // workers),
        search_path=(*(entry for entry in sys.path if entry), os.getcwd()),
        batch=plan.batch,
    )

    def on_done(job: Job, done: Done) -> None:
        if not (traces / f"{job.stem}.json").exists():
            _save_failure(traces, plan, suite, job, done)
        progress.step(job.plan.id if not done.error else f"{job.plan.id}: {done.error}")

    run_jobs(config, jobs, workers=workers, deadline_s=suite.model.deadline_s, on_done=on_done)


def _import_recorded(traces: Path, plan: RunPlan, jobs: list[Job], progress: Progress) -> None:
    from sts_eval.targets import make_target

    target: Any = make_target(plan.target)
    for job in jobs:
        save_trace(target.trace(job.plan), traces, job.stem)
        progress.step(job.plan.id)


def _save_failure(traces: Path, plan: RunPlan, suite: Suite, job: Job, done: Done) -> None:
    """The error trace of a scenario whose worker could not write one: the user's side alone."""
    from sts_eval.stimuli import Stimuli

    kinds = {kind.name: kind for kind, _ in suite.blocks}
    stimuli = Stimuli.load(None if plan.stimuli is None else Path(plan.stimuli))
    context = PlanContext(stimuli, plan.seed, suite.model.cluster)
    try:
        rendered = kinds[job.plan.kind].render(job.plan, context)
    except Exception:  # whatever is wrong with it, the scenario has failed already
        rendered = unrendered(job.plan)
    meta = TraceMeta(
        schema=SCHEMA,
        scenario=rendered.as_json(),
        clock="lockstep",
        seed=plan.seed,
        status="error",
        error=done.error if done.status == "killed" else f"harness: {done.error}",
        seconds=rendered.user.size / SAMPLE_RATE_HZ,
        retried=job.retried,
    )
    trace = Trace(meta=meta, user=rendered.user, agent=silence(rendered.user.size))
    save_trace(trace, traces, job.stem)


def score_run(
    folder: Path,
    progress: Progress,
    *,
    baseline: Path | None = None,
    workers: int | None = None,
    judge_reports: bool = True,
    outputs: bool = True,
) -> RunRecord:
    """Score the traces of a run folder and write run.json and the outputs beside it.

    judge_reports: measure the judges' own error rates, too. outputs: False writes nothing.

    Raises RunError, TraceError, RecordError.
    """
    plan = load_plan(folder)
    suite = load_run_suite(folder, plan)
    paths = [folder / "traces" / f"{item.id}.json" for item in plan.plans]
    present = [path for path in paths if path.exists()]
    if not present:
        raise RunError(f"{folder}: there is no trace to score")
    named = suite.model.judges
    names = JudgeNames(named.asr, named.vad, named.second)
    progress.begin("scoring", len(present))
    scored = score_all(present, names, workers=workers, on_scored=progress.step)
    pooled = _pool(folder, plan, suite, scored, progress)
    record = _assemble(plan, suite, scored, pooled, complete=len(present) == len(paths))
    if judge_reports:
        from sts_eval.judges.calibration import judge_reports as measure

        record.judges = measure(names.asr, names.vad, names.second)
    judge(record, suite, baseline)
    if outputs:
        write_outputs(record, folder)
    return record


def _pool(
    folder: Path, plan: RunPlan, suite: Suite, scored: list[Scored], progress: Progress
) -> PooledRun:
    pooled = PooledRun()
    kinds = pooling_kinds(suite)
    if kinds:
        progress.begin("analysing", len(kinds))
    for kind in kinds:
        pool_kind(kind, suite, plan, folder, scored, pooled)
        progress.step(kind.name)
    return pooled


def _assemble(
    plan: RunPlan, suite: Suite, scored: list[Scored], pooled: PooledRun, *, complete: bool
) -> RunRecord:
    from sts_eval.stats import estimate_all, slices_by

    finished = {item.metric for item in pooled.estimates}
    observations = [item for score in scored for item in score.observations]
    observations += pooled.observations
    seen = {item.metric for item in observations} | finished
    # metrics of a task (`scorer/task/name`) whose folder is not there are not part of this run
    specs = [spec for spec in suite.metrics.values() if "/" not in spec.name or spec.name in seen]
    slices: list[dict[str, str]] = [{}]
    for key in (*suite.model.slices, "stage"):
        slices += slices_by(observations, [key])
    observed = [spec for spec in specs if spec.name not in finished]
    estimates = [
        estimate
        for estimate in estimate_all(observations, observed, slices, seed=plan.seed)
        if (by := suite.metrics[estimate.metric].only_by) == "" or by in estimate.slice
    ]
    return RunRecord(
        schema="sts-eval/run/1",
        run_id=plan.run_id,
        state="complete" if complete else "partial",
        created=plan.created,
        suite=suite.as_json(),
        suite_sha256=plan.suite_sha256,
        target={"spec": plan.target, **plan.target_description},
        seed=plan.seed,
        environment=plan.environment,
        metrics=specs,
        scenarios=[score.result for score in scored],
        observations=observations,
        estimates=[*estimates, *pooled.estimates],
        pooled=sorted(finished),
        sections=pooled.sections,
        failures=pooled.failures,
        notes=[*_notes(plan, scored, complete), *_kind_notes(suite, observations)],
    )


def _notes(plan: RunPlan, scored: list[Scored], complete: bool) -> list[str]:
    notes = []
    if not complete:
        notes.append(
            f"This run is not complete: {len(scored)} of {len(plan.plans)} scenarios were recorded."
        )
    if plan.environment.get("workers", "1") != "1":
        notes.append(
            f"{plan.environment['workers']} scenarios ran at the same time: wall-clock and heard"
            " numbers are slower than those of one conversation alone."
        )
    notes += _batch_notes(scored)
    if plan.limit is not None:
        notes.append(f"Limited to {len(plan.plans)} scenarios of the suite.")
    return notes


def _batch_notes(scored: list[Scored]) -> list[str]:
    notes = []
    batches = [each.batch for each in scored if each.batch > 1]
    if batches:
        notes.append(
            f"{len(batches)} of {len(scored)} scenarios were stepped together, up to"
            f" {max(batches)} at once: their wall-clock and heard numbers are not measured."
        )
    retried = [each.retried for each in scored if each.retried]
    if retried:
        notes.append(
            f"{len(retried)} scenarios ran again by themselves because their batch had failed:"
            f" {'; '.join(dict.fromkeys(retried))}."
        )
    return notes


def _kind_notes(suite: Suite, observations: list[Observation]) -> list[str]:
    """What the scenario kinds themselves have to say about a run (`notes`, if they offer it)."""
    kinds: dict[str, Any] = {kind.name: kind for kind, _ in suite.blocks}
    return [
        note
        for kind in kinds.values()
        if hasattr(kind, "notes")
        for note in kind.notes(observations)
    ]


def judge(record: RunRecord, suite: Suite, baseline: Path | None) -> list[Verdict]:
    """Evaluate the gates of a record in place; the exit code follows."""
    from sts_eval.baseline import load_baseline
    from sts_eval.gate import evaluate_gates, exit_code

    accepted = None if baseline is None else load_baseline(baseline)
    record.baseline = accepted
    record.verdicts = evaluate_gates(suite.gates, record, accepted, suite.model.min_n)
    record.exit_code = exit_code(record)
    return record.verdicts


def write_outputs(record: RunRecord, folder: Path) -> None:
    """run.json, junit.xml, summary.md and report.html."""
    from sts_eval.outputs import junit_xml, summary_markdown
    from sts_eval.report import write_report

    save_run(record, folder)
    write_text_atomic(folder / "junit.xml", junit_xml(record))
    write_text_atomic(folder / "summary.md", summary_markdown(record))
    write_report(record, folder)


def default_baseline(suite: str, out: Path = Path("reports")) -> Path | None:
    """reports/baselines/<suite>.json, if it exists."""
    path = out / "baselines" / f"{suite}.json"
    return path if path.exists() else None


def suite_name(folder: Path, plan: RunPlan) -> str:
    """The name of a run's suite."""
    return load_run_suite(folder, plan).model.suite


def find_run(path: Path) -> Path:
    """A run folder from the folder itself or its run.json. Raises RunError."""
    folder = path.parent if path.is_file() else path
    if not (folder / "plan.json").exists():
        raise RunError(f"{path}: not a run folder")
    return folder
