"""Planning and rendering of remarks in tones: balance, order, and inputs that cannot be used."""

from collections import Counter

import numpy as np
import pytest

from sts_eval.metrics.prosody import prosody_of
from sts_eval.probes import PlanContext
from sts_eval.probes.emotion_reply import ToneReplyBlock, ToneReplyKind, load_replies
from sts_eval.stimuli import Stimuli
from sts_eval.target import SessionSetup, TargetError
from sts_eval.targets.core import tones
from sts_eval.targets.fake_empath import EmpathSession, tone_heard
from sts_eval.targets.faults_tone import Monotone, neutral_track
from sts_eval.units import FRAME_SAMPLES

CONTEXT = PlanContext(Stimuli.load(), seed=3, cluster="voice")
KIND = ToneReplyKind()


def plans(design="tones", kind="remark", per_voice=2, **more):
    pick = {"kind": kind, "per_voice": per_voice, **more.pop("pick", {})}
    block = ToneReplyBlock(kind="tone_reply", design=design, pick=pick, **more)
    return KIND.plan(block, CONTEXT)


def test_every_sentence_comes_in_every_tone_and_in_one_again():
    made = plans(per_voice=4)
    assert len(made) == 6 * 4 * 5
    assert len({plan.id for plan in made}) == len(made)
    first = [p.recipe for p in made if p.recipe["take"] == 1]
    again = [p.recipe for p in made if p.recipe["take"] == 2]
    assert set(Counter((r["stimulus"], r["tone"]) for r in first).values()) == {1}
    assert Counter(r["tone"] for r in first) == dict.fromkeys(tones(), 24)
    assert Counter(r["tone"] for r in again) == dict.fromkeys(tones(), 6)
    assert len({r["stimulus"] for r in again}) == 24


def test_every_fourth_plan_is_the_whole_design_of_a_quarter():
    some = plans(per_voice=4)[::4]
    sentences = Counter(plan.recipe["stimulus"] for plan in some)
    assert len(sentences) == 6
    assert set(sentences.values()) == {5}
    assert len({key.split("-")[0] for key in sentences}) == 6


@pytest.mark.parametrize("per_voice", [2, 4, 10])
def test_words_and_tones_are_crossed_in_balance(per_voice):
    made = [plan.recipe for plan in plans("words_by_tone", "loaded_remark", per_voice)]
    stimuli = Stimuli.load().with_remarks()
    cells = Counter()
    for recipe in made:
        item = stimuli.get(recipe["stimulus"])
        cells[item.voice, item.fields["valence"], recipe["tone"] == "happy"] += 1
    assert len(cells) == 6 * 2 * 2
    assert set(cells.values()) == {per_voice // 2}
    unhappy = Counter(r["tone"] for r in made if r["tone"] != "happy")
    assert unhappy["sad"] == unhappy["angry"]


def test_a_sentence_is_said_sadly_by_one_voice_and_angrily_by_another():
    made = [plan.recipe for plan in plans("words_by_tone", "loaded_remark", 10)]
    texts = {}
    for recipe in made:
        if recipe["tone"] != "happy":
            text = Stimuli.load().with_remarks().get(recipe["stimulus"]).text
            texts.setdefault(text, set()).add(recipe["tone"])
    assert sum(found == {"sad", "angry"} for found in texts.values()) >= 8


def test_words_without_a_valence_cannot_be_crossed():
    with pytest.raises(ValueError, match="valence is None, expected negative or positive"):
        plans("words_by_tone", "remark")
    with pytest.raises(ValueError, match="one of either valence"):
        plans("words_by_tone", "loaded_remark", 1)


def test_a_rendition_repeats_and_a_second_take_differs():
    made = plans(pick={"voice": "af_nova"})
    again = next(plan for plan in made if plan.recipe["take"] == 2)
    same = {"stimulus": again.recipe["stimulus"], "tone": again.recipe["tone"]}
    first = next(p for p in made if p.recipe["take"] == 1 and same.items() <= p.recipe.items())
    one, two, other = (KIND.render(plan, CONTEXT) for plan in (first, first, again))
    assert np.array_equal(one.user, two.user)
    assert one.user.size % FRAME_SAMPLES == 0
    assert one.scenario.cluster == "af_nova"
    assert one.scenario.expected["replies"]
    assert one.scenario.text == other.scenario.text
    if again.recipe["tone"] != "neutral":  # it has no details that could differ
        assert not np.array_equal(one.user, other.user)


def test_conditions_say_whether_words_and_tone_agree():
    made = plans("words_by_tone", "loaded_remark", 2, pick={"voice": "am_puck"})
    for plan in made:
        where = KIND.render(plan, CONTEXT).scenario.conditions
        glad = (where["tone"] == "happy") == (where["words"] == "positive")
        assert where["agree"] == ("yes" if glad else "no")


def test_at_the_same_loudness_pitch_and_rate_still_tell_the_tones_apart():
    made = plans(per_voice=1, pick={"voice": "am_eric"}, same_loudness=True)
    found = {}
    for plan in made[:4]:
        user = KIND.render(plan, CONTEXT).user
        assert tone_heard(user) == "neutral"  # who hears loudness only hears no tone
        found[plan.recipe["tone"]] = prosody_of(user)
    levels = [prosody.level_dbfs for prosody in found.values()]
    assert max(levels) - min(levels) < 0.3
    assert found["happy"].against(found["sad"])["pitch"] > 4
    assert found["angry"].against(found["sad"])["rate"] > 0.3


GOOD = "neutral: [All right.]\nhappy: [Great!]\nsad: [Oh no.]\nangry: [Calm down.]\n"


def test_replies_of_a_file(tmp_path):
    file = tmp_path / "replies.yaml"
    file.write_text(GOOD)
    assert load_replies(str(file))["happy"] == ["Great!"]
    assert load_replies("none") == {}
    assert set(load_replies("reference")) == set(tones())
    assert plans(replies=str(file))[0].recipe["replies"]["sad"] == ["Oh no."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("happy", "hapy"), "no tone 'hapy'.*happy"),
        (GOOD.replace("sad: [Oh no.]\n", ""), "no replies for sad"),
        (GOOD.replace("[Great!]", "Great!"), "expected 1 to 200 sentences"),
        (GOOD.replace("[Great!]", "[]"), "expected 1 to 200 sentences"),
        (GOOD.replace("[Great!]", "[3]"), "not a sentence: '3'"),
        (GOOD.replace("Great!", "g" * 301), "not a sentence"),
        ("- one\n", "expected a mapping"),
        ("happy: [\n", "replies.yaml"),
    ],
)
def test_a_file_of_replies_that_cannot_be_used_says_why(tmp_path, text, message):
    file = tmp_path / "replies.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_replies(str(file))
    with pytest.raises(ValueError, match="nowhere"):
        load_replies(str(tmp_path / "nowhere.yaml"))


