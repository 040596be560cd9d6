"""One recording: heard, measured, judged, and what is good of it written.

    audio/NN/ID-user.003.flac    a single turn: 50 ms around it, speech at -23 dBFS
    audio/NN/ID.user.flac        a channel of a conversation, whole, at one gain

24 kHz mono; ID is a hash of the recording's name, NN its first two digits. A turn that is only
spoken over is no good as an utterance and belongs to its conversation all the same.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sts_core.asr.vad import Span, speech_spans
from sts_core.data.manifest import Row
from sts_core.data.synth import LEVEL_DB, PEAK, level
from sts_core.data.voices import Hibari
from sts_core.recordings.files import Source
from sts_core.recordings.quality import Audio, hop_powers, hops_inside
from sts_core.recordings.sound import Recording, RecordingError, read_recording
from sts_core.recordings.speakers import AGENT, ROLES, USER, Speaker
from sts_core.recordings.transcripts import (
    RECORDED,
    Transcript,
    TranscriptError,
    read_transcript,
    spoken,
)
from sts_core.recordings.turns import (
    HEARD_LANGUAGE,
    Limits,
    Recogniser,
    Turn,
    add_words,
    cut,
    echoes,
    find_turns,
    judge,
    measure,
    measure_against,
)
from sts_core.semantic.phonemes import phoneme_ids
from sts_core.units import SAMPLE_RATE_HZ

ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True)
class Cast:
    """Who speaks in a recording: speaker's name by role, and why a role may not be used."""

    names: dict[str, str]
    refused: dict[str, str]
    channels: tuple[str, str] = ROLES  # roles of left and right


@dataclass
class Outcome:
    """What became of a recording: rows of the report and the corpus, files written for them."""

    rows: list[Row] = field(default_factory=list)
    utterances: list[Row] = field(default_factory=list)
    conversation: Row | None = None
    files: list[str] = field(default_factory=list)


class Ears:
    """Recogniser and phonemes, loaded when first needed."""

    def __init__(self, recognise: Recogniser | None = None) -> None:
        self._own = recognise

    def recognise(self, audio: Audio) -> str:
        """The words of float32 [S] at 24 kHz. Raises ModelFileError without Moonshine."""
        from sts_core.asr.moonshine import transcribe

        return self._own(audio) if self._own else transcribe(audio, SAMPLE_RATE_HZ)

    @cached_property
    def _hibari(self) -> Hibari:
        return Hibari()

    def phonemes(self, text: str) -> str:
        """misaki phonemes of an English text; "" where it has none of its alphabet."""
        phonemes = self._hibari.phonemize(text)
        try:
            return phonemes if phoneme_ids(phonemes) else ""
        except ValueError:
            return ""


