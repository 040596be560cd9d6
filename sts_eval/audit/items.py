"""An Item: one labelled recording of a corpus, the same record whatever the corpus.

Readers (`sts_eval.audit.readers`) make items; folds (`sts_eval.audit.folds`) split them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Label = Literal["bonafide", "spoof"]
UNCODED = "none"


@dataclass(frozen=True, slots=True)
class Item:
    """A recording and what its corpus says about it. "" means: the corpus does not say.

    speaker: unique within the corpus; of a spoof, whom it is meant to sound like.
    attack: name of the spoofing system; "" for bona fide.
    family: what attacks are held out together, e.g. systems with one kind of vocoder; "" for bona
        fide, the attack itself where the corpus names no families.
    codec: channel or codec that the recording went through; "none" where the corpus says it went
        through none.
    group: recordings that share it derive from one source (coded copies, re-syntheses) and must
        never be split between training and test.
    """

    path: Path
    label: Label
    speaker: str
    attack: str
    family: str
    codec: str
    group: str
    corpus: str
    subset: str = ""

    @property
    def bonafide(self) -> bool:
        """Whether it is genuine speech."""
        return self.label == "bonafide"
