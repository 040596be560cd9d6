"""Targets by name, and how a command line names one.

    echo   scripted:delay_ms=300   cascade:endpoint_ms=300   process:command="python my_model.py"
    recorded:path=FOLDER   tcp:host=127.0.0.1,port=9000   python:package.module:factory

A target class takes its settings as keyword arguments; unknown ones are refused with the nearest
name. Faults (`sts_eval.targets.faults`) wrap any target: `late:ms=300+cascade`.
"""

from __future__ import annotations

import inspect
from typing import Any

import yaml

from sts_eval.registry import Entry, Registry, RegistryError, load_attribute, nearest
from sts_eval.target import Target

_HERE = "sts_eval.targets"

TARGETS = Registry(
    "target",
    [
        Entry("echo", f"{_HERE}.fakes:EchoTarget", "plays the user back after a fixed delay"),
        Entry("silent", f"{_HERE}.fakes:SilentTarget", "never says anything"),
        Entry(
            "scripted_duplex",
            f"{_HERE}.fakes:ScriptedDuplexTarget",
            "answers at length and yields to true barge-ins only",
        ),
        Entry(
            "scripted_voice",
            f"{_HERE}.fake_voice:ScriptedVoiceTarget",
            "answers every turn in one packaged voice, never the user's",
        ),
        Entry("scripted", f"{_HERE}.fakes:ScriptedTarget", "answers a known time after each turn"),
        Entry(
            "answering",
            f"{_HERE}.answering:AnsweringTarget",
            "knows every right answer of the hallucination suite and says it",
        ),
        Entry(
            "scripted_empath",
            f"{_HERE}.fake_empath:ScriptedEmpathTarget",
            "hears the tone of voice and replies to it, whatever the words",
        ),
        Entry(
            "cascade",
            f"{_HERE}.cascade:CascadeTarget",
            "the traditional ASR -> language model -> TTS agent: the baseline",
        ),
        Entry(
            "reference",
            f"{_HERE}.core:ReferenceTarget",
            "the duplex language model of this package: listens and talks at once",
        ),
        Entry(
            "codec",
            f"{_HERE}.repeater:CodecTarget",
            "repeats every turn of the user as a codec keeps it",
        ),
        Entry(
            "process",
            f"{_HERE}.process:ProcessTarget",
            "any program that speaks the frame protocol on stdin/stdout",
        ),
        Entry(
            "tcp",
            f"{_HERE}.tcp:TcpTarget",
            "a server on its own clock that speaks the frame protocol over a socket",
        ),
        Entry(
            "recorded",
            f"{_HERE}.recorded:RecordedTarget",
            "a folder of recorded conversations, or a Full-Duplex-Bench download",
        ),
    ],
)

FAULTS = Registry(
    "fault",
    [
        Entry(name, f"{_HERE}.{cls if ':' in cls else f'faults:{cls}'}", summary)
        for name, cls, summary in (
            ("late", "Late", "answers `ms` later than the target would"),
            ("jitter", "Jitter", "its audio arrives unevenly: speech stutters"),
            ("silent", "Silenced", "the answer is never heard"),
            ("always_talking", "AlwaysTalking", "speaks all the time"),
            ("echo", "Echo", "the user's voice leaks into its output"),
            ("cuts_user_off", "CutsUserOff", "starts speaking in the middle of the user's turn"),
            ("takes_pauses", "TakesPauses", "takes the turn when the user pauses"),
            ("drops_frames", "DropsFrames", "some frames of its speech are lost"),
            ("never_yields", "NeverYields", "talks on when the user interrupts"),
            ("yields_to_everything", "YieldsToEverything", "any sound of the user silences it"),
            (
                "resumes_dropped",
                "faults_resume:ResumesDropped",
                "goes on with the reply that the user had interrupted",
            ),
            ("user_voice", "faults_voice:UserVoice", "drifts into the user's voice"),
            ("voice_swap", "faults_voice:VoiceSwap", "has another voice in mid-session"),
            ("wrong_sums", "spoken_faults:WrongSums", "says another number than the right one"),
            ("invents_facts", "spoken_faults:InventsFacts", "answers what nobody can know"),
            ("misspeaks", "spoken_faults:Misspeaks", "its voice departs from its right text"),
            ("babbles", "spoken_faults:Babbles", "its voice makes syllables without words"),
            ("parrots", "parrots:Parrots", "repeats sentences of the training texts"),
            ("monotone", "faults_tone:Monotone", "hears the user's words without their emotion"),
            ("slow", "Slow", "each push takes longer than a frame"),
        )
    ],
)


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """ "name:k=v,k2=v2" -> (name, settings). Values are YAML scalars; quotes protect commas.

    Raises RegistryError on a malformed spec.
    """
    if spec.startswith("python:"):
        return "python", {"path": spec.removeprefix("python:")}
    name, _, rest = spec.partition(":")
    settings: dict[str, Any] = {}
    for part in _split_commas(rest):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise RegistryError(f"{spec!r}: expected key=value, found {part!r}")
        try:
            settings[key.strip()] = yaml.safe_load(value) if value.strip() else ""
        except yaml.YAMLError as error:
            raise RegistryError(f"{spec!r}: {value!r} is not a plain value") from error
    return name.strip(), settings


def _split_commas(text: str) -> list[str]:
    parts, quote, current = [], "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ",":
            parts.append(current)
            current = ""
            continue
        current += char
    return [part for part in (*parts, current) if part.strip()]


def _split_fault(spec: str) -> tuple[str, str]:
    """ "fault+target" -> (fault, target); a spec without a known fault -> ("", spec)."""
    fault, plus, inner = spec.partition("+")
    return (fault, inner) if plus and fault.partition(":")[0] in FAULTS.entries() else ("", spec)


def make_target(spec: str) -> Target:
    """Build the target that a command line or suite names. Raises RegistryError, TargetError."""
    fault, inner = _split_fault(spec)
    if fault:
        name, settings = parse_spec(fault)
        return _construct(FAULTS.load(name), name, settings, make_target(inner))
    name, settings = parse_spec(spec)
    if name == "python":
        made = load_attribute(settings["path"])()
        if not isinstance(made, Target):
            raise RegistryError(f"{settings['path']} did not return a target (see sts_eval.target)")
        return made
    return _construct(TARGETS.load(name), name, settings)


def check_spec(spec: str) -> None:
    """Raise RegistryError when a spec names nothing that exists; opens and loads no model."""
    fault, inner = _split_fault(spec)
    if fault:
        name, settings = parse_spec(fault)
        _check_settings(FAULTS.load(name), name, settings)
        return check_spec(inner)
    name, settings = parse_spec(spec)
    if name == "python":
        load_attribute(settings["path"])
        return None
    return _check_settings(TARGETS.load(name), name, settings)


def _construct(factory: Any, name: str, settings: dict[str, Any], *args: Any) -> Target:
    _check_settings(factory, name, settings)
    try:
        target: Target = factory(*args, **settings)
    except TypeError as error:
        raise RegistryError(f"target {name!r}: {error}") from error
    return target


def _check_settings(factory: Any, name: str, settings: dict[str, Any]) -> None:
    known = [p for p in inspect.signature(factory).parameters if p not in ("self", "inner")]
    for key in settings:
        if key not in known:
            raise RegistryError(f"target {name!r} has no setting {key!r}{nearest(key, known)}")
