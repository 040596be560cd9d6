"""`sts-eval init DIR`: a commented starter suite, a target to copy from, and a CI snippet."""

from __future__ import annotations

from pathlib import Path

from sts_eval.planning import RunError
from sts_eval.trace import write_text_atomic

SUITE = """\
# A suite: what to say to the agent, and what must hold. Check it: sts-eval validate {name}
suite: my_latency
question: How soon does my agent answer?
seed: 1
target: "process:command='python my_target.py'"  # or cascade, tcp:port=9000
# stimuli: my_stimuli        # a folder with a manifest.jsonl; without it, the packaged voices

scenarios:
  - kind: question
    pick: {{kind: [arithmetic, fact], per_voice: 8}}   # 4 voices x 8 questions
    conditions:
      snr_db: [null, 10]       # null is clean
      noise: [babble, street]
    lead_s: [0.5, 1.5]         # random silence before the question
    listen_s: 5                # how long an answer counts

gates:                         # tested at the unfavourable end of the 95 % interval
  - response_rate >= 0.8
  - response_onset_audio_ms.p50 <= 900 ms
  # After `sts-eval baseline accept RUN`:
  # - response_onset_audio_ms.p95 no worse than baseline by 80 ms

profiles:
  smoke: {{limit: 10, min_n: 5}}   # sts-eval run {name} --profile smoke
"""

TARGET = '''\
"""A speech-to-speech target in 30 lines: it speaks the frame protocol on stdin/stdout.

Each message is a 4-byte little-endian length, one type byte and a payload. We get S (setup,
JSON), A (one 80 ms frame of the user: 1920 float32 samples at 24 kHz) and C (close). We answer S
with R, and every A with any A (audio), T (text), E (event, JSON) or F (drop what is queued), and
then one D.
Print to stderr, never to stdout.
"""

import array
import math
import struct
import sys


def send(kind, payload=b""):
    sys.stdout.buffer.write(struct.pack("<I", len(payload) + 1) + kind + payload)
    sys.stdout.buffer.flush()


def main():
    tone = array.array("f", (0.2 * math.sin(i * 0.06) * math.sin(i * 6e-4) for i in range(24000)))
    heard, quiet = False, 0
    while header := sys.stdin.buffer.read(4):
        body = sys.stdin.buffer.read(struct.unpack("<I", header)[0])
        if body[:1] == b"S":
            send(b"R", b'{"name": "beeper"}')
        elif body[:1] == b"A":
            frame = array.array("f", body[1:])
            loud = max(map(abs, frame)) > 0.02
            heard, quiet = heard or loud, 0 if loud else quiet + 1
            if heard and quiet == 6:  # half a second of silence after speech: answer
                heard = False
                send(b"A", tone.tobytes())
                send(b"T", b"beep")
            send(b"D")
        else:
            break


if __name__ == "__main__":
    main()
'''

CI = """\
# GitHub Actions: red only when the model got worse (exit code 1) or the run failed (4).
name: sts-eval
on: [pull_request]
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.11"}
      - run: pip install sts-eval
      - name: Run the suite
        run: |
          code=0
          sts-eval run suite.yaml --summary "$GITHUB_STEP_SUMMARY" || code=$?
          # 3 is inconclusive: too little evidence either way. Decide for yourself; here it passes.
          [ "$code" -eq 3 ] || exit "$code"
      - uses: actions/upload-artifact@v4
        if: always()
        with: {name: sts-eval-report, path: reports/}
"""

FILES = {"suite.yaml": SUITE.format(name="suite.yaml"), "my_target.py": TARGET, "ci.yml": CI}


def write_starter(folder: Path) -> list[Path]:
    """Write the files; never over existing ones. Raises RunError."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    for path in paths:
        if path.exists():
            raise RunError(f"{path} exists already")
    for path in paths:
        write_text_atomic(path, FILES[path.name])
    return paths
