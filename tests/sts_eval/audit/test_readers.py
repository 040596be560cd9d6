"""Readers on small folders in the layouts of the real downloads."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sts_eval.audit import AuditError
from sts_eval.audit.items import Item
from sts_eval.audit.readers import READERS, read
from sts_eval.registry import RegistryError

Make = Callable[[dict[str, str], list[str]], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes protocols and empty recordings into a folder."""

    def write(texts: dict[str, str], audio: list[str]) -> Path:
        for name, text in {**texts, **dict.fromkeys(audio, "")}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return tmp_path

    return write


LA19 = "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt"
LA19_ROWS = "LA_0069 LA_D_1047731 - - bonafide\nLA_0070 LA_D_2 - A05 spoof\n"
LA19_AUDIO = [f"ASVspoof2019_LA_dev/flac/{n}.flac" for n in ("LA_D_1047731", "LA_D_2")]


def test_asvspoof_2019_la(make: Make) -> None:
    genuine, fake = read("asvspoof2019_la", make({LA19: LA19_ROWS}, LA19_AUDIO), "dev")
    assert (genuine.label, genuine.speaker, genuine.attack) == ("bonafide", "LA_0069", "")
    assert genuine.bonafide
    assert genuine.path.name == "LA_D_1047731.flac"
    assert (fake.attack, fake.family, fake.codec) == ("A05", "vocoder", "none")


def test_asvspoof_2021_la_takes_the_channel_and_both_ways_to_write_bonafide(make: Make) -> None:
    rows = (
        "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval\n"
        "LA_0009 LA_E_1 none loc_tx bonafide bonafide notrim eval\n"
        "LA_0010 LA_E_2 pstn mad_tx - bonafide notrim progress\n"
    )
    audio = [f"ASVspoof2021_LA_eval/flac/LA_E_{n}.flac" for n in ("9332881", "1", "2")]
    root = make({"keys/LA/CM/trial_metadata.txt": rows}, audio)
    items = read("asvspoof2021_la", root)
    assert [item.codec for item in items] == ["alaw/ita_tx", "none", "pstn/mad_tx"]
    assert [item.attack for item in items] == ["A07", "", ""]
    assert [item.subset for item in read("asvspoof2021_la", root, "progress")] == ["progress"]


def test_asvspoof_2021_df_has_thirteen_columns_and_vocoder_families(make: Make) -> None:
    rows = (
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress "
        "traditional_vocoder - - - -\n"
        "TEF2 DF_E_3 low_m4a vcc2020 - bonafide notrim eval bonafide - - - -\n"
    )
    audio = [f"ASVspoof2021_DF_eval/flac/DF_E_{n}.flac" for n in ("2000011", "3")]
    fake, genuine = read("asvspoof2021_df", make({"keys/DF/CM/trial_metadata.txt": rows}, audio))
    assert (fake.family, fake.attack, fake.codec) == ("traditional_vocoder", "A14", "none")
    assert (genuine.family, genuine.speaker, genuine.codec) == ("", "TEF2", "low_m4a")


ASV5_ROWS = (
    "E_1 E_0000000001 F - 0 - AC1 A17 spoof -\n"
    "E_1 E_0000000002 F C05 3 E_0000000001 AC1 A17 spoof -\n"
    "E_2 E_0000000003 M - - - - bonafide bonafide -\n"
)


def test_asvspoof_5_groups_coded_copies_with_their_original(make: Make) -> None:
    audio = [f"flac_E_eval/E_000000000{n}.flac" for n in (1, 2, 3)]
    first, copy, genuine = read("asvspoof5", make({"ASVspoof5.eval.track_1.tsv": ASV5_ROWS}, audio))
    assert first.group == copy.group == "E_0000000001"
    assert (first.codec, copy.codec) == ("none", "C05")
    assert copy.attack == "A17"  # the label, not the tag AC1
    assert (genuine.label, genuine.group) == ("bonafide", "E_0000000003")


