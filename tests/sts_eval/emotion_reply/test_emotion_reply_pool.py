"""What the replies of known agents come to: one that follows the tone, one that hears the words
only, one that always says the same, and one whose lists are not known."""

from pathlib import Path

import pytest

from sts_eval.observation import Observation, Status
from sts_eval.probes import PlanContext, PoolContext, PoolItem
from sts_eval.probes import emotion_reply_pool as pool
from sts_eval.probes.emotion_reply import ToneReplyBlock, ToneReplyKind
from sts_eval.probes.emotion_reply_specs import FOLLOWS, REPLIED
from sts_eval.probes.emotion_reply_voice import Voices
from sts_eval.record import ScenarioResult, Word
from sts_eval.scenario import Scenario
from sts_eval.stimuli import Stimuli
from sts_eval.trace import Span

KIND = ToneReplyKind()
SAY = {
    "neutral": "all right tell me more",
    "happy": "that is wonderful news",
    "sad": "i am sorry that sounds hard",
    "angry": "i understand why you are upset",
}


@pytest.fixture(autouse=True)
def _no_audio(monkeypatch):
    monkeypatch.setattr(pool, "own_voice", lambda items, seed: Voices())


def scenarios(per_voice=3, replies="reference"):
    """Scenarios of both designs without their audio."""
    stimuli = Stimuli.load().with_remarks()
    made = []
    for design, kind in (("tones", "remark"), ("words_by_tone", "loaded_remark")):
        block = ToneReplyBlock(
            kind="tone_reply",
            design=design,
            pick={"kind": kind, "per_voice": 2 * per_voice},
            replies=replies,
        )
        for plan in KIND.plan(block, PlanContext(stimuli, 3, "voice")):
            item = stimuli.get(plan.recipe["stimulus"])
            tone, words = plan.recipe["tone"], item.fields.get("valence", "open")
            conditions = {"voice": item.voice, "design": design, "tone": tone, "words": words}
            if words != "open":
                agree = (tone == "happy") == (words == "positive")
                conditions["agree"] = "yes" if agree else "no"
            made.append(
                Scenario(
                    id=plan.id,
                    kind="tone_reply",
                    title=item.text,
                    text=item.text,
                    conditions={**conditions, "take": str(plan.recipe["take"])},
                    cluster=item.voice,
                    user_spans=[Span(start_s=0.5, end_s=2.0)],
                    turn_end_s=2.0,
                    listen_s=5.0,
                    expected={k: plan.recipe[k] for k in ("stimulus", "source", "replies")},
                )
            )
    return made


def item_of(scenario, text, status="ok"):
    """A scored scenario in which this was heard; None: nothing is known."""
    words = [Word(text=word, start_s=3.0, end_s=3.1) for word in (text or "").split()]
    result = ScenarioResult(
        id=scenario.id,
        kind="tone_reply",
        title="",
        status=status,
        error="it broke" if status == "error" else "",
        trace="traces/none.json",
        seconds=7.0,
        words=words,
        conditions=scenario.conditions,
    )
    seen = {"metric": REPLIED.name, "scenario_id": scenario.id, "cluster": scenario.cluster}
    if status == "error":
        observed = Observation(status=Status.ERROR, reason="it broke", **seen)
    elif text is None:
        observed = Observation(status=Status.UNMEASURED, reason="no judge", **seen)
    else:
        observed = Observation(status=Status.MEASURED, value=float(bool(text)), **seen)
    return PoolItem(scenario, Path("none.json"), result, [observed])


def pooled(reply, **more):
    """What is found when `reply(scenario)` is heard."""
    items = [item_of(scenario, reply(scenario)) for scenario in scenarios(**more)]
    return pool.pool_replies(items, PoolContext(3, {}, [], None))


def share(found, metric):
    values = [o.value for o in found.observations if o.metric == metric and o.value is not None]
    return sum(values) / len(values) if values else None


def finished(found, metric):
    return next(e for e in found.estimates if e.metric == metric)


def tone_of(scenario):
    return SAY[scenario.conditions["tone"]]


def words_of(scenario):
    glad = {"positive": "happy", "negative": "sad", "open": "neutral"}
    return SAY[glad[scenario.conditions["words"]]]


def test_who_follows_the_tone_is_right_everywhere():
    found = pooled(tone_of)
    assert share(found, "response_emotion_accuracy_rate") == 1.0
    assert share(found, "reply_changes_with_tone_rate") == 1.0
    assert share(found, "reply_changes_in_tone_rate") == 0.0
    assert share(found, "tone_over_words_rate") == 1.0
    assert share(found, "words_over_tone_rate") == 0.0
    excess, against = (
        finished(found, name) for name in ("reply_change_excess_ratio", "tone_minus_words_ratio")
    )
    assert excess.value == against.value == 1.0
    assert (excess.n, excess.n_clusters) == (36, 6)
    assert excess.lo > 0.8
    assert (against.n, against.n_clusters) == (36, 6)


def test_who_hears_the_words_only_is_at_chance_and_follows_the_words():
    found = pooled(words_of)
    assert share(found, "response_emotion_accuracy_rate") == 0.25
    assert share(found, "reply_changes_with_tone_rate") == 0.0
    excess = finished(found, "reply_change_excess_ratio")
    assert excess.value == 0.0
    assert -0.2 < excess.lo < 0 < excess.hi < 0.2
    assert finished(found, "tone_minus_words_ratio").value == -1.0


@pytest.mark.parametrize("tone", SAY)
def test_one_reply_to_everything_is_at_chance(tone):
    found = pooled(lambda scenario: SAY[tone])
    assert share(found, "response_emotion_accuracy_rate") == 0.25
    assert finished(found, "reply_change_excess_ratio").value == 0.0
    assert finished(found, "tone_minus_words_ratio").value == 0.0


