"""`sts-core talk` and what goes with it: commands that run the whole reference system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sts_core.session import Session, System

MAX_TALK_S = 4 * 3600.0

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW = click.Path(path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
SKILLS = (
    "sums", "facts", "unanswerable", "pauses", "barge_in", "back_channel", "tones", "quiet",
)  # fmt: skip  # a test holds it equal to sts_core.skills.takes.SKILLS
_WEIGHTS = click.option("--weights", type=_FILE, help="Language model; default: the packaged one.")
_THREADS = click.option("--threads", type=click.IntRange(1, 256), help="Torch threads.")


def _system(weights: Path | None, threads: int | None) -> System:
    """The reference system."""
    import torch

    from sts_core.session import System

    if threads:
        torch.set_num_threads(threads)
    return System.load(weights)


@click.command()
@click.argument("source", metavar="[IN.wav]", type=_FILE, required=False)
@click.option("--out", "target", type=_NEW, help="The agent's channel, 24 kHz.")
@click.option("--live", is_flag=True, help="Microphone and loudspeaker (extra [live]).")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--temperature", type=click.FloatRange(0, 5), help="Of sampling; default: greedy.")
@click.option("--voice", help="The agent's voice; default: its first.")
@click.option("--tail-s", type=click.FloatRange(0, 120), default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print timed text as JSON.")
@_WEIGHTS
@_THREADS
def talk(
    source: Path | None,
    target: Path | None,
    live: bool,
    seed: int,
    temperature: float | None,
    voice: str | None,
    tail_s: float,
    as_json: bool,
    weights: Path | None,
    threads: int | None,
) -> None:
    """Talk to the reference system: the user's channel in, the agent's channel out.

    OUT has the length of IN plus a tail in which the agent finishes, TAIL_S at most.
    """
    if live == (source is not None) or live == (target is not None):
        raise click.UsageError("give IN.wav and --out OUT.wav, or --live")
    from sts_core.cli import MAX_AUDIO_BYTES, refuse_large
    from sts_core.session import SessionOptions
    from sts_core.talk import talk_live

    options = SessionOptions(seed=seed, voice=voice, temperature=temperature)
    session = _system(weights, threads).open(options)
    if source is None or target is None:
        click.echo("listening; wear headphones; Ctrl-C ends", err=True)
        talk_live(session, lambda text: click.echo(text, nl=False))
        return
    refuse_large(source, MAX_AUDIO_BYTES)
    _talk_on_files(source, target, session, tail_s, as_json)


def _talk_on_files(
    source: Path, target: Path, session: Session, tail_s: float, as_json: bool
) -> None:
    import soundfile

    from sts_core.data.manifest import as_float, load_audio
    from sts_core.talk import converse
    from sts_core.units import SAMPLE_RATE_HZ

    user = as_float(load_audio(source, max_seconds=MAX_TALK_S))
    talked = converse(session, user, tail_s=tail_s)
    soundfile.write(target, talked.agent, SAMPLE_RATE_HZ, subtype="PCM_16")
    found = talked.as_json()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"user:  {found['heard'] or '(no words)'}\nagent: {found['said'] or '(silent)'}")
    click.echo(f"{target}: {found['seconds']:.2f} s, {found['compute_ms']['p95']} ms a frame (p95)")


@click.command()
@click.option("--stimuli", type=_FOLDER, required=True, help="Folder with a manifest.jsonl.")
@click.option("--skill", "only", multiple=True, type=click.Choice(SKILLS), help="Default: all.")
@click.option("--limit", type=click.IntRange(1), help="Takes of each skill at most: a quick look.")
@click.option("--batch", type=click.IntRange(1, 256), default=24, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--transcripts", type=_NEW, help="Write what was heard, one JSON object a line.")
@click.option("--json", "as_json", is_flag=True)
@_WEIGHTS
@_THREADS
def skills(
    stimuli: Path,
    only: tuple[str, ...],
    limit: int | None,
    batch: int,
    seed: int,
    transcripts: Path | None,
    as_json: bool,
    weights: Path | None,
    threads: int | None,
) -> None:
    """Measure what the system can do, from its audio, with the stimuli's voices as users.

    Answers are heard by Moonshine. The packaged stimuli are sts_eval/stimuli.
    """
    from sts_core.asr.moonshine import transcribe
    from sts_core.cli import progress_line
    from sts_core.skills.measure import measure
    from sts_core.skills.run import run_takes
    from sts_core.skills.table import as_text, summarise
    from sts_core.skills.takes import Stimuli, make_takes
    from sts_core.units import SAMPLE_RATE_HZ

    takes = make_takes(Stimuli(stimuli), only or SKILLS, limit=limit, seed=seed)
    system = _system(weights, threads)
    progress = progress_line("conversations")
    runs = run_takes(system, takes, batch=batch, seed=seed, progress=progress)
    outcomes = measure(runs, lambda audio: transcribe(audio, SAMPLE_RATE_HZ))
    lines = summarise(outcomes, seed)
    if transcripts is not None:
        rows = (json.dumps(row, ensure_ascii=False) for row in outcomes.transcripts)
        transcripts.write_text("\n".join(rows) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps([line.as_json() for line in lines], indent=1))
    else:
        click.echo(as_text(lines))
