"""Text tokens of the inner monologue: a small SentencePiece model and three special tokens.

PAD    nothing begins in this frame
END_OF_PAD  a word begins in the next frame (Moshi's EPAD: it parts *when* from *what*)
BEGIN  stands before the first frame
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sts_core.checkpoint import WeightsError

PAD, END_OF_PAD, BEGIN = 0, 1, 2
SPECIAL_TOKENS = 3
DEFAULT_FILE = Path(__file__).resolve().parent.parent / "weights" / "lm" / "text.model"
_JOINED = "▁"  # SentencePiece's sign of a word's beginning
_KEPT = re.compile(r"[^a-z0-9' ]+")


def words_of(text: str) -> list[str]:
    """The spoken words of a text, in lower case, without punctuation; "thirty-one" is two."""
    return _KEPT.sub(" ", text.lower().replace("’", "'")).split()


class TextTokenizer:
    """Words to tokens and back."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    @classmethod
    def load(cls, file: Path | None = None) -> TextTokenizer:
        """The packaged tokenizer, or that of `file`. Raises WeightsError."""
        import sentencepiece

        file = file or DEFAULT_FILE
        if not file.is_file():
            raise WeightsError(f"{file}: no such tokenizer")
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(file.read_bytes())
        except (RuntimeError, TypeError) as error:
            raise WeightsError(f"{file}: not a SentencePiece model: {error}") from error
        return cls(processor)

    @property
    def vocabulary(self) -> int:
        """Number of tokens, the special ones included."""
        return int(self._processor.GetPieceSize()) + SPECIAL_TOKENS

    def word(self, word: str) -> list[int]:
        """Tokens of one word (as `words_of` gives it), at least one."""
        return [piece + SPECIAL_TOKENS for piece in self._processor.EncodeAsIds(word)]

    def pieces(self, tokens: Iterable[int]) -> str:
        """The text that tokens add to what was said: "" for special ones, else with its space."""
        ids = [token - SPECIAL_TOKENS for token in tokens if token >= SPECIAL_TOKENS]
        joined = "".join(self._processor.IdToPiece(i) for i in ids)
        return joined.replace(_JOINED, " ")

    def text(self, tokens: Iterable[int]) -> str:
        """The words of a token sequence, special tokens left out."""
        return " ".join(self.pieces(tokens).split())


def train_tokenizer(texts: Sequence[str], vocabulary: int, file: Path) -> None:
    """Fit a tokenizer with `vocabulary` tokens (special ones included) to texts and write it."""
    import sentencepiece

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(" ".join(words_of(text)) for text in texts),
            model_writer=out,
            vocab_size=vocabulary - SPECIAL_TOKENS,
            model_type="bpe",
            character_coverage=1.0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_id=0,
            num_threads=1,
            minloglevel=1,
        )
