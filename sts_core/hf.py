"""The one door to Hugging Face `transformers` (extra `[hf]`)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

HF_INSTALL = "pip install 'sts-eval[hf]'"


class MissingExtraError(ImportError):
    """An optional package is not installed; the message holds the install line."""


def import_transformers(purpose: str) -> ModuleType:
    """The `transformers` package.

    Args:
        purpose: what it is needed for, for the message ("codec mimi").

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("transformers") is None:
        raise MissingExtraError(f"{purpose} needs the package transformers: {HF_INSTALL}")
    _hide_broken_torchaudio()
    import transformers

    return transformers


def _hide_broken_torchaudio() -> None:
    """Keep a torchaudio that cannot load from taking `transformers` down with it.

    `transformers` imports torchaudio wherever it is installed, and a torchaudio built for another
    torch (a CUDA one beside a CPU one) fails while loading its library. Nothing here uses it, and
    None in sys.modules is how Python marks a package as absent.
    """
    try:
        import torchaudio  # noqa: F401
    except ImportError:
        pass
    except OSError:
        sys.modules["torchaudio"] = None  # type: ignore[assignment]
        from transformers.utils import import_utils

        import_utils.is_torchaudio_available.cache_clear()  # it may have looked before
