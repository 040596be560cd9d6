"""Audit of recordings and detectors: metrics, calibration, honest folds, corpus readers.

Polarity is the same everywhere in this package: a higher score speaks for bona fide speech (of a
verifier: for the same speaker), and a trial is accepted when its score is at or above a threshold.
"""

from typing import Final

DEFAULT_DETECTOR: Final = "sts-sync"  # the one whose weights are shipped


class AuditError(Exception):
    """Input that cannot be used: the message names the file and, where there is one, the line."""
