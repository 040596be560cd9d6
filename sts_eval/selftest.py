"""Measuring the measurer: a healthy target and its faults through suites, and what the gates say.

Which target is healthy each scenario kind knows (`control`). For each fault the gates whose metric
is listed in `EXPECTED` must FAIL, and no other gate may; for the healthy target no gate may FAIL. A
gate that becomes INCONCLUSIVE under a fault (an agent that never answers has no latency) is no
alarm: it is honest.

A suite's profile `selftest` says how many scenarios decide all of its faults, where that takes
fewer than all of them; its gates are the suite's own.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sts_eval import runner
from sts_eval.observation import Outcome
from sts_eval.planning import RunError, RunOptions
from sts_eval.runner import Progress
from sts_eval.suite import Suite, load_suite
from sts_eval.targets import FAULTS

if TYPE_CHECKING:
    from rich.table import Table

HEALTHY = "none"
PROFILE = "selftest"

# fault -> metrics that must raise the alarm. Only faults with an entry for a metric of the suite
# run.
EXPECTED: dict[str, frozenset[str]] = {
    "late": frozenset({"response_onset_audio_ms"}),
    "jitter": frozenset({"dropout_rate"}),
    "silent": frozenset({"response_rate"}),
    "always_talking": frozenset({"already_speaking_rate"}),
    "echo": frozenset({"echo_rate"}),
    "cuts_user_off": frozenset({"agent_interruption_rate"}),
    "takes_pauses": frozenset({"takeover_in_pause_rate"}),
    "drops_frames": frozenset({"dropout_rate"}),
    "never_yields": frozenset(
        {"yield_within_500ms_rate", "yield_within_1s_rate", "yield_within_2s_rate"}
    ),
    "yields_to_everything": frozenset({"selectivity_rate"}),
    "resumes_dropped": frozenset({"resumed_dropped_rate"}),
    "user_voice": frozenset(
        {
            "same_voice_rate",  # whoever becomes the user does not stay who it was
            "user_voice_rate",
            "user_voice_slope_per_min",
            "imitation_rate",
        }
    ),
    "voice_swap": frozenset({"same_voice_rate"}),
    "wrong_sums": frozenset({"number_accuracy_rate"}),
    "invents_facts": frozenset({"fabrication_rate"}),
    "misspeaks": frozenset({"text_voice_gap_ratio"}),
    "babbles": frozenset({"degenerate_rate"}),
    "parrots": frozenset({"regurgitation_rate", "extraction_rate", "token_copy_rate"}),
    "monotone": frozenset(
        {
            "response_emotion_accuracy_rate",
            "reply_change_excess_ratio",
            "tone_minus_words_ratio",
        }
    ),
    "slow": frozenset({"missed_deadline_ratio"}),
}


@dataclass(frozen=True)
class Row:
    """One fault on one suite: what each gated metric said."""

    suite: str
    target: str
    fault: str
    outcomes: dict[str, str]
    expected: frozenset[str]

    @property
    def alarms(self) -> frozenset[str]:
        """Metrics with a failed gate."""
        return frozenset(m for m, outcome in self.outcomes.items() if outcome == Outcome.FAIL)

    @property
    def ok(self) -> bool:
        """Caught by its own metrics, and by no other."""
        return self.alarms == self.expected


@dataclass
class Matrix:
    """All rows; ok when every fault is caught by its own metric alone.

    skipped: suites without a gate, which cannot raise an alarm.
    """

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the suite may be trusted."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """For `--format json`."""
        return {
            "ok": self.ok,
            "skipped": self.skipped,
            "rows": [
                {
                    "suite": row.suite,
                    "target": row.target,
                    "fault": row.fault,
                    "outcomes": row.outcomes,
                    "expected": sorted(row.expected),
                    "alarms": sorted(row.alarms),
                    "ok": row.ok,
                }
                for row in self.rows
            ],
        }


def run_selftest(
    paths: tuple[Path, ...], target: str | None, limit: int | None, progress: Progress
) -> Matrix:
    """Run every applicable fault of every suite on a healthy target; None: the suite's own.

    limit: scenarios of each run; None: those of the suite's profile `selftest`, else all.
    Raises SuiteErrors, RegistryError, RunError; all suites are checked before the first one runs.
    """
    suites = [(path, load_suite(path)) for path in paths]
    matrix = Matrix(skipped=[suite.model.suite for _, suite in suites if not suite.gates])
    gated = [(path, suite, target or control_of(suite)) for path, suite in suites if suite.gates]
    for path, suite, healthy in gated:
        metrics = {gate.metric for gate in suite.gates}
        faults = [f for f in FAULTS.entries() if EXPECTED.get(f, frozenset()) & metrics]
        for fault in (HEALTHY, *faults):
            profile = PROFILE if limit is None and PROFILE in suite.model.profiles else None
            matrix.rows.append(_run_one(path, fault, healthy, limit, profile, progress))
    return matrix


def control_of(suite: Suite) -> str:
    """The healthy target of a suite's scenario kinds. Raises RunError when they do not agree."""
    kinds: list[Any] = [kind for kind, _ in suite.blocks]
    named = sorted({kind.control for kind in kinds if hasattr(kind, "control")})
    if len(named) != 1:
        what = f"several healthy targets ({', '.join(named)})" if named else "no healthy target"
        raise RunError(f"{suite.file}: its scenario kinds know {what}: name one with --target")
    return named[0]


