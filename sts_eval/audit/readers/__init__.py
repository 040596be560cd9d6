"""Readers of corpora as they are downloaded: a folder in, a list of `Item` out.

    read("asvspoof5", folder, subset="eval")

Each reader checks its protocol strictly (column counts, labels, duplicates) and that every
recording it names is there; a mistake is an AuditError naming the file and the line. What was
verified about a layout, and against what, stands in the docstring of its module.
"""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from sts_eval.audit import AuditError
from sts_eval.audit.items import Item
from sts_eval.registry import Entry, Registry

_HERE = "sts_eval.audit.readers"
READERS = Registry(
    "corpus",
    [
        Entry("asvspoof2019_la", f"{_HERE}.asvspoof:read_2019_la", "ASVspoof 2019 LA, 5 columns"),
        Entry("asvspoof2021_la", f"{_HERE}.asvspoof:read_2021_la", "ASVspoof 2021 LA, 8 columns"),
        Entry("asvspoof2021_df", f"{_HERE}.asvspoof:read_2021_df", "ASVspoof 2021 DF, 13 columns"),
        Entry("asvspoof5", f"{_HERE}.asvspoof5:read_asvspoof5", "ASVspoof 5 track 1"),
        Entry("in_the_wild", f"{_HERE}.others:read_in_the_wild", "In-the-Wild, meta.csv"),
        Entry("mlaad", f"{_HERE}.others:read_mlaad", "MLAAD, fake/LANGUAGE/MODEL"),
        Entry("spoofceleb", f"{_HERE}.others:read_spoofceleb", "SpoofCeleb, metadata/SUBSET.csv"),
        Entry("codecfake_xie", f"{_HERE}.codecfake:read_codecfake_xie", "Codecfake, label/*.txt"),
        Entry("codecfake_wu", f"{_HERE}.codecfake:read_codecfake_wu", "CodecFake, CODEC+NAME.wav"),
    ],
)


def read(corpus: str, root: Path, subset: str | None = None) -> list[Item]:
    """All items of a corpus (of one subset, where it has subsets and one is named).

    Raises RegistryError for an unknown corpus, AuditError for anything wrong with the files.
    """
    reader = READERS.load(corpus)
    if subset is None:
        found: list[Item] = reader(root)
        return found
    if "subset" not in signature(reader).parameters:
        raise AuditError(f"{corpus} has no subsets: name none")
    part: list[Item] = reader(root, subset)
    return part
