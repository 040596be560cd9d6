"""Readers of emotional corpora on small folders with the real file names, and on hostile ones."""

import itertools
import shutil

import numpy as np
import pytest

from sts_eval.probes.emotion_token_corpora import LAYOUTS, read_corpus
from sts_eval.probes.emotion_token_files import CorpusError, choose, text_key


def put(folder, *names, content=b"RIFF"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def found(layout, folder):
    corpus = read_corpus(layout, folder)
    return {(r.speaker, r.emotion, r.text) for r in corpus.recordings}, corpus


def test_ravdess(tmp_path):
    put(
        tmp_path,
        "Actor_12/03-01-06-01-02-01-12.wav",
        "Actor_01/03-01-01-01-01-02-01.wav",
        "Actor_01/03-02-05-01-01-01-01.wav",  # song
        "Actor_01/03-01-01-02-01-01-01.wav",  # neutral has no strong intensity
        "Actor_01/03-01-09-01-01-01-01.wav",
    )
    rows, corpus = found("ravdess", tmp_path)
    assert rows == {
        ("actor12", "fearful", "dogs-are-sitting-by-the-door"),
        ("actor01", "neutral", "kids-are-talking-by-the-door"),
    }
    assert corpus.parallel
    assert corpus.notes[0].startswith("3 files of other names are left out, e.g. 03-01-01-02")
    assert {r.words for r in corpus.recordings} == {
        "Kids are talking by the door.", "Dogs are sitting by the door.",
    }  # fmt: skip


def test_crema_d(tmp_path):
    put(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_SAD_HI.wav",
        "AudioWAV/1040_ITH_SAD_X.wav", "AudioWAV/1001_ABC_ANG_XX.wav")  # fmt: skip
    put(tmp_path, "AudioWAV/1003_TSI_NEU_XX.wav",
        content=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")  # fmt: skip
    rows, corpus = found("crema-d", tmp_path)
    assert rows == {
        ("1001", "angry", "dont-forget-a-jacket"),
        ("1002", "sad", "its-eleven-oclock"),
        ("1040", "sad", "i-think-i-have-a-doctors-appointment"),
    }
    assert any("git lfs pull" in note for note in corpus.notes)


def test_esd(tmp_path):
    put(tmp_path, "0011/Angry/0011_000351.wav", "0011/Neutral/train/0011_000001.wav",
        "0001/Surprise/0001_001401.wav", "0011/0011_000009.wav")  # fmt: skip
    put(tmp_path, "0011/0011.txt", content=b"\xef\xbb\xbf0011_000001\tThe nine.\tNeutral\n"
        b"0011_000351\tThe nine.\tAngry\nbroken line\n")  # fmt: skip
    put(tmp_path, "0001/0001.txt", content="0001_001401\t打远一看\t惊喜\n".encode("utf-16"))
    rows, corpus = found("esd", tmp_path)
    assert rows == {
        ("0011", "angry", "en-001"),
        ("0011", "neutral", "en-001"),
        ("0001", "surprised", "zh-001"),
    }
    assert {r.words for r in corpus.recordings} == {"The nine.", "打远一看"}


def test_emov_db(tmp_path):
    put(tmp_path, "bea_Angry/anger_1-28_0001.wav", "josh/neutral_29-56_0032.wav",
        "sam_Sleepy/sleepiness_1-28_0003.wav", "bea_Angry/laugh_0001.wav",
        "other/anger_1-28_0001.wav")  # fmt: skip
    put(tmp_path, "cmuarctic.data", content=b'( arctic_a0001 "Author of the danger trail." )\n')
    rows, corpus = found("emov-db", tmp_path)
    assert rows == {
        ("bea", "angry", "arctic-a0001"),
        ("josh", "neutral", "arctic-a0032"),
        ("sam", "sleepy", "arctic-a0003"),
    }
    assert {r.words for r in corpus.recordings} == {"Author of the danger trail.", ""}
    assert corpus.notes[0].startswith("2 files")


def test_expresso(tmp_path):
    base = "expresso/audio_48khz/read/ex01"
    put(tmp_path, f"{base}/happy/base/ex01_happy_00165.wav",
        f"{base}/default/base/ex01_default_00001.wav",
        f"{base}/default/emphasis/ex01_default_emphasis_00001.wav",
        "expresso/audio_48khz/conversational/ex04-ex02/x/ex04-ex02_disgusted_012.wav")  # fmt: skip
    lines = b"ex01_happy_00165\tYou *said* so!\nex01_default_00001\tYou said so!\n"
    put(tmp_path, "expresso/read_transcriptions.txt", content=lines)
    rows, corpus = found("expresso", tmp_path)
    assert rows == {("ex01", "happy", "you-said-so"), ("ex01", "neutral", "you-said-so")}
    assert corpus.parallel
    (tmp_path / "expresso/read_transcriptions.txt").unlink()
    rows, corpus = found("expresso", tmp_path)
    assert not corpus.parallel  # numbers do not tell which sentences are the same
    assert ("ex01", "happy", "ex01_happy_00165") in rows


IEMOCAP_LABELS = b"""% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[2.5000, 2.5000, 2.5000]
[14.8872 - 18.0175]\tSes01F_impro01_F002\tfru\t[2.0000, 2.5000, 2.5000]
[19.2900 - 20.7875]\tSes01F_impro01_F003\tang\t[2.5000, 3.0000, 3.0000]
"""


def test_iemocap(tmp_path):
    session = tmp_path / "IEMOCAP_full_release" / "Session1"
    put(session, *(f"sentences/wav/Ses01F_impro01/Ses01F_impro01_{t}.wav" for t in
                   ("F000", "M001", "F002")))  # fmt: skip
    put(session, "dialog/EmoEvaluation/Ses01F_impro01.txt", content=IEMOCAP_LABELS)
    put(session, "dialog/transcriptions/Ses01F_impro01.txt",
        content=b"Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
        b"Ses01F_impro01_M001 [010.0100-011.3925]: Do you have your forms?\n")  # fmt: skip
    rows, corpus = found("iemocap", tmp_path)
    # the speaker is the last letter, not the session's
    assert rows == {("ses01f", "neutral", "excuse-me"), ("ses01m", "happy",
                                                          "do-you-have-your-forms")}  # fmt: skip
    assert "1 labels have no recording, e.g. Ses01F_impro01_F003" in corpus.notes
    assert "1 recordings have labels other than the four classes" in corpus.notes
    shutil.rmtree(session / "dialog" / "transcriptions")
    rows, corpus = found("iemocap", tmp_path)
    assert {text for *_, text in rows} == {"impro01"}
    assert not corpus.parallel
    shutil.rmtree(session / "dialog")
    with pytest.raises(CorpusError, match="no label in dialog/EmoEvaluation"):
        read_corpus("iemocap", tmp_path)


def test_mead(tmp_path):
    put(tmp_path, "M003/audio/angry/level_3/030.wav", "W009/audio/fear/level_1/001.wav",
        "M003/video/angry/level_3/030.wav", "M003/audio/angry/level_4/030.wav")  # fmt: skip
    put(tmp_path, "M003/audio/happy/level_1/002.m4a")
    rows, corpus = found("mead", tmp_path)
    assert rows == {("M003", "angry", "clip-030"), ("W009", "fearful", "clip-001")}
    assert not corpus.parallel
    assert any(".m4a" in note for note in corpus.notes)
    only = tmp_path / "packed"
    put(only, "M003/audio/happy/level_1/002.m4a")
    with pytest.raises(CorpusError, match="convert them to"):
        read_corpus("mead", only)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_something_else_is_refused_with_an_example(layout, tmp_path):
    with pytest.raises(CorpusError, match="the folder is empty"):
        read_corpus(layout, tmp_path)
    put(tmp_path, "x/holiday.wav")
    with pytest.raises(CorpusError, match="found for example x/holiday"):
        read_corpus(layout, tmp_path)
    with pytest.raises(CorpusError, match="nowhere is not a folder"):
        read_corpus(layout, tmp_path / "nowhere")


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "corpus"
    put(outside, "03-01-06-01-02-01-12.wav")
    put(folder, "Actor_01/03-01-05-01-02-01-01.wav")
    (folder / "Actor_12").symlink_to(outside)
    (folder / "03-01-06-01-02-01-13.wav").symlink_to(outside / "03-01-06-01-02-01-12.wav")
    assert len(read_corpus("ravdess", folder).recordings) == 1


def test_strange_bytes_in_texts_do_no_harm(tmp_path):
    put(tmp_path, "0011/Angry/0011_000351.wav")
    put(tmp_path, "0011/0011.txt", content=bytes(range(256)) * 20)
    (item,) = read_corpus("esd", tmp_path).recordings
    assert item.words == ""
    with pytest.raises(CorpusError, match="no corpus layout 'ravdes' - did you mean 'ravdess'"):
        read_corpus("ravdes", tmp_path)


def test_a_huge_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sts_eval.probes.emotion_token_files.MOST_TEXT_BYTES", 10)
    put(tmp_path, "0011/Angry/0011_000351.wav")
    put(tmp_path, "0011/0011.txt", content=b"0011_000351\tThe nine.\tAngry\n")
    with pytest.raises(CorpusError, match="larger than 10 bytes"):
        read_corpus("esd", tmp_path)


def test_too_many_files_are_no_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr("sts_eval.probes.emotion_token_files.MOST_FILES", 2)
    put(tmp_path, "a.wav", "b.wav", "c.wav")
    with pytest.raises(CorpusError, match="more than 2 files"):
        read_corpus("ravdess", tmp_path)


def test_choice_takes_the_same_texts_of_every_speaker_and_emotion(tmp_path):
    texts, emotions, sizes = ("IEO", "TIE", "IOM", "IWW"), ("ANG", "SAD"), ("LO", "HI")
    named = itertools.product(range(1000, 1005), texts, emotions, sizes)
    put(tmp_path, *(f"AudioWAV/{s}_{t}_{e}_{i}.wav" for s, t, e, i in named))
    every = read_corpus("crema-d", tmp_path).recordings
    chosen = choose(every, speakers=3, per_emotion=2, takes=1, seed=4)
    assert len(chosen) == 3 * 2 * 2
    assert len({r.text for r in chosen}) == 2
    assert chosen == choose(tuple(reversed(every)), speakers=3, per_emotion=2, takes=1, seed=4)
    assert len(choose(every, speakers=9, per_emotion=9, takes=9, seed=4)) == len(every)
    sad = choose(every, emotions=("sad",), speakers=3, per_emotion=2, takes=1, seed=4)
    assert {r.emotion for r in sad} == {"sad"}
    with pytest.raises(CorpusError, match="no recording of emotion 'sadd' - did you mean 'sad'"):
        choose(every, emotions=("sadd",), speakers=3, per_emotion=2, takes=1, seed=4)


def test_text_keys_name_words_in_any_script():
    assert text_key("It's eleven o'clock.") == "its-eleven-oclock"
    assert text_key("打远一看 ...") == "打远一看"
    assert text_key("...") == ""
    assert len(text_key("word " * 50)) <= 80


SUITE = """\
suite: corpus
question: Does it?
seed: 3
target: silent
judges: {{asr: none, vad: energy}}
cold_starts: 0
slices: []
scenarios:
  - kind: emotion_tokens
    shuffles: 19
    perceptron: false
    codebooks: 3
    corpus: {{layout: ravdess, folder: {folder}}}
"""


def tone(path, hz, seconds=0.4):
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.2 * np.sin(2 * np.pi * hz * np.arange(int(24_000 * seconds)) / 24_000)
    soundfile.write(path, wave, 24_000)


def run(tmp_path, folder):
    from sts_eval.planning import RunOptions
    from sts_eval.runner import Progress, score_run, start_run

    suite = tmp_path / "corpus.yaml"
    suite.write_text(SUITE.format(folder=folder))
    options = RunOptions(suite=suite, out=tmp_path / "runs")
    return score_run(start_run(options, Progress()), Progress(), judge_reports=False)


def test_a_corpus_with_a_damaged_recording_is_measured_without_it(tmp_path):
    folder = tmp_path / "ravdess"
    for actor in ("01", "02", "03"):
        for text in ("01", "02"):
            for emotion, hz in (("05", 500), ("04", 120)):
                name = f"03-01-{emotion}-01-{text}-01-{actor}.wav"
                tone(folder / f"Actor_{actor}" / name, hz + 9 * int(actor))
    damaged = folder / "Actor_03" / "03-01-05-01-01-01-03.wav"
    damaged.write_bytes(b"not audio")
    tone(folder / "Actor_03" / "03-01-03-01-01-01-03.wav", 300)  # happy: one speaker only
    record = run(tmp_path, folder)
    assert record.failures == []
    (section,) = record.sections
    said = " ".join(section.paragraphs)
    assert "Chosen from 13 recordings found in a ravdess folder." in said
    assert "happy is left out: one speaker only" in said
    assert "Missing recordings: 03-01-05-01-01-01-03.wav: not readable as audio" in said
    where = {"carries": "emotion", "codebooks": "all", "probe": "linear"}
    recall = next(e for e in record.estimates if e.slice == where)
    assert recall.n == 11
    assert recall.n_error == 1
    assert recall.value > 0.8  # the codec keeps the pitch of a tone
    vocoder = next(e for e in record.estimates if e.slice.get("control") == "vocoder_all")
    assert vocoder.value is None
    assert "they are recordings" in vocoder.reason


def test_a_missing_corpus_is_a_usage_error(tmp_path):
    from sts_eval.planning import RunError

    with pytest.raises(RunError, match="nowhere is not a folder"):
        run(tmp_path, tmp_path / "nowhere")


def test_one_speaker_or_one_emotion_gives_no_number(tmp_path):
    folder = tmp_path / "ravdess"
    for text in ("01", "02"):
        for emotion in ("05", "04"):
            tone(folder / f"03-01-{emotion}-01-{text}-01-01.wav", 200)
    record = run(tmp_path, folder)
    assert record.failures == []
    for estimate in record.estimates:
        if estimate.metric in ("emotion_token_separation", "emotion_token_recall",
                               "emotion_token_control_recall"):  # fmt: skip
            assert estimate.value is None, estimate
            assert estimate.reason
