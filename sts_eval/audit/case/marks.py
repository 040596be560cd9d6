"""Watermarks and provenance, through the packages of those who make them. All optional.

    c2pa                 signed manifests in WAV, MP3, M4A, FLAC...     pip install c2pa-python
    perth                Perth's implicit watermark (Chatterbox)        pip install resemble-perth
    audioseal:CHECKPOINT AudioSeal, from a local checkpoint file        pip install audioseal

A reader that is not installed, or fails, leaves its question open: "not examined". One that finds
nothing says "not found". Neither is evidence of a human. No reader may use the network: AudioSeal
would fetch its weights, so it takes a file; C2PA would fetch remote manifests, so that is off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from sts_eval.audio import resample
from sts_eval.audit.case.records import Mark
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

DEFAULT: Final = ("c2pa",)
_INSTALL: Final = {
    "c2pa": "pip install c2pa-python",
    "perth": "pip install resemble-perth",
    "audioseal": "pip install audioseal",
}
_GENERATIVE: Final = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
_MOST_SECONDS: Final = 120
AUDIOSEAL_SHARE: Final = 0.5


def check_names(names: tuple[str, ...]) -> None:
    """Raises RegistryError for a reader that does not exist."""
    from sts_eval.registry import RegistryError, nearest

    for name in names:
        kind, _, rest = name.partition(":")
        if kind not in _INSTALL:
            raise RegistryError(f"unknown mark reader {kind!r}{nearest(kind, _INSTALL)}")
        if kind == "audioseal" and not rest:
            raise RegistryError("audioseal needs its checkpoint: audioseal:PATH")


def read_marks(names: tuple[str, ...], path: Path, samples: Samples) -> tuple[Mark, ...]:
    """One mark for each reader, whatever happens inside it."""
    return tuple(_read(name, path, samples) for name in names)


def _read(name: str, path: Path, samples: Samples) -> Mark:
    kind, _, rest = name.partition(":")
    readers: dict[str, Callable[[], Mark]] = {
        "c2pa": lambda: _c2pa(path),
        "perth": lambda: _perth(samples),
        "audioseal": lambda: _audioseal(rest, samples),
    }
    try:
        return readers[kind]()
    except ImportError as error:
        detail = f"{error.name or kind} is not installed: {_INSTALL[kind]}"
    except Exception as error:  # third-party code on untrusted bytes: it must not cost the row
        detail = f"{type(error).__name__}: {error}"
    return Mark(reader=kind, state="not examined", detail=" ".join(detail.split())[:200])


def _c2pa(path: Path) -> Mark:
    import c2pa

    try:
        with c2pa.Reader(str(path), context=_c2pa_offline()) as reader:
            text = reader.json()
    except c2pa.C2paError as error:
        said = f"{type(error).__name__} {error}"
        if "ManifestNotFound" in said or "JumbfNotFound" in said:
            return Mark(reader="c2pa", state="not found")
        if "NotSupported" in said or "UnsupportedType" in said:
            return Mark(reader="c2pa", state="not examined", detail="a format that C2PA lacks")
        raise
    return c2pa_mark(json.loads(text))


@lru_cache(maxsize=1)
def _c2pa_offline() -> Any:
    import c2pa

    return c2pa.Context(c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False}}))


def c2pa_mark(store: dict[str, Any]) -> Mark:
    """What a manifest store, as the reader gives it, says about its active manifest."""
    manifest = store.get("manifests", {}).get(store.get("active_manifest", ""), {})
    text = json.dumps(manifest)
    generative = any(kind in text for kind in _GENERATIVE)
    state = str(store.get("validation_state", "not validated"))
    maker = str(manifest.get("claim_generator") or "")
    info = manifest.get("claim_generator_info") or [{}]
    maker = maker or str(info[0].get("name", "unknown"))
    kind = "says generative" if generative else "does not say generative"
    detail = f"manifest by {maker[:80]}, {kind}, signature: {state}"
    return Mark(reader="c2pa", state="present", generative=generative, detail=detail)


def _perth(samples: Samples) -> Mark:
    found = float(np.mean(_perth_reader().get_watermark(_part(samples), SAMPLE_RATE_HZ)))
    state = "present" if found > 0.5 else "not found"
    return Mark(reader="perth", state=state, generative=found > 0.5)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _perth_reader() -> Any:
    import perth

    return perth.PerthImplicitWatermarker()


def _audioseal(checkpoint: str, samples: Samples) -> Mark:
    import torch

    audio = torch.from_numpy(resample(_part(samples), SAMPLE_RATE_HZ, 16_000))[None, None]
    with torch.inference_mode():
        share, _ = _audioseal_reader(checkpoint).detect_watermark(audio, sample_rate=16_000)
    found = float(share) > AUDIOSEAL_SHARE
    # The reader gives the share of samples that look marked; it is not a probability.
    detail = f"{float(share):.0%} of the samples look marked"
    return Mark(
        reader="audioseal",
        state="present" if found else "not found",
        generative=found,
        detail=detail,
    )


@lru_cache(maxsize=1)
def _audioseal_reader(checkpoint: str) -> Any:
    from audioseal import AudioSeal

    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"no checkpoint {checkpoint}")
    return AudioSeal.load_detector(checkpoint, nbits=16)


def _part(samples: Samples) -> Samples:
    return samples[: _MOST_SECONDS * SAMPLE_RATE_HZ]
