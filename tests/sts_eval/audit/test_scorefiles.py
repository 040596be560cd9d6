"""ASVspoof 5 score files: what is read, what is refused and how it is said."""

from pathlib import Path

import pytest

from sts_eval.audit import AuditError
from sts_eval.audit.scorefiles import read_cm, read_sasv, write_cm_keys, write_cm_scores

SCORES = "filename\tcm-score\nE_1\t1.5\nE_2\t-2\nE_3\t0.25\n"
KEYS = "filename\tcm-label\nE_3\tspoof\nE_1\tbonafide\nE_2\tspoof\n"
SASV = (
    "spk\tfilename\tcm-score\tasv-score\tsasv-score\n"
    "S1\tE_1\t1\t2\t3\nS1\tE_2\t1\t-2\t0\nS2\tE_1\t0\t1\t-1\n"
)
SASV_KEYS = (
    "spk\tfilename\tcm-label\tasv-label\n"
    "S1\tE_1\tbonafide\ttarget\nS1\tE_2\tbonafide\tnontarget\nS2\tE_1\tspoof\tspoof\n"
)


def write(folder: Path, scores: str, keys: str) -> tuple[Path, Path]:
    paths = folder / "scores.tsv", folder / "keys.tsv"
    for path, text in zip(paths, (scores, keys), strict=True):
        path.write_bytes(text.encode())
    return paths


def test_rows_are_matched_by_name(tmp_path: Path) -> None:
    found = read_cm(*write(tmp_path, SCORES, KEYS))
    assert found.names == ("E_1", "E_2", "E_3")
    assert found.bonafide.tolist() == [1.5]
    assert found.spoof.tolist() == [-2, 0.25]


def test_columns_are_found_by_name_and_others_ignored(tmp_path: Path) -> None:
    scores = "cm-score\tnote\tfilename\n1.5\tx\tE_1\n-2\ty\tE_2\n0.25\t\tE_3\n"
    found = read_cm(*write(tmp_path, scores, KEYS))
    assert found.bonafide.tolist() == [1.5]


def test_windows_line_ends_byte_order_mark_and_empty_lines(tmp_path: Path) -> None:
    scores = "\ufeff" + SCORES.replace("\n", "\r\n") + "\r\n\r\n"
    assert read_cm(*write(tmp_path, scores, KEYS)).scores.tolist() == [1.5, -2, 0.25]


def test_speakers(tmp_path: Path) -> None:
    paths = write(tmp_path, SCORES, KEYS)
    (tmp_path / "spk.tsv").write_text("filename\tspk\nE_2\tB\nE_1\tA\nE_3\tA\n")
    assert read_cm(*paths, tmp_path / "spk.tsv").speaker.tolist() == [0, 1, 0]
    (tmp_path / "spk.tsv").write_text("filename\tspk\nE_2\tB\nE_1\tA\n")
    with pytest.raises(AuditError, match=r"scores\.tsv:4: 'E_3' has no spk in .*spk\.tsv"):
        read_cm(*paths, tmp_path / "spk.tsv")


def test_track_2(tmp_path: Path) -> None:
    found = read_sasv(*write(tmp_path, SASV, SASV_KEYS))
    assert found.label.tolist() == [0, 1, 2]
    assert found.sasv.tolist() == [3, 0, -1]
    assert found.speaker.tolist() == [0, 0, 1]


def test_a_fused_system_has_no_separate_scores(tmp_path: Path) -> None:
    only = "\n".join(
        "\t".join([*line.split("\t")[:2], "-", "-", line.split("\t")[4]]) if i else line
        for i, line in enumerate(SASV.strip().split("\n"))
    )
    found = read_sasv(*write(tmp_path, only, SASV_KEYS))
    assert (found.cm, found.asv) == (None, None)


