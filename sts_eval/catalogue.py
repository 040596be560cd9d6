"""What `sts-eval list` prints: every registered name with one line about it."""

from __future__ import annotations

Rows = list[tuple[str, str]]


def catalogue(what: str | None) -> dict[str, Rows]:
    """Rows by section; only the named section, or all."""
    sections = {
        "targets": _targets,
        "probes": _probes,
        "metrics": _metrics,
        "judges": _judges,
        "faults": _faults,
    }
    return {name: rows() for name, rows in sections.items() if what in (None, name)}


def _targets() -> Rows:
    from sts_eval.targets import TARGETS

    rows = [(entry.name, entry.summary) for entry in TARGETS.entries().values()]
    return [*rows, ("python:MODULE:FACTORY", "a target of your own: a callable that returns it")]


def _faults() -> Rows:
    from sts_eval.targets import FAULTS

    return [(f"{e.name}+TARGET", e.summary) for e in FAULTS.entries().values()]


def _probes() -> Rows:
    from sts_eval.probes import KINDS

    rows = []
    for name, load in KINDS.items():
        about = (load().block.__doc__ or "").strip().splitlines()[0]
        rows.append((name, about))
    return rows


def _metrics() -> Rows:
    from sts_eval.probes import KINDS

    specs = {spec.name: spec for load in KINDS.values() for spec in load().metrics}
    return [(f"{s.name}.{{{','.join(s.statistics)}}}", s.title) for s in specs.values()]


def _judges() -> Rows:
    from sts_eval.judges import JUDGES

    return [(entry.name, entry.summary) for entry in JUDGES.entries().values()]
