"""The sounds of the interruption suite's events.

- `barge_in`: a new request (a sum or a fact question) in the user's voice.
- `correction`: "No, not that one." and, a breath later, the corrected sum in the user's voice.
- `stop`: a short bid for the floor ("Wait.", "Let me stop you there.").
- `backchannel`: an acknowledgement ("Uh-huh.").
- `vocal_tic`: a cough or a hum, synthesised (below); level of the user's speech.
- `side_talk`: a remark to someone else: a statement by the same user, turned away from the
  microphone: 8 dB quieter and without what lies above 2 kHz (a talker's head shadows the highs).
- `background_speech`: another voice asks something, 15 dB below the user.

A cough has a burst, a noisy phase and often a voiced end (Korpas, Sadlonova and Vrabec, Analysis of
the cough sound: an overview, 1996); here it is white noise through a band-pass of 0.4 to 4 kHz with
those two envelopes. A hum ("hm") is a harmonic tone at 110 to 200 Hz that falls by a fifth of its
pitch.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import active_level_dbfs
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

SIDE_TALK_DB, SIDE_TALK_HZ = -8.0, 2000.0
BACKGROUND_DB = -15.0
BREATH_S = 0.2
_OBJECTS = re.compile(r"\b(no|not|meant)\b", re.IGNORECASE)
COUGH_BAND_HZ = (400.0, 4000.0)

# event -> stimulus kinds it is taken from; none: synthesised
EVENTS: dict[str, tuple[str, ...]] = {
    "barge_in": ("arithmetic", "fact"),
    "correction": ("arithmetic",),
    "stop": ("interruption",),
    "backchannel": ("backchannel",),
    "vocal_tic": (),
    "side_talk": ("emotional",),
    "background_speech": ("fact", "arithmetic"),
}


def event_stimulus(event: str, voice: str, turn: int, stimuli: Stimuli, seed: int) -> str | None:
    """Id of the utterance for the `turn`-th event of a voice; None when it is synthesised.

    Raises ValueError when the stimuli hold no such kind, or no second voice for the background.
    """
    kinds = EVENTS[event]
    if not kinds:
        return None
    voices = sorted({item.voice for item in stimuli.items})
    if event == "background_speech":
        if len(voices) < 2:
            raise ValueError("background speech needs stimuli in two voices")
        voice = voices[(voices.index(voice) + 1) % len(voices)]
    many = len(stimuli.items)
    fitting = stimuli.pick(kind=kinds, voice=(voice,), per_voice=many, seed=seed)
    if not fitting:
        raise ValueError(f"the voice {voice!r} has no stimulus for {event}")
    return fitting[turn % len(fitting)].id


def correction_stimuli(asked: Stimulus, turn: int, stimuli: Stimuli, seed: int) -> tuple[str, str]:
    """Ids of the objection and of the corrected sum, both in the voice that asked.

    The corrected sum has the same operation, another answer and, where the stimuli allow it, one
    operand of the first. Raises ValueError when the voice has no objection or no such sum.
    """
    many, voice = len(stimuli.items), (asked.voice,)
    said = stimuli.pick(kind=("interruption",), voice=voice, per_voice=many, seed=seed)
    objections = [item for item in said if _OBJECTS.search(item.text)]
    operands = {asked.fields.get("a"), asked.fields.get("b")}
    sums = stimuli.pick(kind=EVENTS["correction"], voice=voice, per_voice=many, seed=seed)
    other = [
        item
        for item in sums
        if item.fields.get("op") == asked.fields.get("op")
        and item.fields.get("answer") not in (None, asked.fields.get("answer"))
        and not operands >= {item.fields.get("a"), item.fields.get("b")}
    ]
    if not (objections and other):
        raise ValueError(f"the voice {asked.voice!r} has nothing to correct {asked.id!r} with")
    near = [i for i in other if operands & {i.fields.get("a"), i.fields.get("b")}] or other
    return objections[turn % len(objections)].id, near[turn % len(near)].id


def correction_audio(objection: Stimulus, corrected: Stimulus) -> Samples:
    """Objection, a breath, the corrected sum; float32 [N]."""
    breath = np.zeros(round(BREATH_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([objection.speech(), breath, corrected.speech()])


def event_audio(
    event: str, item: Stimulus | None, request: Samples, rng: np.random.Generator
) -> Samples:
    """The event's sound, float32 [N]; `request` sets the level of what is synthesised."""
    if item is None:
        tic = cough(rng) if rng.random() < 0.5 else hum(rng)
        return _scaled(tic, active_level_dbfs(request) - active_level_dbfs(tic))
    speech = item.speech()
    if event == "side_talk":
        return _scaled(_low_pass(speech, SIDE_TALK_HZ), SIDE_TALK_DB)
    return _scaled(speech, BACKGROUND_DB) if event == "background_speech" else speech


def cough(rng: np.random.Generator) -> Samples:
    """A cough of 0.30 to 0.45 s, float32 [N] with a peak near 1."""
    t = _time(rng.uniform(0.30, 0.45))
    burst = np.exp(-t / 0.025)
    tail = 0.35 * np.exp(-(((t - 0.14) / 0.07) ** 2))
    return _peak_one(_band(rng.standard_normal(t.size), *COUGH_BAND_HZ) * (burst + tail))


def hum(rng: np.random.Generator) -> Samples:
    """A closed-mouth hum of 0.25 to 0.40 s, float32 [N] with a peak near 1."""
    seconds = rng.uniform(0.25, 0.40)
    t = _time(seconds)
    pitch_hz = rng.uniform(110.0, 200.0) * (1 - 0.2 * t / seconds)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    tone = sum(np.sin(n * phase) / n**2 for n in range(1, 6))
    return _peak_one(tone * np.sin(np.pi * t / seconds) ** 0.5)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _band(signal: NDArray[Any], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Keep what lies between two frequencies (exact, by the transform of the whole signal)."""
    spectrum = np.fft.rfft(signal)
    hz = np.fft.rfftfreq(signal.size, 1 / SAMPLE_RATE_HZ)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    return np.asarray(np.fft.irfft(spectrum, signal.size))


def _low_pass(speech: Samples, edge_hz: float) -> Samples:
    """A gentle low-pass (raised cosine over an octave above the edge): no ringing."""
    spectrum = np.fft.rfft(speech)
    hz = np.fft.rfftfreq(speech.size, 1 / SAMPLE_RATE_HZ)
    octaves = np.clip(np.log2(np.maximum(hz, 1.0) / edge_hz), 0.0, 1.0)
    return np.fft.irfft(spectrum * np.cos(octaves * np.pi / 2) ** 2, speech.size).astype(np.float32)


def _peak_one(signal: NDArray[np.float64]) -> Samples:
    return (signal / np.abs(signal).max()).astype(np.float32)


def _scaled(audio: Samples, gain_db: float) -> Samples:
    return np.clip(audio * np.float32(10 ** (gain_db / 20)), -1.0, 1.0)
