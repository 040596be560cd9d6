"""`sts-core prepare` and `compose`: recordings and speech become conversations to train on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sts_core.recordings.prepare import Summary

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW = click.Path(path_type=Path)
NOTHING_ACCEPTED = 1
# name, default, least, most, help: of sts_core.recordings.turns.Limits, which is not imported here
# because help must not load numpy; a test holds both equal
LIMITS = (
    ("least_snr_db", 15.0, -20, 100, "Speech by noise, dB."),
    ("most_clipped", 0.001, 0, 1, "Share of clipped samples."),
    ("least_level_dbfs", -45.0, -98, 0, "Level of the speech, dB re full scale."),
    ("most_overlap", 0.5, 0, 1, "Share of an utterance that the other speaks over."),
    ("most_bleed_db", -25.0, -100, 0, "A voice on the other channel, dB re its own."),
    ("least_agreement", 0.7, 0, 1, "1 - word error rate of the recogniser."),
    ("least_speech_s", 0.3, 0.1, 10, "Speech in a turn."),
    ("most_turn_s", 15.0, 1, 20, "Length of a turn; it is parted at pauses."),
    ("join_s", 0.5, 0.1, 5, "Pauses shorter than this belong to a turn."),
    ("longest_s", 1800.0, 1, 7200, "Length of a recording."),
)


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, default, least, most, text in reversed(LIMITS):
        command = click.option(
            f"--{name.replace('_', '-')}",
            type=click.FloatRange(least, most),
            default=default,
            show_default=True,
            help=text,
        )(command)
    return command


def _channels(_: click.Context, __: click.Parameter, value: str) -> tuple[str, str]:
    """Roles of left and right from "user=left,agent=right"."""
    sides = dict(part.strip().partition("=")[::2] for part in value.split(","))
    if sides == {"user": "left", "agent": "right"}:
        return "user", "agent"
    if sides == {"user": "right", "agent": "left"}:
        return "agent", "user"
    raise click.BadParameter("expected user=left,agent=right or user=right,agent=left")


@click.command()
@click.argument("folder", type=_FOLDER)
@click.argument("out", type=_NEW)
@click.option("--speakers", "file", type=_FILE, required=True, help="Who speaks, with consent.")
@click.option(
    "--channels",
    default="user=left,agent=right",
    show_default=True,
    callback=_channels,
    help="Sides of two-channel recordings.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_limit_options
def prepare(
    folder: Path,
    out: Path,
    file: Path,
    channels: tuple[str, str],
    as_json: bool,
    **limits: float,
) -> None:
    """Turn the recordings in FOLDER into a corpus OUT that can be trained on.

    \b
    FOLDER holds, at any depth:
      x.wav with two channels   a conversation: user and agent (also FLAC, Ogg, Opus, MP3, AIFF)
      x.wav with one channel    utterances of one speaker
      x.txt or x.json beside    what is said; without it Moonshine listens
                                two channels: lines "user: ..." and "agent: ..."

    \b
    SPEAKERS says who speaks in which files and what they agreed to:
      speakers:
        ann:
          user_in: ["calls/*"]
          consent: {status: granted, scope: [training], date: 2026-05-04, evidence: form 17}
        bob:
          agent_in: ["calls/*"]
          consent: {status: granted, scope: [training, voice], date: 2026-05-04, evidence: form 18}
    A speaker whose consent is not granted is left out; an agent's must cover the voice.

    Every file, channel and turn has a row in OUT/report.csv: accepted, or refused with all reasons.
    Goes on where it was interrupted, and deletes what a consent no longer covers.

    \b
    Then: sts-core cache CACHE OUT             single utterances, for every stage
          sts-core compose OUT SHARDS --stage recorded   conversations as they were held
    """
    from sts_core.cli import progress_line
    from sts_core.recordings.prepare import prepare as prepare_folder
    from sts_core.recordings.speakers import load_speakers
    from sts_core.recordings.turns import Limits

    if any(value != value for value in limits.values()):
        raise click.UsageError("a limit must be a number")
    summary = prepare_folder(
        folder,
        out,
        load_speakers(file),
        file,
        channels=channels,
        limits=Limits(**limits),
        progress=progress_line("recordings"),
    )
    click.echo(json.dumps(summary._asdict(), indent=1) if as_json else _told(out, summary))
    if not summary.accepted_turns and not summary.conversations:
        click.echo(f"nothing was accepted: see {out / 'report.csv'}", err=True)
        click.get_current_context().exit(NOTHING_ACCEPTED)


def _told(out: Path, summary: Summary) -> str:
    read = summary.recordings - summary.refused_recordings
    lines = [
        f"{read} of {summary.recordings} recordings read",
        f"{summary.accepted_turns} of {summary.turns} turns accepted, {summary.accepted_s:.1f} s",
        f"{summary.conversations} conversations, {summary.conversation_s:.1f} s",
    ]
    if summary.errors:
        lines.append(f"{summary.errors} recordings failed here, not by their own fault")
    counts: dict[str, Any] = summary.reasons
    lines += [f"  refused for {code}: {count}" for code, count in counts.items()]
    return "\n".join([*lines, f"every reason: {out / 'report.csv'}"])


@click.command()
@click.argument("source", metavar="CACHE|PREPARED", type=_FOLDER)
@click.argument("out", type=_NEW)
@click.option("--dialogues", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--stage",
    type=click.Choice(["dialogue", "lm", "canary", "tone_deaf", "recorded"]),
    default="dialogue",
    show_default=True,
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--agent-voice",
    "voices",
    multiple=True,
    help="Voice or speaker of the agent; the first given is voice 0 of the model. Default: the"
    " synthetic ones, or all agents of PREPARED by name.",
)
@click.option(
    "--passes",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="recorded: how often each conversation is heard, each time in another room.",
)
@click.option("--split", default="train", show_default=True, help="recorded: which part.")
def compose(
    source: Path,
    out: Path,
    dialogues: int,
    seed: int,
    stage: str,
    threads: int,
    voices: tuple[str, ...],
    passes: int,
    split: str,
) -> None:
    """Compose two-channel conversations for `train lm` and `dialogue`.

    From the speech in CACHE (`sts-core cache`), DIALOGUES of them are drawn; the first call also
    finds out when each word is spoken. With --stage recorded, the conversations in PREPARED
    (`sts-core prepare`) are taken as they were held. Goes on where it was interrupted.
    """
    from sts_core.cli import progress_line

    if stage == "recorded":
        import torch

        from sts_core.recordings.conversations import compose_recorded

        torch.set_num_threads(threads)
        made = compose_recorded(
            source,
            out,
            passes=passes,
            seed=seed,
            split=split,
            agent_voices=voices,
            progress=progress_line("shards"),
        )
        for number, name in enumerate(made.voices):
            click.echo(f"voice {number}: {name}")
        used = f"{made.used_s:.1f} of {made.seconds:.1f} s used"
        click.echo(f"{out}: {made.shards} shards, {made.conversations} conversations, {used}")
        return
    from sts_core.data.turns import AGENT_VOICES
    from sts_core.train.compose import compose_for_stage

    count = compose_for_stage(
        source,
        out,
        stage,
        dialogues,
        seed,
        threads,
        agent_voices=voices or AGENT_VOICES,
        progress=progress_line("conversations"),
    )
    click.echo(f"{out}: {count} shards")
