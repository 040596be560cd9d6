"""Two corpora of one name: Codecfake (Xie et al. 2024) and CodecFake (Wu et al. 2024).

- **Codecfake** (Xie): `label/SUBSET.txt`, white space, no header, 3 columns; SUBSET is train, dev
  or a test set such as C7, and names the folder of the recordings too:

      SSB13650058.wav real 0
      F01_SSB13650058.wav fake 1

  The class is 0 for genuine, else the number of the codec, which the name repeats as F01_. A
  recording and its re-syntheses form a group. The speaker is read from the names of AISHELL-3
  (SSB and four digits) and VCTK (p and digits, s5); of others it is not known.
- **CodecFake** (Wu): a flat folder `processed/` (or the root) of `CODEC+SPEAKER_UTTERANCE.wav`,
  e.g. encodec_24khz+p272_103.wav; spoof only, its genuine counterpart is VCTK.

Verified against public protocol scripts (AntiDeepfake). Not verified: the names of Codecfake's test
sets other than C7. CodecFake+ is a third corpus, not read here.
"""

from __future__ import annotations

import re
from pathlib import Path

from sts_eval.audit import AuditError
from sts_eval.audit.items import Item, Label
from sts_eval.audit.readers.table import Recordings, inside, rows

_LABELS: dict[str, Label] = {"real": "bonafide", "fake": "spoof"}
_PREFIX = re.compile(r"F(\d\d)_")
_SPEAKER = re.compile(r"SSB\d{4}|p\d+(?=_)|s5(?=_)")


def read_codecfake_xie(root: Path, subset: str = "train") -> list[Item]:
    """Items of one subset. Raises AuditError."""
    protocol = inside(root, f"label/{subset}.txt", str(root))
    recordings, items = Recordings(), []
    for row in rows(protocol, None, (3,)):
        name, key, kind = row.cells
        label = row.label(key, _LABELS)
        if not kind.isdigit() or (int(kind) == 0) != (label == "bonafide"):
            raise row.fail(f"class {kind!r} contradicts the label {key!r}")
        prefix = _PREFIX.match(name)
        if label == "spoof" and prefix and int(prefix[1]) != int(kind):
            raise row.fail(f"class {kind} contradicts the name {name!r}")
        source = name[prefix.end() :] if prefix and label == "spoof" else name
        speaker = _SPEAKER.match(source)
        where = row.where
        attack = f"F{int(kind):02d}" if label == "spoof" else ""
        items.append(
            Item(
                path=recordings.take(inside(root / subset, name, where), where),
                label=label,
                speaker=speaker[0] if speaker else "",
                attack=attack,
                family=attack,
                codec="",
                group=source,
                corpus="codecfake_xie",
                subset=subset,
            )
        )
    return items


def read_codecfake_wu(root: Path) -> list[Item]:
    """Items of the folder. Raises AuditError."""
    folder = root / "processed" if (root / "processed").is_dir() else root
    items = []
    for path in sorted(folder.glob("*.wav")):
        codec, plus, source = path.stem.partition("+")
        speaker, underscore, _ = source.partition("_")
        if not (codec and plus and speaker and underscore):
            raise AuditError(f"{path}: the name is not of the form CODEC+SPEAKER_UTTERANCE.wav")
        items.append(
            Item(
                path=path,
                label="spoof",
                speaker=speaker,
                attack=codec,
                family=codec,
                codec="",
                group=source,
                corpus="codecfake_wu",
            )
        )
    if not items:
        raise AuditError(f"{folder}: no recordings CODEC+SPEAKER_UTTERANCE.wav")
    return items
