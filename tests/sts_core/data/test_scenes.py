"""Conversations drawn from a small library: who speaks when, and what is never asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sts_core.data.align import WordSpan
from sts_core.data.dialogue import FRAME_S, NO_TONE, Dialogue
from sts_core.data.library import EDGE_S, Utterance
from sts_core.data.pools import is_unseen, make_pools
from sts_core.data.prosody import TONES
from sts_core.data.scenes import HOLD_MOST_FRAMES, MOST_FRAMES, Scenes, SceneShares, sum_text
from sts_core.data.turns import AGENT_VOICES, agent_lines, sums, user_lines
from sts_core.lm.text import END_OF_PAD, PAD, TextTokenizer, words_of
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

SILENCE = np.zeros(8, np.uint16)
USER_S = 1.0
REMARK_S = {"sad": 1.0, "happy": 3.0}


class SmallLibrary:
    """Utterances of tones instead of voices; the words are spread evenly over them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.cache = SimpleNamespace(rows=rows)

    def usable(self) -> list[int]:
        return list(range(len(self.cache.rows)))

    def __getitem__(self, number: int) -> Utterance:
        row = self.cache.rows[number]
        seconds = row.get("seconds", USER_S)
        audio = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
        edge = round(EDGE_S * SAMPLE_RATE_HZ)
        audio[edge : audio.size - edge] = 3000
        spoken = words_of(row["text"])
        step_s = (seconds - 2 * EDGE_S) / len(spoken)
        words = tuple(
            WordSpan(word, EDGE_S + i * step_s, EDGE_S + (i + 1) * step_s)
            for i, word in enumerate(spoken)
        )
        codes = None
        if row["role"] == "agent":
            codes = np.full((frames_of(audio.size), 8), 7, np.uint16)
        return Utterance(row, audio, words, codes)


def row(role: str, kind: str, text: str, **fields: Any) -> dict[str, Any]:
    voice = AGENT_VOICES[0] if role == "agent" else "af_bella"
    return {"role": role, "kind": kind, "text": text, "voice": voice, **fields}


@pytest.fixture(scope="module")
def library() -> SmallLibrary:
    rows = [row("agent", line.kind, line.text, **line.fields) for line in agent_lines()]
    long = next(r for r in rows if r["kind"] == "long")
    long["seconds"] = 8.0
    for op, a, b, answer in sums():
        text = f"What is {a} {op} {b}?"
        fields = {"op": op, "a": a, "b": b, "answer": answer, "reply": sum_text(op, a, b)}
        rows.append(row("user", "arithmetic", text, **fields))
    rows += [row("user", line.kind, line.text, **line.fields) for line in user_lines()]
    rows.append(row("user", "long", "Tell me a story.", reply=long["text"]))
    for kind in ("generic", "backchannel", "interruption"):
        rows.append(row("user", kind, "Wait a moment please."))
    rows.append(row("user", "fact", "What color is grass?", reply=rows[0]["text"]))
    for tone, seconds in REMARK_S.items():
        fields = {"tone": tone, "toned": True, "seconds": seconds}
        rows.append(row("user", "emotional", "He said yes.", **fields))
    return SmallLibrary(rows)


def scenes(library: SmallLibrary, **shares: float) -> Scenes:
    none = dict.fromkeys(vars(SceneShares()), 0.0)
    pools = make_pools(library, AGENT_VOICES)  # type: ignore[arg-type]
    return Scenes(
        library,  # type: ignore[arg-type]
        pools,
        TextTokenizer.load(),
        SILENCE,
        SceneShares(**(none | shares)),
    )


def last_sound_s(user: np.ndarray) -> float:
    return float(np.flatnonzero(np.abs(user) > 0.02)[-1] + 1) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("kind", [name for name in vars(SceneShares()) if name != "canary"])
def test_every_kind_is_well_formed(library: SmallLibrary, kind: str) -> None:
    made = scenes(library, **{kind: 1.0})
    for seed in range(8):
        drawn = made.draw(np.random.default_rng(seed))
        frames = len(drawn.text)
        assert drawn.kind == kind
        assert 0 < frames <= MOST_FRAMES
        assert drawn.user.size == drawn.leak.size == frames * FRAME_SAMPLES
        assert np.isfinite(drawn.user).all()
        silent = ~drawn.speaking
        assert (drawn.codes[silent] == SILENCE).all()
        assert (drawn.text[silent] <= 1).all()  # no word where the agent is silent


def test_the_same_seed_draws_the_same_conversation(library: SmallLibrary) -> None:
    made = scenes(library, question=0.5, barge_in=0.5)
    one, two = (made.draw(np.random.default_rng(4)) for _ in range(2))
    assert (one.user == two.user).all()
    assert (one.codes == two.codes).all()


def test_answers_begin_80_to_320_ms_after_the_question(library: SmallLibrary) -> None:
    made = scenes(library, question=1.0)
    offsets = []
    for seed in range(60):
        drawn = made.draw(np.random.default_rng(seed))
        if not drawn.speaking.any():
            continue
        heard_s = (np.flatnonzero(drawn.speaking)[0] + 1) * FRAME_S  # sounds one frame later
        offsets.append(heard_s - last_sound_s(drawn.user))
    assert len(offsets) > 40
    assert min(offsets) > 0.07
    assert max(offsets) < 0.33


