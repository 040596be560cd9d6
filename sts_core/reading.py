"""Small files from outside, read whole: never more of them than was agreed on."""

from __future__ import annotations

import errno
from pathlib import Path


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The content of a file of at most so many bytes.

    Raises:
        OSError: it cannot be read, or is larger; `strerror` says which.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)  # its size on disk may lie, or grow
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes} bytes", str(path))
    return content
