"""The countermeasure and its plug-ins: interface, polarity, refusal of bad input."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from sts_core import torchaudio_guard
from sts_eval.audio import load_audio, write_flac
from sts_eval.audit import DEFAULT_DETECTOR, AuditError, calibration, training_set
from sts_eval.audit.cli import audit
from sts_eval.audit.clip_statistics import DIMENSION, PARTS
from sts_eval.audit.detectors import (
    DETECTORS,
    KNOWN,
    DetectorError,
    WindowedDetector,
    check_polarity,
    detector_calibration,
    load_detector,
)
from sts_eval.audit.fold_scores import FoldScores, calibrate
from sts_eval.audit.train_detector import (
    TrainOptions,
    load_detector_file,
    save_detector,
    score_features,
    train,
)
from sts_eval.audit.training_set import Clip
from sts_eval.registry import RegistryError


class Loudness(WindowedDetector):
    """Scores the level: enough to see windows."""

    name, version = "loudness", "1"

    def score_batch(self, windows):
        return np.sqrt((windows**2).mean(axis=1))


class Reversed(WindowedDetector):
    """The shipped detector with the wrong sign."""

    name, version = "reversed", "1"

    def score_batch(self, windows):
        return -load_detector().score_batch(windows)


@pytest.fixture(scope="module")
def genuine() -> np.ndarray:
    return load_audio(sorted((KNOWN / "bonafide").glob("*.opus"))[0])


def test_shipped_detector_is_repeatable_and_deaf_to_gain(genuine):
    detector = load_detector()
    score = detector.score(genuine)
    assert -2 <= score <= 2
    assert detector.score(genuine.copy()) == score
    assert detector.score(0.1 * genuine) == pytest.approx(score, abs=0.05)


def test_polarity_of_the_shipped_detector():
    means = check_polarity(load_detector())
    assert means["bonafide"] > means["spoof"]
    assert means["n_bonafide"] == means["n_spoof"] == 4


def test_wrong_polarity_is_refused():
    with pytest.raises(DetectorError, match="point the wrong way"):
        check_polarity(Reversed())


def test_shipped_calibration_rises_and_is_limited():
    calibration = detector_calibration()
    assert calibration is not None
    low, high = calibration.log10_lr([-2.0, 2.0])
    assert low < 0 < high
    assert detector_calibration("python:a:b") is None


def test_windows_cover_the_recording():
    audio = np.concatenate([np.zeros(72_000), np.full(72_000, 0.5), np.zeros(24_000)])
    windows = Loudness().score_windows(audio.astype(np.float32), 2.0, 1.0)
    assert windows[0].start_s == 0
    assert windows[-1].end_s == 7.0
    assert windows[0].score is None  # silence is not scored
    assert max((w.score or 0, w.start_s) for w in windows)[1] in (3.0, 4.0)
    assert [w.start_s for w in windows] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "at least 1 s"),
        (np.zeros(48_000, np.float32), "silent"),
        (np.full(48_000, np.inf, np.float32), "NaN or infinite"),
        (np.zeros((2, 48_000), np.float32), "mono"),
    ],
)
def test_unusable_audio_is_refused(audio, message):
    with pytest.raises(DetectorError, match=message):
        load_detector().score(audio)


def test_the_default_everywhere_is_the_one_that_is_shipped():
    from sts_eval.probes.voice_clone import VoiceCloneBlock

    assert DEFAULT_DETECTOR in DETECTORS.entries()
    assert detector_calibration() is not None
    assert VoiceCloneBlock.model_fields["detectors"].default == (DEFAULT_DETECTOR,)


def test_names(tmp_path):
    with pytest.raises(RegistryError, match="did you mean 'sts-sync'"):
        load_detector("sts-syn")
    with pytest.raises(DetectorError, match="it has no score"):
        load_detector("python:collections:OrderedDict")
    with pytest.raises(AuditError, match="not a readable countermeasure"):
        load_detector(f"weights:{tmp_path / 'none.safetensors'}")


BANDS = PARTS["bands"].dimension


def made_up(n: int = 48) -> tuple[list[Clip], np.ndarray]:
    """Clips whose class is in twenty numbers of each part."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (n, DIMENSION)).astype(np.float32)
    clips = []
    for i in range(n):
        spoof = i % 2 == 1
        for start in (0, BANDS):
            features[i, start : start + 20] += 1.5 if spoof else -1.5
        clips.append(Clip(f"s{i % 4}", f"g{i}", "x" * spoof, "x" * spoof, "clean", "made up"))
    return clips, features


