"""The emotion-token kind end to end, on little speech: nothing is asked of the target, the codec
named by the suite is read, and a suite that cannot work says so before it runs."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sts_eval.planning import RunError, RunOptions
from sts_eval.probes import PlanContext
from sts_eval.probes.emotion_tokens import EmotionTokensKind
from sts_eval.runner import Progress, score_run, start_run
from sts_eval.stimuli import Stimuli
from sts_eval.suite import SuiteErrors, load_suite
from sts_eval.trace import load_trace

SUITE = """\
suite: tokens
question: Which tokens carry emotion?
seed: 3
target: {target}
judges: {{asr: none, vad: energy}}
cold_starts: 0
slices: []
scenarios:
  - kind: emotion_tokens
    pick: {{kind: emotional, per_voice: 3, voice: [af_nova, bm_george]}}
    tones: [neutral, sad, angry]
    shuffles: 19
    perceptron: false
    codebooks: 3
"""

needs_vocoder = pytest.mark.skipif(
    find_spec("pyworld") is None, reason="extra [prosody] is not installed"
)


def write(tmp_path, target="cascade", **changes):
    path = tmp_path / "tokens.yaml"
    lines = "".join(f"    {key}: {value}\n" for key, value in changes.items())
    path.write_text(SUITE.format(target=target) + lines)
    return path


def start(suite, tmp_path, **options):
    return start_run(RunOptions(suite=suite, out=tmp_path / "runs", **options), Progress())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if find_spec("pyworld") is None:
        pytest.skip("extra [prosody] is not installed")
    tmp_path = tmp_path_factory.mktemp("tokens")
    return start(write(tmp_path), tmp_path)


def test_nothing_is_asked_of_the_target(folder):
    traces = sorted((folder / "traces").glob("*.json"))
    assert len(traces) == 6
    for path in traces:
        trace = load_trace(path)
        assert trace.meta.status == "ok"
        assert trace.meta.push_wall_ms == []
        assert not trace.agent.any()
        spans = trace.meta.scenario["user_spans"]
        assert [span["label"] for span in spans] == ["original", "neutral", "sad", "angry"]
        seconds = {s["label"]: s["end_s"] - s["start_s"] for s in spans}
        assert seconds["angry"] < seconds["neutral"] < seconds["sad"]
        gap = trace.user[int(24_000 * (spans[0]["end_s"] + 0.05)) :][:4800]
        assert np.abs(gap).max() < 1e-3


NOBODY = """
class Nobody:
    clock, name = "lockstep", "nobody"
    def describe(self): return {"name": "nobody"}
    def open(self, setup): raise RuntimeError("opened")
    def open_batch(self, setups): raise RuntimeError("opened together")
    def shutdown(self): pass
"""


@needs_vocoder
def test_nothing_is_asked_of_a_batch_either(folder, tmp_path, monkeypatch):
    (tmp_path / "nobody_target.py").write_text(NOBODY)
    monkeypatch.syspath_prepend(str(tmp_path))
    suite = write(tmp_path, target='"python:nobody_target:Nobody"')
    together = start(suite, tmp_path, batch=3, limit=3)
    for path in (together / "traces").glob("*.json"):
        trace = load_trace(path)
        assert trace.meta.status == "ok"
        assert trace.meta.push_wall_ms == []
        assert (trace.user == load_trace(folder / "traces" / path.name).user).all()


def test_the_report_says_what_each_codebook_carries(folder):
    record = score_run(folder, Progress(), judge_reports=False)
    assert record.failures == []
    (section,) = record.sections
    assert section.title == "Emotion in the tokens of sts-core"
    assert "18 recordings of" in section.paragraphs[0]
    found = {e.metric for e in record.estimates if e.value is not None}
    assert found == {spec.name for spec in EmotionTokensKind.metrics}
    separation = next(e for e in record.estimates if e.key == "emotion_token_separation.mean")
    assert separation.lo <= separation.value <= separation.hi
    assert separation.n_clusters == 2
    assert "approximate" in separation.reason
    assert "What each codebook carries" in (folder / "report.html").read_text()
    again = score_run(folder, Progress(), judge_reports=False, outputs=False)
    assert again.estimates == record.estimates


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"codec": "opus"}, "codec 'opus'"),
        ({"codec": "hf:nowhere"}, "no config.json"),
        ({"strength": 3}, "strength"),
        ({"name": "Two Words"}, "name"),
        ({"corpus": "{layout: ravdes, folder: x}"}, "ravdess"),
    ],
)
def test_a_suite_that_cannot_work_says_so_before_it_runs(changes, why, tmp_path):
    with pytest.raises((RunError, SuiteErrors), match=why):
        start(write(tmp_path, **changes), tmp_path)


def test_an_unknown_tone_names_the_nearest():
    block = EmotionTokensKind.block(kind="emotion_tokens", tones=["sadd"])
    with pytest.raises(ValueError, match="did you mean 'sad'"):
        EmotionTokensKind().plan(block, PlanContext(Stimuli.load(), 1))


def test_ids_are_safe_and_their_own():
    block = EmotionTokensKind.block(kind="emotion_tokens", name="mimi")
    plans = EmotionTokensKind().plan(block, PlanContext(Stimuli.load(), 1))
    ids = [plan.id for plan in plans]
    assert len(set(ids)) == len(ids) == 48
    assert all(name.startswith("tokens-mimi.") for name in ids)


@needs_vocoder
@pytest.mark.skipif(find_spec("transformers") is None, reason="extra [hf] is not installed")
def test_the_target_s_codec_is_read(folder, tmp_path):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64, num_lstm_layers=1
    )
    model = transformers.EncodecModel(config)
    for name, buffer in model.named_buffers():
        if name.endswith(("embed", "embed_sum")):  # fresh codebooks are all zeros
            torch.nn.init.normal_(buffer)
    model.save_pretrained(tmp_path / "encodec")
    other = start(write(tmp_path, target=f'"codec:name=hf:{tmp_path / "encodec"}"'), tmp_path)
    record = score_run(other, Progress(), judge_reports=False)
    assert record.failures == []
    (section,) = record.sections
    assert "3 codebooks, none of them semantic" in section.paragraphs[0]
    separation = next(e for e in record.estimates if e.key == "emotion_token_separation.mean")
    assert separation.value is None
    assert "no semantic codebooks" in separation.reason
    recall = [e for e in record.estimates if e.metric == "emotion_token_recall"]
    assert all(e.value is not None for e in recall)


def test_the_shipped_suite_is_well_formed():
    file = Path(__file__).parents[3] / "suites" / "emotion.yaml"
    for profile in (None, "smoke"):
        suite = load_suite(file, profile=profile)
        assert "emotion_tokens" in {kind.name for kind, _ in suite.blocks}
        assert any(gate.metric == "emotion_token_separation" for gate in suite.gates)
