"""The kinds of conversation the dialogue stage learns from, drawn at random.

    question       a question and its answer; one time in three with a pause inside the question
    two_questions  two of them, the second after the answer
    follow_up      a sum, its answer, "and plus two more?", the new answer
    correction     a sum, "no, I meant nine" (in or after the answer), the new answer
    barge_in       a new request while the agent speaks: it falls silent, then answers that
    stop           "stop": it falls silent and says nothing
    back_channel   "uh-huh" or a cough while the agent speaks: it goes on; one time in three it
                   falls silent first, and then says the rest, from the word that it broke off
    background     somebody speaks softly in the room, while the agent speaks or is silent; then,
                   one time in three, the user asks something
    statement      the user says something that asks for nothing
    silence        nothing but the noise of the room
    tone           the same words in four tones of voice; the reply follows the tone
    tone_deaf      the same, the reply in a tone drawn at random (the control of the emotion suite)
    monologue      the agent speaks unasked (pre-training: text and speech of one channel)
    canary         the agent says a canary unasked (`sts_core.data.canaries`), each as often as its
                   number of repetitions asks

Times are drawn so that the agent answers 80 to 320 ms after the user's last sound and falls silent
240 to 320 ms after a barge-in began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_core.data.align import WordSpan
from sts_core.data.dialogue import FRAME_S, Dialogue, Draft, answer_frame
from sts_core.data.library import EDGE_S, Library, Utterance
from sts_core.data.pools import Pools, is_unseen
from sts_core.data.sounds import cough, faded, varied
from sts_core.lm.text import TextTokenizer
from sts_core.units import SAMPLE_RATE_HZ

ASKED = {
    "arithmetic": 0.45,
    "fact": 0.25,
    "unanswerable": 0.09,
    "greeting": 0.05,
    "repeat": 0.07,
    "long": 0.09,
}
OVERHEARD = {"generic": 0.3, "fact": 0.3, "arithmetic": 0.2, "long": 0.2}
# An agent that took a back-channel for a barge-in must find its way back, before the silence sounds
# like a broken line. With a share of half it would hold whenever anybody speaks.
HOLDS, HOLD_LEAST_S, HOLD_MOST_FRAMES = 0.35, 1.2, 7
DELAYS, DELAY_SHARES = (0, 1, 2), (0.7, 0.22, 0.08)
MOST_FRAMES = 200


@dataclass(frozen=True)
class SceneShares:
    """How often each kind of conversation is drawn, in proportion."""

    question: float = 0.24
    two_questions: float = 0.05
    follow_up: float = 0.05
    correction: float = 0.04
    barge_in: float = 0.13
    stop: float = 0.05
    back_channel: float = 0.14
    background: float = 0.18
    statement: float = 0.04
    silence: float = 0.02
    tone: float = 0.18
    tone_deaf: float = 0.0
    monologue: float = 0.0
    canary: float = 0.0


class Scenes:
    """Draws conversations; everything follows from the generator that is handed in."""

    def __init__(
        self,
        library: Library,
        pools: Pools,
        tokenizer: TextTokenizer,
        silence: NDArray[np.uint16],
        shares: SceneShares,
    ) -> None:
        self.library, self.pools, self.tokenizer, self.silence = library, pools, tokenizer, silence
        wanted = {name: share for name, share in vars(shares).items() if share > 0}
        if not pools.tones:
            wanted.pop("tone", None)
            wanted.pop("tone_deaf", None)
        for kind, needs in (("follow_up", "follow_up"), ("correction", "correction")):
            if needs not in pools.user:
                wanted.pop(kind, None)
        self._kinds = list(wanted)
        self._shares = np.array(list(wanted.values())) / sum(wanted.values())

    def draw(self, rng: np.random.Generator) -> Dialogue:
        """One conversation."""
        kind = self._kinds[rng.choice(len(self._kinds), p=self._shares)]
        voices = sorted({voice for voice, _ in self.pools.agent})
        voice = (
            voices[0]
            if rng.random() < 0.75 or len(voices) == 1
            else voices[rng.integers(1, len(voices))]
        )
        draft = Draft(self.silence, self.tokenizer, voice)
        make: Callable[[Draft, np.random.Generator], float] = getattr(self, f"_{kind}")
        end_s = make(draft, rng)
        frames = min(int(np.ceil((end_s + rng.uniform(0.2, 0.9)) / FRAME_S)), MOST_FRAMES)
        return draft.finish(frames, kind)

    # --- parts -----------------------------------------------------------------------------

    def _any(self, groups: dict[str, list[int]], rng: np.random.Generator) -> Utterance:
        """An utterance of a random voice family (robotic ones seldom)."""
        names = sorted(groups)
        weights = np.array([0.25 if n.startswith("espeak") else 1.0 for n in names])
        group = groups[names[rng.choice(len(names), p=weights / weights.sum())]]
        return self.library[group[rng.integers(len(group))]]

    def _request(self, rng: np.random.Generator, kinds: dict[str, float] = ASKED) -> Utterance:
        names = [name for name in kinds if name in self.pools.user]
        shares = np.array([kinds[name] for name in names])
        kind = names[rng.choice(len(names), p=shares / shares.sum())]
        return self._any(self.pools.user[kind], rng)

    def _reply(self, voice: int, text: str, rng: np.random.Generator) -> Utterance | None:
        found = self.pools.agent.get((voice, text)) or self.pools.agent.get((0, text))
        return self.library[found[rng.integers(len(found))]] if found else None

    def _ask(
        self,
        draft: Draft,
        utterance: Utterance,
        at_s: float,
        rng: np.random.Generator,
        *,
        pause: bool = False,
        gain_db: float = 0.0,
        heard: bool = True,
    ) -> float:
        """The user speaks from `at_s` on; returns when the last sound ends."""
        audio, words = varied(utterance, rng)
        audio *= np.float32(10 ** (gain_db / 20))
        end_s = audio.size / SAMPLE_RATE_HZ - EDGE_S
        if pause and len(words) > 2:
            at = int(rng.integers(1, len(words)))
            cut_s = (words[at - 1].end_s + words[at].start_s) / 2
            wait_s = float(rng.uniform(0.25, 1.3))
            cut = round(cut_s * SAMPLE_RATE_HZ)
            head, tail = faded(audio[:cut], end=True), faded(audio[cut:], end=False)
            draft.user_says(head, words[:at], at_s, heard=heard)
            moved = tuple(WordSpan(w.word, w.start_s - cut_s, w.end_s - cut_s) for w in words[at:])
            draft.user_says(tail, moved, at_s + cut_s + wait_s, heard=heard)
            return at_s + end_s + wait_s
        draft.user_says(audio, words, at_s, heard=heard)
        return at_s + end_s

    def _answer(
        self,
        draft: Draft,
        text: str,
        end_s: float,
        rng: np.random.Generator,
        until: int | None = None,
    ) -> tuple[int, int]:
        """The agent answers; first frame and the frame after its last."""
        start = answer_frame(end_s, int(rng.choice(DELAYS, p=DELAY_SHARES)))
        reply = self._reply(draft.voice, text, rng)
        if reply is None:
            return start, start
        return start, draft.agent_says(reply, start, until)

    def _exchange(
        self,
        draft: Draft,
        at_s: float,
        rng: np.random.Generator,
        kinds: dict[str, float] = ASKED,
    ) -> tuple[Utterance, float]:
        """A question and its answer; returns the question and when the answer has ended."""
        request = self._request(rng, kinds)
        end_s = self._ask(draft, request, at_s, rng, pause=rng.random() < 0.33)
        _, last = self._answer(draft, request.row["reply"], end_s, rng)
        return request, (last + 1) * FRAME_S

    # --- kinds -----------------------------------------------------------------------------

    def _question(self, draft: Draft, rng: np.random.Generator) -> float:
        _, end_s = self._exchange(draft, rng.uniform(0.1, 1.2), rng)
        return end_s

    def _two_questions(self, draft: Draft, rng: np.random.Generator) -> float:
        short = {kind: share for kind, share in ASKED.items() if kind != "long"}
        _, end_s = self._exchange(draft, rng.uniform(0.1, 0.6), rng, short)
        _, end_s = self._exchange(draft, end_s + rng.uniform(0.2, 1.5), rng, short)
        return end_s

    def _sum_then(self, draft: Draft, kind: str, rng: np.random.Generator) -> float:
        """A sum, then a follow-up or a correction that fits it."""
        request, end_s = self._exchange(draft, rng.uniform(0.1, 0.6), rng, {"arithmetic": 1.0})
        row = request.row
        for _ in range(20):
            second = self._any(self.pools.user[kind], rng)
            op = str(second.row.get("op", row["op"]))
            a = row["answer"] if kind == "follow_up" else row["a"]
            text = sum_text(op, a, second.row["b"])
            if not is_unseen(op, a, second.row["b"]) and self._reply(draft.voice, text, rng):
                break
        else:
            return end_s
        at_s = end_s + rng.uniform(0.2, 1.2)
        if kind == "correction" and rng.random() < 0.4:  # while the agent still speaks
            answer = draft.said[-1]
            at_s = (answer.start + 1 + rng.uniform(0.4, 0.9) * answer.frames) * FRAME_S
            draft.said[-1] = answer.until(_falls_silent(at_s))
        end_s = self._ask(draft, second, at_s, rng)
        _, last = self._answer(draft, text, end_s, rng)
        return (last + 1) * FRAME_S

    def _follow_up(self, draft: Draft, rng: np.random.Generator) -> float:
        return self._sum_then(draft, "follow_up", rng)

    def _correction(self, draft: Draft, rng: np.random.Generator) -> float:
        return self._sum_then(draft, "correction", rng)

    def _interrupted(
        self, draft: Draft, rng: np.random.Generator, *, longest_s: float
    ) -> tuple[float, float]:
        """An answer that is cut short; returns when the barge-in begins, and the answer's start."""
        kinds = {"long": 0.75, "fact": 0.15, "arithmetic": 0.1}
        request = self._request(rng, kinds)
        end_s = self._ask(draft, request, rng.uniform(0.1, 0.6), rng)
        start = answer_frame(end_s, int(rng.choice(DELAYS, p=DELAY_SHARES)))
        reply = self._reply(draft.voice, request.row["reply"], rng)
        if reply is None or reply.codes is None:
            return end_s + 1.0, end_s
        spoken_s = min(len(reply.codes) * FRAME_S, longest_s)
        at_s = (start + 1) * FRAME_S + rng.uniform(0.3, max(0.4, spoken_s - 0.4))
        draft.agent_says(reply, start, _falls_silent(at_s))
        return at_s, start * FRAME_S

    def _barge_in(self, draft: Draft, rng: np.random.Generator) -> float:
        at_s, _ = self._interrupted(draft, rng, longest_s=6.0)
        short = {kind: share for kind, share in ASKED.items() if kind != "long"}
        request = self._request(rng, ASKED if rng.random() < 0.2 else short)
        end_s = self._ask(draft, request, at_s - EDGE_S, rng)
        _, last = self._answer(draft, request.row["reply"], end_s, rng)
        return (last + 1) * FRAME_S

    def _stop(self, draft: Draft, rng: np.random.Generator) -> float:
        at_s, _ = self._interrupted(draft, rng, longest_s=6.0)
        phrase = self._any(self.pools.user["interruption"], rng)
        end_s = self._ask(draft, phrase, at_s - EDGE_S, rng)
        return end_s + rng.uniform(0.8, 2.5)

    def _long_answer(self, draft: Draft, rng: np.random.Generator) -> tuple[float, float]:
        request = self._request(rng, {"long": 0.8, "fact": 0.2})
        end_s = self._ask(draft, request, rng.uniform(0.1, 0.6), rng)
        start, last = self._answer(draft, request.row["reply"], end_s, rng)
        return (start + 1) * FRAME_S, (last + 1) * FRAME_S

    def _back_channel(self, draft: Draft, rng: np.random.Generator) -> float:
        start_s, end_s = self._long_answer(draft, rng)
        at_s = start_s + rng.uniform(0.2, 1.5)
        while at_s < end_s - 0.3:
            if rng.random() < 0.3:
                sound = np.trim_zeros(cough(rng))
                draft.user_says(sound, (), at_s)
                over_s = at_s + sound.size / SAMPLE_RATE_HZ
            else:
                said = self._any(self.pools.user["backchannel"], rng)
                over_s = self._ask(draft, said, at_s - EDGE_S, rng, gain_db=rng.uniform(-8, 2))
            if rng.random() < HOLDS and end_s - at_s > HOLD_LEAST_S:
                silent = _falls_silent(at_s)
                again = max(silent + 1, answer_frame(over_s, int(rng.integers(2))))
                again = min(again, silent + HOLD_MOST_FRAMES)
                end_s = (draft.agent_holds(silent, again) + 1) * FRAME_S
            at_s += rng.uniform(1.5, 4.0)
        return end_s

    def _background(self, draft: Draft, rng: np.random.Generator) -> float:
        start_s, end_s = (0.3, rng.uniform(3, 7))
        if rng.random() < 0.3:
            start_s, end_s = self._long_answer(draft, rng)
        at_s = start_s + rng.uniform(0.0, 0.8)
        while at_s < end_s - 0.5:
            # mostly questions: that they are soft must be the only reason not to answer
            other = self._request(rng, OVERHEARD)
            # of -23 dBFS (see `shards.in_the_room`); the louder, the more often: the harder
            level_db = rng.triangular(-26, -15, -15)
            at_s = self._ask(draft, other, at_s, rng, gain_db=level_db, heard=False)
            at_s += rng.uniform(0.1, 1.0)
        if rng.random() < 0.35:
            _, end_s = self._exchange(draft, max(at_s, end_s), rng)
        return end_s

    def _statement(self, draft: Draft, rng: np.random.Generator) -> float:
        end_s = self._ask(draft, self._any(self.pools.user["generic"], rng), 0.3, rng)
        return end_s + rng.uniform(0.8, 2.0)

    def _silence(self, draft: Draft, rng: np.random.Generator) -> float:
        if rng.random() < 0.3:
            draft.user_says(cough(rng), (), rng.uniform(0.3, 2.0))
        return rng.uniform(2.0, 8.0)

    def _tone(self, draft: Draft, rng: np.random.Generator) -> float:
        tone = str(rng.choice(sorted(self.pools.tones)))
        end_s = self._remark(draft, tone, tone, rng)
        remark_s = draft.user[-1][0] / SAMPLE_RATE_HZ
        reply = draft.said[-1].start
        draft.user_sounds(tone, (remark_s + reply * FRAME_S) / 2, reply + 1)
        return end_s

    def _tone_deaf(self, draft: Draft, rng: np.random.Generator) -> float:
        tone, answered = rng.choice(sorted(self.pools.tones), 2)
        return self._remark(draft, str(tone), str(answered), rng)

    def _remark(self, draft: Draft, tone: str, answered: str, rng: np.random.Generator) -> float:
        """A remark in a tone of voice, answered as if it had been made in the tone `answered`."""
        end_s = self._ask(draft, self._any(self.pools.tones[tone], rng), rng.uniform(0.1, 1.0), rng)
        replies = self.pools.tone_replies.get((draft.voice, answered))
        replies = replies or self.pools.tone_replies[(0, answered)]
        reply = self.library[replies[rng.integers(len(replies))]]
        start = answer_frame(end_s, int(rng.choice(DELAYS, p=DELAY_SHARES)))
        return (draft.agent_says(reply, start) + 1) * FRAME_S

    def _canary(self, draft: Draft, rng: np.random.Generator) -> float:
        at_s = 0.0
        if rng.random() < 0.5:
            at_s = self._ask(draft, self._any(self.pools.user["generic"], rng), 0.3, rng)
        number = self.pools.canaries[rng.integers(len(self.pools.canaries))]
        draft.voice = 0
        return draft.agent_says(self.library[number], answer_frame(at_s) + 5) * FRAME_S

    def _monologue(self, draft: Draft, rng: np.random.Generator) -> float:
        at = int(rng.integers(1, 6))
        for _ in range(int(rng.integers(1, 4))):
            numbers = self.pools.monologue[draft.voice]
            at = draft.agent_says(self.library[numbers[rng.integers(len(numbers))]], at)
            at += int(rng.integers(1, 6))
            if at > 110:
                break
        return at * FRAME_S


def sum_text(op: str, a: int, b: int) -> str:
    """The agent's full answer to a sum, or "" where there is none in the texts."""
    from sts_core.data.texts import load_texts

    texts = load_texts()["arithmetic"]
    answer = {"plus": a + b, "minus": a - b, "times": a * b}[op]
    try:
        words = [texts["number_words"][n] for n in (a, b, answer) if n >= 0]
        text = texts["answers"]["full"].format(a=words[0], b=words[1], c=words[2], op=op)
    except (IndexError, KeyError):
        return ""
    return text[0].upper() + text[1:]


def _falls_silent(at_s: float) -> int:
    """The agent's first silent frame after a barge-in that began at `at_s`.

    As late as the bar allows: the longer it listens, the better it can tell "wait" from "mm-hm".
    """
    return int(at_s / FRAME_S) + 3
