"""Conversations: rows equal single sessions, seeds repeat, memory stops growing, refusals."""

import dataclasses

import numpy as np
import pytest
import torch

from sts_core.lm.config import LMConfig
from sts_core.lm.ear import Ear
from sts_core.lm.model import SILENT_FRAMES, DuplexLM
from sts_core.lm.sampling import Sampler, SamplingConfig
from sts_core.lm.text import PAD, TextTokenizer
from sts_core.session import LOUD_FRAMES, SessionError, SessionOptions, System, state_bytes
from sts_core.talk import converse
from sts_core.units import FRAME_SAMPLES

SMALL = LMConfig(
    dim=32, layers=2, heads=2, window_frames=12, words_after_layers=1, depth_dim=16, depth_layers=1,
    depth_heads=1, code_dim=16,
)  # fmt: skip


def make_system(ear, **changes):
    torch.manual_seed(3)
    lm = DuplexLM(dataclasses.replace(SMALL, **changes)).requires_grad_(False)
    return System(ear, lm, TextTokenizer.load())


@pytest.fixture(scope="module")
def ear():
    return Ear.load()


@pytest.fixture(scope="module")
def system(ear):
    return make_system(ear)


@pytest.fixture
def users(rng):
    """Three users, float32 [3, 16, 1920]."""
    return rng.normal(0, 0.05, (3, 16, FRAME_SAMPLES)).astype(np.float32)


def play(session, frames):
    return [session.push(frame) for frame in frames]


def sound(replies):
    return np.concatenate([reply.audio for reply in replies])


def test_a_batch_equals_single_conversations(system, users):
    options = [SessionOptions(seed=k, voice=system.voices[k % 2]) for k in range(3)]
    batch = system.open_batch(options)
    rows = [batch.push(users[:, t]) for t in range(16)]
    for k, each in enumerate(options):
        alone = play(system.open(each), users[k])
        together = [row[k] for row in rows]
        assert [r.text for r in together] == [r.text for r in alone]
        np.testing.assert_allclose(sound(together), sound(alone), atol=2e-4)


def test_a_word_that_is_made_out_in_frames_on_end_was_said_once(ear, users, monkeypatch):
    system = make_system(ear)
    word = system.tokenizer.word("seven")[0]
    made_out = [word, word, PAD, word, PAD, PAD, PAD, word]
    said = iter(made_out)

    def listen(*args):
        hidden, text, user, memory = DuplexLM.listen(system.lm, *args)
        return hidden, text, user.index_fill(1, torch.tensor([next(said)]), 1e6), memory

    monkeypatch.setattr(system.lm, "listen", listen)
    heard = [reply.heard for reply in play(system.open(), users[0, : len(made_out)])]
    assert heard == [" seven", "", "", "", "", "", "", " seven"]


def test_an_agent_is_reluctant_to_begin_while_nobody_loud_has_spoken(ear, monkeypatch):
    asked = []

    def text(self, logits, reluctant):
        asked.append(bool(reluctant))
        return torch.full((1,), 5 if len(asked) == 6 else PAD)

    monkeypatch.setattr(Sampler, "text", text)
    frame = np.ones(FRAME_SAMPLES, np.float32)
    soft, loud = 0.03 * frame, 0.033 * frame  # -30.5 and -29.6 dBFS
    session = make_system(ear).open()
    play(session, [soft] * 8)
    # it says its first word in frame 5: it need not be surer for the rest of its reply
    assert asked == [True] * 6 + [False] * 2
    play(session, [soft] * (SILENT_FRAMES - 1))
    assert asked[-2:] == [False, True]
    play(session, [loud] + [soft] * LOUD_FRAMES)
    assert asked[-LOUD_FRAMES - 2 :] == [True] + [False] * LOUD_FRAMES + [True]


