"""`sts-core`: the command line of the reference system.

Imports nothing heavy until a command needs it. Every mistake a user can make ends in one line on
standard error and exit code 2.
"""

from __future__ import annotations

import math
import sys
import time
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sts_core.codec.base import Codec

USAGE = 2
MAX_AUDIO_BYTES = 512 << 20
MAX_TOKEN_BYTES = 64 << 20
# name -> (module, configuration class, what its train() makes)
STAGES = {
    "semantic": ("sts_core.train.semantic", "SemanticConfig"),
    "codec": ("sts_core.train.codec", "CodecTraining"),
    "lm": ("sts_core.train.lm", "LMTraining"),
    "dialogue": ("sts_core.train.lm", "LMTraining"),
}
PACKAGE = Path(__file__).resolve().parent

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW = click.Path(path_type=Path)


class _Group(click.Group):
    """Turns the errors that a user can cause into one message and exit code 2.

    They are the project's own kinds of ValueError (CodecError, ManifestError, ConfigError, ...),
    errors of the file system, and a missing extra. A plain ValueError is a bug and stays loud.
    """

    def invoke(self, ctx: click.Context) -> Any:
        from sts_core.hf import MissingExtraError

        try:
            return super().invoke(ctx)
        except (ValueError, OSError, MissingExtraError, MemoryError) as error:
            if type(error) is ValueError:
                raise
            click.echo(f"error: {str(error) or 'not enough memory'}", err=True)
            ctx.exit(USAGE)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sts-eval")
def main() -> None:
    """The reference speech-to-speech system: codec, training, corpora.

    Start with:  sts-core encode speech.wav tokens.npz
    """


_CODEC = click.option(
    "--codec",
    "name",
    default="reference",
    show_default=True,
    help="reference, hf:FOLDER, or encodec, dac, mimi from the hub (extra [hf]).",
)


def _codec(name: str) -> Codec:
    """The codec called `name`."""
    from sts_core.codec.files import load_codec
    from sts_core.codec.hf import load_hf_codec

    return load_codec() if name == "reference" else load_hf_codec(name)


def refuse_large(path: Path, limit_bytes: int) -> None:
    size = path.stat().st_size
    if size > limit_bytes:
        raise click.UsageError(
            f"{path} has {size >> 20} MB; the limit is {limit_bytes >> 20} MB. Split it first."
        )


def _refuse_zip_bomb(path: Path) -> None:
    """Tokens are packed: what they unpack to is limited as well."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 4 * MAX_TOKEN_BYTES:
            raise click.UsageError(f"{path} unpacks to {unpacked >> 20} MB: not a token file")


@main.command()
@click.argument("source", metavar="IN.wav", type=_FILE)
@click.argument("target", metavar="CODES.npz", type=_NEW)
@_CODEC
def encode(source: Path, target: Path, name: str) -> None:
    """Turn a mono recording at the codec's rate into tokens."""
    refuse_large(source, MAX_AUDIO_BYTES)
    from sts_core.codec.files import encode_file

    codec = _codec(name)
    tokens = encode_file(source, target, codec)
    books, frames = tokens.codes.shape
    seconds = tokens.samples / codec.sample_rate_hz
    click.echo(f"{target}: {books} codebooks x {frames} frames, {seconds:.2f} s")


@main.command()
@click.argument("source", metavar="CODES.npz", type=_FILE)
@click.argument("target", metavar="OUT.wav", type=_NEW)
@click.option("--codebooks", type=click.IntRange(min=1), help="Use the first N codebooks only.")
@_CODEC
def decode(source: Path, target: Path, codebooks: int | None, name: str) -> None:
    """Turn tokens back into a recording."""
    refuse_large(source, MAX_TOKEN_BYTES)
    _refuse_zip_bomb(source)
    from sts_core.codec.files import decode_file

    codec = _codec(name)
    audio = decode_file(source, target, codec, codebooks)
    click.echo(f"{target}: {audio.size / codec.sample_rate_hz:.2f} s")


@main.command()
@click.argument("stage", type=click.Choice(sorted(STAGES)))
@click.option(
    "--config",
    "file",
    type=_FILE,
    help="YAML file. Default: that of the shipped weights.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of the run.")
def train(stage: str, file: Path | None, resume: bool) -> None:
    """Train one stage of the reference system; STAGE is semantic, codec, lm or dialogue.

    Needs a speech cache (`sts-core cache`), or for lm and dialogue composed conversations
    (`sts-core compose`), named in the configuration.
    """
    from sts_core.train.config import load_config

    module_name, config_name = STAGES[stage]
    module = import_module(module_name)
    packaged = Path(str(module.__file__)).with_name(f"{stage}.yaml")
    config = load_config(getattr(module, config_name), file or packaged)
    made = module.train(config, resume=resume)
    click.echo(f"wrote {made}")


@main.command()
@click.argument("one", type=_FILE)
@click.argument("other", type=_FILE)
@click.argument("out", type=_NEW)
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of ONE."
)
def average(one: Path, other: Path, out: Path, share: float) -> None:
    """Write the weighted mean of two weights files of the same training."""
    from sts_core.checkpoint import average_weights

    average_weights(one, other, share, out)
    click.echo(f"wrote {out}")