def test_training_parts_the_classes():
    clips, features = made_up(96)
    net = train(clips[:48], features[:48])
    unheard = score_features(net, features[48:])
    assert unheard[::2].min() > unheard[1::2].max()
    assert net.attacks == ("x", "any")


def test_weights_round_trip(tmp_path):
    clips, features = made_up(16)
    net = train(clips, features, TrainOptions(softness=0.5))
    file = tmp_path / "d.safetensors"
    save_detector(net, file, {"clips": 16})
    again, about = load_detector_file(file)
    assert np.array_equal(score_features(net, features), score_features(again, features))
    assert about["clips"] == 16
    assert (again.attacks, again.softness) == (("x", "any"), 0.5)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(AuditError, match="not a readable"):
        load_detector_file(file)


def rewritten(file: Path, change: dict, tensors: dict | None = None) -> None:
    """A detector file with some of what is said about it, or its numbers, changed."""
    net, about = load_detector_file(file)
    metadata = {"kind": "sts-eval countermeasure", "about": json.dumps(about | change)}
    save_file({**net.state_dict(), **(tensors or {})}, file, metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {
                "parts": {
                    **{n: p._asdict() for n, p in PARTS.items()},
                    "pitch": {"dimension": 211, "version": 99},
                }
            },
            r"other statistics \(pitch\)",
        ),
        ({"parts": {}}, "other statistics"),
        ({"parts": 3}, "not a readable"),
        ({"softness": "much"}, "not a readable"),
        ({"attacks": ["x"]}, "not a readable"),
    ],
)
def test_weights_of_other_statistics_are_refused(tmp_path, change, message):
    file = tmp_path / "d.safetensors"
    save_detector(train(*made_up(16)), file, {})
    rewritten(file, change)
    with pytest.raises(AuditError, match=message):
        load_detector_file(file)


def test_weights_that_are_not_finite_or_old_are_refused(tmp_path):
    file = tmp_path / "d.safetensors"
    save_detector(train(*made_up(16)), file, {})
    rewritten(file, {}, {"offsets": torch.full((2,), float("nan"))})
    with pytest.raises(AuditError, match="not finite"):
        load_detector_file(file)
    metadata = {"kind": "sts-eval countermeasure", "about": json.dumps({"width": 128})}
    save_file({"w": torch.zeros(1)}, file, metadata)
    with pytest.raises(AuditError, match="train it again"):
        load_detector_file(file)


def test_what_was_not_measured_speaks_for_neither():
    """A clip without voicing is scored by its bands, as if its pitch were the usual one."""
    clips, features = made_up(48)
    features[:2, BANDS:] = np.nan
    net = train(clips, features)
    normal = net.normal(torch.from_numpy(features))
    assert (normal[:2, BANDS:DIMENSION] == 0).all()
    assert (normal[:2, DIMENSION + BANDS :] == 0).all()
    scores = score_features(net, features)
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1]
    features[:, BANDS:] = np.nan
    with pytest.raises(AuditError, match="enough voicing"):
        train(clips, features)


def test_bad_recipes_and_statistics_are_refused():
    clips, features = made_up(16)
    for option in ("shrinkage", "softness"):
        for value in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(AuditError, match="above 0"):
                TrainOptions(**{option: value})
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(AuditError, match="lean must be from 0 to 1"):
            TrainOptions(lean=value)
    with pytest.raises(AuditError, match=rf"\[16, {DIMENSION}\]"):
        train(clips, features[:, 1:])
    with pytest.raises(AuditError, match=rf"\[16, {DIMENSION}\]"):
        train(clips, features[1:])
    with pytest.raises(AuditError, match="both bona fide and spoofed"):
        train(clips[::2], features[::2])


def test_own_weights_bring_their_calibration(tmp_path):
    """Folds of a made-up set: what `train-detector --calibrate` writes is what an audit reads."""
    _, features = made_up(96)
    clips = []
    for i in range(48):
        clips.append(Clip(f"person {i % 3}", f"g{i}", "", "", "clean", "made up"))
        family = "xy"[i % 2]
        clips.append(Clip(f"machine {i % 4}", f"m{i}", family, family, "clean", "made up"))
    options = TrainOptions()
    net = train(clips, features, options)
    save_detector(net, tmp_path / "d.safetensors", {})
    name = f"weights:{tmp_path / 'd.safetensors'}"
    assert detector_calibration(name) is None
    trained = []
    scored = FoldScores(clips, features, options, tmp_path / "folds", lambda: trained.append(1))
    fitted = calibrate(scored)
    again = calibrate(FoldScores(clips, features, options, tmp_path / "folds", trained.clear))
    assert again == fitted
    assert trained  # and nothing was trained a second time
    assert (fitted.n_clusters_bonafide, fitted.n_clusters_spoof) == (3, 4)
    assert np.exp(-fitted.lower) <= 3 + 1  # no ratio beyond one voice more than was seen
    assert np.exp(fitted.upper) <= 4 + 1
    calibration.save(fitted, tmp_path / "d.calibration.json")
    assert detector_calibration(name) == fitted


