"""`sts-core prepare`: a folder of recordings -> a corpus, with a reason for all that is left out.

    OUT/manifest.jsonl        accepted turns, for `sts-core cache` (sts_core.data.manifest)
    OUT/conversations.jsonl   accepted two-channel recordings, for `sts-core compose`
    OUT/audio/                their sound (sts_core.recordings.outcome)
    OUT/report.jsonl, .csv    one row for every speaker without consent, file, channel and turn
    OUT/records/              what is known of each recording; a later call goes on from there

OUT mirrors FOLDER: a recording that changed, or whose speaker, transcript or limits did, is heard
again; what a removed one or a withdrawn consent had given is deleted.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sts_core.data.manifest import MANIFEST_NAME, Row, replace_text
from sts_core.recordings.files import Source, find_recordings
from sts_core.recordings.outcome import (
    ACCEPTED,
    Cast,
    Desk,
    Ears,
    Outcome,
    file_id,
    report_row,
)
from sts_core.recordings.speakers import ROLES, Speakers
from sts_core.recordings.turns import Limits

CONVERSATIONS_NAME, REPORT_NAME = "conversations.jsonl", "report"
MARK_NAME, RECORDS_NAME = "prepare.json", "records"
VERSION = 1  # of what is measured and written: another one hears everything again
FAILED = "error"
MEASURES = (
    "speech_s", "level_dbfs", "snr_db", "clipped", "overlap", "bleed_correlation", "bleed_db",
    "agreement",
)  # fmt: skip
COLUMNS = (
    "what", "source", "status", "reasons", "id", "role", "speaker", "start_s", "end_s", "seconds",
    "text", "heard", *MEASURES, "not_measured", "consent",
)  # fmt: skip


class PrepareError(ValueError):
    """The output folder cannot be used."""


class Summary(NamedTuple):
    """Counts of a folder. `reasons`: how often each code spoke against a turn or a file."""

    recordings: int
    refused_recordings: int
    turns: int
    accepted_turns: int
    accepted_s: float
    conversations: int
    conversation_s: float
    errors: int
    reasons: dict[str, int]


def prepare(
    folder: Path,
    out: Path,
    speakers: Speakers,
    speakers_file: Path,
    *,
    limits: Limits | None = None,
    channels: tuple[str, str] = ROLES,
    ears: Ears | None = None,
    today: datetime.date | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Prepare all recordings of a folder; goes on where an earlier call was interrupted.

    Args:
        channels: roles of left and right.
        today: the day on which consent must hold; None: today.

    Raises:
        PrepareError: `out` lies in `folder`, or holds something else.
        VadError, ModelFileError: Silero or Moonshine is not installed.
    """
    today = today or datetime.date.today()
    limits = limits or Limits()
    _claim(out, folder)
    found = find_recordings(folder, speakers_file)
    desk = Desk(out, speakers.by_name, limits, ears or Ears())
    records = Records(out)
    made: list[Outcome] = []
    for number, source in enumerate(found.recordings, start=1):
        cast = source.reason or _cast(source.name, speakers, channels, today)
        if isinstance(cast, str):
            records.forget(source.name)
            made.append(Outcome([report_row("recording", source.name, [cast])]))
        else:
            key = _key(source, cast, speakers, limits)
            made.append(records.get(source.name, key) or _process(desk, records, source, cast, key))
        progress(number, len(found.recordings))
    records.keep({source.name for source in found.recordings})
    rows = _speaker_rows(speakers, today)
    rows += [report_row("file", other.name, [other.reason]) for other in found.others]
    rows += [row for outcome in made for row in outcome.rows]
    _write_all(out, made, rows)
    return _summary(made, rows)


def _claim(out: Path, folder: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise PrepareError(f"{out} lies in {folder}: choose a folder outside the recordings")
    mark = out / MARK_NAME
    if not mark.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PrepareError(f"{out}: holds something that was not made by this command")
        out.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps({"version": VERSION}) + "\n", encoding="utf-8")


def _cast(
    name: str, speakers: Speakers, channels: tuple[str, str], today: datetime.date
) -> Cast | str:
    """Who speaks in a file, or the reason why that is not known."""
    names: dict[str, str] = {}
    for role in ROLES:
        who = speakers.who(name, role)
        if len(who) > 1:
            return f"speaker: {' and '.join(who)} both have the role of the {role}"
        if who:
            names[role] = who[0]
    if not names:
        return "speaker: nobody in the speakers file speaks in it"
    if len(set(names.values())) < len(names):
        return f"speaker: {names[ROLES[0]]} has both roles"
    refused = {}
    for role, person in names.items():
        reason = speakers.by_name[person].refusal(role, today)
        if reason:
            refused[role] = f"{person}: {reason}"
    return Cast(names, refused, channels)


