"""Let speechbrain import on a CPU-only torch whose torchaudio was built for CUDA.

speechbrain imports torchaudio, and the torchaudio wheel of the package index looks for CUDA
libraries as soon as it is imported; beside a CPU build of torch they are missing, and the import
fails. Nothing that is used here (speaker embeddings, metric statistics) needs torchaudio's compiled
part. `prepare()` registers an empty stand-in for `torchaudio._extension`, the module that loads it,
before the first import. With a CUDA build of torch, or once torchaudio is imported, it does
nothing. `import_speechbrain()` calls it; call that before importing any part of speechbrain.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

_EXTENSION: Final = "torchaudio._extension"


def prepare() -> bool:
    """Register the stand-in where it is needed; True when it is in place. Safe to call again."""
    if _EXTENSION in sys.modules:
        return isinstance(sys.modules[_EXTENSION], _StandIn)
    if "torchaudio" in sys.modules:
        return False
    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        return False
    sys.modules[_EXTENSION] = _StandIn(_EXTENSION)
    return True


def import_speechbrain() -> None:
    """Import speechbrain, and take its redirections of old module names out of `sys.modules`.

    Whoever looks at a redirection there, as hypothesis and inspect do at every module, makes it
    import an optional package; where that is missing (k2), the onlooker fails with ImportError.
    """
    prepare()
    import speechbrain  # noqa: F401
    from speechbrain.utils.importutils import LazyModule

    for name, module in list(sys.modules.items()):
        if isinstance(module, LazyModule):
            del sys.modules[name]


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
        raise RuntimeError("torchaudio's compiled part is not loaded (see sts_eval._torchaudio)")

    @staticmethod
    def fail_if_no_align(function: Any) -> Any:
        """A decorator for functions of the compiled part: they raise when called."""

        def refuse(*_args: object, **_kwargs: object) -> Any:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled part")

        return refuse

    fail_if_no_rir = fail_if_no_align
    fail_if_no_sox = fail_if_no_align
