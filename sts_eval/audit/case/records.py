"""What an audit found about each recording, as the custody log and audit.json hold it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sts_eval.audit.case.ratio import Ratio


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SoundFacts(_Record):
    """A file as sound. snr_db, band_hz: None where they could not be measured."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    seconds: float
    peak_dbfs: float
    clipped_share: float
    dc_offset: float
    speech_s: float
    snr_db: float | None
    band_hz: float | None
    speech: tuple[tuple[float, float], ...]


class Window(_Record):
    """A stretch of a recording and its log10 LR for synthetic over natural: where the calibration
    tells, for an engine that the detector knows over natural.

    One window is one score: its only limits are those of the calibration.
    """

    start_s: float
    end_s: float
    log10_lr: float


class Misled(_Record):
    """How often the validation of a detector was misled to as much support as it gives here.

    share of `n` clips of `of` (the worst attack family, or "genuine": in either case unheard) had
    `at_least` to one or more for what they are not.
    """

    of: str
    n: int
    share: float
    at_least: float


class DetectorFinding(_Record):
    """What one detector says about a recording; ratio: for synthetic over natural.

    side_by_side: how many windows it was read for (`sts_eval.audit.lengths`); None: the calibration
    reads all lengths alike. misled: None where there is no support, or its validation kept no such
    count. known: for an engine that the detector knows over natural; None: the calibration does not
    tell. known_misled: as misled; how often an engine that it does not know seemed natural by that.
    """

    detector: str
    score: float
    ratio: Ratio
    windows: tuple[Window, ...]
    side_by_side: float | None = None
    misled: Misled | None = None
    known: Ratio | None = None
    known_misled: Misled | None = None


class Likeness(_Record):
    """How much the speech resembles one enrolled person. score: cosine of the embeddings."""

    subject: str
    score: float
    ratio: Ratio


class Mark(_Record):
    """One watermark or provenance reader. "not found" never means that a human spoke."""

    reader: str
    state: Literal["present", "not found", "not examined"]
    generative: bool = False
    detail: str = ""


class EvidenceFile(_Record):
    """A file beside the report."""

    name: str
    sha256: str


class Examination(_Record):
    """Everything measured on one inventory entry; no verdict.

    status: "examined"; "unreadable": the file is at fault; "failed": we are. not_audio: an
    unreadable file that does not look like sound at all.
    """

    id: str
    status: Literal["examined", "unreadable", "failed"]
    reason: str = ""
    not_audio: bool = False
    sha256_bytes: str = ""
    sha256_pcm: str = ""
    sound: SoundFacts | None = None
    detectors: tuple[DetectorFinding, ...] = ()
    likenesses: tuple[Likeness, ...] = ()
    marks: tuple[Mark, ...] = ()
    files: tuple[EvidenceFile, ...] = ()

    @property
    def shown(self) -> dict[str, Ratio]:
        """The ratios that stand in a row: of the first detector and the nearest person."""
        detector = self.detectors[0] if self.detectors else None
        ratios = {
            "synthetic": detector and detector.ratio,
            "known": detector and detector.known,
            "likeness": self.likenesses[0].ratio if self.likenesses else None,
        }
        return {name: ratio for name, ratio in ratios.items() if ratio}


class Level(StrEnum):
    """How a row counts. weak: what the table would say, on weak support for the origin.

    skipped: nothing that was to be audited.
    """

    FINDING = "finding"
    UNEXAMINED = "unexamined"
    WEAK_FINDING = "weak finding"
    INCONCLUSIVE = "inconclusive"
    WEAK_CLEAR = "weak clear"
    CLEAR = "clear"
    SKIPPED = "skipped"


class Verdict(_Record):
    """The answer for one row. headline: one line; reasons: what it rests on."""

    level: Level
    headline: str
    reasons: tuple[str, ...]
    origin: str = ""
    likeness: str = ""
    subjects: tuple[str, ...] = ()
    consent: str = ""
