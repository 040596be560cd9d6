"""HTML reports: one self-contained file for a run, one for a comparison of runs.

    build_report(record, run_dir) -> str          write_report(record, run_dir) -> Path
    build_comparison(a, b, comparison, dirs) -> str    write_comparison(...) -> Path

A page needs no network, no server and no other file. It embeds a lossy listening copy of the
traces; the lossless ones beside it are the evidence.
"""

from __future__ import annotations

from sts_eval.report.comparison_page import build_comparison, write_comparison
from sts_eval.report.evidence import Budget
from sts_eval.report.run_page import build_report, write_report

__all__ = ["Budget", "build_comparison", "build_report", "write_comparison", "write_report"]
