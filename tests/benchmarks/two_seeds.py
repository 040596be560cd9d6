"""Do two seeds of one model differ by more than chance, and does a shifted model?

    python tests/benchmarks/two_seeds.py --out FOLDER [--suite latency ...] [--limit 60]

Four runs of each suite on the reference model, which draws its words and sounds (`--temperature`):

    first     the suite's seed, draws 1
    again     the suite's seed, draws 2: the same scenarios, compared in pairs
    other     the seed after it, draws 2: other questions, noises and moments, compared unpaired
    shifted   the suite's seed, draws 2, with a fault (SHIFTS): compared in both ways

A quantity (metric.statistic) differs when the 95 % interval of its difference leaves 0 out, as
`sts-eval compare` gives it, before any correction for their number: of twenty one is expected to.
What has no interval (too few events, a maximum) is not counted, nor is what a wall clock measures:
that is this machine and its load. Printed: how many differ, with the probability of so many or more
among independent ones, and which; and of the shifted runs whether the fault's own quantity differs.
The estimates of one metric go together (p50 with p90), so that the numbers of several suites say
more than one. Runs that lie in FOLDER already are not made again. Exit code 1 when more differ than
one in twenty, or a shift is not found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scipy.stats import binom

from sts_eval.compare import Comparison, ComparisonRow, compare
from sts_eval.record import RunRecord, load_run
from sts_eval.suite import load_suite

SUITES = Path(__file__).parents[2] / "suites"
NOMINAL = 0.05
# suite -> the fault that shifts it, and the quantity that must say so
SHIFTS = {
    "latency": ("late:ms=240", "response_onset_audio_ms.p50"),
    "hallucination": ("babbles", "degenerate_rate.rate"),
    "interruption": ("late:ms=480", "yield_latency_ms.p50"),
}


def made(suite: str, name: str, options: argparse.Namespace) -> RunRecord:
    """The run of a suite by its name above; made now unless it lies there."""
    home = options.out / name
    folder = next(iter(sorted((home / suite).glob("*/run.json"))), None)
    if folder is None:
        file = SUITES / f"{suite}.yaml"
        draws = 1 if name == "first" else 2
        target = f"reference:temperature={options.temperature},seed={draws},threads=1"
        extra = ["--batch", str(options.batch), "--limit", str(options.limit)]
        if name == "shifted":
            target = f"{SHIFTS[suite][0]}+{target}"
            extra = ["--limit", str(options.shift_limit)]
        if name == "other":
            extra += ["--seed", str(load_suite(file).model.seed + 1)]
        command = ["sts-eval", "run", str(file), "--target", target, "--out", str(home), *extra]
        code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        if code in (2, 4):
            raise SystemExit(f"{suite}, {name}: exit code {code}")
        folder = next(iter((home / suite).glob("*/run.json")))
    return load_run(folder)


def rows_of_model(found: Comparison, run: RunRecord) -> list[ComparisonRow]:
    """The rows that can differ and that are about the model."""
    by_wall = {spec.name for spec in run.metrics if spec.clock in ("wall", "heard")}
    return [
        row
        for row in found.rows
        if row.metric not in by_wall and row.lo is not None and row.hi is not None
    ]


def differs(row: ComparisonRow) -> bool:
    """Whether the interval leaves 0 out; equal runs have an interval of no width at 0."""
    assert row.lo is not None
    assert row.hi is not None
    return row.lo > 0 or row.hi < 0


def told(label: str, found: Comparison, run: RunRecord) -> tuple[int, int]:
    """Print a comparison; how many quantities differ, and of how many."""
    rows = rows_of_model(found, run)
    apart = [row for row in rows if differs(row)]
    print(f"{label}: {len(apart)} of {len(rows)} quantities differ")
    for row in apart:
        print(
            f"    {row.key} {row.difference:+.4g} [{row.lo:+.4g}, {row.hi:+.4g}] {row.unit},"
            f" {row.method}, p {row.p_value:.2g}, Holm {row.p_holm:.2g}"
        )
    return len(apart), len(rows)


def shift_found(suite: str, label: str, found: Comparison) -> bool:
    """Whether the quantity that the fault shifts differs."""
    fault, key = SHIFTS[suite]
    row = next(row for row in found.rows if row.key == key)
    seen = row.lo is not None and row.hi is not None and differs(row)
    shown = (
        "no interval" if row.lo is None else f"{row.difference:+.4g} [{row.lo:+.4g}, {row.hi:+.4g}]"
    )
    print(f"{label}: {fault} is {'found' if seen else 'NOT FOUND'} by {key}: {shown} {row.reason}")
    return seen


def compared(
    suite: str, options: argparse.Namespace
) -> Iterator[tuple[str, tuple[int, int], bool]]:
    """Every comparison of a suite: kind, counts, and whether a shift was found."""
    first, again, other = (made(suite, name, options) for name in ("first", "again", "other"))
    yield "paired", told(f"{suite}, two seeds, paired", compare(first, again), first), True
    unpaired = compare(first, other, paired=False)
    yield "unpaired", told(f"{suite}, two seeds, unpaired", unpaired, first), True
    shifted = made(suite, "shifted", options)
    for kind in ("paired", "unpaired"):
        found = compare(first, shifted, paired=kind == "paired")
        counts = told(f"{suite}, shifted, {kind}", found, first)
        yield f"shifted, {kind}", counts, shift_found(suite, f"{suite}, {kind}", found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--suite", action="append", choices=sorted(SHIFTS))
    parser.add_argument("--limit", type=int, default=60, help="scenarios of each run")
    parser.add_argument("--shift-limit", type=int, default=30, help="scenarios of a shifted run")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    totals: dict[str, list[int]] = {}
    every_shift = True
    for suite in options.suite or sorted(SHIFTS):
        for kind, (apart, many), seen in compared(suite, options):
            total = totals.setdefault(kind, [0, 0])
            total[0] += apart
            total[1] += many
            every_shift &= seen
    print()
    for kind, (apart, many) in totals.items():
        by_chance = binom.sf(apart - 1, many, NOMINAL)
        print(
            f"{kind}: {apart} of {many} differ, {apart / max(many, 1):.1%}"
            f" (so many or more by chance, were they independent: p = {by_chance:.2g})"
        )
    alike = all(totals[kind][0] <= NOMINAL * totals[kind][1] for kind in ("paired", "unpaired"))
    print(f"two seeds alike in 19 of 20: {alike}; every shift found: {every_shift}")
    sys.exit(0 if alike and every_shift else 1)


if __name__ == "__main__":
    main()