def test_asvspoof_5_of_the_challenge_phase_has_six_columns(make: Make) -> None:
    rows = "T_1 T_1 F - A05 spoof\nT_2 T_2 M - bonafide bonafide\n"
    audio = ["ASVspoof5_train/flac_T/T_1.flac", "ASVspoof5_train/flac_T/T_2.flac"]
    root = make({"ASVspoof5_protocols/ASVspoof5.train.tsv": rows}, audio)
    fake, genuine = read("asvspoof5", root, "train")
    assert (fake.attack, fake.group) == ("A05", "T_1")
    assert genuine.bonafide


def test_in_the_wild_writes_bona_fide_with_a_hyphen(make: Make) -> None:
    meta = "file,speaker,label\n0.wav,Alec Guinness,spoof\n4.wav,Christopher Hitchens,bona-fide\n"
    fake, genuine = read("in_the_wild", make({"meta.csv": meta}, ["0.wav", "4.wav"]))
    assert (fake.speaker, fake.attack) == ("Alec Guinness", "unknown")
    assert genuine.bonafide


def test_mlaad_with_and_without_meta(make: Make) -> None:
    meta = (
        "path|original_file|language|model_name|architecture|transcript\n"
        './fake/de/vits/a_1.wav|de_DE/m/karlsson/b/a_1.wav|de|tts/vits|VITS|Er sagte: "ja\n'
        "./fake/de/vits/a_2.wav|de_DE/m/karlsson/b/a_2.wav|de|tts/vits|VITS|nein\n"
    )
    audio = ["fake/de/vits/a_1.wav", "fake/de/vits/a_2.wav", "fake/en/bark/x.wav"]
    items = read("mlaad", make({"fake/de/vits/meta.csv": meta}, audio))
    assert [item.family for item in items] == ["VITS", "VITS", "bark"]
    assert [item.attack for item in items] == ["tts/vits", "tts/vits", "bark"]
    assert items[0].group == "de_DE/m/karlsson/b/a_1.wav"
    assert [item.subset for item in items] == ["de", "de", "en"]
    assert not any(item.bonafide for item in items)


def test_spoofceleb(make: Make) -> None:
    meta = "file,speaker,attack\na00/id1/x.flac,id1,a00\na06/id1/x.flac,id1,a06\n"
    audio = ["flac/development/a00/id1/x.flac", "flac/development/a06/id1/x.flac"]
    root = make({"metadata/development.csv": meta}, audio)
    genuine, fake = read("spoofceleb", root, "development")
    assert (genuine.label, genuine.attack) == ("bonafide", "")
    assert (fake.label, fake.attack, fake.speaker) == ("spoof", "a06", "id1")


def test_codecfake_of_xie_groups_resyntheses_with_their_source(make: Make) -> None:
    rows = "SSB13650058.wav real 0\nF01_SSB13650058.wav fake 1\np225_001.wav real 0\n"
    audio = ["dev/SSB13650058.wav", "dev/F01_SSB13650058.wav", "dev/p225_001.wav"]
    genuine, fake, other = read("codecfake_xie", make({"label/dev.txt": rows}, audio), "dev")
    assert genuine.group == fake.group
    assert (genuine.speaker, other.speaker) == ("SSB1365", "p225")
    assert (fake.attack, fake.speaker) == ("F01", "SSB1365")


def test_codecfake_of_wu_is_a_flat_folder(make: Make) -> None:
    (item,) = read("codecfake_wu", make({}, ["processed/encodec_24khz+p272_103.wav"]))
    assert (item.attack, item.speaker, item.group) == ("encodec_24khz", "p272", "p272_103")


PROTOCOL_MISTAKES = [
    ("LA_1 LA_D_2 - A05\n", r"trl\.txt:3: 4 columns, expected 5"),
    ("LA_1 LA_D_2 - A05 fake\n", r"trl\.txt:3: unknown label 'fake'"),
    ("LA_1 LA_D_2 - - spoof\n", r"trl\.txt:3: attack '-' contradicts the label 'spoof'"),
    ("LA_1 LA_D_2 - A05 bonafide\n", r"trl\.txt:3: attack 'A05' contradicts"),
    ("LA_1 LA_D_2 - A05 spoof\n", r"trl\.txt:3: LA_D_2\.flac is a duplicate of .*trl\.txt:2"),
    ("LA_1 LA_D_9 - A05 spoof\n", r"trl\.txt:3: recording .*LA_D_9\.flac is missing"),
]


