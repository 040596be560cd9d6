"""Downloads of emotional speech, read by their real file names. Nothing of them is shipped.

    ravdess    Actor_12/03-01-06-01-02-01-12.wav        Livingstone & Russo, 2018
    crema-d    AudioWAV/1001_DFA_ANG_XX.wav             Cao et al., 2014
    esd        0011/Angry/0011_000351.wav, 0011/0011.txt           Zhou et al., 2021
    emov-db    bea_Angry/anger_1-28_0001.wav (, cmuarctic.data)    Adigwe et al., 2018
    expresso   audio_48khz/read/ex01/happy/base/ex01_happy_00165.wav, read_transcriptions.txt
               Nguyen et al., 2023; read speech only
    iemocap    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav, dialog/EmoEvaluation,
               dialog/transcriptions; Busso et al., 2008; neutral, happy (with excited), sad, angry
    mead       M003/audio/angry/level_3/030.wav         Wang et al., 2020; .m4a must be converted

Folders above these names may be called anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from sts_eval.probes.emotion_token_files import (
    SOUNDS,
    Corpus,
    CorpusError,
    Recording,
    named,
    read_text,
    text_key,
    walk,
)
from sts_eval.registry import nearest

Layout = Literal["ravdess", "crema-d", "esd", "emov-db", "expresso", "iemocap", "mead"]
LAYOUTS: tuple[str, ...] = get_args(Layout)


def read_corpus(layout: str, folder: Path) -> Corpus:
    """All recordings of a download. Raises CorpusError."""
    if layout not in _READERS:
        raise CorpusError(f"no corpus layout {layout!r}{nearest(layout, _READERS)}")
    if not folder.is_dir():
        raise CorpusError(f"{layout}: {folder.name} is not a folder")
    read, example = _READERS[layout]
    files = list(walk(folder))
    corpus = read(folder, [path for path in files if path.suffix.lower() in SOUNDS])
    if not corpus.recordings:
        seen = next((p.relative_to(folder).as_posix() for p in files), "")
        found = f"; found for example {seen}" if seen else "; the folder is empty"
        why = f" ({corpus.notes[0]})" if corpus.notes else ""
        raise CorpusError(f"{layout}: {folder.name}: no recording named as {example}{found}{why}")
    return corpus


_RAVDESS = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])\.wav", re.I)
_RAVDESS_EMOTIONS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
_RAVDESS_WORDS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}


def _ravdess(folder: Path, files: list[Path]) -> Corpus:
    def parse(path: Path) -> Recording | None:
        match = _RAVDESS.fullmatch(path.name)
        if match is None or (match[1] == "01" and match[2] == "02"):  # neutral has one intensity
            return None
        emotion = _RAVDESS_EMOTIONS[int(match[1]) - 1]
        words = _RAVDESS_WORDS[match[3]]
        return Recording(path, f"actor{match[5]}", emotion, text_key(words), words)

    return named(files, parse, parallel=True)


_CREMA_D = re.compile(r"(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)\.wav")
_CREMA_D_EMOTIONS = {
    "ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral",
    "SAD": "sad",
}  # fmt: skip
_CREMA_D_WORDS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}


def _crema_d(folder: Path, files: list[Path]) -> Corpus:
    def parse(path: Path) -> Recording | None:
        match = _CREMA_D.fullmatch(path.name)
        if match is None or match[2] not in _CREMA_D_WORDS:
            return None
        words = _CREMA_D_WORDS[match[2]]
        return Recording(path, match[1], _CREMA_D_EMOTIONS[match[3]], text_key(words), words)

    return named(files, parse, parallel=True)


_ESD = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})\.wav")
_ESD_EMOTIONS = {
    "neutral": "neutral", "angry": "angry", "happy": "happy", "sad": "sad", "surprise": "surprised",
}  # fmt: skip
_ESD_SENTENCES = 350  # file numbers go through the same sentences in blocks of so many


def _esd(folder: Path, files: list[Path]) -> Corpus:
    words: dict[str, str] = {}
    beside = {path for file in files for path in _beside(file, folder)}
    for path in sorted(p for p in beside if p.is_file() and not p.is_symlink()):
        for line in read_text(path).splitlines():
            fields = line.split("\t")
            if len(fields) >= 2 and re.fullmatch(r"00\d\d_\d{6}", fields[0].strip()):
                words[fields[0].strip()] = fields[1].strip()

    def parse(path: Path) -> Recording | None:
        match = _ESD.fullmatch(path.name)
        above = [part.lower() for part in path.relative_to(folder).parts[:-1]]
        emotions = [_ESD_EMOTIONS[part] for part in above if part in _ESD_EMOTIONS]
        if match is None or len(emotions) != 1 or int(match[2]) < 1:
            return None
        tongue = "zh" if int(match[1]) <= 10 else "en"
        number = (int(match[2]) - 1) % _ESD_SENTENCES + 1
        text = f"{tongue}-{number:03d}"
        return Recording(path, match[1], emotions[0], text, words.get(path.stem, ""))

    return named(files, parse, parallel=True)


def _beside(file: Path, folder: Path) -> list[Path]:
    """Where ESD's transcript of a recording's speaker may lie: 0011/0011.txt, or one level up."""
    speaker = file.name[:4]
    above = [p for p in file.parents if p == folder or folder in p.parents]
    return [parent / f"{speaker}.txt" for parent in above[:4]]


_EMOV_DB = re.compile(r"([A-Za-z]+)_\d+-\d+_(\d{4})\.wav")
_EMOV_DB_EMOTIONS = {
    "amused": "amused", "anger": "angry", "angry": "angry", "disgust": "disgust",
    "disgusted": "disgust", "neutral": "neutral", "sleepiness": "sleepy", "sleepy": "sleepy",
}  # fmt: skip
_EMOV_DB_SPEAKERS = frozenset({"bea", "jenie", "josh", "sam"})
_ARCTIC = re.compile(r'\(\s*arctic_a(\d{4})\s+"([^"]*)"\s*\)')


def _emov_db(folder: Path, files: list[Path]) -> Corpus:
    prompts = folder / "cmuarctic.data"
    words = dict(_ARCTIC.findall(read_text(prompts))) if prompts.is_file() else {}

    def parse(path: Path) -> Recording | None:
        match = _EMOV_DB.fullmatch(path.name)
        above = path.relative_to(folder).parts[:-1]
        speakers = {re.split(r"[_-]", part.lower())[0] for part in above} & _EMOV_DB_SPEAKERS
        emotion = _EMOV_DB_EMOTIONS.get(match[1].lower()) if match else None
        if match is None or emotion is None or len(speakers) != 1:
            return None
        said = words.get(match[2], "")
        return Recording(path, speakers.pop(), emotion, f"arctic-a{match[2]}", said)

    return named(files, parse, parallel=True)


_EXPRESSO = re.compile(r"(ex\d\d)_([a-z]+)_(\d{5})\.wav")


def _expresso(folder: Path, files: list[Path]) -> Corpus:
    words: dict[str, str] = {}
    for path in [p for p in walk(folder) if p.name == "read_transcriptions.txt"][:1]:
        for line in read_text(path).splitlines():
            stem, tab, text = line.partition("\t")
            if tab:
                words[stem.strip()] = text.replace("*", "").strip()

    def parse(path: Path) -> Recording | None:
        match = _EXPRESSO.fullmatch(path.name)
        if match is None or path.parent.name != "base":  # not emphasis, longform, conversation
            return None
        emotion = "neutral" if match[2] == "default" else match[2]
        said = words.get(path.stem, "")
        return Recording(path, match[1], emotion, text_key(said) or path.stem, said)

    return named(files, parse, parallel=bool(words))


_IEMOCAP_LABEL = re.compile(
    r"\[[\d. ]+ - [\d. ]+\]\t(Ses0[1-5][FM]_\w+_([FM])\d{3})\t([a-z]{3})\t\[.*\]\s*"
)
_IEMOCAP_LINE = re.compile(r"(Ses0[1-5][FM]_\w+_[FM]\d{3}) \[[\d.\- ]+\]:\s*(.*)")
_IEMOCAP_EMOTIONS = {"neu": "neutral", "hap": "happy", "exc": "happy", "sad": "sad", "ang": "angry"}


def _iemocap(folder: Path, files: list[Path]) -> Corpus:
    sounds = {path.stem: path for path in files if path.suffix.lower() == ".wav"}
    texts = [path for path in walk(folder) if path.suffix == ".txt"]
    words: dict[str, str] = {}
    labels: dict[str, tuple[str, str]] = {}
    for path in texts:
        kind = path.parent.name
        if kind not in ("EmoEvaluation", "transcriptions") or path.name.startswith("."):
            continue
        for line in read_text(path).splitlines():
            if kind == "EmoEvaluation" and (match := _IEMOCAP_LABEL.fullmatch(line)):
                labels[match[1]] = (match[2], match[3])
            elif kind == "transcriptions" and (match := _IEMOCAP_LINE.fullmatch(line.strip())):
                words[match[1]] = match[2].strip()
    found, missing, others = [], [], 0
    for stem, (letter, code) in sorted(labels.items()):
        if code not in _IEMOCAP_EMOTIONS:
            others += 1
        elif stem not in sounds:
            missing.append(stem)
        else:
            said = words.get(stem, "")
            # without a transcript all of one scene count as one text: no line is split by a fold
            scene = stem.split("_", 1)[1].rsplit("_", 1)[0]
            speaker = f"{stem[:5]}{letter}".lower()
            emotion = _IEMOCAP_EMOTIONS[code]
            found.append(Recording(sounds[stem], speaker, emotion, text_key(said) or scene, said))
    notes = []
    if not labels:
        notes.append("no label in dialog/EmoEvaluation/*.txt")
    if missing:
        notes.append(f"{len(missing)} labels have no recording, e.g. {missing[0]}")
    if others:
        notes.append(f"{others} recordings have labels other than the four classes")
    return Corpus(tuple(found), bool(words), tuple(notes))


_MEAD_EMOTIONS = {
    "angry": "angry", "contempt": "contempt", "disgusted": "disgust", "fear": "fearful",
    "happy": "happy", "neutral": "neutral", "sad": "sad", "surprised": "surprised",
}  # fmt: skip


def _mead(folder: Path, files: list[Path]) -> Corpus:
    def parse(path: Path) -> Recording | None:
        parts = path.parts[-5:]
        if len(parts) < 5 or not re.fullmatch(r"\d{3}", path.stem):
            return None
        speaker, audio, emotion, level, _ = parts
        if not (
            re.fullmatch(r"[MW]\d{3}", speaker)
            and audio == "audio"
            and emotion in _MEAD_EMOTIONS
            and re.fullmatch(r"level_[123]", level)
        ):
            return None
        # which sentences are the same in two emotions is not in the names
        return Recording(path, speaker, _MEAD_EMOTIONS[emotion], f"clip-{path.stem}")

    corpus = named(files, parse, parallel=False)
    kept = tuple(each for each in corpus.recordings if each.path.suffix.lower() != ".m4a")
    packed = len(corpus.recordings) - len(kept)
    if not packed:
        return corpus
    note = f"{packed} recordings are .m4a, which is not read: convert them to .wav beside them"
    return Corpus(kept, False, (note, *corpus.notes))


_READERS: dict[str, tuple[Callable[[Path, list[Path]], Corpus], str]] = {
    "ravdess": (_ravdess, "Actor_12/03-01-06-01-02-01-12.wav"),
    "crema-d": (_crema_d, "1001_DFA_ANG_XX.wav"),
    "esd": (_esd, "0011/Angry/0011_000351.wav"),
    "emov-db": (_emov_db, "bea_Angry/anger_1-28_0001.wav"),
    "expresso": (_expresso, "read/ex01/happy/base/ex01_happy_00165.wav"),
    "iemocap": (_iemocap, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"),
    "mead": (_mead, "M003/audio/angry/level_3/030.wav"),
}
