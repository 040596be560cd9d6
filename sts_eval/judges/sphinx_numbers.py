"""PocketSphinx with a grammar of spoken numbers: the second opinion on what sum was said.

A recogniser of another kind and other data than the first judge, which can hear nothing but answers
("Seven plus two is nine.", "That is minus three point five."): its mistakes are unrelated to the
first one's. It hears numbers in other sentences, too: ask it only where a number is expected.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import numpy as np

from sts_eval.audio import resample
from sts_eval.judges.base import JudgeError, Transcript
from sts_eval.judges.moonshine import PAD_S, segments
from sts_eval.judges.sphinx import INSTALL, STEP_S
from sts_eval.judges.vad import VAD_RATE_HZ, SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

GRAMMAR: Final = """#JSGF V1.0;
grammar numbers;
<digit> = one | two | three | four | five | six | seven | eight | nine;
<teen> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen
  | nineteen;
<tens> = twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety;
<below100> = <digit> | <teen> | <tens> [<digit>];
<hundreds> = (<digit> | a) hundred [[and] <below100>];
<thousands> = (<below100> | a) thousand [<hundreds> | [and] <below100>];
<whole> = zero | <below100> | <hundreds> | <thousands>;
<value> = [minus | negative] <whole> [point (zero | <digit>) [zero | <digit>]];
<op> = plus | minus | times | and | divided by | multiplied by | take away;
<is> = is | equals | makes | are | leaves;
<lead> = that is | that's | it is | it's | the answer is | that makes | that leaves
  | you have | you get | now it is;
<unit> = centimeters | meters | minutes | hours | grams | kilograms | kilometers;
<tail> = is the answer | is what you get | is left | are left | altogether | in total;
public <said> = [<lead>] <value> [<unit>] [<tail>]
  | <value> <op> <value> <is> <value> [<unit>];
"""


class NumberGrammarJudge:
    """PocketSphinx en-us that hears numbers only."""

    name = "pocketsphinx_numbers"

    def __init__(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            wheel = version("pocketsphinx")
        except PackageNotFoundError as error:
            raise JudgeError(INSTALL) from error
        self._vad = SileroJudge()
        self.version = f"1-pocketsphinx{wheel}-{self._vad.version}"

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the numbers that are spoken on it, in words."""
        words: list[Word] = []
        for start_s, end_s in segments(self._vad.speech_spans(audio)):
            begin = max(0, seconds_to_samples(start_s - PAD_S))
            part = audio[begin : seconds_to_samples(end_s + PAD_S)]
            words += recognise_numbers(part, begin / SAMPLE_RATE_HZ)
        text = " ".join(word.text for word in words)
        return Transcript(text=text, words=tuple(words), judge=self.name, version=self.version)


def recognise_numbers(part: Samples, at_s: float) -> list[Word]:
    """Words of one segment, float32 [S] at 24 kHz, that lies at `at_s`."""
    decoder = load_decoder()
    samples = resample(part, SAMPLE_RATE_HZ, VAD_RATE_HZ)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    decoder.reinit_feat()  # or the cepstral mean runs on, and results depend on the order
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    return [
        Word(
            text=re.sub(r"\(\d+\)", "", segment.word),
            start_s=round(at_s + segment.start_frame * STEP_S, 3),
            end_s=round(at_s + (segment.end_frame + 1) * STEP_S, 3),
        )
        for segment in decoder.seg()
        if not segment.word.startswith(("<", "[", "("))
    ]


@lru_cache(maxsize=1)
def load_decoder() -> Any:
    """The decoder with the grammar, one per process. Raises JudgeError."""
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise JudgeError(INSTALL) from error
    decoder = Decoder(samprate=VAD_RATE_HZ, lm=None, loglevel="FATAL")
    decoder.add_jsgf_string("numbers", GRAMMAR)
    decoder.activate_search("numbers")
    return decoder
