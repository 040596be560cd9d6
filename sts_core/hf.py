"""The one door to Hugging Face `transformers` (extra `[hf]`)."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType

from sts_core import torchaudio_guard

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
    torchaudio_guard.prepare()  # transformers imports it wherever it is installed
    import transformers

    return transformers
