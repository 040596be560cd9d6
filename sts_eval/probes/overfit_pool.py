"""The pooled analysis of the overfit suite: traces and training set in, observations out.

The index of the training set is built once; each conversation costs a look-up. What a skipped or
failed scenario would have been measured by is unmeasured or an error, with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sts_eval.audio import AudioError
from sts_eval.audit.encoders import EncoderError
from sts_eval.metric import MetricSpec
from sts_eval.metrics import extraction
from sts_eval.metrics.interruption import holds_answer
from sts_eval.metrics.verbatim import TextMatch
from sts_eval.observation import Observation, Status
from sts_eval.probes import PoolContext, Pooled, PoolItem
from sts_eval.probes import overfit_specs as specs
from sts_eval.probes.overfit_match import Matcher, Said, channels, continuation
from sts_eval.probes.overfit_plan import Sources, load_sources
from sts_eval.probes.overfit_sound import SoundIndex, choose
from sts_eval.probes.overfit_training import TrainingText
from sts_eval.probes.overfit_voice import NO_COPY, Spoken, VoiceJudge
from sts_eval.target import Samples

CONTINUED = {"prefix": specs.EXTRACTION, "canary": specs.CANARY_EXTRACTION}
OF_TEXT = (specs.REGURGITATION, specs.LONGEST, specs.COPIED_SHARE)
OF_SOUND = (specs.TOKEN_COPY, specs.AUDIO_COPY, specs.COPIED_VOICE)


@dataclass
class Copied:
    """What one conversation says of the training set; kept for the tables and the sound.

    text: what was said, at span_s where the judge heard it; of: the training text.
    """

    item: PoolItem
    match: TextMatch | None
    text: str
    of: TrainingText
    span_s: tuple[float, float] | None


@dataclass
class Findings:
    """Everything found, in the order of the scenarios."""

    observations: list[Observation] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)
    scores: dict[str, list[tuple[float, PoolItem]]] = field(default_factory=dict)
    repetitions: dict[str, int] = field(default_factory=dict)
    right: dict[str, dict[str, list[bool]]] = field(
        default_factory=lambda: {"seen": defaultdict(list), "unseen": defaultdict(list)}
    )
    recordings: int = 0
    agreement: float | None = None

    def add(
        self,
        spec: MetricSpec,
        item: PoolItem,
        value: float | None,
        reason: str = "",
        span_s: tuple[float, float] | None = None,
        status: Status = Status.UNMEASURED,
    ) -> None:
        """One observation; without a value it needs a reason."""
        self.observations.append(
            Observation(
                metric=spec.name,
                scenario_id=item.scenario.id,
                status=Status.MEASURED if value is not None else status,
                value=value,
                reason="" if value is not None else reason,
                cluster=item.scenario.cluster,
                span_s=span_s if value is not None else None,
                slices=item.scenario.conditions,
            )
        )


def pool_items(items: Sequence[PoolItem], context: PoolContext) -> Pooled:
    """Everything the suite finds. Raises ValueError when the training set has changed since."""
    from sts_eval.probes.overfit_section import sections_of

    found = Findings()
    sources = [(block, load_sources(block)) for block in context.blocks]
    for block, source in sources:
        own = [each for each in items if _belongs(each, source)]
        if not own:
            continue
        usable = [each for each in own if _usable(each, found)]
        matcher = Matcher(source)
        for each in usable:
            _words(each, matcher, source, found)
        _sounds(usable, matcher, source, getattr(block, "recordings", 0), context.seed, found)
    known = {_stamp(source) for _, source in sources}
    if any(_stamp_of(each) not in known for each in items):
        raise ValueError("the training set or the canary list is not the one of the run")
    _exposures(found)
    _gaps(found)
    return Pooled(observations=found.observations, sections=sections_of(items, found, sources))


def _stamp(source: Sources) -> tuple[str, str]:
    return source.training.sha256, source.canaries.sha256 if source.canaries else ""


def _stamp_of(item: PoolItem) -> tuple[str, str]:
    # a scenario that could not be rendered knows nothing: it belongs to the first block
    expected = item.scenario.expected
    return str(expected.get("training_sha256", "")), str(expected.get("canaries_sha256", ""))


def _belongs(item: PoolItem, source: Sources) -> bool:
    return _stamp_of(item) == _stamp(source)


def _metrics_of(item: PoolItem) -> tuple[MetricSpec, ...]:
    probe = item.scenario.conditions.get("probe", "")
    extra = (specs.ACCURACY,) if probe == "question" else ()
    own = (CONTINUED[probe],) if probe in CONTINUED else extra
    return (*OF_TEXT, *OF_SOUND, *own)


def _usable(item: PoolItem, found: Findings) -> bool:
    """Whether there is a conversation to look at; else its metrics say why not."""
    if item.result.status == "ok":
        return True
    status = Status.ERROR if item.result.status == "error" else Status.UNMEASURED
    reason = item.result.error or "the scenario was not run"
    for spec in _metrics_of(item):
        found.add(spec, item, None, reason, status=status)
    return False


def _words(item: PoolItem, matcher: Matcher, source: Sources, found: Findings) -> None:
    scenario, said = item.scenario, channels(item.result)
    if not source.training.has_words and source.canaries is None:
        for spec in OF_TEXT:
            found.add(spec, item, None, "the training manifest has no texts")
    else:
        _copies(item, matcher, said, found)
    probe = scenario.conditions["probe"]
    if probe in CONTINUED:
        hit, score = continuation(scenario, said)
        reason = "too few words follow the beginning that was given"
        found.add(CONTINUED[probe], item, None if hit is None else float(hit), reason)
        if probe == "canary":
            name = scenario.cluster
            found.scores.setdefault(name, []).append((score, item))
            found.repetitions[name] = int(scenario.conditions["repetitions"])
    if probe == "question":
        right = holds_answer(item.result.heard_text, scenario.expected)
        found.add(specs.ACCURACY, item, None if right is None else float(right), "no answer known")
        wording, fact = scenario.conditions["wording"], scenario.conditions["fact"]
        if right is not None:
            found.right[wording][fact].append(right)


def _copies(item: PoolItem, matcher: Matcher, said: Sequence[Said], found: Findings) -> None:
    match, channel = matcher.best(item.scenario, said)
    copy = match is not None and match.copy
    span_s = channel.span_s(match.start, match.end) if match else None
    found.add(specs.REGURGITATION, item, float(copy), span_s=span_s if copy else None)
    found.add(specs.LONGEST, item, float(match.distinctive if match else 0), span_s=span_s)
    share = matcher.copied_share(item.scenario, said[0])
    found.add(specs.COPIED_SHARE, item, share, "fewer than three words were heard")
    if match is not None and match.distinctive > 0:
        words = " ".join(channel.words[match.start : match.end])
        found.copied.append(Copied(item, match, words, matcher.items[match.text], span_s))


def _sounds(
    items: Sequence[PoolItem],
    matcher: Matcher,
    source: Sources,
    most: int,
    seed: int,
    found: Findings,
) -> None:
    from sts_eval.trace import load_trace

    if not source.training.has_audio or most == 0:
        reason = (
            "the training manifest has no recordings" if most else "no recordings were asked for"
        )
        for each in items:
            for spec in OF_SOUND:
                found.add(spec, each, None, reason)
        return
    asked = [each.scenario.cluster for each in items]
    matched = [
        c.of.id
        for c in sorted(found.copied, key=lambda c: -(c.match.distinctive if c.match else 0))
        if c.match is not None
    ]
    chosen = choose(source.training.texts, [*matched, *asked], most, seed)
    index = SoundIndex(chosen, seed)
    found.recordings += len(chosen)
    found.agreement = index.agreement
    answers = frozenset(item.id for item in chosen if item.answers)
    in_words = {c.item.scenario.id: c for c in found.copied if c.match is not None and c.match.copy}
    voices = VoiceJudge()
    for each in items:
        agent = load_trace(each.trace).agent
        skip = answers if each.scenario.user_spans else frozenset()
        hits = index.hits(agent, each.result.agent_spans, skip)
        found.add(specs.TOKEN_COPY, each, float(hits.tokens is not None))
        span_s = hits.sound.span_s if hits.sound else None
        found.add(specs.AUDIO_COPY, each, float(hits.sound is not None), span_s=span_s)
        copied = in_words.get(each.scenario.id)
        as_heard = Spoken(copied.of, copied.span_s) if copied and copied.span_s else None
        if as_heard is not None and not as_heard.of.can_sound:
            as_heard = None  # a text without a recording has no voice
        _voice(each, agent, as_heard or hits.sound or hits.tokens, voices, found)


def _voice(
    item: PoolItem, agent: Samples, copy: Spoken | None, voices: VoiceJudge, found: Findings
) -> None:
    if copy is None:
        found.add(specs.COPIED_VOICE, item, None, NO_COPY)
        return
    try:
        same = voices.same(agent, copy)
    except (EncoderError, AudioError) as error:
        found.add(specs.COPIED_VOICE, item, None, str(error))
        return
    found.add(specs.COPIED_VOICE, item, float(same), span_s=copy.span_s)


def _exposures(found: Findings) -> None:
    """One observation per trained canary: its best score among the controls' best scores."""
    best = {name: max(scores, key=lambda pair: pair[0]) for name, scores in found.scores.items()}
    controls = [score for name, (score, _) in best.items() if not found.repetitions[name]]
    for name, (score, item) in best.items():
        if not found.repetitions[name]:
            continue
        bits = extraction.exposure_bits(score, controls)
        found.add(specs.EXPOSURE, item, bits, "no held-out control canaries (repetitions: 0)")


def _gaps(found: Findings) -> None:
    items = {o.slices.get("fact", ""): o for o in found.observations}
    for fact, points in extraction.gaps(found.right["seen"], found.right["unseen"]).items():
        origin = items[fact]
        found.observations.append(
            Observation(
                metric=specs.GAP.name,
                scenario_id=origin.scenario_id,
                status=Status.MEASURED,
                value=points,
                cluster=origin.cluster,
            )
        )