def _key(source: Source, cast: Cast, speakers: Speakers, limits: Limits) -> str:
    """A hash of all that decides what becomes of a recording."""
    people = [speakers.by_name[name] for name in cast.names.values()]
    transcript = ""
    if source.transcript is not None:
        try:
            data = source.transcript.read_bytes()
        except OSError as error:
            data = str(error).encode()
        transcript = source.transcript.suffix + hashlib.sha256(data).hexdigest()
    decides: list[Any] = [VERSION, source.sha256, transcript, dataclasses.asdict(cast)]
    decides += [[person.split, person.lang] for person in people]
    decides += [dataclasses.asdict(limits)]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _process(desk: Desk, records: Records, source: Source, cast: Cast, key: str) -> Outcome:
    """A recording heard now. A fault of this program stops nothing; it is a row and tried again."""
    records.forget(source.name)
    from sts_core.asr.moonshine import ModelFileError
    from sts_core.asr.vad import VadError

    try:
        outcome = desk.process(source, cast)
    except (ModelFileError, VadError):
        raise
    except Exception as error:
        row = report_row("recording", source.name, [f"internal: {type(error).__name__}: {error}"])
        return Outcome([row | {"status": FAILED}])
    records.put(source.name, key, outcome)
    return outcome


class Records:
    """What became of each recording, one JSON file each, written when its sound is on disk."""

    def __init__(self, out: Path) -> None:
        self._out, self._folder = out, out / RECORDS_NAME
        self._folder.mkdir(exist_ok=True)

    def get(self, name: str, key: str) -> Outcome | None:
        """The outcome of an earlier call, if nothing that decides it has changed."""
        try:
            record = json.loads(self._file(name).read_text(encoding="utf-8"))
            if record["key"] != key:
                return None
            outcome = Outcome(**record["outcome"])
        except (OSError, ValueError, TypeError, KeyError):  # none, or torn: heard again
            return None
        complete = all((self._out / path).is_file() for path in outcome.files)
        return outcome if complete else None

    def put(self, name: str, key: str, outcome: Outcome) -> None:
        """Keep an outcome."""
        content = {"name": name, "key": key, "outcome": dataclasses.asdict(outcome)}
        replace_text(self._file(name), json.dumps(content, ensure_ascii=False) + "\n")

    def forget(self, name: str) -> None:
        """Delete what an earlier call wrote for a recording."""
        self._delete(self._file(name))

    def keep(self, names: set[str]) -> None:
        """Delete what was written for recordings that are no longer there."""
        wanted = {self._file(name) for name in names}
        for file in sorted(self._folder.glob("*.json")):
            if file not in wanted:
                self._delete(file)

    def _file(self, name: str) -> Path:
        return self._folder / f"{file_id(name)}.json"

    def _delete(self, file: Path) -> None:
        """A record and all sound whose name begins with its id, also that of a torn call."""
        for sound in (self._out / "audio" / file.stem[:2]).glob(f"{file.stem}[-.]*.flac"):
            sound.unlink()
        file.unlink(missing_ok=True)


def _speaker_rows(speakers: Speakers, today: datetime.date) -> list[Row]:
    """A row for every speaker and role: whether consent is given."""
    rows = []
    for name, person in speakers.by_name.items():
        for role, patterns in zip(ROLES, (person.user_in, person.agent_in), strict=True):
            if patterns:
                reason = person.refusal(role, today)
                reasons = [f"consent: {reason}"] if reason else []
                consent = str(person.consent) if person.consent else ""
                row = report_row("speaker", "", reasons, role=role, speaker=name, consent=consent)
                rows.append(row)
    return rows


def _write_all(out: Path, made: list[Outcome], rows: list[Row]) -> None:
    utterances = [row for outcome in made for row in outcome.utterances]
    conversations = [outcome.conversation for outcome in made if outcome.conversation]
    replace_text(out / MANIFEST_NAME, _lines(utterances))
    replace_text(out / CONVERSATIONS_NAME, _lines(conversations))
    replace_text(out / f"{REPORT_NAME}.jsonl", _lines(rows))
    partial = out / f"{REPORT_NAME}.csv.partial"
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in rows:
            flat = row | row.get("measures", {})
            table.writerow([_cell(flat.get(name)) for name in COLUMNS])
    os.replace(partial, out / f"{REPORT_NAME}.csv")


def _lines(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _cell(value: Any) -> Any:
    """A value as a cell; a text that a spreadsheet would take for a formula is quoted."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = "; ".join(f"{key}: {reason}" for key, reason in value.items())
    if isinstance(value, list):
        value = "; ".join(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _summary(made: list[Outcome], rows: list[Row]) -> Summary:
    turns = [row for row in rows if row["what"] == "turn"]
    heads = [row for row in rows if row["what"] == "recording"]
    codes = Counter(
        reason.partition(":")[0]
        for row in rows
        if row["what"] != "speaker"
        for reason in row["reasons"]
    )
    talks = [outcome.conversation for outcome in made if outcome.conversation]
    return Summary(
        recordings=len(made),
        refused_recordings=len(made) - sum(row["status"] == ACCEPTED for row in heads),
        turns=len(turns),
        accepted_turns=sum(row["status"] == ACCEPTED for row in turns),
        accepted_s=round(sum(row["seconds"] for o in made for row in o.utterances), 1),
        conversations=len(talks),
        conversation_s=round(sum(talk["seconds"] for talk in talks), 1),
        errors=sum(row["status"] == FAILED for row in rows),
        reasons=dict(sorted(codes.items())),
    )