def _run_one(
    path: Path,
    fault: str,
    target: str,
    limit: int | None,
    profile: str | None,
    progress: Progress,
) -> Row:
    spec = target if fault == HEALTHY else f"{fault}+{target}"
    with tempfile.TemporaryDirectory(prefix="sts-eval-selftest-") as folder:
        options = RunOptions(
            suite=path, target=spec, limit=limit, profile=profile, out=Path(folder)
        )
        run_folder = runner.start_run(options, progress)
        record = runner.score_run(run_folder, progress, judge_reports=False, outputs=False)
    outcomes: dict[str, str] = {}
    absolute = [verdict for verdict in record.verdicts if "baseline" not in verdict.gate]
    for verdict in absolute:
        if outcomes.get(verdict.metric) != Outcome.FAIL:
            outcomes[verdict.metric] = verdict.outcome.value
    expected = EXPECTED.get(fault, frozenset()) & frozenset(outcomes)
    return Row(record.suite["suite"], target, fault, outcomes, expected)


def console_matrix(matrix: Matrix) -> None:
    """Print the detection matrix: by suite, then of all suites."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    for suite in dict.fromkeys(row.suite for row in matrix.rows):
        rows = [row for row in matrix.rows if row.suite == suite]
        metrics = list(rows[0].outcomes)
        table = Table(title=f"{suite} ({rows[0].target}): which fault raises which alarm")
        table.add_column("fault")
        for metric in metrics:
            table.add_column(metric.replace("_", "\n"), justify="center")
        table.add_column("as expected")
        for row in rows:
            cells = [_cell(row, metric) for metric in metrics]
            table.add_row(row.fault, *cells, "yes" if row.ok else "NO")
        console.print(table)
    console.print(
        "ALARM: caught by its own metric. FALSE ALARM: by another. TOO FEW: scenarios to decide it"
        " (--limit). ?: not decided."
    )
    console.print(_summary(matrix))
    for suite in matrix.skipped:
        console.print(f"{suite} has no gate: nothing in it can raise an alarm.")


def _summary(matrix: Matrix) -> Table:
    from rich.table import Table

    table = Table(title="All faults")
    for name in ("suite", "fault", "caught by", "missed by", "other alarms", "as expected"):
        table.add_column(name, overflow="fold")
    for row in matrix.rows:
        groups = (row.expected & row.alarms, row.expected - row.alarms, row.alarms - row.expected)
        cells = [", ".join(sorted(group)) or "-" for group in groups]
        table.add_row(row.suite, row.fault, *cells, "yes" if row.ok else "NO")
    return table


def _cell(row: Row, metric: str) -> str:
    outcome = row.outcomes.get(metric)
    if metric in row.expected:
        missed = "TOO FEW" if outcome == Outcome.INCONCLUSIVE else "MISSED"
        return "ALARM" if outcome == Outcome.FAIL else missed
    if outcome == Outcome.FAIL:
        return "FALSE ALARM"
    return "?" if outcome == Outcome.INCONCLUSIVE else "."