def test_other_replies_are_measured_by_their_change_alone():
    said = {"neutral": "blue", "happy": "yellow birds sing", "sad": "rain", "angry": "thunder"}
    found = pooled(lambda scenario: said[scenario.conditions["tone"]])
    assert finished(found, "reply_change_excess_ratio").value == 1.0
    accuracy = [o for o in found.observations if o.metric == "response_emotion_accuracy_rate"]
    assert {o.status for o in accuracy} == {Status.UNMEASURED}
    assert "only 0 of 252 replies fit the lists of 'reference'" in accuracy[0].reason
    against = finished(found, "tone_minus_words_ratio")
    assert against.value is None
    assert "`replies` in the suite names them" in against.reason
    assert against.n_unmeasured == 36


def test_without_lists_nothing_is_said_of_what_fits():
    found = pooled(tone_of, replies="none")
    assert finished(found, "reply_change_excess_ratio").value == 1.0
    reasons = {o.reason for o in found.observations if o.metric == "tone_over_words_rate"}
    assert reasons == {pool.NO_LISTS}
    (section,) = found.sections
    assert section.charts == []
    assert pool.NO_LISTS in section.paragraphs[1]


def test_a_reply_that_fits_no_list_is_wrong_when_most_do():
    found = pooled(lambda s: "purple cows" if s.conditions["tone"] == "sad" else tone_of(s))
    assert share(found, "response_emotion_accuracy_rate") == 0.75


@pytest.mark.parametrize("tone", SAY)
def test_an_uneven_draw_of_words_favours_no_constant_reply(tone):
    def uneven(scenario, number):
        where = scenario.conditions
        return where["words"] != "positive" or where["tone"] == "happy" or number % 3 == 0

    kept = [s for number, s in enumerate(scenarios()) if uneven(s, number)]
    items = [item_of(scenario, SAY[tone]) for scenario in kept]
    found = pool.pool_replies(items, PoolContext(3, {}, [], None))
    assert finished(found, "tone_minus_words_ratio").value == pytest.approx(0.0)
    glad = [s for s in kept if s.conditions["words"] != "positive"]
    items = [item_of(scenario, SAY[tone]) for scenario in glad]
    alone = finished(
        pool.pool_replies(items, PoolContext(3, {}, [], None)), "tone_minus_words_ratio"
    )
    assert alone.value is None
    assert "same valence" in alone.reason


def test_what_is_missing_has_its_reason_and_makes_nothing_up():
    kinds = scenarios(per_voice=1)
    broken, mute = kinds[0].id, kinds[1].id

    def heard(scenario):
        if scenario.id == broken:
            return item_of(scenario, None, "error")
        return item_of(scenario, "" if scenario.id == mute else tone_of(scenario))

    found = pool.pool_replies([heard(s) for s in kinds], PoolContext(3, {}, [], None))
    accuracy = {o.scenario_id: o for o in found.observations if "accuracy" in o.metric}
    assert accuracy[broken].status is Status.ERROR
    assert accuracy[broken].reason == "it broke"
    assert accuracy[mute].reason == "the agent did not reply"
    pairs = [o for o in found.observations if o.metric == "reply_changes_with_tone_rate"]
    assert sum(o.status is Status.ERROR for o in pairs) == 3  # with each of the other tones
    assert sum(o.status is Status.UNMEASURED for o in pairs) == 3
    # the first sentence's pair of one tone lacks its first take
    excess = finished(found, "reply_change_excess_ratio")
    assert excess.n + excess.n_error + excess.n_unmeasured == 12
    assert excess.n_error == 1


def test_a_scenario_that_could_not_be_made_is_an_error():
    lost = scenarios(per_voice=1)[0].model_copy(update={"conditions": {}, "expected": {}})
    found = pool.pool_replies([item_of(lost, None, "error")], PoolContext(3, {}, [], None))
    (only,) = found.observations
    assert (only.metric, only.status) == ("response_emotion_accuracy_rate", Status.ERROR)
    assert only.reason == "it broke"


def test_no_judge_no_numbers():
    items = [item_of(s, None) for s in scenarios(per_voice=1)]
    found = pool.pool_replies(items, PoolContext(3, {}, [], None))
    assert {o.reason for o in found.observations} == {"no judge"}
    assert finished(found, "reply_change_excess_ratio").value is None
    assert pool.pool_replies([], PoolContext(3, {}, [], None)).sections == []


def test_the_report_shows_the_two_by_two_and_the_replies():
    (section,) = pooled(words_of).sections
    table = next(t for t in section.tables if t.title == "Words and tone")
    assert [row[:4] for row in table.rows] == [
        ["negative", "negative", "yes", "18"],
        ["negative", "positive", "no", "18"],
        ["positive", "negative", "no", "18"],
        ["positive", "positive", "yes", "18"],
    ]
    assert table.rows[0][5] == "18 (100%)"
    (heat,) = section.charts
    assert {p.x: p.y for p in heat.series[0].points}["neutral"] == 1.0
    assert "Chance is 25%" in section.paragraphs[1]
    said = next(t for t in section.tables if t.title == "What was replied")
    assert len(said.rows) == 12
    assert said.rows[0][1].text == SAY["neutral"]


def test_every_metric_is_known_to_the_kind():
    names = {spec.name for spec in KIND.metrics}
    found = pooled(tone_of)
    assert {o.metric for o in found.observations} | {e.metric for e in found.estimates} <= names
    assert {spec.name for spec in FOLLOWS.values()} <= names
