"""The pooled analysis of the emotion tokens: traces in, estimates and a section out.

The tokens come from the user's track of each trace, cut at its spans. Intervals draw whole speakers
with everything they say (`sts_eval.stats.bootstrap`); the probes are not trained anew for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sts_eval.metric import MetricSpec
from sts_eval.metrics import probing
from sts_eval.metrics.probing import Reading
from sts_eval.observation import Estimate
from sts_eval.probes import PoolContext, Pooled, PoolItem
from sts_eval.probes import emotion_token_specs as specs
from sts_eval.probes.emotion_token_analysis import (
    ACOUSTIC,
    SEMANTIC,
    Findings,
    analyse,
)
from sts_eval.probes.emotion_token_features import (
    FloatArray,
    IntArray,
    Rendition,
    Tokenizer,
    TokenSet,
    load_tokenizer,
    sound_features,
)
from sts_eval.probes.emotion_token_plan import prefix
from sts_eval.probes.emotion_token_tasks import EMOTION, Task
from sts_eval.stats import quantity, tidy
from sts_eval.stats.bootstrap import MIN_CLUSTERS, Resampled, resample
from sts_eval.stats.proportions import Bounds
from sts_eval.stats.sample import generator, make_sample
from sts_eval.stats.summary import estimate_sample
from sts_eval.targets import parse_spec
from sts_eval.targets.repeater import CodecTarget
from sts_eval.trace import load_trace
from sts_eval.units import seconds_to_samples

NOTHING = Bounds(None, None)
NO_SPLIT = "the codec has no semantic codebooks to compare with"


def pool_items(items: Sequence[PoolItem], context: PoolContext) -> Pooled:
    """Everything that each block of the kind finds. Raises ValueError on two blocks of one name."""
    from sts_eval.probes.emotion_token_section import section_of

    pooled = Pooled()
    names = [str(getattr(block, "name", "")) for block in context.blocks]
    if len(set(names)) < len(names):
        raise ValueError("two emotion_tokens blocks have one name")
    for block, name in zip(context.blocks, names, strict=True):
        own = [item for item in items if item.scenario.id.startswith(prefix(name))]
        if not own:
            continue
        material = gather(own, tokenizer_of(block, context))
        found = analyse(
            material.tokens,
            seed=context.seed,
            shuffles=int(getattr(block, "shuffles", 400)),
            perceptron=bool(getattr(block, "perceptron", True)),
        )
        made = Estimates(found, material, {"set": name} if name else {}, context.seed)
        pooled.estimates.extend(made.all())
        pooled.sections.append(section_of(found, material, made, name))
    return pooled


def tokenizer_of(block: Any, context: PoolContext) -> Tokenizer:
    """The block's codec, else the target's if it is one, else the reference. Raises TargetError."""
    named = getattr(block, "codec", None)
    if named is None and context.target.get("name") == CodecTarget.name:
        named = parse_spec(str(context.target["spec"]))[1].get("name")
    return load_tokenizer(named or "reference", block.codebooks, block.semantic)


@dataclass
class Material:
    """The token set of a run and what of it is missing, for the section and the estimates.

    errors: why scenarios (or recordings) are missing. made: whether a vocoder made the emotions.
    """

    tokens: TokenSet
    errors: list[str] = field(default_factory=list)
    missing: int = 0
    corpus: dict[str, Any] = field(default_factory=dict)

    @property
    def speakers(self) -> list[str]:
        """All of them, sorted."""
        return sorted({each.speaker for each in self.tokens.renditions})


def gather(items: Sequence[PoolItem], tokenizer: Tokenizer) -> Material:
    """Encode every rendition of the traces."""
    renditions: list[Rendition] = []
    errors: list[str] = []
    missing = 0
    corpus: dict[str, Any] = {}
    many = max((len(item.scenario.user_spans) for item in items), default=1)
    parallel = True
    for item in items:
        known = item.scenario.expected
        if item.result.status != "ok" or "speaker" not in known:
            errors.append(item.result.error or "the scenario was not run")
            missing += many
            continue
        corpus = known.get("corpus", {})
        parallel = parallel and bool(corpus.get("parallel", True))
        errors += known.get("damaged", [])
        missing += len(known.get("damaged", []))
        user = load_trace(item.trace).user
        for span in item.scenario.user_spans:
            audio = user[seconds_to_samples(span.start_s) : seconds_to_samples(span.end_s)]
            renditions.append(
                Rendition(
                    scenario_id=item.scenario.id,
                    speaker=str(known["speaker"]),
                    text=str(known["text"]),
                    words=str(known["words"]),
                    emotion=span.label,
                    tokens=tokenizer.tokens(audio),
                    sound=sound_features(audio),
                )
            )
    tokens = TokenSet(
        renditions,
        codec=tokenizer.name,
        codebook_size=tokenizer.codebook_size,
        semantic=tokenizer.semantic,
        vectors=tokenizer.vectors,
        parallel=parallel,
        frame_s=tokenizer.frame_s,
    )
    return Material(tokens, errors, missing, corpus)


@dataclass
class Estimates:
    """The findings as estimates; `slice_` goes to all of them."""

    found: Findings
    material: Material
    slice_: dict[str, str]
    seed: int

    def all(self) -> list[Estimate]:
        """Every estimate, the headline first."""
        return [
            *self.separations(),
            *(self.reading(*key) for key in self._reading_keys()),
            *self.controls(),
            *self.information(),
            *self.divergence(),
            *self.distances(),
        ]

    def _reading_keys(self) -> list[tuple[str, str, str]]:
        return list(self.found.readings) or [(EMOTION, "all", "linear")]

    def separations(self) -> list[Estimate]:
        """recall(acoustic) - recall(semantic): the headline (linear), and the perceptron's."""
        rows = [self.separation("linear")]
        if (EMOTION, SEMANTIC, "mlp") in self.found.readings:
            rows.append(self.separation("mlp"))
        return rows

    def separation(self, probe: str) -> Estimate:
        """The separation that one probe sees."""
        where = {} if probe == "linear" else {"probe": probe}
        task = self.found.tasks.get(EMOTION, Task(EMOTION, reason="no recordings"))
        readings = [
            self.found.readings.get((EMOTION, which, probe)) for which in (ACOUSTIC, SEMANTIC)
        ]
        acoustic, semantic = readings
        if acoustic is None or semantic is None:
            return self._missing(specs.SEPARATION, where, task.reason or NO_SPLIT)
        labels, cluster = _codes(task)

        def statistic(weight: IntArray) -> FloatArray:
            first, second = (
                probing.weighted_recall(weight, labels, each.predicted, cluster)
                for each in (acoustic, semantic)
            )
            return np.asarray(first - second)

        value = probing.separation(acoustic.recall, semantic.recall)
        return self._resampled(specs.SEPARATION, where, value, statistic, task, (-1.0, 1.0))

    def reading(self, name: str, which: str, probe: str) -> Estimate:
        """The recall of one probe on one codebook set."""
        where = {"carries": name, "codebooks": which, "probe": probe}
        task = self.found.tasks.get(name, Task(name, reason="no recordings"))
        reading = self.found.readings.get((name, which, probe))
        if reading is None:
            return self._missing(specs.RECALL, where, task.reason)
        return self._recall(specs.RECALL, where, task, reading)

    def controls(self) -> list[Estimate]:
        """What should be at chance."""
        rows = []
        for which in (SEMANTIC, ACOUSTIC, "all"):
            reading = self.found.readings.get((EMOTION, which, "linear"))
            if reading is not None:
                rows.append(self._shuffled(f"shuffled_{which}", reading))
        for name, (task, reading) in self.found.controls.items():
            rows.append(self._recall(specs.CONTROL, {"control": name}, task, reading))
        for name in ("text", "length", "vocoder_all"):
            if name in self.found.reasons:
                rows.append(
                    self._missing(specs.CONTROL, {"control": name}, self.found.reasons[name])
                )
        return rows or [self._missing(specs.CONTROL, {"control": "text"}, "no recordings")]

    def information(self) -> list[Estimate]:
        """Bits of a token, by codebook."""
        rows = [
            self._estimate(
                specs.INFORMATION,
                {"carries": name, "codebooks": str(k)},
                value=each.corrected,
                n=self.found.tasks[name].chosen.size,
                method="Miller-Madow, less the mean of shuffled labels",
                reason=f"no interval; p = {each.p:.3g} by shuffling",
            )
            for (name, k), each in self.found.information.items()
        ]
        reason = self.found.reasons.get(EMOTION, "no recordings")
        return rows or [self._missing(specs.INFORMATION, {"carries": EMOTION}, reason)]

    def divergence(self) -> list[Estimate]:
        """Divergence beyond that of one emotion, by codebook; one value for each speaker."""
        values = {}
        for k, own in self.found.divergence.items():
            speakers = sorted(set(self.found.tasks[EMOTION].speakers))
            values[k] = [(who, who, float(v)) for who, v in zip(speakers, own, strict=True)]
        return self._by_codebook(specs.DIVERGENCE, values, "divergence")

    def distances(self) -> list[Estimate]:
        """Tokens that change between emotions of a sentence, by codebook."""
        return self._by_codebook(specs.DISTANCE, self.found.distances, "distance")

    def _by_codebook(
        self, spec: MetricSpec, values: Mapping[int, list[tuple[str, str, float]]], name: str
    ) -> list[Estimate]:
        """Means of (speaker, scenario, value), or why there are none."""
        rows = [
            estimate_sample(
                make_sample(own),
                spec,
                "mean",
                seed=self.seed,
                slice={**self.slice_, "codebooks": str(k)},
            )
            for k, own in values.items()
        ]
        return rows or [self._missing(spec, {}, self.found.reasons.get(name, "no recordings"))]

    def _recall(
        self, spec: MetricSpec, where: Mapping[str, str], task: Task, reading: Reading
    ) -> Estimate:
        labels, cluster = _codes(task)

        def statistic(weight: IntArray) -> FloatArray:
            return probing.weighted_recall(weight, labels, reading.predicted, cluster)

        return self._resampled(spec, where, reading.recall, statistic, task, (0.0, 1.0))

    def _shuffled(self, name: str, reading: Reading) -> Estimate:
        lo, hi = np.quantile(reading.shuffled, [0.025, 0.975])
        return self._estimate(
            specs.CONTROL,
            {"control": name},
            value=reading.control,
            bounds=Bounds(float(lo), float(hi)),
            n=reading.shuffled.size,
            method=f"95 % of {reading.shuffled.size} shuffles",
        )

    def _resampled(
        self,
        spec: MetricSpec,
        where: Mapping[str, str],
        value: float,
        statistic: Callable[[IntArray], FloatArray],
        task: Task,
        limits: tuple[float, float],
    ) -> Estimate:
        clusters = len(set(task.speakers))
        name = quantity(spec.name, "mean", {**self.slice_, **where})
        draws = resample(generator(name, self.seed), clusters, statistic, task.chosen.size)
        lo, hi = Resampled(value, draws, clusters).bounds()
        few = clusters < MIN_CLUSTERS
        return self._estimate(
            spec,
            where,
            value=value,
            bounds=Bounds(max(limits[0], lo or 0.0), min(limits[1], hi or 0.0)),
            n=task.chosen.size,
            n_clusters=clusters,
            method="Student, between speakers" if few else "bootstrap of speakers",
            reason=f"only {clusters} speakers: the interval is approximate" if few else "",
        )

    def _missing(self, spec: MetricSpec, where: Mapping[str, str], reason: str) -> Estimate:
        n = len(self.material.tokens.renditions)
        return self._estimate(spec, where, value=None, n=0, n_unmeasured=n, reason=reason)

    def _estimate(
        self,
        spec: MetricSpec,
        where: Mapping[str, str],
        *,
        value: float | None,
        n: int,
        bounds: Bounds = NOTHING,
        n_clusters: int = 0,
        n_unmeasured: int = 0,
        method: str = "none",
        reason: str = "",
    ) -> Estimate:
        lo, hi = bounds
        return Estimate(
            metric=spec.name,
            statistic="mean",
            value=None if value is None else tidy(value),
            lo=None if lo is None else tidy(lo),
            hi=None if hi is None else tidy(hi),
            n=n,
            n_clusters=n_clusters,
            n_unmeasured=n_unmeasured,
            n_error=self.material.missing,
            unit=spec.unit,
            direction=spec.direction,
            method=method,
            version=spec.version,
            slice={**self.slice_, **where},
            reason=reason,
        )


def _codes(task: Task) -> tuple[IntArray, IntArray]:
    """Labels and speakers of a task as codes, [n] each."""
    return probing.codes_of(task.labels), probing.codes_of(task.speakers)
