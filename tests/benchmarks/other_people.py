"""People whom a detector has never heard, of a source that it has never heard, and their copies.

    sts-eval audit gather-voices tuxpaint=/usr/share/tuxpaint/stamps \\
        --named 'tuxpaint=_desc_(\\w+)\\.ogg$' --out TUXPAINT
    python tests/benchmarks/other_people.py TUXPAINT --out FOLDER --copies hifigan melgan world

Of each voice (with Debian's tuxpaint-stamps-default installed: volunteers who read the names of
pictures) ten recordings of 6 s are made, and of each a copy by every attack; no room and no channel
are added. Are other people, in other rooms with other microphones, called synthetic, and are their
copies? Printed: what an audit by the detector makes of each kind, and of each voice; a voice is one
person, however many recordings of it there are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from audit_case import join, utterances

from sts_eval.audit import DEFAULT_DETECTOR
from sts_eval.audit.attacks import copy_synthesis
from sts_eval.audit.case.outputs import JSON_NAME

LEAST_S = 0.8  # of an utterance
MOST_FILES = 8  # that a recording may need
PER_VOICE = 10
SECONDS = 6.0
NATURAL = "natural"


def build(voices: Path, out: Path, copies: list[str]) -> None:
    """A folder for each kind, with recordings named after their voice."""
    rng = np.random.default_rng(5)
    for kind in (NATURAL, *copies):
        (out / kind).mkdir(parents=True)
    for voice, files in sorted(utterances(voices, LEAST_S).items()):
        left = [files[i] for i in rng.permutation(len(files))]
        for number in range(PER_VOICE):
            if len(left) < MOST_FILES:
                break
            speech = join(left, SECONDS, rng)
            for kind in (NATURAL, *copies):
                audio = speech if kind == NATURAL else copy_synthesis(speech, kind)
                file = out / kind / f"{voice}_{number}.flac"
                soundfile.write(file, np.clip(audio, -1, 1), 24_000)


def tell(kind: str, folder: Path, detector: str) -> None:
    """Audit the recordings of a kind, and print what came of it."""
    report = folder.with_name(f"{folder.name}-report")
    start = [sys.executable, "-c", "from sts_eval.cli import main; main()", "audit", "run"]
    options = ["--out", str(report), "--detector", detector, "--no-evidence"]
    subprocess.run([*start, str(folder), *options], check=False, stdout=subprocess.DEVNULL)
    rows = json.loads((report / JSON_NAME).read_text())["rows"]
    print(f"{kind}: {len(rows)} recordings")
    for (origin, level), count in Counter(
        (row["verdict"]["origin"], row["verdict"]["level"]) for row in rows
    ).most_common():
        print(f"  {count:4d} {origin}: {level}")
    by_voice: dict[str, Counter[str]] = {}
    for row in rows:
        voice = row["file"].rsplit("_", 1)[0]
        by_voice.setdefault(voice, Counter())[row["verdict"]["level"]] += 1
    for voice, levels in by_voice.items():
        print(f"    {voice}: " + ", ".join(f"{n} {level}" for level, n in levels.most_common()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("voices", type=Path, help="a folder that gather-voices made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--copies", nargs="*", default=[], help="attacks; see sts_eval.audit.attacks"
    )
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    options = parser.parse_args()
    build(options.voices, options.out, options.copies)
    for kind in (NATURAL, *options.copies):
        tell(kind, options.out / kind, options.detector)


if __name__ == "__main__":
    main()
