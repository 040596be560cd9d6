"""Suite files: every mistake is named with its line and the nearest valid key."""

from pathlib import Path

import pytest

from sts_eval.suite import SuiteErrors, load_suite

GOOD = """\
suite: tiny
question: Does it answer?
seed: 3
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 2}
gates:
  - response_rate >= 0.5
profiles:
  smoke: {limit: 2, min_n: 1}
"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_shipped_suites_are_valid():
    shipped = sorted(Path("suites").glob("*.yaml"))
    assert {"latency.yaml", "smoke.yaml"} <= {path.name for path in shipped}
    for path in shipped:
        suite = load_suite(path)
        for profile in suite.model.profiles:
            load_suite(path, profile=profile)


def test_defaults_are_filled_in_and_profiles_apply(tmp_path):
    path = write(tmp_path, GOOD)
    assert load_suite(path).model.min_n == 10
    assert load_suite(path, profile="smoke").model.min_n == 1
    block = load_suite(path).as_json()["scenarios"][0]
    assert block["conditions"]["rate"] == [1.0]
    assert block["listen_s"] == 6.0


def test_gates_do_not_change_the_hash_and_scenarios_do(tmp_path):
    before = load_suite(write(tmp_path, GOOD)).sha256
    assert load_suite(write(tmp_path, GOOD.replace(">= 0.5", ">= 0.9"))).sha256 == before
    assert (
        load_suite(write(tmp_path, GOOD.replace("per_voice: 2", "per_voice: 3"))).sha256 != before
    )


BAD = {
    "not a mapping": ("- 1\n", 1, "mapping"),
    "empty": ("", 1, "mapping"),
    "unknown key": (GOOD.replace("seed: 3", "sead: 3"), 3, "did you mean 'seed'"),
    "unknown nested key": (
        GOOD.replace("per_voice: 2", "per_voices: 2"),
        6,
        "unknown key 'per_voices' - did you mean 'per_voice'",
    ),
    "wrong type": (GOOD.replace("seed: 3", "seed: three"), 3, "seed"),
    "negative seed": (GOOD.replace("seed: 3", "seed: -1"), 3, "seed"),
    "missing key": (GOOD.replace("question: Does it answer?\n", ""), 1, "missing key 'question'"),
    "bad name": (GOOD.replace("suite: tiny", "suite: ../../etc"), 1, "suite"),
    "no scenarios": (GOOD.split("scenarios:")[0] + "scenarios: []\n", 4, "scenarios"),
    "scenarios not a list": (GOOD.split("scenarios:")[0] + "scenarios: 4\n", 4, "scenarios"),
    "block without kind": (
        GOOD.replace("- kind: question\n    pick", "- pick"),
        5,
        "each scenario block needs `kind`",
    ),
    "unknown kind": (
        GOOD.replace("kind: question", "kind: questions"),
        5,
        "did you mean 'question'",
    ),
    "bad condition": (
        GOOD.replace("per_voice: 2}", "per_voice: 2}\n    conditions: {snr_db: [loud]}"),
        7,
        "snr_db",
    ),
    "unknown noise": (
        GOOD.replace("per_voice: 2}", "per_voice: 2}\n    conditions: {noise: [brown]}"),
        7,
        "noise",
    ),
    "lead the wrong way round": (
        GOOD.replace("per_voice: 2}", "per_voice: 2}\n    lead_s: [2, 1]"),
        5,
        "shortest, longest",
    ),
    "infinite": (GOOD.replace("per_voice: 2}", "per_voice: 2}\n    listen_s: .inf"), 7, "listen_s"),
    "unknown metric in a gate": (
        GOOD.replace("response_rate >=", "response_rat.rate >="),
        8,
        "did you mean",
    ),
    "gate without a bound": (GOOD.replace(">= 0.5", "is good"), 8, "gate"),
    "bad gate in a profile": (GOOD.replace("min_n: 1}", "min_n: 0}"), 10, "min_n"),
    "duplicate key": (GOOD.replace("seed: 3", "suite: other"), 3, "appears twice"),
    "not YAML": (GOOD + "x: [1, 2\n", None, "not YAML"),
    "tab": ("suite:\tx\n\tquestion: y\n", 1, "not YAML"),
    "python tag": (
        GOOD.replace("seed: 3", "seed: !!python/object/apply:os.system [ls]"),
        3,
        "YAML",
    ),
    "alias": ("a: &x [1]\nb: *x\n", 2, "aliases are not allowed"),
    "not UTF-8": (b"suite: \xff\xfe\n", None, "UTF-8"),
    "null byte": (b"suite: a\x00b\n", None, "YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_every_mistake_is_explained(tmp_path, case):
    text, line, message = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(SuiteErrors) as caught:
        load_suite(path)
    said = str(caught.value)
    assert message in said
    assert said.startswith(str(path))
    if line is not None:
        assert f"{path}:{line}: " in said


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    text = GOOD.replace("seed: 3", "sead: 3").replace("per_voice", "per_voices")
    with pytest.raises(SuiteErrors) as caught:
        load_suite(write(tmp_path, text))
    assert [error.line for error in caught.value.errors] == [3, 6]


def test_missing_huge_and_deep_files(tmp_path):
    with pytest.raises(SuiteErrors, match="No such file"):
        load_suite(tmp_path / "none.yaml")
    with pytest.raises(SuiteErrors, match="larger than"):
        load_suite(write(tmp_path, "# " + "x" * 1_000_001))
    with pytest.raises(SuiteErrors, match="YAML"):
        load_suite(write(tmp_path, "[" * 5000))


def test_unknown_profile(tmp_path):
    with pytest.raises(SuiteErrors, match="did you mean 'smoke'"):
        load_suite(write(tmp_path, GOOD), profile="smok")
