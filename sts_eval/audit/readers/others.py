"""In-the-Wild, MLAAD and SpoofCeleb.

- **In-the-Wild**: recordings beside `meta.csv`, header `file,speaker,label`; the label is written
  `bona-fide`, with a hyphen, or `spoof`. Channel and attack are not known.
- **MLAAD**: `fake/LANGUAGE/MODEL/*.wav`, spoof only (its genuine counterpart is M-AILABS). Each
  model folder may hold `meta.csv`: cells separated by "|", never quoted, with at least the columns
  path, original_file and model_name, often architecture. The family is the architecture, else the
  model.
  Voices are not labelled; recordings made from one original sentence form a group.
- **SpoofCeleb**: `metadata/SUBSET.csv`, header `file,speaker,attack`, and `flac/SUBSET/FILE`;
  attack a00 is genuine. SUBSET is train, development or evaluation.

Verified against public protocol scripts (AntiDeepfake) and, for MLAAD's meta.csv, its separator and
missing quotes, against public scripts that read versions 5 to 10. Not verified: a column
`architecture` in every version of MLAAD, so it may be absent.
"""

from __future__ import annotations

from pathlib import Path

from sts_eval.audit import AuditError
from sts_eval.audit.items import Item, Label
from sts_eval.audit.readers.table import Recordings, header_rows, inside, rows, subset_of

_WILD: dict[str, Label] = {"bona-fide": "bonafide", "spoof": "spoof"}
_SUBSETS = ("train", "development", "evaluation")


def read_in_the_wild(root: Path) -> list[Item]:
    """Items of the folder release_in_the_wild. Raises AuditError."""
    meta = root / "meta.csv"
    recordings, items = Recordings(), []
    lines = rows(meta, ",", (3,))
    header = next(lines)
    if header.cells != ["file", "speaker", "label"]:
        raise header.fail(f"the header must be file,speaker,label, not {','.join(header.cells)}")
    for row in lines:
        name, speaker, key = row.cells
        label = row.label(key, _WILD)
        where = row.where
        attack = "unknown" if label == "spoof" else ""
        path = recordings.take(inside(root, name, where), where)
        items.append(
            Item(path, label, speaker, attack, attack, "", name, corpus="in_the_wild", subset="")
        )
    return items


def read_mlaad(root: Path) -> list[Item]:
    """Items of the folder that holds fake/. Raises AuditError."""
    models = sorted(path for path in (root / "fake").glob("*/*") if path.is_dir())
    if not models:
        raise AuditError(f"{root / 'fake'}: no folders LANGUAGE/MODEL")
    items: list[Item] = []
    for folder in models:
        found = _mlaad_meta(root, folder) if (folder / "meta.csv").exists() else _mlaad_walk(folder)
        if not found:
            raise AuditError(f"{folder}: no recordings")
        items += found
    return items


def _mlaad_meta(root: Path, folder: Path) -> list[Item]:
    recordings, items = Recordings(), []
    for row in header_rows(folder / "meta.csv", "|", ("path", "original_file", "model_name")):
        where = row[""]
        path = inside(root, row["path"], where)
        if path.parent != Path(folder):  # some versions name the bare file
            path = folder / path.name
        model = row["model_name"] or folder.name
        items.append(
            _mlaad_item(
                recordings.take(path, where),
                folder,
                model,
                row.get("architecture") or model,
                row["original_file"] or path.stem,
            )
        )
    return items


def _mlaad_walk(folder: Path) -> list[Item]:
    return [
        _mlaad_item(path, folder, folder.name, folder.name, path.stem)
        for path in sorted(folder.glob("*.wav"))
    ]


def _mlaad_item(path: Path, folder: Path, model: str, family: str, group: str) -> Item:
    return Item(
        path=path,
        label="spoof",
        speaker="",
        attack=model,
        family=family,
        codec="",
        group=group,
        corpus="mlaad",
        subset=folder.parent.name,
    )


def read_spoofceleb(root: Path, subset: str = "evaluation") -> list[Item]:
    """Items of one subset of the folder that holds flac/ and metadata/. Raises AuditError."""
    subset_of(subset, _SUBSETS)
    recordings, items = Recordings(), []
    audio = root / "flac" / subset
    for row in header_rows(root / "metadata" / f"{subset}.csv", ",", ("file", "speaker", "attack")):
        genuine = row["attack"] == "a00"
        attack = "" if genuine else row["attack"]
        path = recordings.take(inside(audio, row["file"], row[""]), row[""])
        items.append(
            Item(
                path=path,
                label="bonafide" if genuine else "spoof",
                speaker=row["speaker"],
                attack=attack,
                family=attack,
                codec="",
                group=row["file"],
                corpus="spoofceleb",
                subset=subset,
            )
        )
    return items
