"""Consent is a decision that somebody wrote down, or nothing happens."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from sts_core.recordings.speakers import AGENT, USER, Consent, Speaker, load_speakers
from sts_core.train.config import ConfigError

TODAY = datetime.date(2026, 6, 1)
GRANTED = {"status": "granted", "date": datetime.date(2026, 5, 4), "evidence": "form 17"}


def person(**consent: object) -> Speaker:
    return Speaker(user_in=("*",), consent=Consent(**consent) if consent else None)  # type: ignore[arg-type]


def load(tmp_path: Path, text: str) -> dict[str, Speaker]:
    file = tmp_path / "speakers.yaml"
    file.write_text(text)
    return load_speakers(file).by_name


@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        ({}, "no consent field"),
        ({"status": "unknown"}, "consent is unknown"),
        ({"status": "refused"}, "consent is refused"),
        ({"status": "withdrawn"}, "consent is withdrawn"),
        (GRANTED | {"scope": ("voice",)}, "does not cover training"),
        (GRANTED | {"scope": ("training",), "until": datetime.date(2026, 5, 31)}, "ended on"),
        (GRANTED | {"scope": ("training",), "date": datetime.date(2026, 6, 2)}, "yet to come"),
    ],
)
def test_who_is_left_out(consent: dict[str, object], reason: str) -> None:
    assert reason in str(person(**consent).refusal(USER, TODAY))


def test_consent_holds_on_its_first_and_last_day() -> None:
    for first, last in ((TODAY, None), (GRANTED["date"], TODAY)):
        given = GRANTED | {"scope": ("training",), "date": first, "until": last}
        assert person(**given).refusal(USER, TODAY) is None


def test_an_agent_is_imitated_and_must_have_agreed_to_that() -> None:
    assert person(**GRANTED, scope=("training",)).refusal(USER, TODAY) is None
    assert "cover voice" in str(person(**GRANTED, scope=("training",)).refusal(AGENT, TODAY))
    assert person(**GRANTED, scope=("training", "voice")).refusal(AGENT, TODAY) is None


def test_a_speakers_file(tmp_path: Path) -> None:
    people = load(
        tmp_path,
        "speakers:\n"
        "  ann:\n"
        "    user_in: ['calls/*.wav']\n"
        "    consent: {status: granted, scope: [training], date: 2026-05-04, evidence: form 17}\n"
        "  bob: {agent_in: [calls/*], split: validation, lang: de, consent: unknown}\n"
        "  eve: {user_in: [eve/*]}\n",
    )
    assert people["ann"].consent == Consent(
        "granted", ("training",), datetime.date(2026, 5, 4), "form 17"
    )
    assert people["bob"].consent == Consent("unknown")
    assert (people["bob"].split, people["bob"].lang) == ("validation", "de")
    assert people["eve"].consent is None
    assert people["ann"].speaks_in("calls/one.wav", USER)
    assert not people["ann"].speaks_in("calls/one.wav", AGENT)
    assert not people["ann"].speaks_in("calls/one.flac", USER)


@pytest.mark.parametrize(
    ("person", "message"),
    [
        ("consent: granted", "granted consent needs scope, date, evidence"),
        ("consent: {status: granted, scope: [training], date: 2026-05-04, evidence: ' '}", "evid"),
        ("consent: {status: granted, scope: [training], date: soon, evidence: x}", "must be date"),
        ("consent: {status: granted, scope: [all], date: 2026-05-04, evidence: x}", "not all"),
        ("consent: {status: yes}", "must be str"),
        ("consent: maybe", "status must be one of"),
        ("consent:", "status must be one of"),
        ("consent: [granted]", "expected 'key: value' lines"),
        ("concent: unknown", "did you mean 'consent'"),
        ("split: '../x'", "no name of a split"),
        ("user_in: x.wav", "must be a list"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, person: str, message: str) -> None:
    text = f"speakers:\n  ann:\n    agent_in: ['*']\n    {person}\n"
    with pytest.raises(ConfigError, match=r"speakers\.yaml:[34]: ") as error:
        load(tmp_path, text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 'key: value'"),
        ("people: {ann: {}}", "expected one key, 'speakers'"),
        ("speakers: {}", "expected 'key: value'"),
        ("speakers: {ann: {consent: unknown}}", "needs user_in or agent_in"),
        ("speakers: {../ann: {user_in: ['*']}}", "letters, digits"),
        ("speakers:\n  a: {user_in: [x]}\n  a: {user_in: [y]}\n", "given twice"),
        ("speakers: {a: &x [*x]}", "expected 'key: value'"),
        ("speakers: !!python/object:os.system {}", "expected 'key: value'"),
        ("speakers: {\x00", "speakers.yaml"),
    ],
)
def test_files_that_are_no_speakers_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert message in str(error.value)