@pytest.mark.parametrize(
    ("scores", "keys", "message"),
    [
        (SCORES + "E_1\t3\n", KEYS, r"scores\.tsv:5: 'E_1' is a duplicate of line 2"),
        (SCORES, KEYS + "E_2\tspoof\n", r"keys\.tsv:5: 'E_2' is a duplicate of line 4"),
        (SCORES + "E_4\t3\n", KEYS, r"scores\.tsv:5: 'E_4' has a score but no key in .*keys\.tsv"),
        (
            SCORES,
            KEYS + "E_5\tspoof\nE_6\tspoof\n",
            r"keys\.tsv:5: 'E_5' has a key but no score in .*scores\.tsv \(and 1 more\)",
        ),
        (
            SCORES,
            KEYS.replace("E_3\tspoof", "E_3\tfake"),
            r"keys\.tsv:2: unknown cm-label 'fake' \(known: bonafide, spoof\)",
        ),
        (SCORES.replace("-2", "nan"), KEYS, r"scores\.tsv:3: cm-score is nan: scores must be fin"),
        (SCORES.replace("-2", "-inf"), KEYS, r"scores\.tsv:3: cm-score is -inf"),
        (SCORES.replace("-2", "high"), KEYS, r"scores\.tsv:3: cm-score 'high' is not a number"),
        (SCORES.replace("-2", ""), KEYS, r"scores\.tsv:3: cm-score '' is not a number"),
        (SCORES.replace("\t-2", ""), KEYS, r"scores\.tsv:3: 1 columns, but 2 in the header"),
        (SCORES.replace("cm-score", "score"), KEYS, r"scores\.tsv:1: .*cm-score not found"),
        (SCORES.replace("\t", " "), KEYS, r"scores\.tsv:1: .*tab-separated"),
        (SCORES, KEYS.replace("bonafide", "spoof"), r"keys\.tsv: no trial is labelled bonafide"),
        ("filename\tcm-score\n", KEYS, r"scores\.tsv: no rows"),
        ("", KEYS, r"scores\.tsv:1: the header"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, scores: str, keys: str, message: str) -> None:
    with pytest.raises(AuditError, match=message):
        read_cm(*write(tmp_path, scores, keys))


def test_speaker_and_file_are_not_run_together(tmp_path: Path) -> None:
    head, keys = (text.split("\n")[0] for text in (SASV, SASV_KEYS))
    names = ["a b\tc", "a\tb c", "a\tc"]
    scores = [f"{name}\t1\t1\t{i}" for i, name in enumerate(names)]
    labels = ["bonafide\ttarget", "bonafide\tnontarget", "spoof\tspoof"]
    rows = [f"{name}\t{label}" for name, label in zip(names, labels, strict=True)]
    found = read_sasv(*write(tmp_path, "\n".join([head, *scores]), "\n".join([keys, *rows])))
    assert found.label.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (SASV_KEYS.replace("S2\tE_1\tspoof\tspoof", "S2\tE_1\tbonafide\tspoof"), r":4: .*disagree"),
        (SASV_KEYS.replace("nontarget", "impostor"), r"keys\.tsv:3: unknown asv-label 'impostor'"),
        (SASV_KEYS.replace("nontarget", "target"), "no trial is labelled nontarget"),
    ],
)
def test_mistakes_of_track_2(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(AuditError, match=message):
        read_sasv(*write(tmp_path, SASV, keys))


def test_partly_absent_scores_are_a_mistake(tmp_path: Path) -> None:
    scores = SASV.replace("S1\tE_2\t1\t", "S1\tE_2\t-\t")
    with pytest.raises(AuditError, match=r"scores\.tsv:3: cm-score '-' is not a number"):
        read_sasv(*write(tmp_path, scores, SASV_KEYS))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    scores, keys = write(tmp_path, SCORES, KEYS)
    with pytest.raises(AuditError, match=r"none\.tsv: No such file"):
        read_cm(tmp_path / "none.tsv", keys)
    scores.write_bytes(b"\xff\xfe\x00f")
    with pytest.raises(AuditError, match="not a UTF-8 text file"):
        read_cm(scores, keys)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_cm_scores(tmp_path / "s", [("a b", 0.1 + 0.2), ("c", -1e-30)])
    write_cm_keys(tmp_path / "k", [("c", "spoof"), ("a b", "bonafide")])
    assert read_cm(tmp_path / "s", tmp_path / "k").scores.tolist() == [0.1 + 0.2, -1e-30]
    with pytest.raises(ValueError, match="cannot hold"):
        write_cm_scores(tmp_path / "s", [("a\tb", 1.0)])
