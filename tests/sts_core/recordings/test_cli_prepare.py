"""The whole way of a user with recordings: prepare, cache, compose, as it is typed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner, Result

from sts_core.cli import main
from sts_core.cli_prepare import LIMITS
from sts_core.data.cache import SpeechCache
from sts_core.data.library import prepare as prepare_library
from sts_core.data.manifest import read_manifest
from sts_core.data.pools import make_pools
from sts_core.data.shards import read_shard
from sts_core.lm.ear import Ear
from sts_core.recordings.turns import Limits
from sts_core.units import SAMPLE_RATE_HZ

from .conftest import ANSWER, QUESTION, REPLY, SECOND, SPEAKERS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def fails(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.fixture
def speakers(tmp_path: Path) -> Path:
    file = tmp_path / "speakers.yaml"
    file.write_text(SPEAKERS)
    return file


def test_from_recordings_to_shards(folder: Path, speakers: Path, tmp_path: Path) -> None:
    (folder / "calls" / "one.txt").write_text(
        f"user: {QUESTION}\nagent: {ANSWER}\nuser: {SECOND}\nagent: {REPLY}\n"
    )
    out, cache, shards = (tmp_path / name for name in ("out", "cache", "shards"))
    made = run("prepare", folder, out, "--speakers", speakers, "--json")
    assert made.exit_code == 0, made.output
    summary = json.loads(made.stdout)
    assert (summary["accepted_turns"], summary["conversations"]) == (4, 1)
    report = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    agreed = [row["measures"]["agreement"] for row in report if row["what"] == "turn"]
    assert min(agreed) == 1.0  # by Moonshine
    assert run("cache", cache, out, "--teacher", "none").exit_code == 0
    composed = run("compose", out, shards, "--stage", "recorded", "--passes", 1)
    assert composed.exit_code == 0, composed.output
    assert "voice 0: bob" in composed.output
    assert "1 shards, 1 conversations" in composed.output
    assert read_shard(shards / "00000.npz").speaking.any()
    small = {"dim": 32, "layers": 1, "heads": 1, "words_after_layers": 1}
    small |= {"depth_dim": 32, "depth_layers": 1, "depth_heads": 1}
    config = {"shards": str(shards), "run": str(tmp_path / "run"), "steps": 1, "frames": 151}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config | {"threads": 1, "model": small}))
    trained = run("train", "dialogue", "--config", tmp_path / "own.yaml")
    assert trained.exit_code == 0, trained.output

    # the same turns, one by one, as the agent's utterances of composed conversations
    ear = Ear.load()
    assert prepare_library(cache, ear, ()).usable() == [0, 1, 2, 3]
    library = prepare_library(cache, ear, ("bob",))  # a voice that is named later gets its codes
    pools = make_pools(library, ("bob",))
    assert sorted(text for _, text in pools.agent) == sorted([ANSWER, REPLY])
    assert all(library[n].codes is not None for n in pools.monologue[0])
    assert set(pools.user) == {"recorded"}
    assert len(SpeechCache.open(cache)) == 4


def test_nothing_accepted_is_no_success(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "speakers.yaml"
    file.write_text(SPEAKERS.replace("granted", "refused"))
    refused = run("prepare", folder, tmp_path / "out", "--speakers", file)
    assert refused.exit_code == 1
    assert "refused for consent: 2" in refused.output  # both channels
    assert "nothing was accepted" in refused.output
    assert read_manifest(tmp_path / "out") == []


def test_an_empty_folder(speakers: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        run("prepare", tmp_path / "empty", tmp_path / "out", "--speakers", speakers).exit_code == 1
    )


def test_mistakes_are_named(folder: Path, speakers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fails(run("prepare", folder, out), "--speakers")
    arguments = ("prepare", folder, out, "--speakers", speakers)
    fails(run(*arguments, "--channels", "user=left"), "expected user=left,agent=right")
    fails(run(*arguments, "--least-snr-db", "nan"), "must be a number")
    fails(run(*arguments, "--most-clipped", "2"), "not in the range")
    fails(run("prepare", folder, folder / "out", "--speakers", speakers), "outside the recordings")
    speakers.write_text(SPEAKERS.replace("evidence", "evidense"))
    fails(run(*arguments), "speakers.yaml:4: unknown key 'evidense'; did you mean 'evidence'?")
    assert not out.exists()
    fails(run("compose", folder, out, "--stage", "recorded"), "sts-core prepare")


def test_options_are_the_limits() -> None:
    options = {name: default for name, default, *_ in LIMITS}
    assert options == dataclasses.asdict(Limits())


def test_noise_is_no_speech(tmp_path: Path, speakers: Path) -> None:
    (tmp_path / "own").mkdir()
    noise = np.random.default_rng(0).standard_normal((SAMPLE_RATE_HZ, 2)) * 0.01
    soundfile.write(tmp_path / "own" / "noise.wav", noise, SAMPLE_RATE_HZ)
    done = run("prepare", tmp_path / "own", tmp_path / "out", "--speakers", speakers)
    assert done.exit_code == 1
    assert "refused for silence: 1" in done.output
