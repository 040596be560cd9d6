"""ASVspoof 5, track 1: train, dev and eval.

`ASVspoof5.train.tsv`, `ASVspoof5.{dev,eval}.track_1.tsv`: no header, separated by spaces in spite
of the name, 10 columns

    SPEAKER_ID FLAC_FILE_NAME GENDER CODEC CODEC_Q CODEC_SEED ATTACK_TAG ATTACK_LABEL KEY TMP
    D_4461 D_0000000169 F - - - AC1 A14 spoof -
    D_0461 D_0000000190 M - - - - bonafide bonafide -

CODEC is C01..C11, or "-" for uncoded; CODEC_SEED names the recording of which a coded copy was
made: all copies and their original form one group. ATTACK_TAG (AC1..) is the attacker's adaptation
and nothing of a codec. The files of the challenge phase have 6 columns: speaker, file, gender,
unused, attack, key. Recordings lie in flac_T, flac_D and flac_E_eval, in the root or one folder
down.

Verified: the 10 columns and both lines, in a public protocol script (AntiDeepfake) and two public
inspections of the files; CODEC_SEED as the key for grouping, in the same; that 6 columns have the
file second and the key last, in the organisers' baseline. Not verified: the meaning of columns 3 to
5 of the 6 (the attack is taken from the fifth), and the kind of synthesis behind A01..A32: each
attack is a family of its own here.
"""

from __future__ import annotations

from pathlib import Path

from sts_eval.audit.items import UNCODED, Item
from sts_eval.audit.readers.asvspoof import LABELS, attack_of
from sts_eval.audit.readers.table import Recordings, first_that_exists, rows, subset_of

_PROTOCOLS = {"train": "train", "dev": "dev.track_1", "eval": "eval.track_1"}
_AUDIO = {"train": "flac_T", "dev": "flac_D", "eval": "flac_E_eval"}


def read_asvspoof5(root: Path, subset: str = "eval") -> list[Item]:
    """Items of one subset: train, dev or eval. Raises AuditError."""
    subset_of(subset, tuple(_PROTOCOLS))
    name = f"ASVspoof5.{_PROTOCOLS[subset]}.tsv"
    protocol = first_that_exists(root / name, root / "ASVspoof5_protocols" / name)
    folder = _AUDIO[subset]
    audio = first_that_exists(root / folder, root / f"ASVspoof5_{subset}" / folder)
    recordings, items = Recordings(), []
    for row in rows(protocol, None, (10, 6)):
        cells = row.cells
        if len(cells) == 6:
            speaker, file, _, _, system, key = cells
            codec, source = "-", "-"
        else:
            speaker, file, _, codec, _, source, _, system, key, _ = cells
        label = row.label(key, LABELS)
        attack = attack_of(row, system, label)
        items.append(
            Item(
                path=recordings.take(audio / f"{file}.flac", row.where),
                label=label,
                speaker=speaker,
                attack=attack,
                family=attack,
                codec=UNCODED if codec == "-" else codec,
                group=file if source == "-" else source,
                corpus="asvspoof5",
                subset=subset,
            )
        )
    return items
