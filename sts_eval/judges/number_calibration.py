"""How often a judge hears another number than was said, measured on clips whose number is known.

Material: 104 packaged clips in four held-out voices ("That is eighty.", "Minus twelve is the
answer.", "Four point five."): every confusable teen and ten, whole numbers up to three digits,
negative ones, decimals. Two rates follow for each clip:

    right kept   the judge hears the number that was said: a right answer is called right
    wrong kept   of the likely wrong answers (one or ten off, teen for ten, sign lost), the share
                 that the judge would not have heard: a wrong answer is called wrong

What the shipped judges heard is kept beside this file, by version and material; other judges, and
other versions, are measured when they are used. `python -m sts_eval.judges.number_calibration`
measures the shipped ones again and rewrites the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.judges import load_asr
from sts_eval.judges.base import AsrJudge
from sts_eval.judges.quantities import answer_of, is_value
from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate
from sts_eval.stats.sample import make_sample
from sts_eval.stats.summary import estimate_sample
from sts_eval.stimuli import QUESTIONS, Stimuli, Stimulus

KIND: Final = "spoken_number"
SHIPPED: Final = Path(__file__).with_name("number_hearing.json")
SHIPPED_JUDGES: Final = ("moonshine", "pocketsphinx_numbers")
SEED: Final = 23
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NumberHearing:
    """What a judge made of the clips: (clip id, number said, what it heard) each."""

    rows: tuple[tuple[str, float, str], ...]

    def right_kept(self) -> FloatArray:
        """[m] 1.0 where the number said was heard."""
        return np.array([float(is_value(answer_of(text), said)) for _, said, text in self.rows])

    def wrong_kept(self) -> FloatArray:
        """[m] share of each clip's likely wrong answers that were not heard instead."""
        kept = []
        for _, said, text in self.rows:
            heard = answer_of(text)
            others = likely_wrong(said)
            kept.append(float(np.mean([not is_value(heard, other) for other in others])))
        return np.array(kept)


def likely_wrong(said: float) -> tuple[float, ...]:
    """Numbers that may be taken for this one, or that a wrong sum gives."""
    near = {said - 1, said + 1, said - 10, said + 10, -said}
    whole = int(said)
    if said == whole and 13 <= whole <= 19:
        near.add(10 * (whole - 10))
    if said == whole and 30 <= whole <= 90 and whole % 10 == 0:
        near.add(10 + whole // 10)
    return tuple(sorted(near - {said}))


def number_hearing(name: str) -> NumberHearing:
    """What the ASR judge of this name heard on the clips. Raises JudgeError."""
    judge = load_asr(name)
    material = Stimuli.load(QUESTIONS)
    clips = [item for item in material.items if item.kind == KIND]
    heard = _shipped().get(name, {})
    if heard.get("version") != judge.version or heard.get("sha256") != material.sha256:
        heard = _measure(judge, clips, material.sha256)
    texts = heard["texts"]
    return NumberHearing(tuple((clip.id, clip.fields["answer"], texts[clip.id]) for clip in clips))


def number_estimates(name: str) -> list[Estimate]:
    """Both error rates of a judge, for the report's table of judges. Raises JudgeError."""
    found = number_hearing(name)
    rows = zip(found.rows, found.right_kept(), found.wrong_kept(), strict=True)
    measured = [(clip, 1 - right, 1 - wrong) for (clip, _, _), right, wrong in rows]
    return [
        _estimate("judge_right_number_missed_rate", [(c, c, right) for c, right, _ in measured]),
        _estimate("judge_wrong_number_missed_ratio", [(c, c, wrong) for c, _, wrong in measured]),
    ]


def _estimate(metric: str, rows: list[tuple[str, str, float]]) -> Estimate:
    statistic = "rate" if metric.endswith("_rate") else "mean"
    spec = MetricSpec(
        name=metric,
        title=metric.replace("_", " "),
        unit="ratio",
        direction="lower",
        statistics=(statistic,),
        version=1,
        meaning="How often the judge hears another number than was said.",
        method="Share of spoken numbers whose number was known.",
        limits="Clean synthetic speech.",
    )
    return estimate_sample(make_sample(rows), spec, statistic, seed=SEED, slice={})


def _measure(judge: AsrJudge, clips: Sequence[Stimulus], sha256: str) -> dict[str, Any]:
    from sts_eval.judges.cache import remember

    def hear() -> dict[str, Any]:
        texts = {clip.id: judge.transcribe(clip.audio()).text for clip in clips}
        return {"version": judge.version, "sha256": sha256, "texts": texts}

    found, _ = remember(("number_calibration", judge.name, judge.version, sha256), hear)
    return dict(found)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    return dict(json.loads(SHIPPED.read_text(encoding="utf-8"))) if SHIPPED.exists() else {}


def main() -> None:
    """Measure the shipped judges and rewrite the file beside this one."""
    material = Stimuli.load(QUESTIONS)
    clips = [item for item in material.items if item.kind == KIND]
    heard = {name: _measure(load_asr(name), clips, material.sha256) for name in SHIPPED_JUDGES}
    SHIPPED.write_text(json.dumps(heard, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name in SHIPPED_JUDGES:
        found = number_hearing(name)
        print(name, len(found.rows), found.right_kept().mean(), found.wrong_kept().mean())


if __name__ == "__main__":
    main()
