"""The reference speech-to-speech core: codec, semantic encoder, training.

`load_codec` is imported on first use, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sts_core.codec.files import load_codec

__all__ = ["load_codec"]


def __getattr__(name: str) -> Any:
    if name == "load_codec":
        from sts_core.codec.files import load_codec

        return load_codec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
