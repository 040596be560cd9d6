"""The stimuli folder is untrusted; what is picked is deterministic; conditions do what they say."""

import json
import shutil

import numpy as np
import pytest

from sts_eval.audio import active_level_dbfs, rms_dbfs
from sts_eval.stimuli import PACKAGED, Stimuli, StimuliError, conditions
from sts_eval.trace import silence

ROW = {"id": "a", "path": "a.opus", "text": "hi", "kind": "fact", "voice": "v", "seconds": 1.0}


def folder(tmp_path, *rows):
    shutil.copy(next((PACKAGED / "audio").glob("*.opus")), tmp_path / "a.opus")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_any_folder_in_the_format_loads(tmp_path):
    loaded = Stimuli.load(folder(tmp_path, ROW, "", ROW | {"id": "b", "answer": 4}))
    assert [item.id for item in loaded.items] == ["a", "b"]
    assert loaded.get("b").expected() == {"kind": "fact", "answer": 4}
    assert loaded.get("a").speech().size > 12_000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "manifest.jsonl:2: not JSON"),
        ("[1]", "not a JSON object"),
        ({**ROW, "id": "a"}, "id 'a' is in line 1"),
        ({**ROW, "id": "../b"}, "not made of letters"),
        ({**ROW, "id": "b", "path": "../a.opus"}, "leaves the folder"),
        ({**ROW, "id": "b", "path": "/etc/passwd"}, "leaves the folder"),
        ({**ROW, "id": "b", "path": "none.wav"}, "there is no file"),
        ({**ROW, "id": "b", "seconds": "1"}, "wrong type"),
        ({**ROW, "id": "b", "seconds": -1}, "expected 0 to"),
        ({key: ROW[key] for key in ROW if key != "voice"}, "'voice' is missing"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_every_mistake_names_its_line(tmp_path, row, message):
    with pytest.raises(StimuliError, match=r"manifest\.jsonl:2") as caught:
        Stimuli.load(folder(tmp_path, ROW, row))
    assert message in str(caught.value)


def test_symlink_out_of_the_folder_is_refused(tmp_path):
    made = folder(tmp_path, ROW, {**ROW, "id": "b", "path": "link.opus"})
    (made / "link.opus").symlink_to(next((PACKAGED / "audio").glob("*.opus")))
    with pytest.raises(StimuliError, match="leaves the folder"):
        Stimuli.load(made)


def test_missing_and_empty_folder(tmp_path):
    with pytest.raises(StimuliError, match="No such file"):
        Stimuli.load(tmp_path / "none")
    with pytest.raises(StimuliError, match="no stimuli"):
        Stimuli.load(folder(tmp_path, ""))


def test_pick_is_deterministic_balanced_and_depends_on_the_seed(stimuli):
    arguments = {"kind": ("arithmetic", "fact"), "per_voice": 6}
    picked = stimuli.pick(**arguments, seed=1)
    assert picked == stimuli.pick(**arguments, seed=1)
    assert picked != stimuli.pick(**arguments, seed=2)
    counts = {(item.voice, item.kind) for item in picked}
    assert len(picked) == 24
    assert len(counts) == 8
    assert all(sum(1 for i in picked if (i.voice, i.kind) == key) == 3 for key in counts)
    with pytest.raises(ValueError, match="did you mean 'fact'"):
        stimuli.pick(kind=("facts",), per_voice=1, seed=1)
    with pytest.raises(ValueError, match="no stimulus of voice"):
        stimuli.pick(kind=("fact",), per_voice=1, seed=1, voice=("nobody",))


def test_trim_keeps_exactly_the_speech(tone):
    padded = np.concatenate([silence(4800), tone, silence(7200)])
    assert conditions.trim(padded).size == tone.size
    assert conditions.trim(silence(2400)).size == 2400


@pytest.mark.parametrize("rate", [0.9, 1.0, 1.15])
def test_rate_changes_the_length_and_not_the_pitch(stimuli, rate):
    speech = stimuli.items[0].speech()
    changed = conditions.change_rate(speech, rate)
    assert changed.size == pytest.approx(speech.size / rate, rel=0.03)
    np.testing.assert_array_equal(changed, conditions.change_rate(speech, rate))

    def centroid(audio):
        power = np.abs(np.fft.rfft(audio)) ** 2
        return float(np.sum(power * np.fft.rfftfreq(audio.size, 1 / 24_000)) / power.sum())

    assert centroid(changed) == pytest.approx(centroid(speech), rel=0.1)


@pytest.mark.parametrize("pause_s", [0.3, 1.5])
def test_the_pause_is_as_long_as_said_and_silent(stimuli, pause_s):
    speech = stimuli.pick(kind=("fact",), per_voice=1, seed=5)[0].speech()
    paused, ((start, before), (after, end)) = conditions.insert_pause(speech, pause_s)
    assert start == 0.0
    assert after - before == pytest.approx(pause_s, abs=0.011)
    assert end == pytest.approx(paused.size / 24_000)
    inside = paused[round(before * 24_000) : round(after * 24_000)]
    assert rms_dbfs(inside) < active_level_dbfs(speech) - 30


@pytest.mark.parametrize("kind", ["babble", "street", "white"])
@pytest.mark.parametrize("snr_db", [20.0, 5.0])
def test_the_noise_has_the_level_asked_for(stimuli, kind, snr_db):
    speech = stimuli.items[3].speech()
    track = np.concatenate([silence(24_000), speech, silence(24_000)])
    span = (1.0, 1.0 + speech.size / 24_000)
    arguments = {"kind": kind, "snr_db": snr_db, "speech_spans": [span], "stimuli": stimuli}
    noisy = conditions.add_noise(track, **arguments, seed=1)
    np.testing.assert_array_equal(noisy, conditions.add_noise(track, **arguments, seed=1))
    assert not np.array_equal(noisy, conditions.add_noise(track, **arguments, seed=2))
    assert np.max(np.abs(noisy)) <= 0.981
    noise = noisy - track
    if np.max(np.abs(noisy)) < 0.97:  # not scaled down
        assert active_level_dbfs(speech) - rms_dbfs(noise) == pytest.approx(snr_db, abs=0.1)
