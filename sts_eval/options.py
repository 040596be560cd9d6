"""Options: what a scenario may ask of a target besides listening.

    temperature   float >= 0, of the target's sampling; 0 is greedy
    voice         name of the agent's voice, as the target calls it
    agent_prefix  float32 [S] at 24 kHz: the agent is made to have said it before the user is heard

A target lists what it honours in an attribute `options: frozenset[str]` (none without it). One that
learns it only from the other side of a wire has `options = None` and raises
`UnsupportedOptionError` from `open`. A scenario that asks for more is not measured, with the
reason; it is never an error. Names of a target's own are allowed: their values must be JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sts_eval.target import UnsupportedOptionError

TEMPERATURE, VOICE, AGENT_PREFIX = "temperature", "voice", "agent_prefix"
MAX_PREFIX_SAMPLES = 24_000 * 60
AUDIO_KEY = "f4le_base64"  # an array on the wire: {"f4le_base64": "..."}


def honoured_by(target: Any) -> frozenset[str] | None:
    """The options a target honours; None: known only when a session is opened."""
    names: Iterable[str] | None = getattr(target, "options", frozenset())
    return None if names is None else frozenset(names)


def require(target: Any, options: Mapping[str, Any]) -> None:
    """Raise UnsupportedOptionError when a target does not honour all of `options`."""
    honoured = honoured_by(target)
    if honoured is not None:
        refuse_missing(options, honoured)


def refuse_missing(options: Iterable[str], honoured: Iterable[str]) -> None:
    """Raise UnsupportedOptionError for the first option that is not among the honoured ones."""
    missing = sorted(set(options) - set(honoured))
    if missing:
        raise UnsupportedOptionError(f"the target has no option {missing[0]!r}")


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the types of the module docstring.

    Raises ValueError when one is not what its name promises; arrays of other names are refused.
    """
    return {name: _checked(name, value) for name, value in options.items()}


def _checked(name: str, value: Any) -> Any:
    if name == TEMPERATURE:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"the option temperature must be a number, not {value!r}")
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"the option temperature must be finite and at least 0, not {value}")
        return float(value)
    if name == VOICE:
        if not isinstance(value, str) or not value:
            raise ValueError(f"the option voice must be a name, not {value!r}")
        return value
    if name == AGENT_PREFIX:
        audio = np.asarray(value, dtype=np.float32)
        if audio.ndim != 1 or not 0 < audio.size <= MAX_PREFIX_SAMPLES:
            raise ValueError(f"the option agent_prefix has shape {audio.shape}")
        if not np.isfinite(audio).all():
            raise ValueError("the option agent_prefix holds NaN or infinite samples")
        return audio
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the option {name!r} is no JSON value: {error}") from error
    return value


def described(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON for a trace; audio becomes its length and hash."""
    return {
        name: {"samples": value.size, "sha256": hashlib.sha256(value.tobytes()).hexdigest()}
        if isinstance(value, np.ndarray)
        else value
        for name, value in options.items()
    }


def to_wire(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON for a program; audio becomes base64 of little-endian float32."""
    return {
        name: {AUDIO_KEY: base64.b64encode(value.astype("<f4").tobytes()).decode("ascii")}
        if isinstance(value, np.ndarray)
        else value
        for name, value in options.items()
    }


def from_wire(options: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `to_wire`, for programs in Python. Raises ValueError on garbage."""
    return checked(
        {
            name: np.frombuffer(base64.b64decode(value[AUDIO_KEY], validate=True), "<f4")
            if isinstance(value, dict) and set(value) == {AUDIO_KEY}
            else value
            for name, value in options.items()
        }
    )
