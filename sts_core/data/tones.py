"""A corpus of tones: emotional sentences of a speech cache, each said in every tone of voice.

The words of a sentence do not give its tone away: each is rendered neutrally, happily, sadly and
angrily (`sts_core.data.prosody`), all through the same vocoder. The rows are those of the source
with `tone`, `toned: true` and an id of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np

from sts_core.data.cache import SpeechCache
from sts_core.data.manifest import MANIFEST_NAME, as_float
from sts_core.data.prosody import TONES, apply_tone
from sts_core.data.synth import _continue
from sts_core.units import SAMPLE_RATE_HZ

ENGINES = ("kokoro", "hibari")  # formant and diphone voices have no tone to change


def render_tones(
    cache_folder: Path,
    out: Path,
    *,
    draws: int = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the corpus; goes on where an earlier call stopped. Returns the number of files.

    Raises:
        CacheError: no speech cache.
        MissingVocoderError: pyworld is not installed.
    """
    import soundfile

    cache = SpeechCache.open(cache_folder)
    sources = [
        number
        for number, row in enumerate(cache.rows)
        if row.get("kind") == "emotional" and row.get("role") == "user"
        if row.get("engine") in ENGINES and not row.get("toned")
    ]
    plan = [(n, tone, draw) for draw in range(draws) for n in sources for tone in TONES]
    out.mkdir(parents=True, exist_ok=True)
    first = len(_continue(out / MANIFEST_NAME))
    with (out / MANIFEST_NAME).open("a", encoding="utf-8") as manifest:
        for count in range(first, len(plan)):
            number, tone, draw = plan[count]
            row = cache.rows[number]
            name = f"{row['id']}-{tone}{draw}"
            rng = np.random.default_rng([seed, crc32(name.encode())])
            audio = apply_tone(as_float(cache.audio(number)), tone, rng)
            path = Path("audio") / f"{crc32(name.encode()) % 100:02d}" / f"{name}.opus"
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(out / path, audio, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
            kept = {k: v for k, v in row.items() if k not in ("corpus", "start_samples", "samples")}
            seconds = round(audio.size / SAMPLE_RATE_HZ, 3)
            made = {"id": name, "path": path.as_posix(), "seconds": seconds}
            line = kept | made | {"tone": tone, "toned": True}
            manifest.write(json.dumps(line, ensure_ascii=False) + "\n")
            manifest.flush()
            progress(count + 1, len(plan))
    return len(plan)
