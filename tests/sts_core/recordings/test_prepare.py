"""`prepare` on folders good and bad: nothing is lost, nothing crashes, consent decides."""

from __future__ import annotations

import csv
import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sts_core.asr.vad import Span
from sts_core.data.cache import SpeechCache, build
from sts_core.data.manifest import load_audio, read_manifest
from sts_core.recordings import outcome
from sts_core.recordings.outcome import Ears
from sts_core.recordings.prepare import PrepareError, Summary, prepare
from sts_core.recordings.speakers import Speakers
from sts_core.recordings.turns import Limits
from sts_core.units import SAMPLE_RATE_HZ

from .conftest import ANSWER, QUESTION, REPLY, SECOND, SPEAKERS, STARTS, Audio, say

TODAY = datetime.date(2026, 6, 1)
WriteSpeakers = Callable[..., tuple[Speakers, Path]]
Row = dict[str, Any]


@pytest.fixture
def run(
    tmp_path: Path, folder: Path, write_speakers: WriteSpeakers, recognise: Callable[[Audio], str]
) -> Callable[..., Summary]:
    """Prepare `folder` into tmp_path/out."""

    def call(speakers: str = SPEAKERS, **options: Any) -> Summary:
        people, file = write_speakers(speakers)
        ears = options.pop("ears", Ears(recognise))
        return prepare(folder, tmp_path / "out", people, file, ears=ears, today=TODAY, **options)

    return call


