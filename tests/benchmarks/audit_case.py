"""End to end: 20 enrolled voices, 200 recordings, one audit; verdicts, speed, memory, kill -9.

    python tests/benchmarks/audit_case.py --synthetic CORPUS STIMULI --genuine HUMAN VOICES \\
        --people NAME NAME ... --detector weights:FILE --out FOLDER

Folders hold a `manifest.jsonl` with `path` and `voice` or `speaker`. `--people`: the genuine voices
to use, such as a detector has not heard (`countermeasure.py --without`). Everybody genuine but one
is enrolled, the other places go to synthetic voices; no recording shares an utterance with an
enrolment. A quarter of the recordings each:

    genuine     natural speech, of enrolled people and of one who is not       -> natural, clear
    consented   synthetic, of an enrolled voice with a consent that covers it  -> consented, clear
    clone       synthetic, of an enrolled voice without one (none, expired, revoked, out of scope)
                                                                               -> that, a finding
    unknown     synthetic, of a voice that is not enrolled                     -> none, a finding

The audit runs as a user would run it, is killed with -9 on the way (`--kill-after`), resumed, and
verified. Printed: the levels given to each quarter; how often each answer is right, and the whole
verdict, which is level, origin, person and consent together (Wilson 95 %), decided or on weak
support; how often it was decided; how often a level is wrong, and on weak support alone; how often
there is none; clones called consented; seconds of audio per second (by the
clock, and by processor time as if on two free cores), and the peak of resident memory over all of
its processes. `--tell FOLDER` prints an earlier one again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from sts_eval.audio import load_audio
from sts_eval.audit import DEFAULT_DETECTOR
from sts_eval.audit.case.parts import load_encoder
from sts_eval.audit.voices.enrolment import enrol
from sts_eval.audit.voices.schema import load_registry
from sts_eval.stats.proportions import wilson

ENROL_S, PAUSE_S = 15.0, 0.4
WORD_S, SENTENCE_S = 0.5, 1.2  # the least of an utterance: people of word games say single words
MOST_FILES = 12  # that a recording may need
KINDS = ("genuine", "consented", "clone", "unknown")
LEVEL = {"genuine": "clear", "consented": "clear", "clone": "finding", "unknown": "finding"}
STATUSES = ("none", "expired", "revoked", "out of scope")
DAY = "2026-06-01"


def utterances(folder: Path, least_s: float) -> dict[str, list[Path]]:
    """Files by voice; blends and shifted voices (a colon in the name) are left out."""
    found: dict[str, list[Path]] = defaultdict(list)
    for line in (folder / "manifest.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        name = str(row.get("speaker") or row.get("voice"))
        if ":" not in name and row["seconds"] >= least_s:
            found[name].append(folder / row["path"])
    return found


def join(files: list[Path], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Takes files off the list until there are `seconds`; float32 [S] with short pauses."""
    parts: list[np.ndarray] = []
    while files and sum(map(len, parts)) < seconds * 24_000:
        hiss = 1e-4 * rng.standard_normal(round(PAUSE_S * 24_000))
        parts += [load_audio(files.pop()), hiss.astype(np.float32)]
    return np.concatenate(parts)


def consent(status: str, digest: str) -> list[dict[str, Any]]:
    """Consents that give this status for synthesis for the purpose "case" on `DAY`."""
    if status == "none":
        return []
    entry: dict[str, Any] = {"scope": ["synthesis"], "purpose": ["case"], "from": "2026-01-01"}
    entry |= {
        "consented": {},
        "expired": {"until": "2026-03-01"},
        "revoked": {"revoked": "2026-04-01"},
        "out of scope": {"purpose": ["another"]},
    }[status]
    return [entry | {"evidence": {"file": "consent.txt", "sha256": digest}}]