@pytest.mark.parametrize("temperature", [None, 0.8])
def test_the_same_seed_gives_the_same_samples(system, users, temperature):
    one, two, other = (
        play(system.open(SessionOptions(seed=seed, temperature=temperature)), users[0])
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(sound(one), sound(two))
    assert [r.text for r in one] == [r.text for r in two]
    assert np.array_equal(sound(one), sound(other)) == (temperature is None)


def test_rows_of_a_sampled_batch_follow_their_own_seeds(system, users):
    options = [SessionOptions(seed=k, temperature=0.7) for k in (4, 9)]
    batch = system.open_batch(options)
    rows = [batch.push(users[:2, t]) for t in range(8)]
    alone = play(system.open(options[1]), users[1, :8])
    np.testing.assert_allclose(sound([row[1] for row in rows]), sound(alone), atol=2e-4)


def test_memory_stops_growing_once_the_window_is_full(system, users):
    session = system.open()
    sizes = []
    for t in range(40):
        session.push(users[0, t % 16])
        sizes.append(state_bytes(session.state))
    full = sizes[SMALL.window_frames + 2]
    assert sizes[0] < full
    assert set(sizes[SMALL.window_frames + 2 :]) == {full}


def test_what_left_the_window_has_no_say(system, rng):
    """Two conversations whose first frames differ agree once these are out of sight.

    Only the temporal transformer is compared: the ear and the agent's own tokens remember longer.
    """
    lm = system.lm.temporal
    x = torch.from_numpy(rng.normal(0, 1, (2, 60, 32)).astype(np.float32))
    x[1, 10:] = x[0, 10:]
    state = lm.initial_state(2)
    for t in range(60):
        y, state = lm.step(x[:, t : t + 1], state)
    torch.testing.assert_close(y[0], y[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_the_acoustic_delay_costs_its_frames_and_nothing_else(ear, users, delay):
    system = make_system(ear, acoustic_delay_frames=delay)
    assert system.latency_ms == 160 + 80 * delay
    replies = play(system.open(), users[0])
    silent = [not reply.audio.any() for reply in replies]
    assert silent == [t < delay for t in range(16)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "at least one"),
        ([SessionOptions(voice="nobody")], "no voice 'nobody'; there are"),
        ([SessionOptions(temperature=0.0), SessionOptions(temperature=1.0)], "same temperature"),
    ],
)
def test_what_cannot_be_held_is_refused(system, options, message):
    with pytest.raises(SessionError, match=message):
        system.open_batch(options)


@pytest.mark.parametrize(
    "frame", [np.zeros(100, np.float32), np.zeros((1, 1920)), np.full(1920, np.nan, np.float32)]
)
def test_what_is_no_frame_is_refused_and_changes_nothing(system, frame):
    session = system.open()
    before = session.state
    with pytest.raises(SessionError, match="frame"):
        session.push(frame)
    assert session.state is before


def test_parts_that_do_not_fit_are_refused(ear):
    lm = DuplexLM(dataclasses.replace(SMALL, text_vocabulary=50))
    with pytest.raises(SessionError, match="50 text tokens"):
        System(ear, lm, TextTokenizer.load())


def test_a_talk_lies_on_the_users_clock(system, users):
    user = users[0].reshape(-1)[: 15 * FRAME_SAMPLES + 7]
    talked = converse(system.open(), user, tail_s=0.8)
    assert 16 * FRAME_SAMPLES <= talked.agent.size <= (16 + 10) * FRAME_SAMPLES
    assert not talked.agent[:FRAME_SAMPLES].any()  # nothing can sound during the first frame
    replies = play(system.open(), users[0][:15])
    np.testing.assert_array_equal(
        talked.agent[FRAME_SAMPLES : 16 * FRAME_SAMPLES], sound(replies)[: 15 * FRAME_SAMPLES]
    )
    assert len(talked.stages) == 26 or talked.agent.size < 26 * FRAME_SAMPLES
    assert talked.as_json()["compute_ms"]["p95"] > 0


def test_temperature_means_every_stream(system):
    from sts_core.session import _sampling

    made = _sampling(SamplingConfig(code_top_k=7), 0.4)
    assert (made.text_temperature, made.semantic_temperature, made.acoustic_temperature) == (
        0.4,
        0.4,
        0.4,
    )
    assert made.code_top_k == 7
