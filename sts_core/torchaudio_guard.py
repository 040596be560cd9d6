"""Let packages that import torchaudio import, where torchaudio's compiled part cannot load.

The torchaudio wheel of the package index looks for CUDA libraries as soon as it is imported; beside
a CPU build of torch, or a torch of another version, they are missing and the import fails. It takes
speechbrain and `transformers` down with it, and nothing that is used of them here needs the
compiled part. `prepare()` tries the import once and where it fails registers an empty stand-in for
`torchaudio._extension`, the module that loads that part. Both doors call it, so that no order of
imports matters: `sts_core.hf.import_transformers` and `sts_eval.speechbrain.import_speechbrain`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

_EXTENSION: Final = "torchaudio._extension"


def prepare() -> bool:
    """Import torchaudio, without its compiled part if need be; True when the stand-in is in place.

    False: its own part was loaded, or torchaudio is not installed. Safe to call again.
    """
    if "torchaudio" not in sys.modules and find_spec("torchaudio") is not None:
        try:
            import_module("torchaudio")
        except (OSError, RuntimeError):  # a library is missing; built for another torch
            sys.modules[_EXTENSION] = _StandIn(_EXTENSION)
            import_module("torchaudio")
    return isinstance(sys.modules.get(_EXTENSION), _StandIn)


class _StandIn(ModuleType):
    """What `torchaudio/__init__.py` and its modules import from the extension loader."""

    _IS_TORCHAUDIO_EXT_AVAILABLE = False
    _IS_RIR_AVAILABLE = False
    _IS_ALIGN_AVAILABLE = False
    _SOX_INITIALIZED = False

    def __init__(self, name: str) -> None:
        super().__init__(name, doc="Stand-in: torchaudio's compiled part is not loaded.")
        self.__spec__ = ModuleSpec(name, loader=None)

    @staticmethod
    def lazy_import_sox_ext() -> Any:
        """The sox extension is not there. Raises RuntimeError."""
        raise RuntimeError(f"torchaudio's compiled part is not loaded (see {__name__})")

    @staticmethod
    def fail_if_no_align(function: Any) -> Any:
        """A decorator for functions of the compiled part: they raise when called."""

        def refuse(*_args: object, **_kwargs: object) -> Any:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled part")

        return refuse

    fail_if_no_rir = fail_if_no_align
    fail_if_no_sox = fail_if_no_align