def build(options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Write registry, recordings and context; returns what is expected of each file."""
    rng = np.random.default_rng(options.seed)
    genuine = {k: v for f in options.genuine for k, v in utterances(f, WORD_S).items()}
    if options.people:
        genuine = {name: genuine[name] for name in options.people}
    synthetic = {k: v for f in options.synthetic for k, v in utterances(f, SENTENCE_S).items()}
    for files in (*genuine.values(), *synthetic.values()):
        rng.shuffle(files)  # type: ignore[arg-type]
    need = ENROL_S + options.seconds * 2
    rich = [name for name, files in synthetic.items() if len(files) * 1.2 > need]
    names = [str(name) for name in rng.permutation(sorted(rich))]
    people = sorted(genuine)[:-1]
    voices, strangers = names[: options.enrolled - len(people)], names[options.enrolled :]
    if len(voices) + len(people) < options.enrolled or len(strangers) < 2:
        raise SystemExit(f"only {len(names)} synthetic voices have enough speech")
    consented = voices[: len(voices) // 2]
    status = dict.fromkeys(consented, "consented")
    status |= {v: STATUSES[k % 4] for k, v in enumerate(voices[len(consented) :])}
    status |= dict.fromkeys(people, "none")
    _enrol_all(options, status, {**genuine, **synthetic}, rng)
    pools = {
        "genuine": sorted(genuine),
        "consented": consented,
        "clone": voices[len(consented) :],
        "unknown": strangers,
    }
    folder, files = options.out / "recordings", {**genuine, **synthetic}
    folder.mkdir()
    expected: dict[str, dict[str, str]] = {}
    for number in range(options.recordings):
        kind = KINDS[number % 4]
        pool = [v for v in pools[kind] if len(files[v]) >= MOST_FILES]
        if not pool:
            raise SystemExit(f"not enough speech for {options.recordings // 4} {kind} recordings")
        voice = pool[number // 4 % len(pool)]
        samples = join(files[voice], options.seconds, rng)
        name = f"{number:04d}.flac"
        soundfile.write(folder / name, samples, 24_000)
        enrolled = voice if voice in status else ""
        expected[name] = {"kind": kind, "voice": enrolled.lower(), "status": status.get(voice, "")}
    with (options.out / "context.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "purpose", "date"])
        writer.writerows([name, "case", DAY] for name in expected)
    (options.out / "expected.json").write_text(json.dumps(expected))
    return expected


def _enrol_all(
    options: argparse.Namespace,
    status: dict[str, str],
    files: dict[str, list[Path]],
    rng: np.random.Generator,
) -> None:
    encoder, path = load_encoder(options.encoder), options.out / "voices.yaml"
    (options.out / "consent.txt").write_text("agreed")
    digest = hashlib.sha256(b"agreed").hexdigest()
    for voice in status:
        sample = options.out / "enrol.wav"
        soundfile.write(sample, join(files[voice], ENROL_S, rng), 24_000)
        enrol(path, voice.replace("_", "-"), [sample], encoder)
        sample.unlink()
    data = yaml.safe_load(path.read_text())
    for voice, answer in status.items():
        subject = load_registry(path).find(voice.replace("_", "-"))
        data["subjects"][subject]["consents"] = consent(answer, digest)
    path.write_text(yaml.safe_dump(data, sort_keys=False))


class MemoryWatch(threading.Thread):
    """Peak of the resident memory of a process and its children, bytes."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak, self.stop = process, 0, False

    def run(self) -> None:
        """Look ten times a second."""
        while not self.stop:
            self.peak = max(self.peak, sum(map(_resident, _tree(self.process))))
            time.sleep(0.1)


def _tree(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(each for child in children for each in _tree(int(child)))]


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    except (OSError, IndexError):
        return 0


def audit(arguments: list[str], kill_after: float | None = None) -> tuple[int, float, int]:
    """(exit code, seconds, peak bytes) of `sts-eval audit`; -9 when it was killed."""
    begun = time.monotonic()
    start = "from sts_eval.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", start, "audit", *arguments])
    watch = MemoryWatch(process.pid)
    watch.start()
    if kill_after is not None:
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    watch.stop = True
    return code, time.monotonic() - begun, watch.peak