@pytest.mark.parametrize(("row", "message"), PROTOCOL_MISTAKES)
def test_mistakes_name_file_and_line(make: Make, row: str, message: str) -> None:
    root = make({LA19: LA19_ROWS + row}, LA19_AUDIO)
    with pytest.raises(AuditError, match=message):
        read("asvspoof2019_la", root, "dev")


@pytest.mark.parametrize(
    ("corpus", "texts", "message"),
    [
        ("asvspoof2019_la", {}, r"eval\.trl\.txt: No such file"),
        ("asvspoof2021_la", {}, r"none of these exists: .*trial_metadata\.txt"),
        ("asvspoof5", {"ASVspoof5.eval.track_1.tsv": ""}, r"none of these exists: .*flac_E_eval"),
        (
            "asvspoof5",
            {"ASVspoof5.eval.track_1.tsv": "E_1 E_1 F - -\n", "flac_E_eval/x": ""},
            r"track_1\.tsv:1: 5 columns, expected 10 or 6",
        ),
        ("in_the_wild", {"meta.csv": "0.wav,A,spoof\n"}, r"meta\.csv:1: the header must be"),
        ("in_the_wild", {"meta.csv": "\n\n"}, r"meta\.csv: the file is empty"),
        (
            "in_the_wild",
            {"meta.csv": "file,speaker,label\n0.wav,A,bonafide\n"},
            r"meta\.csv:2: unknown label 'bonafide' - did you mean 'bona-fide'\?",
        ),
        (
            "in_the_wild",
            {"meta.csv": "file,speaker,label\n../0.wav,A,spoof\n"},
            r"meta\.csv:2: '\.\./0\.wav' leads out of",
        ),
        ("mlaad", {}, "no folders LANGUAGE/MODEL"),
        ("mlaad", {"fake/en/bark/readme": ""}, "bark: no recordings"),
        ("mlaad", {"fake/en/bark/meta.csv": "path|x\n"}, r"meta\.csv:1: .*no column original_file"),
        (
            "spoofceleb",
            {"metadata/evaluation.csv": "file,speaker,attack\na00/x.flac,id1\n"},
            r"evaluation\.csv:2: 2 columns, 3 in the header",
        ),
        (
            "codecfake_xie",
            {"label/train.txt": "F01_a.wav fake 2\n"},
            r"train\.txt:1: class 2 contradicts the name 'F01_a\.wav'",
        ),
        (
            "codecfake_xie",
            {"label/train.txt": "a.wav real 1\n"},
            r"train\.txt:1: class '1' contradicts the label 'real'",
        ),
        ("codecfake_wu", {"p272_103.wav": ""}, r"p272_103\.wav: the name is not of the form"),
        ("codecfake_wu", {}, "no recordings CODEC"),
    ],
)
def test_unusable_folders(make: Make, corpus: str, texts: dict[str, str], message: str) -> None:
    with pytest.raises(AuditError, match=message):
        read(corpus, make(texts, []))


def test_unknown_corpora_and_subsets_name_the_candidates(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="did you mean 'asvspoof5'"):
        read("asvspoof_5", tmp_path)
    with pytest.raises(AuditError, match="unknown subset 'test'"):
        read("asvspoof5", tmp_path, "test")


def test_every_registered_reader_loads() -> None:
    assert all(callable(READERS.load(name)) for name in READERS.entries())
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in READERS.entries())


def test_an_item_is_immutable(tmp_path: Path) -> None:
    item = Item(tmp_path, "spoof", "s", "a", "f", "none", "g", "c")
    with pytest.raises(AttributeError):
        item.label = "bonafide"  # type: ignore[misc]
