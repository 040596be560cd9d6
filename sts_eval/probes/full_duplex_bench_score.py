"""A Full-Duplex-Bench item through both scorers, and a summary of where they disagree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation, Status
from sts_eval.probes import Evidence
from sts_eval.probes import full_duplex_bench_compat as compat
from sts_eval.probes import full_duplex_bench_files as layout
from sts_eval.probes import full_duplex_bench_strict as strict
from sts_eval.probes.full_duplex_bench_item import FdbObserver, Item
from sts_eval.probes.full_duplex_bench_specs import DISAGREEMENT
from sts_eval.scenario import Scenario
from sts_eval.trace import Trace

MOST_LISTED = 50


def score_item(
    scenario: Scenario, trace: Trace, heard: Evidence, metrics: Sequence[MetricSpec]
) -> list[Observation]:
    """Every observation of one item."""
    observer = FdbObserver(scenario)
    item = Item(scenario, trace, heard)
    failed = trace.meta.error or str(scenario.expected.get("error", ""))
    if item.task not in layout.TASKS:
        failed = f"{item.task!r} is not a task folder of Full-Duplex-Bench"
    if failed or trace.meta.status == "error":
        for spec in metrics:
            if spec is DISAGREEMENT or spec.name.split("/")[1] == item.task:
                observer.error(spec, failed or "the scenario failed")
        return observer.made
    agent = strict.stretches(heard.agent_spans)
    if item.task in layout.PAUSE_TASKS:
        said = compat.score_words(observer, item), strict.score_pause(observer, item, agent)
    elif item.task in layout.BACKCHANNEL_TASKS:
        said = (
            compat.score_backchannel(observer, item),
            strict.score_backchannel(observer, item, agent),
        )
    elif item.task in layout.V15_TASKS:
        said = compat.score_intervals(observer, item), strict.score_event(observer, item, agent)
    else:
        said = compat.score_words(observer, item), strict.score_turn(observer, item, agent)
        if item.task in layout.INTERRUPTION_TASKS:
            strict.score_yield(observer, item, agent)
    observer.compare(*said, item.evidence)
    return observer.made


def disagreement_notes(observations: Sequence[Observation]) -> list[str]:
    """Per task: on how many items the scorers disagree, and on which, with what each says."""
    by_task: dict[str, list[Observation]] = defaultdict(list)
    for item in observations:
        if item.metric == DISAGREEMENT.name and item.status is Status.MEASURED:
            by_task[item.slices["task"]].append(item)
    notes = []
    for task, items in by_task.items():
        apart = [item for item in items if item.value]
        head = f"{task}: the two scorers disagree on {len(apart)} of {_items(len(items))}"
        listed = [f"{item.scenario_id} ({item.reason})" for item in apart[:MOST_LISTED]]
        rest = len(apart) - len(listed)
        more = f" ... and {rest} more: see {DISAGREEMENT.name} in run.json" if rest else ""
        notes.append(f"{head}{': ' if listed else ''}{'; '.join(listed)}{more}.")
    return notes


def word_notes(observations: Sequence[Observation]) -> list[str]:
    """Where the words of the published rules come from."""
    words = {item.scenario_id: item.slices.get("words", "") for item in observations}
    count = Counter(words.values())
    notes = []
    if given := count["output.json"]:
        notes.append(f"The words of {_items(given)} are those of output.json.")
    if judged := count["ASR judge"]:
        verb = "has" if judged == 1 else "have"
        notes.append(
            f"{_items(judged)} {verb} no output.json: the words are those of the ASR judge, not of"
            " the recogniser with which numbers were published."
        )
    return notes


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"