def file_id(name: str) -> str:
    """A short name for a recording that is safe in any file system."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def report_row(what: str, source: str, reasons: list[str], **fields: Any) -> Row:
    """One row of the report; accepted if nothing speaks against it."""
    status = REFUSED if reasons else ACCEPTED
    return {"what": what, "source": source, "status": status, "reasons": reasons, **fields}


class Desk:
    """Works through recordings; everything that all of them share."""

    def __init__(self, out: Path, people: dict[str, Speaker], limits: Limits, ears: Ears) -> None:
        self.out, self.people, self.limits, self.ears = out, people, limits, ears

    def process(self, source: Source, cast: Cast) -> Outcome:
        """Hear, judge and write one recording; every problem of it is a row."""
        made = Outcome()
        for role, reason in cast.refused.items():
            who = {"role": role, "speaker": cast.names[role]}
            made.rows.append(report_row("channel", source.name, [f"consent: {reason}"], **who))
        if len(cast.refused) == len(cast.names):
            return made
        try:
            recording = read_recording(source.path, longest_s=self.limits.longest_s)
            by_role = _channels(recording, cast)
            told = Transcript()
            if source.transcript is not None:
                told = read_transcript(source.transcript, len(recording.channels))
        except (RecordingError, TranscriptError) as error:
            code = "transcript" if isinstance(error, TranscriptError) else "recording"
            made.rows.append(report_row("recording", source.name, [f"{code}: {error}"]))
            return made
        turns = self._turns(recording, by_role, cast, told)
        length = {"seconds": round(recording.seconds, 3)}
        silent = [] if any(turns.values()) else ["silence: nobody speaks in it"]
        made.rows.append(report_row("recording", source.name, silent, **length))
        for role, own in turns.items():
            audio = recording.channels[by_role[role]]
            self._utterances(made, source, role, cast.names[role], own, audio, told)
        if len(recording.channels) == 2 and set(cast.names) == set(ROLES):
            self._conversation(made, source, recording, by_role, cast, turns)
        return made

    def _turns(
        self, recording: Recording, by_role: dict[str, int], cast: Cast, told: Transcript
    ) -> dict[str, list[Turn]]:
        """Judged turns of the roles that may be heard."""
        speech, echo = _apart(recording)
        turns: dict[str, list[Turn]] = {}
        for role, channel in by_role.items():
            if role in cast.refused:
                continue
            lang = self.people[cast.names[role]].lang
            given = told.text.get("" if len(speech) == 1 else role)
            own = find_turns(speech[channel], self.limits)
            echoed = find_turns(echo[channel], self.limits)
            if len(speech) == 1 and own and (told.labels or (given and lang != HEARD_LANGUAGE)):
                spans = [span for turn in own for span in turn.speech]  # one utterance, as labelled
                own = [Turn(Span(spans[0].start_s, spans[-1].end_s), spans)]
            for turn in echoed:
                turn.echo = True
            own = sorted([*own, *echoed], key=lambda turn: turn.span)
            add_words(own, recording.channels[channel], given, lang, self.ears.recognise)
            measure(own, recording, channel)
            if len(speech) == 2:
                measure_against(own, recording, channel, speech[1 - channel])
            judge(own, self.limits, lang)
            turns[role] = own
        return turns

    def _utterances(
        self,
        made: Outcome,
        source: Source,
        role: str,
        speaker: str,
        turns: list[Turn],
        audio: Audio,
        told: Transcript,
    ) -> None:
        """Write the accepted turns of a role, and a row for each of all."""
        person = self.people[speaker]
        for number, turn in enumerate(turns):
            name = f"{file_id(source.name)}-{role}.{number:03d}"
            where = {
                "id": name,
                "role": role,
                "speaker": speaker,
                "start_s": round(turn.span.start_s, 3),
                "end_s": round(turn.span.end_s, 3),
            }
            found = {
                "text": turn.text,
                "heard": turn.heard,
                "measures": {k: _rounded(v) for k, v in turn.measures.items()},
                "not_measured": turn.not_measured,
            }
            made.rows.append(report_row("turn", source.name, turn.reasons, **where, **found))
            if turn.reasons:
                continue
            sound = level(cut(audio, turn.span))
            utterance = (
                where
                | self._said(turn.text, person.lang)
                | {
                    "path": self._write(made, f"{name}.flac", sound),
                    "kind": told.labels.get("kind", RECORDED),
                    "seconds": round(sound.size / SAMPLE_RATE_HZ, 3),
                    "split": person.split,
                    "source": source.name,
                }
            )
            if "reply" in told.labels:
                utterance["reply"] = told.labels["reply"]
            made.utterances.append(utterance)

    def _said(self, text: str, lang: str) -> Row:
        if lang != HEARD_LANGUAGE:
            return {"text": text, "lang": lang}
        said = spoken(text)
        phonemes = self.ears.phonemes(said)
        return {"text": said, "lang": lang} | ({"phonemes": phonemes} if phonemes else {})

    def _conversation(
        self,
        made: Outcome,
        source: Source,
        recording: Recording,
        by_role: dict[str, int],
        cast: Cast,
        turns: dict[str, list[Turn]],
    ) -> None:
        """Write both channels as they are, if they may and can be trained on."""
        people = {role: self.people[name] for role, name in cast.names.items()}
        reasons = [f"consent: {why}" for why in cast.refused.values()]
        if not reasons:
            reasons = self._against(people, turns)
        made.rows.append(report_row("conversation", source.name, reasons, **cast.names))
        if reasons:
            return
        name = file_id(source.name)
        tracks = {
            role: self._write(made, f"{name}.{role}.flac", _levelled(audio, turns[role]))
            for role in ROLES
            for audio in [recording.channels[by_role[role]]]
        }
        made.conversation = {
            "id": name,
            "source": source.name,
            "seconds": round(recording.seconds, 3),
            "split": people[USER].split,
            "speakers": cast.names,
            "tracks": tracks,
            "turns": [
                {"role": role, "start_s": turn.span.start_s, "end_s": turn.span.end_s}
                | ({"hole": True} if not turn.good else self._said(turn.text, people[role].lang))
                for role in ROLES
                for turn in turns[role]
                if not turn.echo
            ],
        }

    def _against(self, people: dict[str, Speaker], turns: dict[str, list[Turn]]) -> list[str]:
        reasons = []
        splits = {person.split for person in people.values()}
        if len(splits) > 1:
            reasons.append(f"split: speakers of {' and '.join(sorted(splits))} talk to each other")
        foreign = sorted({p.lang for p in people.values()} - {HEARD_LANGUAGE})
        if foreign:
            reasons.append(f"lang: words cannot be placed in time in {', '.join(foreign)}")
        for role in ROLES:
            leaks = [turn.measures.get("bleed_db") for turn in turns[role] if not turn.echo]
            usual = statistics.median([-np.inf if db is None else db for db in leaks] or [-np.inf])
            if usual > self.limits.most_bleed_db:
                told = f"{usual:.0f} dB, above {self.limits.most_bleed_db:g}"
                reasons.append(f"bleed: the {role} is heard on the other channel: {told}")
        if not any(turn.good for turn in turns[AGENT]):
            reasons.append("turns: no turn of the agent was good enough")
        return reasons

    def _write(self, made: Outcome, name: str, audio: Audio) -> str:
        """Write FLAC; returns its path in the folder."""
        import soundfile

        path = f"audio/{name[:2]}/{name}"
        (self.out / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(self.out / path, audio, SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC")
        made.files.append(path)
        return path


def _apart(recording: Recording) -> tuple[list[list[Span]], list[list[Span]]]:
    """Speech of each channel by its own speaker, and what of the other one is heard there."""
    speech = [speech_spans(audio) for audio in recording.channels]
    echo: list[list[Span]] = [[] for _ in speech]
    if len(speech) == 2:
        left, right = recording.channels
        echo = [echoes(speech[0], left, right), echoes(speech[1], right, left)]
    own = [[span for span in a if span not in b] for a, b in zip(speech, echo, strict=True)]
    return own, echo


def _channels(recording: Recording, cast: Cast) -> dict[str, int]:
    """The channel of each role."""
    if len(recording.channels) == 2:
        return {role: cast.channels.index(role) for role in ROLES if role in cast.names}
    if len(cast.names) > 1:
        raise RecordingError("one channel, where a user and an agent are expected on two")
    return dict.fromkeys(cast.names, 0)


def _levelled(audio: Audio, turns: list[Turn]) -> Audio:
    """A whole channel with its good speech at -23 dBFS, no peak above 0.97."""
    powers = hop_powers(audio)
    inside = hops_inside([s for t in turns if t.good for s in t.speech], powers.size)
    rms = float(np.sqrt(powers[inside].mean())) if inside.any() else 0.0
    peak = float(np.abs(audio).max())
    if rms == 0.0:
        return audio
    return audio * np.float32(min(10 ** (LEVEL_DB / 20) / rms, PEAK / peak))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
