"""ASVspoof 2019 LA and ASVspoof 2021 LA and DF.

2019, 5 columns, white space, no header, `ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.*.txt`:

    LA_0069 LA_D_1047731 - - bonafide        speaker, file, unused, attack, key
    LA_0039 LA_E_2834763 - A11 spoof

2021, 8 (LA) or 13 (DF) columns, `keys/{LA,DF}/CM/trial_metadata.txt`:

    LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval
    LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -

speaker, file, codec, transmission (LA) or source corpus (DF), attack, key, trim, subset; and in DF
the vocoder and four more. Bona fide rows write "-" or "bonafide" in the column of the attack.

Verified: the lines above and their meaning, in the README of the ASVspoof 2021 evaluation package
and in several public loaders; the families of 2019 (how the waveform is made), in the README of the
2019 corpus. Not verified: the folders of a DF download, which comes in parts; merge them into one
`ASVspoof2021_DF_eval/flac`. 2021 does not say which trials are coded copies of one recording, so
each is a group of its own, and `group` cannot protect a split there: only speakers can.
"""

from __future__ import annotations

from pathlib import Path

from sts_eval.audit.items import UNCODED, Item, Label
from sts_eval.audit.readers.table import Recordings, Row, first_that_exists, rows, subset_of

LABELS: dict[str, Label] = {"bonafide": "bonafide", "spoof": "spoof"}
_PROTOCOLS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
_SUBSETS_2021 = ("eval", "progress", "hidden")
_NO_ATTACK = ("-", "bonafide")

FAMILIES_2019 = {
    "A01": "neural waveform",
    "A02": "vocoder",
    "A03": "vocoder",
    "A04": "waveform concatenation",
    "A05": "vocoder",
    "A06": "spectral filtering",
    "A07": "vocoder and GAN",
    "A08": "neural waveform",
    "A09": "vocoder",
    "A10": "neural waveform",
    "A11": "Griffin-Lim",
    "A12": "neural waveform",
    "A13": "waveform concatenation",
    "A14": "vocoder",
    "A15": "neural waveform",
    "A16": "waveform concatenation",
    "A17": "waveform filtering",
    "A18": "vocoder",
    "A19": "spectral filtering",
}


def read_2019_la(root: Path, subset: str = "eval") -> list[Item]:
    """Items of `root`, the folder LA/. subset: train, dev or eval. Raises AuditError."""
    suffix = _PROTOCOLS[subset_of(subset, tuple(_PROTOCOLS))]
    protocol = root / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{suffix}.txt"
    audio = root / f"ASVspoof2019_LA_{subset}" / "flac"
    recordings, items = Recordings(), []
    for row in rows(protocol, None, (5,)):
        speaker, name, _, system, key = row.cells
        label = row.label(key, LABELS)
        attack = attack_of(row, system, label)
        items.append(
            Item(
                path=recordings.take(audio / f"{name}.flac", row.where),
                label=label,
                speaker=speaker,
                attack=attack,
                family=FAMILIES_2019.get(attack, attack),
                codec=UNCODED,
                group=name,
                corpus="asvspoof2019_la",
                subset=subset,
            )
        )
    return items


def read_2021_la(root: Path, subset: str | None = None) -> list[Item]:
    """Items of LA. root holds keys/ and ASVspoof2021_LA_eval/. Raises AuditError."""
    return _read_2021(root, "LA", 8, subset)


def read_2021_df(root: Path, subset: str | None = None) -> list[Item]:
    """Items of DF; the family is the kind of vocoder. Raises AuditError."""
    return _read_2021(root, "DF", 13, subset)


def _read_2021(root: Path, track: str, columns: int, subset: str | None) -> list[Item]:
    if subset is not None:
        subset_of(subset, _SUBSETS_2021)
    protocol = first_that_exists(
        root / "keys" / track / "CM" / "trial_metadata.txt",
        root / track / "CM" / "trial_metadata.txt",
    )
    audio = root / f"ASVspoof2021_{track}_eval" / "flac"
    recordings, items = Recordings(), []
    for row in rows(protocol, None, (columns,)):
        speaker, name, codec, line, system, key, _, part = row.cells[:8]
        label = row.label(key, LABELS)
        attack = attack_of(row, system, label)
        if part not in _SUBSETS_2021:
            raise row.fail(f"unknown subset {part!r} (known: {', '.join(_SUBSETS_2021)})")
        if subset not in (None, part):
            continue
        family = row.cells[8] if track == "DF" else FAMILIES_2019.get(attack, attack)
        channel = f"{codec}/{line}" if track == "LA" else codec
        items.append(
            Item(
                path=recordings.take(audio / f"{name}.flac", row.where),
                label=label,
                speaker=speaker,
                attack=attack,
                family=family if label == "spoof" else "",
                codec=UNCODED if codec in ("none", "nocodec") else channel,
                group=name,
                corpus=f"asvspoof2021_{track.lower()}",
                subset=part,
            )
        )
    return items


def attack_of(row: Row, system: str, label: Label) -> str:
    """The attack; "" for bona fide. Raises AuditError when it contradicts the label."""
    if (label == "bonafide") != (system in _NO_ATTACK):
        raise row.fail(f"attack {system!r} contradicts the label {label!r}")
    return "" if label == "bonafide" else system