def test_csv_scores(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("filename,score\nLA_1.flac,1.5\nLA_2 , -2\n")
    detector = load_detector(f"csv:{file}")
    assert detector.score_file(Path("x/LA_1.wav")) == 1.5
    assert detector.score_file(Path("LA_2.flac")) == -2
    with pytest.raises(DetectorError, match=r"no score for other\.wav"):
        detector.score_file(Path("other.wav"))
    with pytest.raises(DetectorError, match="not of audio"):
        detector.score(np.zeros(48_000, np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scores"),
        ("a,1\nb,x\n", ":2: expected"),
        ("a,nan\n", "not finite"),
        ("a,1\na,2\n", "two different"),
    ],
)
def test_bad_csv_is_refused(tmp_path, text, message):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(DetectorError, match=message):
        load_detector(f"csv:{file}")


def test_transformers_folder(tmp_path, genuine):
    """A tiny classifier of random weights, saved as any published one is."""
    torchaudio_guard.prepare()  # transformers imports it wherever it is installed
    transformers = pytest.importorskip("transformers", reason="extra [hf]")
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_stride=(5, 4),
        conv_kernel=(10, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
        id2label={0: "spoof", 1: "Bona-fide"},
        label2id={"spoof": 0, "Bona-fide": 1},
    )
    torch.manual_seed(0)
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    detector = load_detector(f"transformers:{tmp_path}")
    assert np.isfinite(detector.score(genuine))
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["id2label"] = {"0": "cat", "1": "dog"}
    settings["label2id"] = {"cat": 0, "dog": 1}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    load_detector.cache_clear()
    with pytest.raises(DetectorError, match="must mean bona fide"):
        load_detector(f"transformers:{tmp_path}")
    with pytest.raises(DetectorError, match=r"no config\.json"):
        load_detector(f"transformers:{tmp_path / 'none'}")


def test_false_alarms_command(tmp_path, genuine):
    runner = CliRunner()
    write_flac(tmp_path / "call.flac", genuine)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    result = runner.invoke(audit, ["false-alarms", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert {row["n"] for row in found["conditions"]} == {1}
    assert found["conditions"][0]["mean_change"] == 0
    assert len(found["refused"]) == 1
    table = runner.invoke(audit, ["false-alarms", str(tmp_path), "--threshold", "5"])
    assert "1 of 1" in table.output
    assert "not scored: broken.wav" in table.output
    (tmp_path / "none").mkdir()
    empty = runner.invoke(audit, ["false-alarms", str(tmp_path / "none")])
    assert empty.exit_code == 2
    assert "no recordings here" in empty.output


def test_train_detector_learns_from_every_draw(tmp_path, genuine, monkeypatch):
    made = {}

    def build(people, machines, target, options, progress):
        """Eight clips of a second, the spoofed ones noise, in the place of minutes of copying."""
        made[target] = options.seed
        rng = np.random.default_rng(options.seed)
        speech = (genuine[:48_000:3] * 32767).astype(np.int16)  # any voiced sound will do
        noise = rng.normal(0, 3_000, 16_000).astype(np.int16)
        rows = [
            asdict(Clip(f"s{i % 2}", f"g{i}", "x" * spoof, "x" * spoof, "clean", "made up"))
            for i, spoof in enumerate([0, 1] * 4)
        ]
        target.mkdir(parents=True)
        audio = np.stack([noise if row["attack"] else speech for row in rows])
        np.savez(target / "00000.npz", audio=audio, clips=np.array(json.dumps(rows)))
        (target / "complete").write_text("1\n")

    monkeypatch.setattr(training_set, "build", build)
    arguments = ["train-detector", "--genuine", "people"]
    folders = ["--set", str(tmp_path / "set"), "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(audit, [*arguments, *folders, "--seed", "5", "--draws", "3"])
    assert result.exit_code == 0, result.output
    assert made == {
        tmp_path / "set": 5,
        tmp_path / "set" / "draw2": 6,
        tmp_path / "set" / "draw3": 7,
    }
    net, about = load_detector_file(tmp_path / "run" / "detector.safetensors")
    assert about["clips"] == 24
    assert (about["draws"], about["seed"]) == (3, 5)
    assert net.attacks == ("x", "any")
    detector = load_detector(f"weights:{tmp_path / 'run' / 'detector.safetensors'}")
    assert np.isfinite(detector.score(genuine))