def test_the_agent_waits_through_a_pause(library: SmallLibrary) -> None:
    made = scenes(library, question=1.0)
    longest = 0.0
    for seed in range(60):
        drawn = made.draw(np.random.default_rng(seed))
        loud = np.flatnonzero(np.abs(drawn.user) > 0.02) / SAMPLE_RATE_HZ
        if drawn.speaking.any():
            before = loud[loud < np.flatnonzero(drawn.speaking)[0] * FRAME_S]
            longest = max(longest, float(np.diff(before).max()))
            # nothing of the question comes after the answer began (resampling rings a little)
            assert loud[-1] - before[-1] < 0.01
    assert longest > 0.5  # there were pauses to wait through


def test_a_barge_in_silences_the_agent_within_320_ms(library: SmallLibrary) -> None:
    made = scenes(library, stop=1.0)
    cut = 0
    for seed in range(40):
        drawn = made.draw(np.random.default_rng(seed))
        loud = np.abs(drawn.user) > 0.02
        starts = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]])) / SAMPLE_RATE_HZ
        last_s = (np.flatnonzero(drawn.speaking)[-1] + 2) * FRAME_S  # end of the last sound
        if drawn.speaking.sum() < 90 and starts[-1] < last_s:
            cut += 1
            assert 0.15 < last_s - starts[-1] < 0.42
    assert cut > 15


@pytest.mark.parametrize("kind", ["silence", "statement"])
def test_nothing_is_said_where_nothing_was_asked(library: SmallLibrary, kind: str) -> None:
    made = scenes(library, **{kind: 1.0})
    for seed in range(8):
        assert not made.draw(np.random.default_rng(seed)).speaking.any()


def test_after_a_back_channel_the_agent_says_all_it_had_to_say(library: SmallLibrary) -> None:
    made = scenes(library, back_channel=1.0)
    pauses = []
    for seed in range(40):
        drawn = made.draw(np.random.default_rng(seed))
        loud = np.flatnonzero(drawn.user) // FRAME_SAMPLES
        for silent in np.flatnonzero(np.diff(drawn.speaking.astype(int)) == -1) + 1:
            again = np.flatnonzero(drawn.speaking[silent:])
            if not again.size:
                continue  # the end of the reply
            pauses.append(int(again[0]))
            # it holds because of a sound that began at most three frames before, and waits until
            # that is over, but not for long
            assert ((loud >= silent - 3) & (loud < silent)).any()
            assert pauses[-1] <= HOLD_MOST_FRAMES
    assert pauses, "some back-channels make the agent hold"
    assert len(pauses) < 40 * 2, "most do not"


def tones_of(drawn: Dialogue) -> tuple[str, str]:
    """The tone of a remark, by its length, and of its reply, by its words."""
    loud = np.flatnonzero(np.abs(drawn.user) > 0.02)
    seconds = (loud[-1] - loud[0]) / SAMPLE_RATE_HZ
    said = TextTokenizer.load().text(int(t) for t in drawn.text if t > END_OF_PAD)
    tones = [
        line.fields["tone"]
        for line in agent_lines()
        if line.kind == "emotional" and words_of(line.text) == words_of(said)
    ]
    return ("happy" if seconds > 2 else "sad"), tones[0]


def test_replies_follow_the_tone_of_a_remark_unless_they_are_to_be_deaf_to_it(
    library: SmallLibrary,
) -> None:
    heard = [scenes(library, tone=1.0).draw(np.random.default_rng(n)) for n in range(16)]
    assert {tones_of(drawn) for drawn in heard} == {("sad", "sad"), ("happy", "happy")}
    for drawn in heard:  # the head of training is told until the reply has begun
        told = np.flatnonzero(drawn.tone != NO_TONE)
        begins = int(drawn.speaking.argmax())
        assert told[0] < begins == told[-1]
        assert {TONES[place] for place in drawn.tone[told]} == {tones_of(drawn)[0]}
    deaf = [scenes(library, tone_deaf=1.0).draw(np.random.default_rng(n)) for n in range(40)]
    assert len({tones_of(drawn) for drawn in deaf}) == 4
    assert all((drawn.tone == NO_TONE).all() for drawn in deaf)


def test_background_speech_is_not_among_the_words_to_be_recognised(library: SmallLibrary) -> None:
    made = scenes(library, background=1.0)
    drawn = [made.draw(np.random.default_rng(seed)) for seed in range(12)]
    unasked = [d for d in drawn if not d.speaking.any()]
    assert unasked
    assert all((d.words == PAD).all() for d in unasked)


def test_unseen_sums_are_in_no_pool(library: SmallLibrary) -> None:
    unseen = {(op, a, b) for op, a, b, _ in sums() if is_unseen(op, a, b)}
    assert 30 < len(unseen) < 100
    pools = make_pools(library, AGENT_VOICES)  # type: ignore[arg-type]
    numbers = [n for group in pools.user["arithmetic"].values() for n in group]
    numbers += [n for found in pools.agent.values() for n in found]
    rows = [library.cache.rows[n] for n in numbers]
    assert not {(r["op"], r["a"], r["b"]) for r in rows if "a" in r} & unseen


@pytest.mark.parametrize(
    ("op", "a", "b", "text"),
    [
        ("plus", 8, 2, "Eight plus two is ten."),
        ("minus", 3, 5, ""),
        ("times", 10, 10, "Ten times ten is one hundred."),
    ],
)
def test_sum_text(op: str, a: int, b: int, text: str) -> None:
    assert sum_text(op, a, b) == text