def right(row: dict[str, Any], want: dict[str, str]) -> dict[str, bool]:
    """What holds of the answers about a recording; those that were not to be given are left out."""
    verdict = row["verdict"]
    kind, voice = want["kind"], want["voice"].replace("_", "-")
    level, side = verdict["level"], "natural" if kind == "genuine" else "synthetic"
    origin = verdict["origin"] in (side, f"leans {side}")
    named = (
        verdict["subjects"] == [voice] if voice else verdict["likeness"] == "none of the enrolled"
    )
    answers = {"origin": origin, "likeness": named}
    if found := row["found"]["detectors"]:  # the side of its ratio, decided or not
        answers["leaning"] = (found[0]["ratio"]["value"] < 0) == (kind == "genuine")
    answers["level"] = level in (LEVEL[kind], f"weak {LEVEL[kind]}")
    answers["inconclusive"] = level == "inconclusive"
    answers["wrong level"] = not (answers["level"] or answers["inconclusive"])
    answers["wrong level, decided"] = answers["wrong level"] and not level.startswith("weak ")
    whole = answers["level"] and origin
    if kind in ("consented", "clone"):
        answers["consent"] = verdict["consent"] == want["status"]
        whole = whole and named and answers["consent"]
    if kind == "unknown":
        whole = whole and named
    decided = whole and verdict["origin"] == side and level == LEVEL[kind]
    return answers | {"verdict": whole, "verdict, decided": decided}


def tell(out: Path, expected: dict[str, dict[str, str]]) -> float:
    """Print the rates; returns the seconds of audio."""
    rows = {
        row["file"]: row for row in json.loads((out / "report" / "audit.json").read_text())["rows"]
    }
    tally: dict[tuple[str, str], list[bool]] = defaultdict(list)
    given: Counter[tuple[str, str]] = Counter()
    wrongly = 0
    for name, want in expected.items():
        for what, correct in right(rows[name], want).items():
            tally[what, want["kind"]].append(correct)
            tally[what, "all"].append(correct)
        given[want["kind"], rows[name]["verdict"]["level"]] += 1
        wrongly += want["kind"] == "clone" and rows[name]["verdict"]["consent"] == "consented"
    levels = sorted({level for _, level in given})
    print(f"{'':<10}" + "".join(f"{level:>14}" for level in levels))
    for kind in KINDS:
        print(f"{kind:<10}" + "".join(f"{given[kind, level]:>14}" for level in levels))
    for (what, kind), values in sorted(tally.items()):
        lo, hi = wilson(sum(values), len(values))
        share = sum(values) / len(values)
        print(f"{what:<20}  {kind:<10} {share:6.1%} [{lo:.1%}, {hi:.1%}] of {len(values)}")
    print(f"clones called consented: {wrongly}")
    return float(sum(row["found"]["sound"]["seconds"] for row in rows.values() if row["found"]))


def main() -> None:
    """See the module."""
    if sys.argv[1:2] == ["--tell"]:
        folder = Path(sys.argv[2])
        tell(folder, json.loads((folder / "expected.json").read_text()))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--genuine", type=Path, nargs="+", required=True)
    parser.add_argument("--people", nargs="+", help="genuine voices to use; default: all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--enrolled", type=int, default=20)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--encoder", default="dvector")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-after", type=float, help="seconds until kill -9")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    if options.out.exists():
        shutil.rmtree(options.out)
    options.out.mkdir(parents=True)
    expected = build(options)
    print(f"{options.enrolled} enrolled, {len(expected)} recordings")
    report = str(options.out / "report")
    arguments = [str(options.out / "recordings"), "--registry", str(options.out / "voices.yaml")]
    arguments += ["--context", str(options.out / "context.csv"), "--language", "en"]
    arguments += ["--detector", options.detector, "--encoder", options.encoder]
    arguments += ["--out", report, "--workers", str(options.workers)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, wall, peak = audit(arguments, options.kill_after)
    while code == -9:
        done = (options.out / "report" / "custody.jsonl").read_text().count('"event":"recording"')
        print(f"killed with -9 after {wall:.0f} s and {done} recordings; resuming")
        again = ["run", "--resume", report, "--workers", str(options.workers)]
        code, more, later = audit(again)
        wall, peak = wall + more, max(peak, later)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = tell(options.out, expected)
    print(f"exit code {code}")
    print(f"{seconds:.0f} s of audio in {wall:.0f} s: {seconds / wall:.1f} x real time")
    print(f"{cpu:.0f} s of processor time: {2 * seconds / cpu:.1f} x real time on two free cores")
    print(f"peak memory of all processes {peak / 1e9:.2f} GB")
    print("verify:", "intact" if audit(["verify", report])[0] == 0 else "CHANGED")


if __name__ == "__main__":
    main()
