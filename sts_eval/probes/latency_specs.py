"""The metrics of the latency suite: their contracts in words (see `sts_eval.metric`)."""

from __future__ import annotations

from sts_eval.metric import MetricSpec

_TURN_END = "last 10 ms of the user's speech, known from the stimulus itself"
_ONSET = "first 10 ms of the agent's speech that answers the turn"
_VAD = "voice activity judge, refined to 10 ms by energy"

RESPONSE_ONSET_AUDIO = MetricSpec(
    name="response_onset_audio_ms",
    code="sts_eval.metrics.turns:response_onset_s",
    title="Response onset, audio clock",
    unit="ms",
    direction="lower",
    statistics=("p50", "p90", "p95", "p99"),
    version=1,
    meaning="How long after the user has finished the agent starts to speak. Negative: it began"
    " before the user had quite finished.",
    method="Signed difference between the agent's onset and the end of the user's speech on the"
    " audio clock, which counts 80 ms ticks and no compute. Only turns that were answered count.",
    limits="It says nothing about compute: a slow machine gives the same number. See the heard"
    " onset.",
    origin=_TURN_END,
    endpoint=_ONSET,
    clock="audio",
    resolution_ms=10.0,
    source=_VAD,
)
RESPONSE_ONSET_HEARD = MetricSpec(
    name="response_onset_heard_ms",
    code="sts_eval.trace:heard_frame_s",
    title="Response onset as heard",
    unit="ms",
    direction="lower",
    statistics=("p50", "p90", "p95", "p99"),
    version=1,
    meaning="How long a listener on this machine would have waited for the first sound of the"
    " answer.",
    method="The audio-clock onset moved to when its frame could be played: not before the push that"
    " made it had returned, pushes running one after another in real time.",
    limits="Varies with the machine and its load. Network delay is included only for remote"
    " targets.",
    origin=_TURN_END,
    endpoint=_ONSET,
    clock="heard",
    resolution_ms=10.0,
    source=f"{_VAD}; measured wall time of each push",
)
RESPONSE_RATE = MetricSpec(
    name="response_rate",
    code="sts_eval.metrics.turns:react",
    title="Turns answered",
    unit="ratio",
    direction="higher",
    statistics=("rate",),
    version=1,
    meaning="The share of turns after which the agent started to speak within the listening time.",
    method="1 when an onset lies between 0.5 s before the end of the turn and the end of the"
    " listening time, else 0. A turn at whose end the agent was speaking already is not measured.",
    limits="Any speech counts as an answer, right or wrong.",
    origin=_TURN_END,
    endpoint=_ONSET,
    clock="audio",
    resolution_ms=10.0,
    source=_VAD,
)
ALREADY_SPEAKING = MetricSpec(
    name="already_speaking_rate",
    code="sts_eval.metrics.turns:react",
    title="Already speaking",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of turns that ended while the agent was speaking since before they began.",
    method="1 when an agent span covers the end of the turn and began before its start.",
    limits="Such a turn has no latency. Scoring it as 0 ms, as some benchmarks do, rewards an agent"
    " that never stops.",
    origin="start of the user's speech",
    endpoint=_TURN_END,
    clock="audio",
    resolution_ms=10.0,
    source=_VAD,
)
INTERRUPTION = MetricSpec(
    name="agent_interruption_rate",
    code="sts_eval.metrics.turns:interruption_onset",
    title="Agent cuts the user off",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of turns in which the agent starts to speak while the user is speaking.",
    method="1 when an agent onset lies inside the user's speech, outside its pauses and more than"
    " 0.5 s before its end.",
    limits="A short acknowledgement counts too; the interruption suite tells them apart.",
    origin="start of the user's speech",
    endpoint="agent onset",
    clock="audio",
    resolution_ms=10.0,
    source=_VAD,
)
TAKEOVER = MetricSpec(
    name="takeover_in_pause_rate",
    code="sts_eval.metrics.turns:takeover_onset",
    title="Takes the turn in a pause",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of turns with a pause in which the agent starts to speak during the pause.",
    method="1 when an agent onset lies inside a pause that the suite put into the user's turn.",
    limits="Pauses are digital silence (or the scenario's noise) at a low-energy point of the"
    " utterance; intonation is that of the unbroken sentence.",
    origin="start of the pause",
    endpoint="agent onset",
    clock="audio",
    resolution_ms=10.0,
    source=_VAD,
)
FIRST_AUDIBLE = MetricSpec(
    name="first_audible_audio_ms",
    code="sts_eval.metrics.signal:first_audible_s",
    title="First audible sample",
    unit="ms",
    direction="lower",
    statistics=("p50", "p95"),
    version=1,
    meaning="When the agent's track first carries any sound after the turn, speech or not.",
    method="Start of the first 10 ms block at or above -50 dBFS from 0.5 s before the turn's end"
    " on, and after what the agent had been saying until then.",
    limits="A breath or a click counts. Compare with the first word.",
    origin=_TURN_END,
    endpoint="first 10 ms of the agent's track at or above -50 dBFS",
    clock="audio",
    resolution_ms=10.0,
    source="signal level",
)
FIRST_WORD = MetricSpec(
    name="first_word_audio_ms",
    title="First word",
    unit="ms",
    direction="lower",
    statistics=("p50", "p95"),
    version=1,
    meaning="When the first word that a recogniser understands begins.",
    method="Start time of the first word of the ASR judge on the agent's track after the turn.",
    limits="Word times come from the judge; its measured timing error is in the report.",
    origin=_TURN_END,
    endpoint="start of the first recognised word",
    clock="audio",
    resolution_ms=80.0,
    source="ASR judge",
)
DROPOUTS = MetricSpec(
    name="dropout_rate",
    code="sts_eval.metrics.signal:dropouts",
    title="Speech with holes",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of scenarios in which the agent's speech has holes: lost or late frames.",
    method="1 when the agent's track holds digital silence of 20 to 400 ms with a sharp edge"
    " (louder than -36 dBFS within 2.5 ms of it) between sounds.",
    limits="A hole that falls on a quiet moment of the speech is not seen.",
    clock="audio",
    resolution_ms=2.5,
    source="signal level",
)
ECHO = MetricSpec(
    name="echo_rate",
    code="sts_eval.metrics.signal:echo_correlation",
    title="Echo of the user",
    unit="ratio",
    direction="lower",
    statistics=("rate",),
    version=1,
    meaning="The share of scenarios in which the user's own voice comes back on the agent's track.",
    method="1 when the normalised cross-correlation of the user's turn with the agent's track"
    " reaches 0.3 at a lag of 0 to 2 s. Such a scenario gives no turn-taking numbers: the sound on"
    " the agent's track is not the agent.",
    limits="Sees copies of the waveform, not an agent that repeats the user's words in its own"
    " voice.",
    clock="none",
    source="cross-correlation at 8 kHz",
)
STAGE_COMPUTE = MetricSpec(
    name="stage_compute_ms",
    only_by="stage",
    title="Compute by stage",
    unit="ms",
    direction="lower",
    statistics=("p50", "p95"),
    version=1,
    meaning="How long each stage of the target computes per turn, as the target itself reports it.",
    method="`compute_ms` of the target's stage events, broken down by stage.",
    limits="Self-reported by the target. Waiting (end-pointing) is in the audio-clock onset, not"
    " here.",
    clock="wall",
    source="target events `stage.*`",
)
STAGE_LATENCY = MetricSpec(
    name="stage_latency_ms",
    only_by="stage",
    title="What each stage adds to the wait",
    unit="ms",
    direction="lower",
    statistics=("p50", "p95"),
    version=1,
    meaning="Where the time between the user's last sound and the answer goes, stage by stage.",
    method="Of the last event of each stage before the answer: `wait_ms` (audio clock) where the"
    " stage waits for audio, as an end-pointer does, else `compute_ms` (wall).",
    limits="Self-reported by the target. The stages of a turn add up to about its heard onset; the"
    " rest is the 80 ms grid and what the target does not report.",
    origin=_TURN_END,
    endpoint=_ONSET,
    clock="heard",
    resolution_ms=80.0,
    source="target events `stage.*`",
)
PUSH_P50 = MetricSpec(
    name="push_wall_p50_ms",
    title="Compute per frame, median",
    unit="ms",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="How long the target computes on one 80 ms frame, typically.",
    method="Median wall time of a push within a scenario; mean over scenarios.",
    limits="Depends on the machine. A paced target hides its compute, so it is not measured there.",
    clock="wall",
    source="wall time around Session.push",
)
PUSH_P95 = PUSH_P50.model_copy(
    update={
        "name": "push_wall_p95_ms",
        "title": "Compute per frame, 95th percentile",
        "method": "95th percentile of the wall time of a push within a scenario; mean over"
        " scenarios.",
    }
)
PUSH_P99 = PUSH_P50.model_copy(
    update={
        "name": "push_wall_p99_ms",
        "title": "Compute per frame, 99th percentile",
        "method": "99th percentile of the wall time of a push within a scenario; mean over"
        " scenarios.",
    }
)
REAL_TIME_FACTOR = MetricSpec(
    name="real_time_factor",
    title="Real-time factor",
    unit="ratio",
    direction="lower",
    statistics=("mean", "p95"),
    version=1,
    meaning="Compute time divided by audio time. Above 1 the target cannot keep up.",
    method="Sum of the wall times of all pushes of a scenario over its length.",
    limits="Depends on the machine.",
    clock="wall",
    source="wall time around Session.push",
)
MISSED_DEADLINES = MetricSpec(
    name="missed_deadline_ratio",
    title="Missed 80 ms deadlines",
    unit="ratio",
    direction="lower",
    statistics=("mean",),
    version=1,
    meaning="The share of frames on which the target took longer than the 80 ms a frame lasts.",
    method="Share of a scenario's pushes with a wall time above 80 ms; mean over scenarios.",
    limits="Depends on the machine. One long push (a cascade's recogniser) counts as one miss.",
    clock="wall",
    source="wall time around Session.push",
)
COLD_START = MetricSpec(
    name="cold_first_audio_wall_ms",
    title="First audio from a cold start",
    unit="ms",
    direction="lower",
    statistics=("p50", "max"),
    version=1,
    meaning="How long the first user after a restart waits: loading the target, then its answer.",
    method="Wall time to build the target and open its first session in a fresh process, plus the"
    " heard onset of that session's answer.",
    limits="Files may be in the operating system's cache. Few starts are measured per run.",
    origin="start of the target in a new process",
    endpoint=_ONSET,
    clock="wall",
    source="wall time of construction and open; heard onset",
)

LATENCY_METRICS = (
    RESPONSE_ONSET_AUDIO,
    RESPONSE_ONSET_HEARD,
    RESPONSE_RATE,
    ALREADY_SPEAKING,
    INTERRUPTION,
    TAKEOVER,
    FIRST_AUDIBLE,
    FIRST_WORD,
    DROPOUTS,
    ECHO,
    STAGE_LATENCY,
    STAGE_COMPUTE,
    PUSH_P50,
    PUSH_P95,
    PUSH_P99,
    REAL_TIME_FACTOR,
    MISSED_DEADLINES,
    COLD_START,
)
