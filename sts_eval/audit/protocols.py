"""What is in a corpus, and its protocol as key and speakers files for `audit metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sts_eval.audit import AuditError
from sts_eval.audit.items import Item
from sts_eval.audit.scorefiles import write_cm_keys, write_families, write_speakers


def contents(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Counts by label, family of the attacks, codec and subset, and of speakers and groups."""
    return {
        "recordings": _counted(item.label for item in items),
        "attack families": _counted(item.family for item in items if not item.bonafide),
        "codecs": _counted(item.codec for item in items),
        "subsets": _counted(item.subset for item in items),
        "distinct": {
            "speakers": len({item.speaker for item in items if item.speaker}),
            "recordings of unknown speakers": sum(not item.speaker for item in items),
            "groups": len({item.group for item in items}),
        },
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def names(items: Sequence[Item], root: Path) -> list[str]:
    """Recordings are named as ASVspoof does, by their file name without the ending.

    Where such names are not unique, by their path within root.
    """
    stems = [item.path.stem for item in items]
    if len(set(stems)) < len(stems):
        return [item.path.relative_to(root).as_posix() for item in items]
    return stems


def write_files(
    items: Sequence[Item],
    root: Path,
    keys: Path | None,
    speakers: Path | None,
    families: Path | None,
) -> None:
    """Write the key, speakers and families files, where they are asked for.

    Raises AuditError when speakers are asked for and not known.
    """
    stems = names(items, root)
    if keys is not None:
        write_cm_keys(keys, zip(stems, (item.label for item in items), strict=True))
    if families is not None:
        write_families(families, zip(stems, (item.family or "-" for item in items), strict=True))
    if speakers is not None:
        silent = next((item.path for item in items if not item.speaker), None)
        if silent is not None:
            raise AuditError(f"the corpus does not say who speaks in {silent}: no speakers file")
        write_speakers(speakers, zip(stems, (item.speaker for item in items), strict=True))