@main.command()
@click.argument("cache_folder", metavar="CACHE", type=_FOLDER)
@click.argument("out", type=_NEW)
@click.option("--draws", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=3, show_default=True)
def tones(cache_folder: Path, out: Path, draws: int, seed: int) -> None:
    """Say the emotional sentences in CACHE in four tones of voice; add OUT to the cache after."""
    from sts_core.data.tones import render_tones

    shown = progress_line("utterances")
    count = render_tones(cache_folder, out, draws=draws, seed=seed, progress=shown)
    click.echo(f"{out}: {count} utterances")


@main.command()
@click.option("--card", is_flag=True, help="Print the model cards in full.")
def info(card: bool) -> None:
    """List the shipped weights: what they are, how large, and where their card is."""
    weights = PACKAGE / "weights"
    files = sorted(weights.rglob("*.safetensors"))
    if not files:
        click.echo(f"no weights in {weights}")
    for file in files:
        kind, values = _describe(file)
        name, megabytes = file.relative_to(weights), file.stat().st_size / 1e6
        click.echo(f"{name}: {kind}, {values / 1e6:.2f} M values, {megabytes:.2f} MB")
    for file in sorted(weights.rglob("*.md")):
        click.echo(f"card: {file}")
        if card:
            click.echo("\n" + file.read_text(encoding="utf-8"))


def _describe(file: Path) -> tuple[str, int]:
    """Kind and number of values of a weights file, from its header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as opened:
            kind = (opened.metadata() or {}).get("kind", "unknown")
            shapes = [opened.get_slice(key).get_shape() for key in opened.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise click.UsageError(f"{file}: truncated or not safetensors: {error}") from error
    return kind, sum(math.prod(shape) for shape in shapes)


@main.command()
@click.option("--out", required=True, type=_NEW, help="Folder of the corpus; goes on if it exists.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--kokoro-voices",
    type=_FOLDER,
    help="Folder of Kokoro voice vectors (extra [synth]); without it hibari speaks alone.",
)
@click.option(
    "--conversation",
    is_flag=True,
    help="Instead: follow-ups, corrections and the agent's second voice, each once.",
)
@click.option("--canaries", type=_FILE, help="Instead: the canaries of this file, by the agent.")
@click.option(
    "--users-say",
    multiple=True,
    metavar="KIND",
    help="Users' lines of these kinds alone (arithmetic, fact, emotional, ...).",
)
def synth(
    out: Path,
    hours: float,
    seed: int,
    kokoro_voices: Path | None,
    conversation: bool,
    canaries: Path | None,
    users_say: tuple[str, ...],
) -> None:
    """Make a training corpus: the package's texts, spoken by synthetic voices."""
    from sts_core.data.synth import synthesise, synthesise_conversation

    if conversation or canaries:
        if users_say:
            raise click.UsageError(
                "--users-say draws lines; --conversation and --canaries list theirs"
            )
        shown = progress_line("utterances")
        count = synthesise_conversation(out, seed=seed, canaries=canaries, progress=shown)
        click.echo(f"{out}: {count} utterances")
        return
    count = synthesise(
        out,
        hours=hours,
        seed=seed,
        kokoro_voices=kokoro_voices,
        users_say=users_say,
        progress=progress_line("s of speech"),
    )
    click.echo(f"{out}: {count} utterances")


@main.command()
@click.argument("out", type=_NEW)
@click.argument("sources", nargs=-1, type=_FOLDER)
@click.option("--exclude", multiple=True, metavar="FIELD=VALUE", help="Leave out, as speaker=ann.")
@click.option("--split", "splits", multiple=True, default=("train",), show_default=True)
@click.option(
    "--teacher",
    default="moonshine-base-en",
    show_default=True,
    help="Features to compute: this one, hf:FOLDER (WavLM, HuBERT, wav2vec 2.0), or none.",
)
@click.option("--layer", type=int, help="Hidden layer of an hf: teacher.")
def cache(
    out: Path,
    sources: tuple[Path, ...],
    exclude: tuple[str, ...],
    splits: tuple[str, ...],
    teacher: str,
    layer: int | None,
) -> None:
    """Decode corpus folders into the speech cache OUT and compute teacher features.

    Each source needs a manifest.jsonl; `path` is its only required field. Goes on where an earlier
    call was interrupted. Without SOURCES, only missing features are computed.
    """
    from sts_core.data.cache import build, fill_teacher
    from sts_core.data.manifest import parse_exclusions

    if sources:
        problems = build(
            out,
            sources,
            splits=splits,
            exclude=parse_exclusions(exclude),
            progress=progress_line("recordings"),
        )
        for problem in problems:
            click.echo(f"left out: {problem}", err=True)
    if teacher != "none":
        from sts_core.semantic.teacher import load_teacher

        done = fill_teacher(
            out, load_teacher(teacher, layer=layer), progress=progress_line("feature blocks")
        )
        click.echo(f"{out}: features of {done} utterances computed")


def progress_line(what: str) -> Callable[[float, float], None]:
    """A line on standard error at most once a second (once a minute where nobody watches)."""
    pause_s = 1.0 if sys.stderr.isatty() else 60.0
    shown = time.monotonic()

    def show(done: float, total: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= pause_s or done >= total:
            shown = time.monotonic()
            click.echo(f"{min(done, total):.0f} of {total:.0f} {what}", err=True)

    return show


def _add_commands() -> None:
    from sts_core import cli_prepare, cli_talk

    main.add_command(cli_talk.talk)
    main.add_command(cli_talk.skills)
    main.add_command(cli_prepare.prepare)
    main.add_command(cli_prepare.compose)


_add_commands()

if __name__ == "__main__":
    main()
