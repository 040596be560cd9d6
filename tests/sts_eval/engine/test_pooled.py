"""Pooled analyses: called once per kind, joined to the run, gated by interval, never a lost run."""

import pytest

from sts_eval import runner
from sts_eval.compare import compare
from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Outcome, Status
from sts_eval.planning import RunOptions
from sts_eval.probes import KINDS, Pooled
from sts_eval.probes.latency import QuestionKind
from sts_eval.record import Cell, Chart, Point, Section, Series, Table, load_run
from sts_eval.runner import Progress
from sts_eval.trace import load_trace

SUITE = """\
suite: tiny
question: Does the pool work?
seed: 5
target: scripted
judges: {asr: none, vad: energy}
min_n: 2
cold_starts: 0
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 1}
    listen_s: 1.5
gates:
  - separation.mean >= 0.2
  - separation.mean >= 0.5
  - separation.mean >= 0.9
  - loudness_rate <= 0.9
"""


def spec(name: str, statistics: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(
        name=name,
        title=name,
        unit="ratio",
        direction="higher",
        statistics=statistics,
        version=1,
        meaning="It means.",
        method="By hand.",
        limits="Everything.",
    )


SEPARATION, LOUDNESS = spec("separation", ("mean",)), spec("loudness_rate", ("rate",))


def finished(**changes) -> Estimate:
    fields = {
        "metric": "separation",
        "statistic": "mean",
        "value": 0.5,
        "lo": 0.3,
        "hi": 0.7,
        "n": 4,
        "unit": "ratio",
        "direction": "higher",
        "method": "permutation",
        "version": 1,
    }
    return Estimate(**{**fields, **changes})


def section(scenario_id: str) -> Section:
    points = [
        Point(x=1.0, y=0.25, lo=0.1, hi=0.4, label="<b>x</b>", scenario_id=scenario_id),
        Point(x=2.0, y=None, label="no speech"),
        Point(x=3.0, y=0.75),
    ]
    named = [Point(x=f"<i>{n}", y=n - 1.0, lo=n - 1.5, hi=n - 0.5) for n in range(3)]
    drawn = (
        ("line", "A line", "x", [Series(name="s", points=points)]),
        ("scatter", "Dots", "x", [Series(name="s", points=points)]),
        ("bar", "Bars", "<u>", [Series(name="s", points=named)]),
        ("heatmap", "Heat", "x", [Series(name="<s>", points=named)]),
        ("line", "Empty", "x", []),
    )
    charts = [
        Chart(kind=kind, title=title, x_label=x_label, y_label="y", series=series)
        for kind, title, x_label, series in drawn
    ]
    rows = [[Cell(text="<script>alert(1)</script>", scenario_id=scenario_id), "1"]]
    table = Table(title="T <b>", columns=["what", "n"], rows=rows)
    said = ["One `code` and <img src=x>"]
    return Section(id="sep", title="Sep <x>", paragraphs=said, tables=[table], charts=charts)


class PoolingKind(QuestionKind):
    """Questions with a pooled analysis made by hand. The workers run plain questions."""

    metrics = (*QuestionKind.metrics, SEPARATION, LOUDNESS)

    def pool(self, items, context):
        assert all(item.scenario.id == item.result.id and item.observations for item in items)
        assert all(load_trace(item.trace).agent.size for item in items)
        assert context.target["name"] == "scripted"
        assert [block.listen_s for block in context.blocks] == [1.5]
        assert context.stimuli.items
        loud = [
            Observation(
                metric="loudness_rate",
                scenario_id=item.scenario.id,
                status=Status.MEASURED,
                value=0.0,
            )
            for item in items
        ]
        return Pooled(loud, [finished()], [section(items[0].scenario.id)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recorded run of the suite, not yet scored."""
    monkeypatch.setitem(KINDS, "question", PoolingKind)
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return runner.start_run(RunOptions(suite=path, out=tmp_path / "reports"), Progress())


def score(folder):
    return runner.score_run(folder, Progress(), judge_reports=False)


def test_what_the_pool_found_stands_in_the_run(folder):
    record = score(folder)
    assert record == load_run(folder)
    assert record.pooled == ["separation"]
    assert [e for e in record.estimates if e.metric == "separation"] == [finished()]
    loud = next(e for e in record.estimates if e.metric == "loudness_rate")
    assert (loud.value, loud.n) == (0.0, 4)  # its observations were estimated as usual
    onset = next(e for e in record.estimates if e.metric == "response_onset_audio_ms")
    assert onset.n == 4
    assert [each.id for each in record.sections] == ["sep"]
    assert record.failures == []


def test_finished_estimates_are_gated_by_their_interval(folder):
    record = score(folder)
    outcomes = [verdict.outcome for verdict in record.verdicts]
    assert outcomes[:3] == [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]
    assert record.verdicts[0].p_value is None
    assert "even the favourable end is not at least 0.9" in record.verdicts[2].reason
    assert record.exit_code == 1


@pytest.mark.parametrize(
    ("estimate", "outcome", "reason"),
    [
        (finished(lo=None, hi=None), Outcome.INCONCLUSIVE, "no interval"),
        (finished(value=None, lo=None, hi=None, reason="one voice"), Outcome.INCONCLUSIVE, "voice"),
        (finished(n=1), Outcome.INCONCLUSIVE, "only 1 value;"),
        (finished(slice={"q": "1"}), Outcome.INCONCLUSIVE, "it did: separation{q=1}.mean"),
        (finished(n_error=1), Outcome.INCONCLUSIVE, "1 of 5 observations are errors"),
    ],
)
def test_what_a_finished_estimate_lacks_decides_nothing(
    folder, monkeypatch, estimate, outcome, reason
):
    monkeypatch.setattr(PoolingKind, "pool", lambda *_: Pooled(estimates=[estimate]))
    verdict = score(folder).verdicts[0]
    assert verdict.outcome is outcome
    assert reason in verdict.reason


def test_a_pooled_metric_has_no_pairs(folder):
    record = score(folder)
    comparison = compare(record, record)
    row = next(row for row in comparison.rows if row.metric == "separation")
    assert row.change == "not comparable"
    assert "pooled" in row.reason
    assert (row.a, row.b) == (finished(), finished())


def fails(self, items, context):
    raise RuntimeError("no voice <b>at all</b>")


def test_a_pool_that_raises_is_a_failure_and_not_a_lost_run(folder, monkeypatch):
    monkeypatch.setattr(PoolingKind, "pool", fails)
    record = score(folder)
    assert record.exit_code == 4
    assert record.failures == [
        "the pooled analysis of 'question' failed: RuntimeError: no voice <b>at all</b>"
    ]
    assert len(record.scenarios) == 4
    assert all(v.outcome is Outcome.INCONCLUSIVE for v in record.verdicts)
    page = (folder / "report.html").read_text()
    assert "no voice &lt;b&gt;at all&lt;/b&gt;" in page
    assert "The harness failed" in (folder / "summary.md").read_text()
    assert "RuntimeError" in (folder / "junit.xml").read_text()
    assert load_run(folder).exit_code == 4


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Pooled(estimates=[finished(metric="unheard_of")]), "'unheard_of' is not a metric"),
        (Pooled(estimates=[finished(statistic="p50")]), "is not a statistic"),
        (Pooled(estimates=[finished(version=2)]), "not of version 2"),
        (Pooled(sections=[section("a"), section("b")]), "two sections have the id 'sep'"),
    ],
)
def test_what_cannot_stand_in_a_record_is_a_failure(folder, monkeypatch, found, message):
    monkeypatch.setattr(PoolingKind, "pool", lambda *_: found)
    record = score(folder)
    assert message in record.failures[0]
    assert record.exit_code == 4


def test_the_page_shows_sections_and_nothing_in_them_is_markup(folder):
    record = score(folder)
    page = (folder / "report.html").read_text()
    body = page[page.index('id="section-sep"') :]
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "Sep &lt;x&gt;" in body
    assert "<code>code</code> and &lt;img src=x&gt;" in body
    for text in ("<i>0", "<b>x</b>", "<u>", "<s>", "T <b>"):
        assert text not in body[: body.index('id="evidence"')]
    assert f'<a href="#s-{record.scenarios[0].id}"' in body
    assert 'href="#section-sep">Analysis' in page
    assert "Nothing to draw" in body  # the chart without series
    assert body.count("mark-shape") >= 4  # two points measured, in two charts
    assert "not measured" in body


def test_scoring_again_gives_the_same_bytes(folder):
    score(folder)
    before = {name: (folder / name).read_bytes() for name in ("run.json", "report.html")}
    score(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_charts_refuse_what_is_not_a_number():
    with pytest.raises(ValueError, match="finite"):
        Point(x=1.0, y=float("nan"))
    with pytest.raises(ValueError, match="has not 2 cells"):
        Table(title="t", columns=["a", "b"], rows=[["1"]])
    with pytest.raises(ValueError, match="pattern"):
        Section(id="<x>", title="t")
