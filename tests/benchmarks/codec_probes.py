"""Linear probes: how much phoneme and speaker information frame vectors hold.

phoneme_probe   CTC (Graves et al., 2006) on one linear layer that reads three neighbour frames
                and writes four positions a frame (50 Hz), best-path decoding; each voice is read by
                a probe trained on the other voices only
speaker_probe   logistic regression on the mean and deviation over time, five folds of files
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

POSITIONS = 4
STEPS, RATE, FILES = 250, 0.01, 32

Features = list[NDArray[np.float32]]  # one [T, D] for each file


def phoneme_probe(
    features: Features, phonemes: list[str], voices: list[str], seed: int = 0
) -> list[tuple[float, float]]:
    """(errors, phonemes) of each file, read by a probe that never heard its voice."""
    letters = [[c for c in text if c.isalpha()] for text in phonemes]
    alphabet = {c: i + 1 for i, c in enumerate(sorted({c for line in letters for c in line}))}
    targets = [[alphabet[c] for c in line] for line in letters]
    stacked = _standardised(features)
    results: list[tuple[float, float]] = [(0.0, 0.0)] * len(features)
    for voice in sorted(set(voices)):
        train = [i for i, v in enumerate(voices) if v != voice and targets[i]]
        test = [i for i, v in enumerate(voices) if v == voice]
        layer = _fit_ctc([stacked[i] for i in train], [targets[i] for i in train], seed, alphabet)
        for i in test:
            heard = _best_path(layer(stacked[i]))
            results[i] = float(_edits(targets[i], heard)), float(len(targets[i]))
    return results


def _standardised(features: Features) -> list[Tensor]:
    """Zero mean and unit deviation, each frame with its two neighbours: [T, 3 D]."""
    everything = np.concatenate(features)
    mean, deviation = everything.mean(axis=0), everything.std(axis=0) + 1e-6
    stacked = []
    for one in features:
        padded = np.pad((one - mean) / deviation, ((1, 1), (0, 0)))
        stacked.append(
            torch.from_numpy(np.concatenate([padded[:-2], padded[1:-1], padded[2:]], axis=1))
        )
    return stacked


def _fit_ctc(
    features: list[Tensor], targets: list[list[int]], seed: int, alphabet: dict[str, int]
) -> nn.Module:
    torch.manual_seed(seed)
    classes = len(alphabet) + 1
    layer = nn.Sequential(
        nn.Linear(features[0].shape[1], POSITIONS * classes),
        nn.Unflatten(-1, (POSITIONS, classes)),
        nn.Flatten(-3, -2),
    )
    optimiser = torch.optim.Adam(layer.parameters(), RATE, weight_decay=1e-5)
    rng = np.random.default_rng(seed)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        batch = rng.choice(len(features), size=min(FILES, len(features)), replace=False)
        lengths = torch.tensor([len(features[i]) * POSITIONS for i in batch])
        padded = nn.utils.rnn.pad_sequence([features[i] for i in batch], batch_first=True)
        logits = F.log_softmax(layer(padded), dim=-1).transpose(0, 1)
        flat = torch.tensor([p for i in batch for p in targets[i]])
        loss = F.ctc_loss(
            logits,
            flat,
            lengths,
            torch.tensor([len(targets[i]) for i in batch]),
            zero_infinity=True,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return layer.requires_grad_(False)


def _best_path(logits: Tensor) -> list[int]:
    """CTC best path: [N, classes] -> labels without repeats and blanks."""
    path = torch.unique_consecutive(logits.argmax(dim=-1))
    return [int(label) for label in path if label]


def _edits(reference: list[int], heard: list[int]) -> int:
    """Levenshtein distance."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def speaker_probe(features: Features, speakers: list[str], folds: int = 5) -> list[float]:
    """1 where the speaker of a file was named by a probe that did not train on the file."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    pooled = np.stack([np.concatenate([f.mean(axis=0), f.std(axis=0)]) for f in features])
    names, right = np.array(speakers), np.zeros(len(features))
    fold = np.arange(len(features)) % folds
    for part in range(folds):
        train, test = fold != part, fold == part
        scaler = StandardScaler().fit(pooled[train])
        model = LogisticRegression(max_iter=500).fit(scaler.transform(pooled[train]), names[train])
        right[test] = model.predict(scaler.transform(pooled[test])) == names[test]
    return [float(hit) for hit in right]