def rendered(tone, voice="bf_lily"):
    found = plans(per_voice=1, pick={"voice": voice})
    return KIND.render(next(p for p in found if p.recipe["tone"] == tone), CONTEXT)


def frames(track):
    return track[: track.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


@pytest.mark.parametrize("tone", tones())
def test_the_empath_hears_the_tone_and_monotone_takes_it_away(tone):
    user = rendered(tone).user
    assert tone_heard(user) == tone
    scenario = rendered(tone).as_json()
    assert tone_heard(neutral_track(scenario)) == "neutral"


class Ear:
    """A session that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def push(self, frame):
        self.heard.append(frame.copy())

    def close(self):
        return None


class Inner:
    """A target that is an ear."""

    clock = "lockstep"
    name = "ear"

    def open(self, setup):
        return Ear()


def test_monotone_lets_the_target_hear_the_same_words_without_their_tone():
    said = rendered("angry")
    setup = SessionSetup(0, "one", said.as_json(), {})
    ear = Inner().open(setup)
    session = Monotone(Inner()).wrap(ear, setup)
    for frame in frames(said.user):
        session.push(frame)
    heard = np.concatenate(ear.heard)
    assert heard.size == said.user.size
    neutral = rendered("neutral").user
    shared = min(heard.size, neutral.size)
    assert np.array_equal(heard[:shared], neutral[:shared])


def test_monotone_leaves_everything_else_alone():
    ear = Ear()
    for scenario in ({}, {"conditions": {"voice": "af_nova"}}, rendered("neutral").as_json()):
        setup = SessionSetup(0, "one", scenario, {})
        assert Monotone(Inner()).wrap(ear, setup) is ear
    strange = {"conditions": {"tone": "sad"}, "expected": {"stimulus": "mine"}}
    with pytest.raises(TargetError, match="packaged sentences only"):
        Monotone(Inner()).wrap(ear, SessionSetup(0, "one", strange, {}))


def test_the_empath_answers_once_after_the_turn():
    user = rendered("sad").user
    session = EmpathSession(follows=False)
    said = [session.push(frame) for frame in frames(user)]
    spoken = [emission for emission in said if emission.audio.size]
    assert len(spoken) == 1
    assert spoken[0].text.strip() == load_replies("reference")["sad"][0]
    assert session.close().audio.size == 0