def rows_of(tmp_path: Path, what: str = "") -> list[Row]:
    lines = (tmp_path / "out" / "report.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if what in ("", row["what"])]


def reasons_of(tmp_path: Path, source: str) -> list[str]:
    rows = [row for row in rows_of(tmp_path) if row["source"] == source]
    assert rows, f"no row for {source}"
    return [reason for row in rows for reason in row["reasons"]]


def test_a_conversation_becomes_turns_with_true_times(
    run: Callable[..., Summary], tmp_path: Path
) -> None:
    summary = run()
    assert (summary.recordings, summary.refused_recordings, summary.errors) == (1, 0, 0)
    assert (summary.turns, summary.accepted_turns, summary.conversations) == (4, 4, 1)
    assert summary.reasons == {}
    rows = read_manifest(tmp_path / "out")
    assert [(row["role"], row["text"]) for row in rows] == [
        ("user", QUESTION),
        ("user", SECOND),
        ("agent", ANSWER),
        ("agent", REPLY),
    ]
    begins = {text: start_s + 0.05 for _, start_s, text in STARTS}  # 50 ms of silence lead it
    for row in rows:
        assert row["start_s"] == pytest.approx(begins[row["text"]], abs=0.03)
        assert row["speaker"] == {"user": "ann", "agent": "bob"}[row["role"]]
        assert (row["kind"], row["lang"], row["split"]) == ("recorded", "en", "train")
        assert row["phonemes"]
        audio = load_audio(tmp_path / "out" / row["path"])
        assert audio.size == pytest.approx(row["seconds"] * SAMPLE_RATE_HZ, abs=30)
        assert np.abs(audio[:960]).max() < 300  # 50 ms around it
        assert np.abs(audio[1_200:3_600]).max() > 300
    for row in rows_of(tmp_path, "turn"):
        assert row["status"] == "accepted"
        assert row["measures"]["snr_db"] > 35  # speech at -23, hiss at -70 dBFS
        assert row["measures"]["level_dbfs"] == pytest.approx(-23, abs=3)
        assert row["measures"]["overlap"] == row["measures"]["clipped"] == 0
        assert row["not_measured"]["agreement"] == "no transcript was given"


def test_the_corpus_can_be_cached(run: Callable[..., Summary], tmp_path: Path) -> None:
    run()
    assert build(tmp_path / "cache", [tmp_path / "out"]) == []
    cache = SpeechCache.open(tmp_path / "cache")
    assert len(cache) == 4
    assert cache.rows[2]["speaker"] == "bob"


def test_channels_are_kept_whole_for_conversations(
    run: Callable[..., Summary], tmp_path: Path, conversation: Audio
) -> None:
    run()
    (talk,) = map(json.loads, (tmp_path / "out" / "conversations.jsonl").read_text().splitlines())
    assert talk["speakers"] == {"user": "ann", "agent": "bob"}
    assert [t["text"] for t in talk["turns"]] == [QUESTION, SECOND, ANSWER, REPLY]
    for column, role in zip(conversation.T, ("user", "agent"), strict=True):
        track, rate_hz = soundfile.read(tmp_path / "out" / talk["tracks"][role])
        assert rate_hz == SAMPLE_RATE_HZ
        gain = float(track @ column / (column @ column))
        assert 0.7 < gain < 1.4
        np.testing.assert_allclose(track, gain * column, atol=1e-4)


def test_sides_can_be_swapped(run: Callable[..., Summary], tmp_path: Path) -> None:
    run(channels=("agent", "user"))
    texts = {row["text"]: row["role"] for row in read_manifest(tmp_path / "out")}
    assert texts[QUESTION] == "agent"
    assert texts[ANSWER] == "user"


@pytest.mark.parametrize("consent", ["consent: unknown", "consent: refused", ""])
def test_who_gave_no_consent_is_neither_heard_nor_written(
    run: Callable[..., Summary], tmp_path: Path, consent: str
) -> None:
    heard: list[float] = []

    def listen(audio: Audio) -> str:
        heard.append(audio.size / SAMPLE_RATE_HZ)
        return QUESTION

    lines = SPEAKERS.splitlines()
    lines[-1] = f"    {consent}"
    summary = run("\n".join(lines), ears=Ears(listen))
    assert (summary.accepted_turns, summary.conversations) == (2, 0)
    assert len(heard) == 2  # the user's turns
    assert {row["speaker"] for row in read_manifest(tmp_path / "out")} == {"ann"}
    said = reasons_of(tmp_path, "calls/one.wav")
    assert sum(reason.startswith("consent: bob: ") for reason in said) == 2  # channel, conversation
    ann, bob = rows_of(tmp_path, "speaker")
    assert (ann["status"], bob["status"]) == ("accepted", "refused")
    assert ann["consent"] == "granted 2026-05-04 (training): form 17"
    names = [path.name for path in (tmp_path / "out" / "audio").rglob("*.flac")]
    assert not [name for name in names if "agent" in name or name.endswith(".user.flac")]


def test_a_file_nobody_consented_to_is_not_even_decoded(
    run: Callable[..., Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(outcome, "read_recording", never)
    summary = run("speakers:\n  ann: {user_in: ['*'], consent: refused}\n")
    assert summary.errors == 0
    assert reasons_of(tmp_path, "calls/one.wav") == ["consent: ann: consent is refused"]


def test_a_withdrawn_consent_deletes_what_was_written(
    run: Callable[..., Summary], tmp_path: Path
) -> None:
    run()
    assert len(list((tmp_path / "out" / "audio").rglob("*.flac"))) == 6
    run("speakers:\n  ann: {user_in: ['*'], consent: withdrawn}\n")
    assert list((tmp_path / "out" / "audio").rglob("*.flac")) == []
    assert read_manifest(tmp_path / "out") == []
    assert not (tmp_path / "out" / "conversations.jsonl").read_text()


def test_transcripts_are_shared_out_and_compared(
    run: Callable[..., Summary], folder: Path, tmp_path: Path
) -> None:
    wrong = "There are fourteen purple submarines outside today."
    (folder / "calls" / "one.txt").write_text(
        f"user: {QUESTION}\nagent: {ANSWER}\nuser: {SECOND}\nagent: {wrong}\n"
    )
    summary = run()
    assert summary.accepted_turns == 3
    assert summary.reasons == {"agreement": 1}
    turns = {row["text"]: row for row in rows_of(tmp_path, "turn")}
    assert turns[QUESTION]["measures"]["agreement"] == 1.0
    assert turns[wrong]["measures"]["agreement"] < 0.3
    (talk,) = map(json.loads, (tmp_path / "out" / "conversations.jsonl").read_text().splitlines())
    assert [t.get("hole", False) for t in talk["turns"]] == [False, False, False, True]


def add(folder: Path, name: str, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz)
    return path


MONO = """\
  eve:
    user_in: ["eve/*"]
    split: validation
    consent: {status: granted, scope: [training], date: 2026-05-04, evidence: form 19}
"""


def only_eve(speakers: str = SPEAKERS) -> str:
    return speakers.replace('["*"]', '["calls/*"]') + MONO


def test_utterances_of_one_channel_with_labels(
    run: Callable[..., Summary], folder: Path, tmp_path: Path
) -> None:
    add(folder, "eve/one.flac", say(QUESTION), 22_050)  # a little slower
    add(folder, "eve/two.ogg", say(QUESTION))
    (folder / "eve" / "two.json").write_text(
        json.dumps({"text": QUESTION, "kind": "fact", "reply": ANSWER})
    )
    run(only_eve(), ears=Ears(lambda _: QUESTION))
    rows = {
        row["source"]: row for row in read_manifest(tmp_path / "out") if row["split"] != "train"
    }
    assert set(rows) == {"eve/one.flac", "eve/two.ogg"}
    assert (rows["eve/two.ogg"]["kind"], rows["eve/two.ogg"]["reply"]) == ("fact", ANSWER)
    assert rows["eve/one.flac"]["kind"] == "recorded"
    assert {row["split"] for row in rows.values()} == {"validation"}


def spoil(clean: Audio, kind: str) -> Audio:
    rng = np.random.default_rng(3)
    audio = np.array(clean, np.float32)
    if kind == "snr":
        audio += (0.03 * rng.standard_normal(audio.shape)).astype(np.float32)
    elif kind == "clipped":
        audio[:] = np.clip(audio * 20, -0.8, 0.8)
    elif kind == "level":
        audio *= np.float32(0.01)
    return audio


@pytest.mark.parametrize("kind", ["snr", "clipped", "level"])
def test_bad_sound_is_refused_for_what_it_is(
    run: Callable[..., Summary], folder: Path, tmp_path: Path, conversation: Audio, kind: str
) -> None:
    add(folder, "calls/one.wav", spoil(conversation, kind))
    summary = run(ears=Ears(lambda _: QUESTION))
    assert summary.turns >= 3
    assert summary.accepted_turns == summary.conversations == 0
    for row in rows_of(tmp_path, "turn"):
        assert kind in [reason.partition(":")[0] for reason in row["reasons"]]


def test_overlapping_turns_are_no_utterances_but_stay_in_their_conversation(
    run: Callable[..., Summary], folder: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    audio = (3e-4 * rng.standard_normal((5 * SAMPLE_RATE_HZ, 2))).astype(np.float32)
    for channel, text in enumerate((QUESTION, ANSWER)):
        sound = say(text)
        audio[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + sound.size, channel] += sound
    add(folder, "calls/one.wav", audio)
    summary = run(ears=Ears(lambda _: QUESTION))
    assert summary.reasons == {"overlap": 2}
    assert (summary.accepted_turns, summary.conversations) == (0, 1)


@pytest.mark.parametrize(("leak_db", "accepted"), [(-40, 1), (-15, 0)])
def test_bleed_refuses_the_conversation(
    run: Callable[..., Summary],
    folder: Path,
    tmp_path: Path,
    conversation: Audio,
    leak_db: float,
    accepted: int,
) -> None:
    audio = np.array(conversation)
    audio[:, 0] += np.roll(conversation[:, 1], 100) * np.float32(10 ** (leak_db / 20))
    add(folder, "calls/one.wav", audio)
    summary = run(ears=Ears(lambda _: QUESTION))
    assert summary.conversations == accepted
    own = [r for r in rows_of(tmp_path, "turn") if r["role"] == "agent"]
    assert all(r["measures"]["bleed_db"] == pytest.approx(leak_db, abs=1.0) for r in own)
    assert [r["status"] for r in own] == ["accepted"] * 2
    assert all(r["measures"]["overlap"] == 0 for r in own)
    echoed = [r for r in rows_of(tmp_path, "turn") if r["status"] == "refused"]
    assert len(echoed) == (0 if accepted else 2)  # the agent's turns in the user's channel
    assert all(r["reasons"] == ["bleed: the voice of the other channel"] for r in echoed)
    said = reasons_of(tmp_path, "calls/one.wav")
    assert any(r.startswith("bleed: the agent is heard on") for r in said) == (not accepted)


def test_one_voice_on_both_channels(
    run: Callable[..., Summary], folder: Path, tmp_path: Path, conversation: Audio
) -> None:
    add(folder, "calls/one.wav", np.repeat(conversation[:, :1], 2, axis=1))
    summary = run()
    assert summary.accepted_turns == summary.conversations == 0
    assert all(
        r["reasons"] == ["bleed: the voice of the other channel"] for r in rows_of(tmp_path, "turn")
    )


def test_every_kind_of_bad_input_is_a_row(
    run: Callable[..., Summary], folder: Path, tmp_path: Path
) -> None:
    second = np.zeros(SAMPLE_RATE_HZ)
    (folder / "calls" / "empty.wav").touch()
    (folder / "calls" / "corrupt.flac").write_bytes(b"fLaC" + bytes(999))
    add(folder, "calls/mono.wav", say(QUESTION))
    add(folder, "calls/three.wav", np.zeros((1_000, 3)))
    add(folder, "calls/silent.wav", np.zeros((SAMPLE_RATE_HZ, 2)))
    add(folder, "calls/long.wav", np.zeros((61 * 4_000, 2)), 4_000)
    add(folder, "eve/nobody.wav", second)
    add(folder, "eve/both.wav", second + 0.1)
    outside = add(tmp_path, "outside.wav", second + 0.2)
    (folder / "calls" / "out.wav").symlink_to(outside)
    (folder / "calls" / "circle.wav").symlink_to(folder / "calls" / "circle.wav")
    (folder / "more").symlink_to(tmp_path)
    (folder / "calls" / "inside.wav").symlink_to(folder / "calls" / "one.wav")
    (folder / "calls" / "copy.wav").write_bytes((folder / "calls" / "one.wav").read_bytes())
    os.mkfifo(folder / "calls" / "pipe.wav")
    (folder / "calls" / "lost.txt").write_text("user: hello")
    (folder / "calls" / "notes.pdf").write_bytes(b"%PDF")
    add(folder, "calls/said.wav", np.full((1_000, 2), 0.3))
    (folder / "calls" / "said.txt").write_text("hello")
    add(folder, "calls/twice.wav", np.full((1_000, 2), 0.4))
    (folder / "calls" / "twice.txt").write_text("user: hi")
    (folder / "calls" / "twice.json").write_text("{}")
    os.rename(add(folder, "calls/x.wav", second + 0.5), os.fsencode(folder) + b"/calls/\xff.wav")
    people = only_eve().replace("eve/*", "eve/both.wav") + (
        "  joe: {user_in: ['eve/both.wav'], consent: unknown}\n"
    )
    summary = run(people, limits=Limits(longest_s=60))
    assert summary.errors == 0
    wanted = {
        "calls/one.wav": "duplicate: the same bytes as calls/copy.wav",
        "calls/empty.wav": "unreadable: the file is empty (0 bytes)",
        "calls/corrupt.flac": "recording: cannot be read as audio",
        "calls/mono.wav": "recording: one channel, where a user and an agent",
        "calls/three.wav": "recording: 3 channels",
        "calls/silent.wav": "silence: nobody speaks in it",
        "calls/long.wav": "recording: longer than 60 s",
        "eve/nobody.wav": "speaker: nobody in the speakers file",
        "eve/both.wav": "speaker: eve and joe both have the role of the user",
        "calls/out.wav": "link: leads out of the folder",
        "calls/circle.wav": "link: leads nowhere",
        "more": "link: a link to a folder is not followed",
        "calls/inside.wav": "duplicate: the same bytes as",
        "calls/pipe.wav": "unreadable: not a regular file",
        "calls/lost.txt": "transcript: no recording of this name",
        "calls/notes.pdf": "format: neither audio nor a transcript",
        "calls/said.wav": "transcript: said.txt: line 1: expected 'user: ...'",
        "calls/twice.wav": "transcript: both a .txt and a .json",
        "calls/\\xff.wav": "recording: one channel",
    }
    for source, reason in wanted.items():
        assert any(said.startswith(reason) for said in reasons_of(tmp_path, source)), source
    assert summary.conversations == 1  # the copy, which comes first by name
    with (tmp_path / "out" / "report.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["source"] for row in table] == [row["source"] for row in rows_of(tmp_path)]
    assert str(tmp_path) not in (tmp_path / "out" / "report.jsonl").read_text()


def test_a_file_name_is_no_formula(
    run: Callable[..., Summary], folder: Path, tmp_path: Path
) -> None:
    (folder / "=HYPERLINK(1).txt").touch()
    run()
    assert "'=HYPERLINK" in (tmp_path / "out" / "report.csv").read_text()


def snapshot(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_it_goes_on_where_it_was_interrupted(
    run: Callable[..., Summary], folder: Path, tmp_path: Path, conversation: Audio
) -> None:
    add(folder, "calls/two.wav", conversation[: 6 * SAMPLE_RATE_HZ])
    whole_summary = run()
    whole = snapshot(tmp_path / "out")

    heard = 0

    def counts(_: Audio) -> str:
        nonlocal heard
        heard += 1
        if heard == 3:
            raise KeyboardInterrupt
        return QUESTION

    out = tmp_path / "out"
    (record,) = [p for p in (out / "records").iterdir() if "two.wav" in p.read_text()]
    record.unlink()
    (out / "manifest.jsonl").unlink()
    assert run(ears=Ears(counts)) is not None  # only the second is heard again: two turns
    assert heard == 2
    for path in (out / "records").iterdir():
        path.write_text(path.read_text()[:-20])  # torn
    with pytest.raises(KeyboardInterrupt):
        run(ears=Ears(counts))
    assert run() == whole_summary
    assert snapshot(out) == whole


def test_what_is_gone_or_changed_is_not_kept(
    run: Callable[..., Summary], folder: Path, tmp_path: Path, conversation: Audio
) -> None:
    two = add(folder, "calls/two.wav", conversation[: 6 * SAMPLE_RATE_HZ])
    assert run().conversations == 2
    two.unlink()
    assert run().conversations == 1
    assert len(list((tmp_path / "out" / "audio").rglob("*.flac"))) == 6
    strict = run(limits=Limits(least_snr_db=90.0))
    assert strict.reasons["snr"] == 4
    assert list((tmp_path / "out" / "audio").rglob("*.flac")) == []


def test_a_fault_of_ours_stops_nothing_and_is_tried_again(
    run: Callable[..., Summary], folder: Path, tmp_path: Path, conversation: Audio
) -> None:
    add(folder, "calls/two.wav", conversation[: 6 * SAMPLE_RATE_HZ])
    calls = 0

    def breaks_once(_: Audio) -> str:
        nonlocal calls
        calls += 1
        return QUESTION if calls > 1 else [][0]

    first = run(ears=Ears(breaks_once))
    assert (first.errors, first.conversations) == (1, 1)
    assert "internal: IndexError: list index out of range" in reasons_of(tmp_path, "calls/one.wav")
    again = run()
    assert (again.errors, again.conversations) == (0, 2)


def test_speakers_of_two_splits_do_not_make_a_conversation(
    run: Callable[..., Summary], tmp_path: Path
) -> None:
    run(SPEAKERS + "    split: validation\n")
    assert "split: speakers of train and validation" in " ".join(
        reasons_of(tmp_path, "calls/one.wav")
    )


def test_the_output_folder_must_be_its_own(
    folder: Path, tmp_path: Path, write_speakers: WriteSpeakers
) -> None:
    people, file = write_speakers()
    with pytest.raises(PrepareError, match="outside the recordings"):
        prepare(folder, folder / "out", people, file)
    with pytest.raises(PrepareError, match="not made by this command"):
        prepare(folder, tmp_path, people, file)


def test_vad_finds_the_turns(conversation: Audio) -> None:
    from sts_core.asr.vad import speech_spans

    spans = speech_spans(np.ascontiguousarray(conversation[:, 0]))
    starts = [0.55, 6.25, 7.95]  # the second question has a pause in it
    assert [span.start_s for span in spans] == pytest.approx(starts, abs=0.03)
    assert speech_spans(np.zeros(SAMPLE_RATE_HZ, np.float32)) == []
    assert speech_spans(np.zeros(0, np.float32)) == []
    rng = np.random.default_rng(0)
    hiss = (0.01 * rng.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)
    assert speech_spans(hiss) == []
    assert all(isinstance(span, Span) for span in spans)
