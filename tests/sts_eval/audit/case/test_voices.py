"""voices.yaml: what is refused and where; consents; enrolling and forgetting."""

from __future__ import annotations

import datetime
import hashlib
import json
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sts_eval.audit.case.custody import read_log
from sts_eval.audit.case.parts import load_encoder
from sts_eval.audit.voices.consent import ConsentStatus, Use, check_evidence, evaluate
from sts_eval.audit.voices.enrolment import (
    EnrolmentError,
    enrol,
    forget,
    load_vectors,
    log_path,
    subject_id,
)
from sts_eval.audit.voices.schema import Consent, load_registry
from sts_eval.yamlfile import SuiteErrors

DAY = datetime.date(2026, 6, 1)
CONSENT = """\
schema: sts-eval/voices/1
# people we know
subjects:
  ada:
    name: Ada   # kept
    consents:
      - scope: [synthesis]
        purpose: [audiobook]
        from: 2026-01-01
        until: 2026-12-31
        evidence: {file: ada.txt, sha256: SHA}
"""


def write(tmp_path: Path, text: str = CONSENT) -> Path:
    (tmp_path / "ada.txt").write_text("I agree")
    path = tmp_path / "voices.yaml"
    path.write_text(text.replace("SHA", hashlib.sha256(b"I agree").hexdigest()))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scope:", "scop:", r"voices.yaml:7: unknown key 'scop' - did you mean 'scope'"),
        ("from:", "form:", r"voices.yaml:9: unknown key 'form' - did you mean 'from'"),
        ("until: 2026-12-31", "until: 2025-12-31", "`until` lies before `from`"),
        ("from: 2026-01-01", "from: soon", "voices.yaml:9: .*from"),
        ("from: 2026-01-01", "from: 20260101", "must be a date"),
        ("[synthesis]", "[synthesys]", "voices.yaml:7"),
        ("file: ada.txt", "file: ../ada.txt", "inside the folder of the registry"),
        ("file: ada.txt", "file: /etc/passwd", "inside the folder of the registry"),
        ("sha256: SHA", "sha256: abc", "voices.yaml:11"),
        ("  ada:", "  ../ada:", "subjects"),
        ("    name: Ada", "    nam: Ada", "did you mean 'name'"),
        ("/voices/1", "/voices/2", "voices.yaml:1"),
        ("subjects:", "subjects: &a", "not a mistake"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, CONSENT.replace(old, new, 1))
    if message == "not a mistake":
        load_registry(path)
        return
    with pytest.raises(SuiteErrors, match=message):
        load_registry(path)


def use(purpose: str = "audiobook", day: datetime.date = DAY, scope: str = "synthesis") -> Use:
    return Use(scope, purpose, day)  # type: ignore[arg-type]


def consent(**changes: object) -> Consent:
    values: dict[str, object] = {
        "scope": ["synthesis"],
        "purpose": ["audiobook"],
        "from": "2026-01-01",
        "evidence": {"file": "x", "sha256": "0" * 64},
    }
    return Consent.model_validate(values | changes)


@pytest.mark.parametrize(
    ("given", "asked", "status"),
    [
        (consent(), use(), "consented"),
        (consent(), use(""), "out of scope"),  # a use that was not declared is not assumed
        (consent(purpose=["any"]), use(""), "consented"),
        (consent(), use("advert"), "out of scope"),
        (consent(), use(scope="training"), "out of scope"),
        (consent(until="2026-06-01"), use(), "consented"),
        (consent(until="2026-05-31"), use(), "expired"),
        (consent(**{"from": "2026-06-02"}), use(), "expired"),
        (consent(revoked="2026-06-01"), use(), "revoked"),
        (consent(revoked="2026-06-02"), use(), "consented"),
        (consent(until="2026-05-01", revoked="2026-04-01"), use(), "revoked"),
    ],
)
def test_consent(given: Consent, asked: Use, status: str) -> None:
    assert evaluate([given], asked).status == status


def test_the_best_of_several_consents_counts_and_all_are_told() -> None:
    answer = evaluate([consent(revoked="2026-02-01"), consent()], use())
    assert answer.status == ConsentStatus.CONSENTED
    assert len(answer.reasons) == 2
    assert evaluate([], use()).status == ConsentStatus.NONE
    assert evaluate([consent()], use(), {0: "its evidence is missing"}).status == "none"


