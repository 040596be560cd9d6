"""`sts-eval audit metrics`: values, JSON, table, exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sts_eval.audit.cli import audit
from sts_eval.audit.scorefiles import write_cm_keys, write_cm_scores, write_families

BONA = [1.0, 2, 3, 4]
SPOOF = [0.0, 0.5, 2.5, -1]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    names = [f"E_{i:02d}" for i in range(8)]
    write_cm_scores(tmp_path / "cm.tsv", zip(names, BONA + SPOOF, strict=True))
    labels = ["bonafide"] * 4 + ["spoof"] * 4
    write_cm_keys(tmp_path / "cm_keys.tsv", zip(names, labels, strict=True))
    scores = ["spk\tfilename\tcm-score\tasv-score\tsasv-score"]
    keys = ["spk\tfilename\tcm-label\tasv-label"]
    # The t-EER by hand of test_tandem, and fused scores for the a-DCF by hand.
    rows = [
        ("target", 1, 1, 2),
        ("target", 4, 2, 3),
        ("nontarget", 3, 0, 1),
        ("nontarget", 5, 1.5, 2.5),
        ("spoof", 2, 0.5, 0),
        ("spoof", 0, 3, 2.2),
    ]
    for i, (label, *values) in enumerate(rows):
        spk = f"S{i % 2}"
        scores.append("\t".join([spk, f"E_{i}", *map(str, values)]))
        cm = "spoof" if label == "spoof" else "bonafide"
        keys.append("\t".join([spk, f"E_{i}", cm, label]))
    (tmp_path / "sasv.tsv").write_text("\n".join(scores) + "\n")
    (tmp_path / "sasv_keys.tsv").write_text("\n".join(keys) + "\n")
    return tmp_path


def run(folder: Path, *more: str, cm: bool = True, sasv: bool = False) -> Result:
    arguments = ["metrics", *more]
    for name in ("cm",) * cm + ("sasv",) * sasv:
        arguments += [f"--{name}", str(folder / f"{name}.tsv")]
        arguments += [f"--{name}-keys", str(folder / f"{name}_keys.tsv")]
    return CliRunner().invoke(audit, arguments)


def test_json_has_every_metric_with_its_interval(files: Path) -> None:
    result = run(files, "--json", sasv=True)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    expected = {
        "min_dcf": 0.25,
        "eer_percent": 25.0,
        "cllr_bits": 0.9136411981995763,
        "act_dcf": 0.75,
        "cllr_min_bits": 0.3443609377,
        "eer_rocch_percent": 100 / 6,
        "a_dcf": 0.5,
        "t_eer_percent": 25.0,
        # CM of {1, 4, 3, 5} against {2, 0}: at 3, miss 1/4, fa 0: C0 + C1/4; at 1, fa 1/2: C0 +
        # C2/2 = .0194697 + .1151771, over .2498238.
        "min_t_dcf": 0.5389667,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-6), name
        assert found[name]["lo"] <= found[name]["value"] <= found[name]["hi"], name
    assert found["min_dcf"]["n_by_class"] == {"bonafide": 4, "spoof": 4}
    assert found["a_dcf"]["n_by_class"] == {"target": 2, "nontarget": 2, "spoof": 2}
    assert found["eer_percent"]["unit"] == "%"


def test_the_table_shows_values_and_intervals(files: Path) -> None:
    result = run(files)
    assert result.exit_code == 0
    assert "min_dcf" in result.stdout
    assert "25 %" in result.stdout


def test_a_fused_system_gets_a_dcf_only(files: Path) -> None:
    path = files / "sasv.tsv"
    lines = [line.split("\t") for line in path.read_text().split("\n")]
    text = [
        [*cells[:2], "-", "-", cells[4]] if i and len(cells) > 1 else cells
        for i, cells in enumerate(lines)
    ]
    path.write_text("\n".join("\t".join(cells) for cells in text))
    found = json.loads(run(files, "--json", cm=False, sasv=True).stdout)
    assert found["a_dcf"]["value"] == pytest.approx(0.5)
    assert found["min_t_dcf"]["value"] is None
    assert "no cm-score" in found["min_t_dcf"]["reason"]
    assert found["t_eer_percent"]["n_unmeasured"] == 6


def test_mistakes_exit_with_2_and_one_line(files: Path) -> None:
    path = files / "cm_keys.tsv"
    path.write_text(path.read_text().replace("E_05\tspoof", "E_05\tsynthetic"))
    result = run(files)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "cm_keys.tsv:7: unknown cm-label 'synthetic'" in result.stderr
    assert len(result.stderr.strip().split("\n")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --cm and --cm-keys"),
        (["--cm", "x"], "--cm and --cm-keys belong together"),
        (["--sasv", "x", "--sasv-keys", "y", "--plots", "z"], "are about the files of --cm"),
        (["--sasv-keys", "x"], "--sasv and --sasv-keys belong together"),
    ],
)
def test_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(audit, ["metrics", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_families_come_first(files: Path) -> None:
    path = files / "families.tsv"
    kinds = ["-"] * 4 + ["vocoder", "vocoder", "codec", "vocoder"]
    write_families(path, ((f"E_{i:02d}", kind) for i, kind in enumerate(kinds)))
    result = run(files, "--json", "--families", str(path))
    found = json.loads(result.stdout)["eer_percent_by_family"]
    # Vocoder {0, .5, -1}: none above 1. Codec {2.5}: miss 2/4 and false alarm 1 at 2.5, 2/4 and 0
    # at 3; both gaps are 1/2, and the convention takes the first: (2/4 + 1) / 2.
    assert found["by_name"] == {"codec": 75.0, "vocoder": 0.0}
    assert found["macro"]["value"] == 37.5
    assert (found["worst"], found["worst_name"]) == (75.0, "codec")
    text = run(files, "--families", str(path)).stdout
    assert text.index("macro mean EER over 2 attack families: 37.5 %") < text.index("pooled")
    assert "worst family: codec, 75 %" in text


def test_plots_are_written(files: Path) -> None:
    result = run(files, "--plots", str(files / "plots"))
    assert result.exit_code == 0
    assert {path.name for path in (files / "plots").iterdir()} == {"det.svg", "tippett.svg"}


def test_large_files_keep_the_value_exact(tmp_path: Path) -> None:
    """More distinct scores than bins: the value is still that of all scores."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 1, 8000), rng.normal(-1, 1, 12000)])
    names = [f"E_{i}" for i in range(20_000)]
    write_cm_scores(tmp_path / "cm.tsv", zip(names, scores, strict=True))
    labels = np.where(np.arange(20_000) < 8000, "bonafide", "spoof")
    write_cm_keys(tmp_path / "cm_keys.tsv", zip(names, labels.tolist(), strict=True))
    found = json.loads(run(tmp_path, "--json").stdout)["eer_percent"]
    order = np.sort(scores)
    gaps = [
        (abs(np.mean(scores[:8000] < t) - np.mean(scores[8000:] >= t)), t)
        for t in order[6000:14000]
    ]
    best = min(gaps)[1]
    exact = (np.mean(scores[:8000] < best) + np.mean(scores[8000:] >= best)) * 50
    assert found["value"] == pytest.approx(exact, abs=1e-6)
    assert found["lo"] < found["value"] < found["hi"]
