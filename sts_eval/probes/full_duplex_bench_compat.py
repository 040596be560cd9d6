"""The published scorer of Full-Duplex-Bench items: `sts_eval.metrics.fdb` applied to an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sts_eval.metrics import fdb
from sts_eval.metrics.fdb import FdbWord, RuleUndefined, Segment
from sts_eval.probes import full_duplex_bench_files as layout
from sts_eval.probes.full_duplex_bench_item import FdbObserver, Item, Said
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

BACKCHANNEL_METRICS = ("tor", "backchannel_freq_hz", "jsd")


@dataclass
class PublishedVad:
    """Silero as the published code calls it, in the shape of a judge for the score cache.

    stretch: 1, or file rate / 16 kHz where the file is taken to be at 16 kHz whatever it is; the
    segments' times are then those of the stretched file.
    """

    version: str
    stretch: float = 1.0
    name: str = "silero-published"

    def segments(self, track: Samples) -> list[Segment]:
        """float32 [S] at 24 kHz -> segments in seconds. Raises JudgeError."""
        from sts_eval.audio import resample
        from sts_eval.judges.vad import speech_probabilities

        stretched = resample(track, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * self.stretch)
        samples = round(stretched.size * fdb.VAD_RATE_HZ / SAMPLE_RATE_HZ)
        found = fdb.silero_segments(speech_probabilities(stretched).tolist(), samples)
        return [(start / fdb.VAD_RATE_HZ, end / fdb.VAD_RATE_HZ) for start, end in found]


def published_segments(track: Samples, stretch: float = 1.0) -> list[Segment]:
    """Silero's segments of a track by its own defaults, remembered like any judgement."""
    from sts_eval.judges import load_vad
    from sts_eval.judges.cache import cached

    vad = PublishedVad(f"1-{load_vad('silero').version}-x{stretch:g}", stretch)
    return [(start, end) for start, end in cached(vad, track, lambda: vad.segments(track))]


def score_words(observer: FdbObserver, item: Item) -> Said:
    """TOR and, where the task has one, latency, from the words."""
    tor = observer.spec("fdb_compat", "tor")
    timed = item.task not in layout.PAUSE_TASKS
    latency = observer.spec("fdb_compat", "latency_s") if timed else None
    words = item.words()
    try:
        if words is None:
            raise RuleUndefined(item.no_words())
        took = fdb.takeover(words)
    except RuleUndefined as error:
        observer.unmeasured(tor, str(error))
        if latency is not None:
            observer.unmeasured(latency, str(error))
        return Said("no value", missing=str(error))
    observer.value(tor, float(took), _extent(words) or item.evidence)
    label = "took the turn" if took else "did not take the turn"
    if latency is None:
        return Said(label, took)
    end_s = item.scenario.turn_end_s
    latency_s = fdb.latency_s(words, end_s)
    if latency_s is None:
        observer.unmeasured(latency, "TOR is 0: such an item has no published latency")
        return Said(label, took)
    observer.value(latency, latency_s, (end_s, words[0].start_s or 0.0))
    return Said(f"{label} after {latency_s:.2f} s", took, latency_s)


def _extent(words: Sequence[FdbWord]) -> Segment | None:
    if not words or words[0].start_s is None or words[-1].end_s is None:
        return None
    return words[0].start_s, words[-1].end_s


def score_backchannel(observer: FdbObserver, item: Item) -> Said:
    """TOR, frequency and timing of back-channels, with the file's rate and with 16 kHz assumed."""
    words = item.words()
    if words is None:
        for name in BACKCHANNEL_METRICS:
            observer.unmeasured(observer.spec("fdb_compat", name), item.no_words())
        return Said("no value", missing=item.no_words())
    rate_hz = item.facts.get("output_rate_hz")
    if rate_hz is not None:  # a live target writes no file whose rate could be mistaken
        _backchannels(observer, item, words, "_assumed_16k", rate_hz / fdb.VAD_RATE_HZ)
    found = _backchannels(observer, item, words, "", 1.0)
    label = "took the turn" if found.took_turn else f"{len(found.segments)} back-channels"
    hollow = "" if found.segments or "density" not in item.facts else "JSD 1.0 for silence"
    return Said(label, found.took_turn, hollow=hollow)


def _backchannels(
    observer: FdbObserver, item: Item, words: Sequence[FdbWord], suffix: str, stretch: float
) -> fdb.Backchannels:
    tor, frequency, jsd = (
        observer.spec("fdb_compat", name + suffix) for name in BACKCHANNEL_METRICS
    )
    segments = published_segments(item.agent, stretch)
    found = fdb.backchannels(fdb.rounded(segments, item.seconds * stretch), words)
    whole = (0.0, item.seconds)
    observer.value(tor, float(found.took_turn), whole)
    observer.value(frequency, len(found.segments) / item.seconds, whole)
    if "density" in item.facts:
        distance = fdb.backchannel_jsd(found.segments, item.seconds, item.facts["density"])
        observer.value(jsd, distance, whole)
    else:
        observer.unmeasured(jsd, item.facts["density_missing"])
    return found


def score_intervals(observer: FdbObserver, item: Item) -> Said:
    """v1.5: one observation per overlap and per gap of the file; `Said` of those at the event."""
    user = fdb.merged(published_segments(item.trace.user), fdb.USER_MERGE_GAP_S)
    model = fdb.merged(published_segments(item.agent), fdb.MODEL_MERGE_GAP_S)
    stops = fdb.stop_intervals(user, model)
    gaps = fdb.response_intervals(user, model)
    for name, found, nothing in (
        ("stop_latency_s", stops, "user and agent never speak at the same time"),
        ("response_latency_s", gaps, "the agent begins no segment after one of the user"),
    ):
        spec = observer.spec("fdb_compat", name)
        for start_s, end_s in found:
            observer.value(spec, end_s - start_s, (start_s, end_s))
        if not found:
            observer.unmeasured(spec, nothing)
    onset_s, event_end_s = item.evidence
    stop_s = _mean([b - a for a, b in stops if a < event_end_s and b > onset_s])
    label = "no stop" if stop_s is None else f"stopped after {stop_s:.2f} s"
    if item.task in layout.NON_DIRECTED_TASKS:
        return Said(label, stop_s=stop_s)
    latency_s = _mean([b - a for a, b in gaps if a >= onset_s])
    label += ", no answer" if latency_s is None else f", answered after {latency_s:.2f} s"
    return Said(label, latency_s is not None, latency_s, stop_s)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
