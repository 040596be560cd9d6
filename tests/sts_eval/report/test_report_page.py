"""The whole page: what it says, what it refuses, how large it gets, and that it repeats."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sts_eval.baseline import accept
from sts_eval.compare import compare
from sts_eval.observation import Outcome, Status
from sts_eval.record import Mark, RunRecord, Word, load_run
from sts_eval.report import Budget, build_comparison, build_report, write_comparison, write_report
from sts_eval.report.findings import Findings

RunFactory = Callable[[Path], RunRecord]
MUTE = Budget(sound_bytes=0)
ONSET_NAME = "response_onset_audio_ms"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028&\"'"


class Elements(HTMLParser):
    """Every tag with its attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture
def run(tmp_path: Path, run_factory: RunFactory) -> tuple[RunRecord, Path]:
    return run_factory(tmp_path), tmp_path


def test_verdict_and_gates_in_plain_words(run: tuple[RunRecord, Path]) -> None:
    text = Elements(build_report(*run, MUTE)).text
    assert "Fail. One of 3 gates is not met: response onset (95th percentile) is 1,751 ms" in text
    assert "One more could not be decided." in text
    assert text.index("Response onset (95th") < text.index("Questions answered")
    assert "8 cases cannot decide it" in text
    assert "at most +2 ms from the baseline" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdicts": []}, "Measured. 8 scenarios were measured; this suite sets no gate."),
        ({"exit_code": 4}, "Error. The target or the harness failed in 0 of 8 scenarios."),
        ({"state": "partial"}, "Unfinished. The run was interrupted; 8 scenarios"),
    ],
)
def test_other_verdicts(run: tuple[RunRecord, Path], change: dict, words: str) -> None:
    record = run[0].model_copy(update=change)
    assert words in Elements(build_report(record, run[1], MUTE)).text


def test_all_gates_met(run: tuple[RunRecord, Path]) -> None:
    met = [each.model_copy(update={"outcome": Outcome.PASS}) for each in run[0].verdicts]
    record = run[0].model_copy(update={"verdicts": met})
    assert (
        "Pass. All 3 gates are met on 8 scenarios."
        in Elements(build_report(record, run[1], MUTE)).text
    )


def test_errors_are_in_the_first_sentence_and_listed(run: tuple[RunRecord, Path]) -> None:
    run[0].scenarios[0].status = "error"
    run[0].scenarios[0].error = "the target exited with status 1"
    text = Elements(build_report(*run, MUTE)).text
    assert "1 scenario ended in an error." in text
    assert "Scenarios in error af_nova-question-000 the target exited with status 1" in text


def test_every_number_stands_with_its_interval_and_n(run: tuple[RunRecord, Path]) -> None:
    text = Elements(build_report(*run, MUTE)).text
    assert "830 ms 706 to 930 ms 7" in text
    assert "p95 of 7 observations has no upper bound" in text
    assert "1 not measured: no agent speech" in text
    assert "20 ms 17 to 22.4 ms 7" in text  # the judge's error


def test_the_accepted_baseline_is_drawn_beside_the_run(run: tuple[RunRecord, Path]) -> None:
    record, folder = run
    assert "baseline p95:" not in Elements(build_report(record, folder, MUTE)).text
    record.baseline = accept(record)
    text = Elements(build_report(record, folder, MUTE)).text
    assert "baseline p95: 1,751 ms" in text
    assert "Baseline 830 ms." in text


def test_a_metric_with_values_by_condition_only_is_measured(run: tuple[RunRecord, Path]) -> None:
    record, folder = run
    by_snr = [e for e in record.estimates if e.metric != ONSET_NAME or "snr_db" in e.slice]
    partial = record.model_copy(update={"estimates": by_snr, "observations": []})
    page = build_report(partial, folder, MUTE)
    section = page.partition('id="metric-response_onset_audio_ms"')[2].partition("</article>")[0]
    assert "Nothing was measured" not in section
    assert "whole run" not in section
    assert re.search(r'<details class="breakdown" open>', section)
    overview = page.partition('<table class="overview">')[2].partition("</table>")[0]
    (row,) = [r for r in overview.split("<tr>") if "Response onset" in r]
    assert "by snr" in row.lower()
    assert "not measured" not in row


def test_links_inside_the_page_have_a_target(run: tuple[RunRecord, Path]) -> None:
    tags = Elements(build_report(*run, MUTE)).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    links = {attrs["href"] for _, attrs in tags if (attrs.get("href") or "").startswith("#")}
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link} <= set(ids)
    assert "#s-bm_george-question-003" in links


