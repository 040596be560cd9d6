"""How many of the agent's answers are still understood after the codec, and print the table.

    python tests/benchmarks/clarity.py [--weights FILE ...] [--voice NAME ...]

Every fact's answer is spoken by the agent's voice (hibari, seeded), coded, decoded, and heard by
Moonshine: what the codec costs the reference system, whose speech never sounds better than that.
The voice is one that the codec was trained on; `evaluate_codec.py` has voices that it was not.
Shares come with Wilson 95 % intervals, and differences from the spoken ones are paired: answers
lost and gained. Needs the extra [synth].
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sts_core.asr.moonshine import transcribe
from sts_core.codec.files import load_codec
from sts_core.data.synth import level, trim
from sts_core.data.texts import load_texts
from sts_core.data.voices import AGENT_VOICE, Hibari
from sts_core.skills.answers import heard_words, is_right
from sts_core.units import SAMPLE_RATE_HZ
from sts_eval.stats.proportions import wilson

HIBARI = Hibari()
EDGE_S = 0.2  # silence at both ends, as around an answer in a conversation

Audio = NDArray[np.float32]


def main() -> None:
    """Speak, code, hear, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, nargs="*", help="default: those in the package")
    parser.add_argument("--voice", nargs="*", default=[AGENT_VOICE])
    parser.add_argument("--verbose", action="store_true", help="show what was heard otherwise")
    options = parser.parse_args()
    facts = [dict(fact) for fact in load_texts()["facts"]]
    spoken = [_spoken(fact["answer"], voice) for voice in options.voice for fact in facts]
    facts = facts * len(options.voice)
    before = _heard_right(facts, spoken, verbose=False)
    _show("as spoken", before, before)
    for file in options.weights or [None]:
        codec = load_codec(file)
        coded = []
        for audio in spoken:
            codes = codec.encode(torch.from_numpy(audio)[None, None])
            coded.append(codec.decode(codes)[0, 0].numpy())
        _show(str(file or "packaged"), _heard_right(facts, coded, options.verbose), before)


def _spoken(text: str, voice: str) -> Audio:
    sound = HIBARI.speak(HIBARI.phonemize(text), voice, 1.0, np.random.default_rng(0))
    return np.pad(level(trim(sound)), round(EDGE_S * SAMPLE_RATE_HZ))


def _heard_right(
    facts: list[dict[str, str]], sounds: list[Audio], verbose: bool
) -> NDArray[np.bool_]:
    right = []
    for fact, sound in zip(facts, sounds, strict=True):
        heard = transcribe(np.clip(sound, -1.0, 1.0), SAMPLE_RATE_HZ)
        right.append(is_right({"key": fact["key"]}, heard_words(heard)))
        if verbose and not right[-1]:
            print(f"  {fact['answer']!r} heard as {heard!r}")
    return np.array(right)


def _show(name: str, right: NDArray[np.bool_], before: NDArray[np.bool_]) -> None:
    value, (low, high) = float(right.mean()), wilson(int(right.sum()), right.size)
    lost, gained = int((before & ~right).sum()), int((right & ~before).sum())
    print(
        f"{name}: {value:.1%} [{low:.1%}, {high:.1%}] of {right.size} answers heard right"
        f" (lost {lost}, gained {gained})",
        flush=True,
    )


if __name__ == "__main__":
    main()
