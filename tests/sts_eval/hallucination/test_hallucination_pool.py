"""Where most answers are gibberish, the few that pass for words are no measurement."""

from types import SimpleNamespace

import pytest

from sts_eval.observation import Observation, Status
from sts_eval.probes import PoolContext
from sts_eval.probes import hallucination_specs as specs
from sts_eval.probes.hallucination_pool import HEARD, mostly_gibberish, pool_answers


def observed(spec, number, value, reason=""):
    status = Status.UNMEASURED if value is None else Status.MEASURED
    slices = {"task": "fact"}
    return Observation(
        metric=spec.name,
        scenario_id=f"s{number}",
        status=status,
        value=value,
        reason=reason,
        slices=slices,
    )


def babble(hits, others):
    """Answers to questions of fact: `hits` are gibberish, the others pass for wrong words."""
    rows = []
    for number in range(hits + others):
        is_gibberish = number < hits
        rows.append(observed(specs.GIBBERISH, number, float(is_gibberish)))
        value = None if is_gibberish else 1.0
        rows.append(observed(specs.GAP, number, value, "degenerate output" if is_gibberish else ""))
    return rows


@pytest.mark.parametrize(
    ("hits", "others", "mostly"), [(51, 49, True), (50, 50, False), (0, 9, False)]
)
def test_more_than_half(hits, others, mostly):
    assert bool(mostly_gibberish(babble(hits, others))) is mostly


def test_what_a_babbler_says_is_not_measured():
    item = SimpleNamespace(observations=babble(70, 30))
    found = pool_answers([item], PoolContext(seed=1, target={}, blocks=(), stimuli=None))
    (gap,) = found.estimates
    assert (gap.metric, gap.value, gap.lo, gap.n) == ("text_voice_gap_ratio", None, None, 0)
    assert gap.n_unmeasured == 70
    assert gap.reason.startswith("70 of 100 answers are gibberish")
    (section,) = found.sections
    assert section.id == "degenerate"
    assert "70 of 100" in section.paragraphs[0]
    assert specs.GIBBERISH not in HEARD
    assert specs.NUMBER_TEXT not in HEARD  # no judge is in it