def test_files_beside_the_page_exist(run: tuple[RunRecord, Path]) -> None:
    tags = Elements(build_report(*run, MUTE)).tags
    files = [attrs["href"] for _, attrs in tags if (attrs.get("href") or "").startswith("./")]
    assert len(files) == 16
    assert all((run[1] / file).exists() for file in files if file)


def test_nothing_is_loaded_and_nothing_inline_can_run(run: tuple[RunRecord, Path]) -> None:
    page = build_report(*run, MUTE)
    for tag, attrs in Elements(page).tags:
        assert not attrs.keys() & {"style", "src", "srcset"}, (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'; script-src 'sha256-" in page.replace("&#39;", "'")


def test_hostile_names_stay_text(tmp_path: Path, run_factory: RunFactory) -> None:
    record = run_factory(tmp_path)
    scenario = record.scenarios[0]
    old = scenario.id
    record.suite |= {"suite": HOSTILE, "question": HOSTILE}
    record.target |= {"name": HOSTILE, "spec": HOSTILE, HOSTILE: HOSTILE}
    record.environment[HOSTILE] = HOSTILE
    record.notes.append(HOSTILE)
    for field in ("id", "title", "user_text", "agent_text", "heard_text", "error", "kind"):
        setattr(scenario, field, HOSTILE)
    scenario.conditions[HOSTILE] = HOSTILE
    scenario.words.append(Word(text=HOSTILE, start_s=1, end_s=2))
    scenario.marks.append(Mark(label=HOSTILE, start_s=1))
    record.observations = [
        each.model_copy(update={"scenario_id": HOSTILE, "slices": {HOSTILE: HOSTILE}})
        if each.scenario_id == old
        else each
        for each in record.observations
    ]
    spec = dict.fromkeys(("title", "meaning", "method", "limits", "origin", "source"), HOSTILE)
    record.metrics = [each.model_copy(update=spec) for each in record.metrics]
    verdict = {"gate": HOSTILE, "reason": HOSTILE, "worst": (HOSTILE, "no such scenario")}
    record.verdicts = [each.model_copy(update=verdict) for each in record.verdicts]
    record.judges[0].name = record.judges[0].note = HOSTILE
    for page in (
        build_report(record, tmp_path, MUTE),
        build_comparison(record, record, compare(record, record), (tmp_path, tmp_path), MUTE),
    ):
        elements = Elements(page)
        assert "img" not in {tag for tag, _ in elements.tags}
        assert not [attrs for _, attrs in elements.tags if "onerror" in attrs]
        assert "<img" not in page
        assert page.count("</script>") == page.count("<script")
        assert "alert(1)" in elements.text


def test_rebuilding_gives_the_same_bytes(run: tuple[RunRecord, Path]) -> None:
    path = write_report(*run)
    first = path.read_bytes()
    assert path == run[1] / "report.html"
    write_report(load_run(run[1]), run[1])
    assert path.read_bytes() == first
    assert not list(run[1].glob(".*"))


def test_sixty_scenarios_stay_small(tmp_path: Path, run_factory: RunFactory) -> None:
    page = build_report(run_factory(tmp_path), tmp_path)
    sound = sum(map(len, re.findall(r'id="sound-\d+">([^<]*)<', page)))
    assert page.count('id="sound-') == 8
    assert len(page) / 8 * 60 * (15 / 8) < 20e6  # 60 scenarios of 15 s instead of 8 s
    assert sound < 0.9 * len(page)


def test_what_has_no_room_is_said(run: tuple[RunRecord, Path]) -> None:
    record, folder = run
    page = build_report(record, folder, Budget(cards=5, sound_bytes=150_000))
    text = Elements(page).text
    assert 0 < page.count('id="sound-') < 5
    assert sum(map(len, re.findall(r'id="sound-\d+">([^<]*)<', page))) <= 150_000
    assert "Of 8 scenarios the 5 most informative are shown." in text
    assert re.search(r"\d scenarios? have no listening copy", text)
    assert "3 further scenarios without evidence" in text
    assert 'id="s-bm_george-question-003"' in page  # the worst one has its place


def test_broken_traces_are_said_to_be_broken(run: tuple[RunRecord, Path]) -> None:
    record, folder = run
    traces = folder / "traces"
    first, second, third = (traces / Path(each.trace).name for each in record.scenarios[:3])
    first.unlink()
    second.with_suffix(".flac").write_bytes(third.with_suffix(".flac").read_bytes())
    third.write_text("{")
    record.scenarios[3].trace = "../outside.json"
    text = Elements(build_report(record, folder, MUTE)).text
    assert text.count("No waveform:") == 4
    assert "the audio is not what was recorded (hash differs)" in text
    assert "its trace lies outside of the run folder" in text


def test_a_run_without_anything(tmp_path: Path) -> None:
    record = RunRecord(
        schema="sts-eval/run/1",
        run_id="r",
        created="",
        suite={},
        suite_sha256="",
        target={},
        seed=0,
    )
    text = Elements(build_report(record, tmp_path, MUTE)).text
    assert "0 scenarios were measured" in text
    assert "No judge was used." in text


class TestFindings:
    def test_worst_first(self, run: tuple[RunRecord, Path]) -> None:
        findings = Findings(run[0])
        order = findings.order(run[0].scenarios)
        assert order[0].id == "bm_george-question-003"
        assert findings.states(order[0]) == ["worst", "beyond"]
        assert findings.states(order[-1]) == ["ok"]

    def test_errors_come_before_everything(self, run: tuple[RunRecord, Path]) -> None:
        last = run[0].scenarios[4]
        last.status, last.error = "error", "exited with 1"
        assert Findings(run[0]).order(run[0].scenarios)[0] is last

    def test_a_median_that_passed_accuses_no_scenario(self, run: tuple[RunRecord, Path]) -> None:
        record = run[0]
        median = record.verdicts[0].model_copy(
            update={
                "gate": "response_onset_audio_ms.p50 <= 850",
                "statistic": "p50",
                "outcome": Outcome.PASS,
            }
        )
        record.verdicts = [median]
        late = [o for o in record.observations if (o.value or 0) > 850]
        assert late
        assert not any(Findings(record).bad(each) for each in late)
        record.verdicts = [median.model_copy(update={"outcome": Outcome.FAIL})]
        assert all(Findings(record).bad(each) for each in late)

    def test_a_gate_on_a_slice_counts_only_there(self, run: tuple[RunRecord, Path]) -> None:
        record = run[0]
        gate = "response_onset_audio_ms{voice=bm_george}.p95 <= 800"
        record.verdicts = [record.verdicts[0].model_copy(update={"gate": gate})]
        findings = Findings(record)
        bad = {o.scenario_id for o in record.observations if findings.bad(o)}
        assert bad == {"bm_george-question-003"}


def test_comparison_holds_both_sides(tmp_path: Path, run_factory: RunFactory) -> None:
    a, b = run_factory(tmp_path / "a"), run_factory(tmp_path / "b")
    b.target["name"] = "core"
    b.observations = [
        each.model_copy(update={"value": (each.value or 0) + 90 + i})
        if each.metric == "response_onset_audio_ms" and each.status is Status.MEASURED
        else each
        for i, each in enumerate(b.observations)
    ]
    folders = (tmp_path / "a", tmp_path / "b")
    path = write_comparison(a, b, compare(a, b), folders, tmp_path / "comparison.html", MUTE)
    page = path.read_text(encoding="utf-8")
    text = Elements(page).text
    assert "What changed from cascade to core?" in text
    assert "B is worse." in text
    assert "Changed most:" in text
    assert page.count('id="data-') == 16
    assert "Lossless FLAC" not in text  # the page may lie anywhere: no link that could be wrong
    assert page == build_comparison(a, b, compare(a, b), folders, MUTE)


def test_comparison_of_runs_without_a_common_scenario(
    tmp_path: Path, run_factory: RunFactory
) -> None:
    a, b = run_factory(tmp_path / "a"), run_factory(tmp_path / "b")
    for scenario in b.scenarios:
        scenario.id += "-other"
    b.observations = [
        each.model_copy(update={"scenario_id": each.scenario_id + "-other"})
        for each in b.observations
    ]
    page = build_comparison(a, b, compare(a, b), (tmp_path / "a", tmp_path / "b"), MUTE)
    assert "Not comparable." in Elements(page).text
    assert 'id="data-' not in page
    folders = (tmp_path / "a", tmp_path / "b")
    whole = build_comparison(a, b, compare(a, b, paired=False), folders, MUTE)
    text = Elements(whole).text
    assert "of the two runs, each taken whole" in text
    assert "n = 7 and 7" in text
    assert "pairs" not in text
