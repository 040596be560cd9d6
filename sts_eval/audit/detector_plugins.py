"""Detectors of others: scores from a CSV file, and audio classifiers of transformers.

CSV (`csv:FILE`): what AASIST and most research code can write, one line a file: name and score,
separated by comma, tab or space, an optional header, higher = bona fide. Such a detector knows
files, not audio: it offers `score_file(path)`, by file name with or without its suffix.

transformers (`transformers:FOLDER`): a folder as `save_pretrained` writes it, with safetensors; the
network is never asked and no code of the folder is run. One label must mean bona fide (`BONAFIDE`);
the score is its logit minus the log-sum-exp of the others.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from sts_core.reading import read_bounded
from sts_eval.audit.detectors import Detector, DetectorError, WindowedDetector, WindowScore
from sts_eval.target import Samples

BONAFIDE: Final = ("bonafide", "bona-fide", "bona_fide", "genuine", "real", "human", "natural")
MAX_CSV_BYTES: Final = 200_000_000


def load(kind: str, rest: str) -> Detector:
    """`csv` or `transformers` with what follows the colon. Raises DetectorError."""
    if kind == "csv":
        return CsvScores(Path(rest))
    return TransformersDetector(Path(rest))


class CsvScores:
    """Scores that another program gave to files."""

    def __init__(self, path: Path) -> None:
        self.name = f"csv:{path.name}"
        try:
            content = read_bounded(path, MAX_CSV_BYTES)
            lines = content.decode("utf-8").splitlines()
        except OSError as error:
            raise DetectorError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise DetectorError(f"{path}: {error}") from error
        self.version = f"1-{hashlib.sha256(content).hexdigest()[:8]}"
        self._scores: dict[str, float] = {}
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._add(line, f"{path}:{number}", header_allowed=not self._scores)
        if not self._scores:
            raise DetectorError(f"{path}: holds no scores")

    def _add(self, line: str, where: str, header_allowed: bool) -> None:
        fields = [field.strip() for field in re.split(r"\s*[,\t]\s*| +", line.strip())]
        try:
            score = float(fields[1])
        except (IndexError, ValueError):
            if header_allowed:
                return
            raise DetectorError(f"{where}: expected a file name and a score") from None
        if not math.isfinite(score):
            raise DetectorError(f"{where}: the score is not finite")
        name = Path(fields[0]).stem
        if self._scores.setdefault(name, score) != score:
            raise DetectorError(f"{where}: {name} has two different scores")

    def score_file(self, path: Path) -> float:
        """The score of a file, by its name. Raises DetectorError when it has none."""
        try:
            return self._scores[path.stem]
        except KeyError:
            raise DetectorError(f"{self.name}: no score for {path.name}") from None

    def score(self, audio: Samples) -> float:
        """Always raises DetectorError: see `score_file`."""
        raise DetectorError(f"{self.name} knows scores of files, not of audio")

    def score_windows(
        self, audio: Samples, window_s: float = 3.0, hop_s: float = 1.5
    ) -> list[WindowScore]:
        """Always raises DetectorError: see `score_file`."""
        raise DetectorError(f"{self.name} has no scores of windows")


class TransformersDetector(WindowedDetector):
    """An audio classifier in a local folder."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise DetectorError(f"{folder}: no config.json here, this is no transformers model")
        from sts_core.hf import MissingExtraError, import_transformers

        try:
            transformers = import_transformers(f"detector transformers:{folder.name}")
        except MissingExtraError as error:
            raise DetectorError("transformers is missing: pip install 'sts-eval[hf]'") from error
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._extract = transformers.AutoFeatureExtractor.from_pretrained(
                str(folder), **options
            )
            self._model = transformers.AutoModelForAudioClassification.from_pretrained(
                str(folder), use_safetensors=True, **options
            ).eval()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            message = str(error).splitlines()[0]
            raise DetectorError(f"{folder}: transformers cannot load it: {message}") from error
        self.rate_hz = int(self._extract.sampling_rate)
        self.name = f"transformers:{folder.name}"
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(file.read_bytes())
        self.version = f"1-{digest.hexdigest()[:8]}"
        self._bonafide = _bonafide_label(self._model.config.id2label, folder)

    def score_batch(self, windows: np.ndarray) -> np.ndarray:
        """[B, S] at `rate_hz` -> [B]."""
        import torch

        inputs = self._extract(list(windows), sampling_rate=self.rate_hz, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**inputs).logits.double()  # [B, labels]
        others = np.delete(np.arange(logits.shape[1]), self._bonafide).tolist()
        scores = logits[:, self._bonafide] - torch.logsumexp(logits[:, others], dim=1)
        return np.asarray(scores.numpy())


def _bonafide_label(labels: dict[int, str], folder: Path) -> int:
    found = [int(k) for k, name in labels.items() if name.lower().replace(" ", "-") in BONAFIDE]
    if len(found) != 1 or len(labels) < 2:
        names = ", ".join(labels.values())
        raise DetectorError(
            f"{folder}: one of its labels ({names}) must mean bona fide: {', '.join(BONAFIDE)}"
        )
    return found[0]
