"""How wrong the judges are, measured on tracks whose truth is known by construction.

Material: packaged stimuli (clean, held-out voices; short back-channels and greetings left out),
cut to their first and last 10 ms block of speech, so that begin and end are known, and laid into
tracks:

- VAD: one utterance after 0.3-1.5 s of background and before 1 s of it; digital silence, and white
  noise at -60 and -45 dBFS (speech is at -23 dBFS). Errors are judged minus true, signed.
- ASR: two utterances with 0-0.3 s between them. Word errors against both texts; onset of the first
  word and of the first word of the second utterance, judged minus true.

Results are Estimates (value, interval, n, what was missed), kept on disk by judge version and
material, so that only the first report pays for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from sts_eval.judges import load_asr, load_vad
from sts_eval.judges.base import AsrJudge, JudgeError, VadJudge
from sts_eval.judges.cache import remember
from sts_eval.judges.text import WordErrors, word_errors
from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate
from sts_eval.record import JudgeReport, Word
from sts_eval.stats.sample import make_sample
from sts_eval.stats.summary import estimate_sample
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.target import Samples
from sts_eval.trace import silence
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

VERSION: Final = 1
SEED: Final = 20
KINDS: Final = ("arithmetic", "fact", "unanswerable", "long")
VAD_PER_VOICE: Final = 20
ASR_PER_VOICE: Final = 12
BACKGROUNDS: Final[dict[str, float | None]] = {
    "digital silence": None,
    "-60 dBFS noise": -60.0,
    "-45 dBFS noise": -45.0,
}
GAPS_S: Final = (0.0, 0.1, 0.3)
MATCH_S: Final = 0.5  # a word further from the true onset than this is not the word meant

J = TypeVar("J", AsrJudge, VadJudge)
Row = tuple[str, str, float]
"""(cluster, scenario, value), as `make_sample` takes it."""


def judge_reports(asr: str, vad: str, second: str = "none") -> list[JudgeReport]:
    """Measured error rates of the judges that a run used; "none" is left out.

    With a second judge, both are also measured on spoken numbers, which is what they are compared
    on.

    A judge that cannot run is reported with the reason and without numbers.
    """
    reports = [_report(vad, "where speech is (VAD)", is_asr=False)]
    if asr != "none":
        reports.append(_report(asr, "which words (ASR)", is_asr=True))
    if second != "none":
        reports.append(_numbers_report(second, "which numbers, second opinion (ASR)"))
        if asr != "none":
            reports.append(_numbers_report(asr, "which numbers (ASR)"))
    return reports


def _numbers_report(name: str, role: str) -> JudgeReport:
    from sts_eval.judges.number_calibration import number_estimates

    try:
        version = load_asr(name).version
        errors = number_estimates(name)
    except JudgeError as error:
        return JudgeReport(name=name, role=role, version="", note=f"not measured: {error}")
    note = "Measured on packaged spoken numbers in four voices; others may be harder."
    return JudgeReport(name=name, role=role, version=version, errors=errors, note=note)


def _report(name: str, role: str, *, is_asr: bool) -> JudgeReport:
    version = ""
    try:
        if is_asr:
            asr = load_asr(name)
            version = asr.version
            errors = measured(asr, _measure_asr)
        else:
            vad = load_vad(name)
            version = vad.version
            errors = measured(vad, _measure_vad)
    except JudgeError as error:
        return JudgeReport(name=name, role=role, version=version, note=f"not measured: {error}")
    note = "Measured on packaged clean speech; other speech may be harder."
    return JudgeReport(name=name, role=role, version=version, errors=errors, note=note)


def measured(judge: J, measure: Callable[[J, Stimuli], list[Estimate]]) -> list[Estimate]:
    """`measure(judge, stimuli)`, or what it gave before for this version and material."""
    stimuli = Stimuli.load()
    key = ("calibration", judge.name, judge.version, stimuli.sha256, str(VERSION))
    rows, _ = remember(
        key, lambda: [each.model_dump(mode="json") for each in measure(judge, stimuli)]
    )
    return [Estimate.model_validate(row) for row in rows]


@dataclass(frozen=True)
class Placed:
    """A track and the true spans of the utterances on it, seconds."""

    id: str
    audio: Samples
    spans: tuple[tuple[float, float], ...]
    text: str
    background: str = ""


def vad_material(stimuli: Stimuli) -> Iterator[Placed]:
    """One utterance a track, in each background."""
    rng = np.random.default_rng(SEED)
    for item in stimuli.pick(kind=KINDS, per_voice=VAD_PER_VOICE, seed=SEED):
        lead = seconds_to_samples(float(rng.uniform(0.3, 1.5)))
        speech = item.speech()
        track = np.concatenate([silence(lead), speech, silence(SAMPLE_RATE_HZ)])
        noise = rng.standard_normal(track.size).astype(np.float32)
        span = (lead / SAMPLE_RATE_HZ, (lead + speech.size) / SAMPLE_RATE_HZ)
        for background, level_dbfs in BACKGROUNDS.items():
            gain = 0.0 if level_dbfs is None else 10 ** (level_dbfs / 20)
            audio = (track + np.float32(gain) * noise).astype(np.float32)
            yield Placed(item.id, audio, (span,), item.text, background)


def asr_material(stimuli: Stimuli) -> Iterator[Placed]:
    """Two utterances of one voice a track, 0 to 0.3 s apart."""
    picked = stimuli.pick(kind=KINDS, per_voice=ASR_PER_VOICE, seed=SEED + 1)
    pairs: list[tuple[Stimulus, Stimulus]] = [
        (a, b) for a, b in zip(picked[0::2], picked[1::2], strict=False) if a.voice == b.voice
    ]
    lead = silence(SAMPLE_RATE_HZ // 2)
    for index, (first, second) in enumerate(pairs):
        gap = silence(seconds_to_samples(GAPS_S[index % len(GAPS_S)]))
        one, two = first.speech(), second.speech()
        edges = np.cumsum([lead.size, one.size, gap.size, two.size]) / SAMPLE_RATE_HZ
        yield Placed(
            f"{first.id}+{second.id}",
            np.concatenate([lead, one, gap, two, lead]),
            ((float(edges[0]), float(edges[1])), (float(edges[2]), float(edges[3]))),
            f"{first.text} {second.text}",
        )


def _measure_vad(judge: VadJudge, stimuli: Stimuli) -> list[Estimate]:
    rows: dict[tuple[str, str], list[Row]] = {}

    def add(metric: str, track: Placed, value: float) -> None:
        row = (track.id, f"{track.id} {track.background}", value)
        rows.setdefault((metric, track.background), []).append(row)

    for track in vad_material(stimuli):
        begin, end = track.spans[0]
        heard = judge.speech_spans(track.audio)
        spans = [span for span in heard if _overlap(span, (begin, end))]
        add("vad_missed_rate", track, float(not spans))
        add("vad_false_speech_rate", track, float(len(spans) < len(heard)))
        if spans:
            add("vad_onset_error_ms", track, 1000 * (spans[0][0] - begin))
            add("vad_offset_error_ms", track, 1000 * (spans[-1][1] - end))
            add("vad_onset_abs_error_ms", track, 1000 * abs(spans[0][0] - begin))
            add("vad_offset_abs_error_ms", track, 1000 * abs(spans[-1][1] - end))
    return [
        _estimate(metric, rows.get((metric, background), []), {"background": background})
        for background in BACKGROUNDS
        for metric in VAD_METRICS
    ]


def _measure_asr(judge: AsrJudge, stimuli: Stimuli) -> list[Estimate]:
    words: list[Row] = []
    onsets: list[Row] = []
    lost: list[Row] = []
    for track in asr_material(stimuli):
        heard = judge.transcribe(track.audio)
        counts: WordErrors = word_errors(track.text, heard.text)
        # A row per spoken word, each with the utterance's share: their mean is the pooled rate, and
        # the cluster bootstrap draws utterances.
        share = counts.errors / counts.words
        words += [(track.id, f"{track.id} {k}", share) for k in range(counts.words)]
        for k, (begin, _) in enumerate(track.spans):
            error = _nearest_onset(heard.words, begin)
            lost.append((track.id, f"{track.id} {k}", float(error is None)))
            if error is not None:
                onsets.append((track.id, f"{track.id} {k}", 1000 * error))
    absolute = [(cluster, scenario, abs(value)) for cluster, scenario, value in onsets]
    return [
        _estimate("asr_word_error_ratio", words, {}),
        _estimate("asr_word_onset_error_ms", onsets, {}),
        _estimate("asr_word_onset_abs_error_ms", absolute, {}),
        _estimate("asr_word_lost_rate", lost, {}),
    ]


def _nearest_onset(words: tuple[Word, ...], onset_s: float) -> float | None:
    """Signed distance of the word that begins nearest to a known onset; None beyond 0.5 s."""
    distances = [word.start_s - onset_s for word in words]
    nearest = min(distances, key=abs, default=None)
    return None if nearest is None or abs(nearest) > MATCH_S else nearest


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return min(a[1], b[1]) > max(a[0], b[0])


VAD_METRICS: Final = {
    "vad_onset_error_ms": "p50",
    "vad_onset_abs_error_ms": "p95",
    "vad_offset_error_ms": "p50",
    "vad_offset_abs_error_ms": "p95",
    "vad_missed_rate": "rate",
    "vad_false_speech_rate": "rate",
}
ASR_METRICS: Final = {
    "asr_word_error_ratio": "mean",
    "asr_word_onset_error_ms": "p50",
    "asr_word_onset_abs_error_ms": "p95",
    "asr_word_lost_rate": "rate",
}


def _estimate(metric: str, rows: list[Row], where: dict[str, str]) -> Estimate:
    statistic = (VAD_METRICS | ASR_METRICS)[metric]
    spec = MetricSpec(
        name=metric,
        title=metric.replace("_", " "),
        unit="ms" if metric.endswith("_ms") else "1",
        direction="none" if "error_ms" in metric and "abs" not in metric else "lower",
        statistics=(statistic,),
        version=VERSION,
        meaning="An error of a judge.",
        method="Judged minus true on composed tracks.",
        limits="Clean synthetic speech.",
    )
    return estimate_sample(make_sample(rows), spec, statistic, seed=SEED, slice=where)
