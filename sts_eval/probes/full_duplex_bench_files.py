"""A downloaded Full-Duplex-Bench v1.0 / v1.5 folder: its items, and what is known of each.

    <folder>/[v1_0/|v1_5/]<task>/<id>/   input.wav  [output.wav  output.json]  + one annotation file

    candor_pause_handling, synthetic_pause_handling   pause.json          the pauses
    candor_turn_taking                                turn_taking.json    end of the user's turn
    synthetic_user_interruption                       interrupt.json      the interruption
    icc_backchannel                                   icc_gt_distribution.json (in the item, in the
                                                      task folder, beside it, or in the folder)
    user_interruption, user_backchannel,
    talking_to_other, background_speech (v1.5)        metadata.json       the event

The files are untrusted: whatever has another shape is refused with a TargetError that names the
file. An existing `output.json` is kept word for word, null times included.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sts_core.reading import read_bounded
from sts_eval.metrics.fdb import FdbWord
from sts_eval.target import TargetError

MAX_JSON_BYTES: Final = 10_000_000
MAX_TEXT: Final = 200
HUMAN_DENSITY: Final = "icc_gt_distribution.json"

PAUSE_TASKS: Final = ("candor_pause_handling", "synthetic_pause_handling")
TURN_TASKS: Final = ("candor_turn_taking",)
BACKCHANNEL_TASKS: Final = ("icc_backchannel",)
INTERRUPTION_TASKS: Final = ("synthetic_user_interruption",)
V1_TASKS: Final = (*PAUSE_TASKS, *TURN_TASKS, *BACKCHANNEL_TASKS, *INTERRUPTION_TASKS)
DIRECTED_TASKS: Final = ("user_interruption",)
NON_DIRECTED_TASKS: Final = ("user_backchannel", "talking_to_other", "background_speech")
V15_TASKS: Final = (*DIRECTED_TASKS, *NON_DIRECTED_TASKS)
TASKS: Final = (*V1_TASKS, *V15_TASKS)


@dataclass(frozen=True)
class Item:
    """One item of the benchmark; `id` is `<task>.<folder name>`."""

    task: str
    id: str
    folder: Path


def find_items(root: Path) -> list[Item]:
    """Every item with an input.wav, up to three levels down. Raises TargetError on a clash."""
    found: dict[str, Item] = {}
    for task in TASKS:
        folders = [root] if root.name == task else []
        folders += [f for depth in ("", "*/", "*/*/") for f in sorted(root.glob(f"{depth}{task}"))]
        for folder in folders:
            for path in sorted(child for child in folder.iterdir() if child.is_dir()):
                if not (path / "input.wav").exists():
                    continue
                item = Item(task, f"{task}.{path.name}", path)
                if item.id in found:
                    raise TargetError(
                        f"{item.id} is there twice: give a folder with the outputs of one model"
                    )
                found[item.id] = item
    return list(found.values())


def read_facts(item: Item, root: Path) -> dict[str, Any]:
    """What the item's annotations say, as JSON values. Raises TargetError.

    turn_end_s, pauses, event_s ([start, end]): where the task has them. density (of people's
    back-channels) or density_missing (why there is none).
    """
    facts: dict[str, Any] = {"task": item.task}
    if item.task in PAUSE_TASKS:
        facts["pauses"] = _timestamps(item.folder / "pause.json")
    elif item.task in TURN_TASKS:
        facts["turn_end_s"] = _first_start(item.folder / "turn_taking.json")
    elif item.task in INTERRUPTION_TASKS:
        facts["event_s"] = _timestamps(item.folder / "interrupt.json")[0]
    elif item.task in V15_TASKS:
        facts["event_s"] = _event(item.folder / "metadata.json")
    if "event_s" in facts:
        facts["turn_end_s"] = facts["event_s"][1]
    if item.task in BACKCHANNEL_TASKS:
        facts |= _density(item, root)
    return facts


def read_output(item: Item) -> dict[str, Any]:
    """What is known of the item's recorded output, as JSON values. Raises TargetError.

    words: `output.json` as [text, start, end] with nulls, absent without the file and in v1.5,
    whose rules use none. output_s, output_rate_hz: of the file `output.wav`.
    """
    import soundfile

    try:
        header = soundfile.info(str(item.folder / "output.wav"))
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise TargetError(f"output.wav: not readable as audio: {error}") from error
    facts: dict[str, Any] = {
        "output_s": header.frames / header.samplerate,
        "output_rate_hz": int(header.samplerate),
    }
    words = item.folder / "output.json"
    if item.task in V1_TASKS and words.exists():
        facts["words"] = _chunks(words)
    return facts


def words_of(facts: dict[str, Any]) -> list[FdbWord] | None:
    """The words that `read_output` found, or None without an output.json."""
    rows = facts.get("words")
    return None if rows is None else [FdbWord(*row) for row in rows]


def load_json(path: Path) -> Any:
    """A JSON file of bounded size. Raises TargetError."""
    try:
        return json.loads(read_bounded(path, MAX_JSON_BYTES))
    except OSError as error:
        raise TargetError(f"{path.name}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{path.name}: not readable JSON: {error}") from error


def _stamps(path: Path) -> list[Any]:
    """The `timestamp` of each entry, unchecked."""
    body = load_json(path)
    if not isinstance(body, list) or not body:
        raise TargetError(f"{path.name}: expected a list with at least one entry")
    return [entry.get("timestamp") if isinstance(entry, dict) else None for entry in body]


def _timestamps(path: Path) -> list[list[float]]:
    return [_interval(stamp, f"{path.name}: timestamp") for stamp in _stamps(path)]


def _first_start(path: Path) -> float:
    """Start of the first entry: all that the published code looks at."""
    where = f"{path.name}: timestamp"
    start_s = _pair(_stamps(path)[0], where)[0]
    if start_s is None or start_s < 0:
        raise TargetError(f"{where}: the entry needs a start")
    return start_s


def _event(path: Path) -> list[float]:
    body = load_json(path)
    if not isinstance(body, dict):
        raise TargetError(f"{path.name}: expected a JSON object")
    return _interval(body.get("timestamps"), f"{path.name}: timestamps")


def _interval(value: Any, where: str) -> list[float]:
    start_s, end_s = _pair(value, where)
    if start_s is None or end_s is None or not 0 <= start_s <= end_s:
        raise TargetError(f"{where}: {_short(value)} is not an interval")
    return [start_s, end_s]


def _pair(value: Any, where: str) -> tuple[float | None, float | None]:
    """[start, end] in seconds, either possibly null."""
    if not isinstance(value, list) or len(value) != 2:
        raise TargetError(f"{where}: expected [start, end] in seconds, not {_short(value)}")
    return _seconds(value[0], where), _seconds(value[1], where)


def _seconds(value: Any, where: str) -> float | None:
    """A finite number or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TargetError(f"{where}: {_short(value)} is not a number of seconds")
    return float(value)