def test_evidence_is_checked(tmp_path: Path) -> None:
    registry = load_registry(write(tmp_path))
    assert check_evidence(registry, "ada") == {}
    (tmp_path / "ada.txt").write_text("I agreed")
    assert "has changed" in check_evidence(registry, "ada")[0]
    (tmp_path / "ada.txt").unlink()
    assert "is missing" in check_evidence(registry, "ada")[0]
    (tmp_path / "ada.txt").symlink_to("/etc/hostname")
    assert "leads out" in check_evidence(registry, "ada")[0]


def test_enrol_load_and_forget(tmp_path: Path, enrolment_files: dict[str, Path]) -> None:
    path, encoder = write(tmp_path), load_encoder("dvector")
    done = enrol(path, "Nova Voice", [enrolment_files["af_nova"]], encoder, today=DAY)
    assert (done.subject, done.expires) == ("nova-voice", datetime.date(2027, 6, 1))
    text = path.read_text()
    assert "# people we know" in text
    assert "name: Ada   # kept" in text
    registry = load_registry(path)
    vectors = load_vectors(registry, "nova-voice", encoder.label, DAY)
    assert vectors.shape[0] >= 3
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    file = registry.embeddings_file("nova-voice")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(EnrolmentError, match="expired on 2027-06-01"):
        load_vectors(registry, "nova-voice", encoder.label, done.expires)
    with pytest.raises(EnrolmentError, match="enrolled with"):
        load_vectors(registry, "nova-voice", "other 1", DAY)
    with pytest.raises(EnrolmentError, match="has no enrolment"):
        load_vectors(registry, "ada", encoder.label, DAY)
    # A second enrolment replaces the first and keeps the consents; an existing subject gets one.
    enrol(path, "ada", [enrolment_files["am_puck"]], encoder, today=DAY)
    assert len(load_registry(path).subjects["ada"].consents) == 1
    assert forget(path, "Nova Voice") == "nova-voice"
    assert not file.exists()
    assert "nova" not in path.read_text().lower()
    log = log_path(path)
    assert [entry.event for entry in read_log(log)] == ["enrolled", "enrolled", "forgotten"]
    assert "nova" not in log.read_text().lower()
    with pytest.raises(EnrolmentError, match="nobody"):
        forget(path, "nova-voice")


def test_changed_embeddings_are_refused(tmp_path: Path, enrolment_files: dict[str, Path]) -> None:
    path, encoder = tmp_path / "voices.yaml", load_encoder("dvector")
    enrol(path, "nova", [enrolment_files["af_nova"]], encoder, today=DAY)
    registry = load_registry(path)
    file = registry.embeddings_file("nova")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(EnrolmentError, match="have changed"):
        load_vectors(registry, "nova", encoder.label, DAY)
    file.unlink()
    with pytest.raises(EnrolmentError, match="cannot be read"):
        load_vectors(registry, "nova", encoder.label, DAY)


def test_poor_recordings_are_not_enrolled(
    tmp_path: Path, enrolment_files: dict[str, Path], speech: dict[str, np.ndarray]
) -> None:
    path, encoder = tmp_path / "voices.yaml", load_encoder("dvector")
    rng = np.random.default_rng(3)
    clean = speech["af_nova"][: 12 * 24_000]
    made = {
        "noisy": clean + 0.05 * rng.standard_normal(len(clean)),
        "clipped": np.clip(clean * 30, -1, 1),
        "short": clean[: 4 * 24_000],
        "silent": np.zeros(48_000),
    }
    expected = {
        "noisy": "SNR",
        "clipped": "clipped",
        "short": "s of speech in all",
        "silent": "no speech",
    }
    for name, samples in made.items():
        soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), 24_000)
        with pytest.raises(EnrolmentError, match=expected[name]):
            enrol(path, "nova", [tmp_path / f"{name}.wav"], encoder, today=DAY)
    both = list(enrolment_files.values())
    with pytest.raises(EnrolmentError, match="do not sound like the same speaker"):
        enrol(path, "nova", both, encoder, today=DAY)
    with pytest.raises(EnrolmentError, match="the same sound as"):
        enrol(path, "nova", [both[0], both[0]], encoder, today=DAY)
    assert load_registry(path).subjects == {}


def test_names_become_ids() -> None:
    assert subject_id("  Ada  Lovelace/../x ") == "ada-lovelace-x"
    assert subject_id("王小明") == "王小明"
    with pytest.raises(EnrolmentError, match="no letter"):
        subject_id("../")


def test_the_registry_holds_no_path_to_embeddings(tmp_path: Path) -> None:
    registry = load_registry(write(tmp_path))
    with pytest.raises(ValueError, match="not an id"):
        registry.embeddings_file("../../etc/x")
    assert json.loads(registry.model.model_dump_json())["subjects"]["ada"]["enrolment"] is None
