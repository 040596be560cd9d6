"""A lossy listening copy of a trace: stereo Ogg/Opus (RFC 7845), left user, right agent.

The FLAC beside the report is the evidence; this copy only has to be small and to sound right:
about 48 kbit/s nominal, variable rate, at the trace's own 24 kHz.

The bytes must be equal each time a report is rebuilt. libsndfile gives every Ogg stream a random
serial number, so the serial of each page is set to a constant and the page checksum computed anew
(RFC 3533, section 6: CRC-32 with generator 0x04c11db7, not reflected, initial value 0). Everything
else in the file follows from the samples and from the version of libopus.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

# libsndfile maps a level in [0, 1] to 256..6 kbit/s for each channel: this is 24 kbit/s each.
COMPRESSION_LEVEL = 0.928
STREAM_SERIAL = 0x53545345  # any constant would do; these four bytes read "ESTS" in a hex dump
_HEADER_BYTES = 27
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def encode_opus(user: Samples, agent: Samples) -> bytes:
    """Ogg/Opus bytes of two tracks, float32 [S] each, 24 kHz. Equal samples give equal bytes."""
    import soundfile

    buffer = io.BytesIO()
    stereo = np.stack([user, agent], axis=1)  # [S, 2]
    with soundfile.SoundFile(
        buffer,
        "w",
        samplerate=SAMPLE_RATE_HZ,
        channels=2,
        format="OGG",
        subtype="OPUS",
        compression_level=COMPRESSION_LEVEL,
    ) as file:
        # One second at a time: libsndfile's Ogg writers keep a whole call on the stack.
        for start in range(0, len(stereo), SAMPLE_RATE_HZ):
            file.write(stereo[start : start + SAMPLE_RATE_HZ])
    return with_fixed_serial(buffer.getvalue())


def with_fixed_serial(ogg: bytes, serial: int = STREAM_SERIAL) -> bytes:
    """The same Ogg stream under another serial number. Raises ValueError if it is not Ogg."""
    pages = []
    start = 0
    while start < len(ogg):
        if ogg[start : start + 4] != b"OggS" or len(ogg) < start + _HEADER_BYTES:
            raise ValueError(f"no Ogg page at byte {start}")
        segments = ogg[start + 26]
        body = start + _HEADER_BYTES + segments
        end = body + sum(ogg[start + _HEADER_BYTES : body])
        page = bytearray(ogg[start:end])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)  # the checksum counts as zero while it is computed
        page[22:26] = struct.pack("<I", ogg_crc(bytes(page)))
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


def ogg_crc(page: bytes) -> int:
    """Ogg's checksum of a page whose own checksum field is zero.

    zlib's CRC-32 has the same generator but reads each byte from its low bit and inverts the
    register before and after. Reversing the bits on the way in and out, and undoing both
    inversions, gives Ogg's at the speed of C.
    """
    register = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{register:032b}"[::-1], 2)
