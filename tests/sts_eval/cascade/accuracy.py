"""How often the cascade answers the packaged questions right, end to end from audio to text.

    python tests/sts_eval/cascade/accuracy.py [--every 1]

Prints one line per kind with the Wilson interval. About 0.4 s a question on one core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from sts_eval.judges.numbers import number_to_words
from sts_eval.stats.proportions import wilson
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.target import SessionSetup
from sts_eval.targets.cascade import CascadeTarget
from sts_eval.targets.cascade.skills import UNKNOWN
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

KINDS = ("arithmetic", "fact", "unanswerable", "repeat")


def answer(target: CascadeTarget, item: Stimulus) -> tuple[str, str]:
    """(what it heard, what it says) for one stimulus after 0.5 s of silence."""
    quiet = np.zeros(SAMPLE_RATE_HZ, np.float32)
    track = np.concatenate([quiet[: SAMPLE_RATE_HZ // 2], item.speech(), quiet])
    session = target.open(SessionSetup())
    heard, said = "", ""
    for start in range(0, len(track) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        emission = session.push(track[start : start + FRAME_SAMPLES])
        said += emission.text
        for event in emission.events:
            heard = event.data["text"] if event.name == "heard" else heard
    session.close()
    return heard, said.strip()


def is_right(item: Stimulus, said: str) -> bool:
    """Whether the answer is the one that its manifest line asks for."""
    fields = item.fields
    if item.kind == "arithmetic":
        return said.endswith(f" is {number_to_words(fields['answer'])}.")
    if item.kind == "fact":
        return fields["key"].lower() in said.lower()
    if item.kind == "repeat":
        return said.lower() == f"{fields['word']}."
    return said == UNKNOWN


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th stimulus")
    target = CascadeTarget()
    right: dict[str, list[bool]] = defaultdict(list)
    questions = [item for item in Stimuli.load().items if item.kind in KINDS]
    for item in questions[:: parser.parse_args().every]:
        heard, said = answer(target, item)
        right[item.kind].append(is_right(item, said))
        if not right[item.kind][-1]:
            print(f"{item.id}: {item.text!r} heard {heard!r} said {said!r}")
    for kind, results in right.items():
        lo, hi = wilson(sum(results), len(results))
        share = np.mean(results)
        print(f"{kind:13} {share:.3f} [{lo:.3f}, {hi:.3f}]  {sum(results)} of {len(results)}")


if __name__ == "__main__":
    main()