def _chunks(path: Path) -> list[list[Any]]:
    body = load_json(path)
    chunks = body.get("chunks") if isinstance(body, dict) else None
    if not isinstance(chunks, list):
        raise TargetError(f"{path.name}: expected an object with a list `chunks`")
    rows = []
    for index, chunk in enumerate(chunks):
        where = f"{path.name}: chunks[{index}]"
        text = chunk.get("text") if isinstance(chunk, dict) else None
        stamp = chunk.get("timestamp") if isinstance(chunk, dict) else None
        if not isinstance(text, str):
            raise TargetError(f"{where}: `text` is not a string")
        rows.append([text[:MAX_TEXT], *_pair(stamp, f"{where}: timestamp")])
    return rows


def _density(item: Item, root: Path) -> dict[str, Any]:
    """The human back-channel density of an item, or why there is none. Raises TargetError."""
    places = (item.folder, item.folder.parent, item.folder.parent.parent, root)
    file = next(
        (place / HUMAN_DENSITY for place in places if (place / HUMAN_DENSITY).exists()), None
    )
    if file is None:
        return {"density_missing": f"there is no {HUMAN_DENSITY} in or beside the task folder"}
    body = load_json(file)
    if not isinstance(body, dict):
        raise TargetError(f"{HUMAN_DENSITY}: expected an object of lists by item id")
    values = body.get(item.folder.name)
    if values is None:
        return {"density_missing": f"{HUMAN_DENSITY} has no entry {item.folder.name!r}"}
    where = f"{HUMAN_DENSITY}: {item.folder.name}"
    if not isinstance(values, list) or len(values) < 2:
        raise TargetError(f"{where}: expected a list of at least 2 numbers")
    numbers = [_seconds(value, where) for value in values]
    if any(number is None or number < 0 for number in numbers) or not any(numbers):
        raise TargetError(f"{where}: expected numbers that are not negative and not all 0")
    return {"density": numbers}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
