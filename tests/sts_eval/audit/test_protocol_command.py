"""`sts-eval audit protocol`: contents, key files, mistakes."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

from sts_eval.audio import load_audio
from sts_eval.audit.cli import audit
from sts_eval.audit.detectors import KNOWN, detector_calibration, load_detector
from sts_eval.audit.scorefiles import read_cm, read_sasv, write_cm_scores, write_sasv_scores


@pytest.fixture
def wild(tmp_path: Path) -> Path:
    rows = ["0.wav,Alec Guinness,spoof", "1.wav,Alec Guinness,bona-fide", "2.wav,Bob,bona-fide"]
    (tmp_path / "meta.csv").write_text("\n".join(["file,speaker,label", *rows]) + "\n")
    for index in range(3):
        (tmp_path / f"{index}.wav").touch()
    return tmp_path


def protocol(*arguments: object) -> Result:
    return CliRunner().invoke(audit, ["protocol", *map(str, arguments)])


def test_contents(wild: Path) -> None:
    counts = json.loads(protocol("in_the_wild", wild, "--json").stdout)
    assert counts["recordings"] == {"bonafide": 2, "spoof": 1}
    assert counts["distinct"]["speakers"] == 2
    assert "Alec" not in protocol("in_the_wild", wild).stdout
    assert "(not said)" in protocol("in_the_wild", wild).stdout  # the codec


def test_key_and_speaker_files_fit_the_scores(wild: Path, tmp_path: Path) -> None:
    keys, speakers, scores = (tmp_path / name for name in ("k.tsv", "spk.tsv", "s.tsv"))
    assert protocol("in_the_wild", wild, "--keys", keys, "--speakers", speakers).exit_code == 0
    write_cm_scores(scores, [("0", -1.0), ("1", 1.0), ("2", 2.0)])
    trials = read_cm(scores, keys, speakers)
    assert trials.bonafide.tolist() == [1, 2]
    assert trials.speaker.tolist() == [0, 0, 1]
    families = tmp_path / "f.tsv"
    assert protocol("in_the_wild", wild, "--families", families).exit_code == 0
    assert read_cm(scores, keys, families=families).family == ("unknown", "-", "-")


def test_names_that_are_not_unique_become_paths(tmp_path: Path) -> None:
    for model in ("bark", "vits"):
        (tmp_path / "fake/en" / model).mkdir(parents=True)
        (tmp_path / "fake/en" / model / "x.wav").touch()
    assert protocol("mlaad", tmp_path, "--keys", tmp_path / "k.tsv").exit_code == 0
    text = (tmp_path / "k.tsv").read_text()
    assert text == "filename\tcm-label\nfake/en/bark/x.wav\tspoof\nfake/en/vits/x.wav\tspoof\n"
    result = protocol("mlaad", tmp_path, "--speakers", tmp_path / "spk.tsv")
    assert result.exit_code == 2
    assert "does not say who speaks in" in result.stderr


def test_scores_of_a_detector_go_to_the_metrics(tmp_path: Path) -> None:
    rows = []
    for label, name in (("bona-fide", "bonafide"), ("spoof", "spoof")):
        for k, file in enumerate(sorted((KNOWN / name).glob("*.opus"))[:2]):
            soundfile.write(tmp_path / f"{name}{k}.wav", load_audio(file), 24_000)
            rows.append(f"{name}{k}.wav,{name}{k},{label}")
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    rows.append("broken.wav,x,spoof")
    (tmp_path / "meta.csv").write_text("\n".join(["file,speaker,label", *rows]) + "\n")
    keys, scores = tmp_path / "k.tsv", tmp_path / "s.tsv"
    result = protocol("in_the_wild", tmp_path, "--keys", keys, "--scores", scores)
    assert result.exit_code == 3
    assert "not scored: broken: " in result.stderr
    lines = dict(line.split("\t") for line in scores.read_text().splitlines())
    assert list(lines) == ["filename", "bonafide0", "bonafide1", "spoof0", "spoof1"]
    detector, known = load_detector(), detector_calibration()
    raw = detector.score(load_audio(tmp_path / "spoof0.wav"))
    assert float(lines["spoof0"]) == pytest.approx(known.slope * raw + known.offset)
    keys.write_text(
        "".join(line for line in keys.read_text().splitlines(True) if "broken" not in line)
    )
    measured = CliRunner().invoke(
        audit, ["metrics", "--cm", str(scores), "--cm-keys", str(keys), "--json"]
    )
    assert measured.exit_code == 0, measured.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in_the_wlid"], "unknown corpus 'in_the_wlid' - did you mean 'in_the_wild'?"),
        (["asvspoof5", "--subset", "evl"], "unknown subset 'evl' - did you mean 'eval'?"),
    ],
)
def test_mistakes(wild: Path, arguments: list[str], message: str) -> None:
    result = protocol(arguments[0], wild, *arguments[1:])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_subset_of_a_corpus_without_subsets_is_refused(wild: Path) -> None:
    result = protocol("in_the_wild", wild, "--subset", "eval")
    assert result.exit_code == 2
    assert "in_the_wild has no subsets" in result.stderr


def test_track_2_scores_are_read_back(tmp_path: Path) -> None:
    rows = [("S", "a", 1.0, 2.0, 0.1 + 0.2), ("S", "b", 0.0, 1.0, 2.0), ("T", "a", 1.0, 1.0, 1.0)]
    write_sasv_scores(tmp_path / "s", rows)
    keys = ["spk\tfilename\tcm-label\tasv-label", "S\ta\tbonafide\ttarget", "S\tb\tspoof\tspoof"]
    (tmp_path / "k").write_text("\n".join([*keys, "T\ta\tbonafide\tnontarget"]))
    assert read_sasv(tmp_path / "s", tmp_path / "k").sasv.tolist() == [0.1 + 0.2, 2.0, 1.0]
