"""The parts of the report: numbers in words, figures, peaks, and Ogg/Opus with equal bytes."""

from __future__ import annotations

import base64
import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.record import Mark, ScenarioResult
from sts_eval.report import numbers, plots
from sts_eval.report.evidence import timeline_data
from sts_eval.report.findings import ObservationRow, grouped
from sts_eval.report.numbers import NBSP
from sts_eval.report.opus import STREAM_SERIAL, encode_opus, ogg_crc, with_fixed_serial
from sts_eval.report.page import breakable, json_block, relative_link, ticks
from sts_eval.report.peaks import FINEST_BIN_SAMPLES, MOST_BINS, bin_extremes, trace_peaks
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ


def tone(seconds: float, frequency_hz: float = 300.0) -> Samples:
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def pages(ogg: bytes) -> list[bytes]:
    found = []
    while ogg:
        body = 27 + ogg[26]
        end = body + sum(ogg[27:body])
        found.append(ogg[:end])
        ogg = ogg[end:]
    return found


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0, "0"),
            (1240.4, "1,240"),
            (99.96, "100"),
            (12.34, "12.3"),
            (3.14159, "3.14"),
            (0.05, "0.05"),
            (-80.0, "−80"),
            (-0.0, "0"),
            (0.00002, "2.0e-05"),
        ],
    )
    def test_plain(self, value: float, text: str) -> None:
        assert numbers.plain(value) == text

    def test_shares_are_per_cent_and_their_differences_points(self) -> None:
        assert numbers.quantity(0.9583, "ratio", share=True) == f"95.8{NBSP}%"
        assert numbers.quantity(-0.05, "ratio", share=True, signed=True) == f"−5{NBSP}points"

    def test_unmeasured_is_not_zero(self) -> None:
        assert numbers.quantity(None, "ms") == "not measured"

    @pytest.mark.parametrize(
        ("lo", "hi", "text"),
        [
            (640.0, 812.0, f"640 to 812{NBSP}ms"),
            (1290.0, None, f"1,290{NBSP}ms or more"),
            (None, 40.0, f"40{NBSP}ms or less"),
            (None, None, "no interval"),
        ],
    )
    def test_interval_with_open_ends(self, lo: float | None, hi: float | None, text: str) -> None:
        assert numbers.interval(lo, hi, "ms") == text

    def test_names(self) -> None:
        assert numbers.statistic_name("p50") == "median"
        assert numbers.statistic_name("p95") == "95th percentile"
        assert numbers.statistic_name("p91") == "91st percentile"
        assert numbers.statistic_name("p12") == "12th percentile"
        assert numbers.condition_name("snr_db") == "SNR (dB)"
        assert numbers.condition("snr_db", "10") == "SNR 10 dB"
        assert numbers.condition("snr_db", "clean") == "SNR clean"

    def test_date_does_not_depend_on_the_locale(self) -> None:
        assert numbers.date("2026-11-23T16:40:00Z") == "23 November 2026, 16:40 UTC"
        assert numbers.date("yesterday") == "yesterday"

    def test_levels_sort_by_size(self) -> None:
        assert sorted(["clean", "20", "5", "10"], key=numbers.natural) == [
            "5",
            "10",
            "20",
            "clean",
        ]


class TestPlots:
    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
    def test_axis_holds_all_values_between_round_ends(self, values: list[float]) -> None:
        axis = plots.axis_over(values)
        assert axis.lo <= min(values) <= max(values) <= axis.hi
        assert axis.lo < axis.hi
        assert 2 <= len(axis.ticks(6)) <= 7

    def test_axis_of_nothing(self) -> None:
        assert plots.axis_over([None, float("nan")]) == plots.Axis(0.0, 1.0)

    @pytest.mark.parametrize(("largest", "top"), [(1.0, 1.0), (0.5, 0.55), (1.2, 1.3)])
    def test_no_axis_of_shares_goes_beyond_one(self, largest: float, top: float) -> None:
        assert plots.axis_over([0.1, largest]).hi == top

    def test_dots_do_not_hide_each_other(self) -> None:
        values = list(np.linspace(0, 100, 60)) + [50.0] * 6
        axis = plots.axis_over(values)
        strip = plots.strip(values, axis)
        at = [(dot.pct / 100 * plots.NOMINAL_WIDTH_PX, dot.y_px) for dot in strip.dots]
        closest = min(np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(at) for b in at[:i])
        assert sorted(dot.index for dot in strip.dots) == list(range(66))
        assert closest >= 2 * strip.radius_px

    def test_ecdf_ends_at_one(self) -> None:
        path = plots.ecdf_path([3.0, 1.0, 2.0], plots.Axis(0.0, 4.0))
        assert path.startswith("M0 100H260.0V66.67")
        assert path.endswith("V0.00H1000")


class TestPeaks:
    def test_extremes_of_each_bin(self) -> None:
        track = np.zeros(2 * FINEST_BIN_SAMPLES + 10, np.float32)
        track[5], track[FINEST_BIN_SAMPLES + 1], track[-1] = 0.5, -0.25, 0.125
        assert bin_extremes(track, FINEST_BIN_SAMPLES).tolist() == [
            [0.0, 0.5],
            [-0.25, 0.0],
            [0.0, 0.125],
        ]

    def test_both_tracks_share_one_scale(self) -> None:
        peaks = trace_peaks(tone(0.5), 0.5 * tone(0.5))
        user, agent = (
            np.frombuffer(base64.b64decode(each), np.int8).reshape(-1, 2)
            for each in (peaks.user, peaks.agent)
        )
        assert user.max() == 127
        assert agent.max() == 64

    def test_silence_stays_flat_and_empty_stays_empty(self) -> None:
        noise = np.full(480, 1e-4, np.float32)
        assert np.frombuffer(base64.b64decode(trace_peaks(noise, noise).user), np.int8).max() <= 1
        assert trace_peaks(noise[:0], noise[:0]).user == ""

    def test_long_traces_stay_small(self) -> None:
        track = np.zeros(600 * SAMPLE_RATE_HZ, np.float32)
        peaks = trace_peaks(track, track)
        assert len(base64.b64decode(peaks.user)) <= 2 * MOST_BINS
        assert peaks.bin_s == pytest.approx(0.1)


class TestOpus:
    def test_equal_samples_give_equal_bytes(self) -> None:
        user, agent = tone(1.3), tone(1.3, 440.0)
        assert encode_opus(user, agent) == encode_opus(user, agent)

    def test_every_page_has_our_serial_and_a_right_checksum(self) -> None:
        for page in pages(encode_opus(tone(2.5), tone(2.5))):
            serial, _, checksum = struct.unpack("<III", page[14:26])
            assert serial == STREAM_SERIAL
            assert checksum == ogg_crc(page[:22] + bytes(4) + page[26:])

    def test_checksum_is_the_one_libsndfile_writes(self) -> None:
        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, tone(0.2), SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
        for page in pages(buffer.getvalue()):
            assert struct.unpack("<I", page[22:26])[0] == ogg_crc(page[:22] + bytes(4) + page[26:])

    def test_decodes_to_the_same_length_with_user_left_and_agent_right(self) -> None:
        import soundfile

        silent = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
        decoded, rate_hz = soundfile.read(io.BytesIO(encode_opus(tone(2.0), silent)))
        assert rate_hz == SAMPLE_RATE_HZ
        assert decoded.shape == (2 * SAMPLE_RATE_HZ, 2)
        assert np.std(decoded[:, 0]) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
        assert np.std(decoded[:, 1]) < 0.01

    def test_other_bytes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no Ogg page at byte 0"):
            with_fixed_serial(b"RIFF" + bytes(60))


class TestPage:
    @given(st.text(alphabet="</script>!&'\"\u2028\u2029ab--", max_size=40))
    def test_json_cannot_leave_its_block(self, text: str) -> None:
        block = str(json_block({"text": text}))
        assert not set(block) & set("<>&\u2028\u2029")
        assert json.loads(block) == {"text": text}

    @pytest.mark.parametrize(
        ("path", "link"),
        [
            ("traces/a b#1.json", "./traces/a%20b%231.json"),
            ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
            ("../../secret.json", None),
            ("/etc/passwd", None),
            ("", None),
            ("a\\b", None),
        ],
    )
    def test_links_stay_inside_the_run_folder(self, path: str, link: str | None) -> None:
        assert relative_link(path) == link

    def test_ticks_mark_code_and_escape_the_rest(self) -> None:
        assert ticks("run `a<b` <i>") == "run <code>a&lt;b</code> &lt;i&gt;"
        assert ticks("a ` b <") == "a ` b &lt;"


def test_names_may_break_between_their_parts_and_stay_text() -> None:
    assert breakable("strict/cut_in") == "strict/<wbr>cut_<wbr>in"
    assert breakable("<b>_</b>") == "&lt;b&gt;_<wbr>&lt;/<wbr>b&gt;"


def row(index: int, title: str, number: float | None) -> ObservationRow:
    value = "not measured" if number is None else f"{number:g} ms"
    return ObservationRow(index, title, title, value, "", None, "", index == 30, False, number)


def test_many_values_of_one_frame_each_are_one_line() -> None:
    stages = [row(n, ("encode", "decode")[n % 2], float(n)) for n in range(40)]
    few = [row(40 + n, "yields", float(n)) for n in range(3)]
    missing = [row(50 + n, "heard", None) for n in range(20)]
    groups = grouped([*stages, *few, *missing])
    assert [len(group.rows) for group in groups] == [20, 20, 3, 20]
    assert [group.folded for group in groups] == [True, True, False, False]
    assert groups[0].extent == ("0 ms", "38 ms")
    assert [group.bad for group in groups] == [True, False, False, False]
    assert sorted(each.index for group in groups for each in group.rows) == [
        *range(43), *range(50, 70)
    ]  # fmt: skip


@pytest.mark.parametrize(("stages", "drawn"), [(8, 8), (300, 0)])
def test_stages_of_every_frame_are_not_drawn(stages: int, drawn: int) -> None:
    marks = [Mark(label="asr", start_s=n / 80, kind="stage") for n in range(stages)]
    marks.append(Mark(label="user's turn ends", start_s=2.0))
    scenario = ScenarioResult(
        id="s", kind="question", title="", status="ok", trace="t.json", seconds=4.0, marks=marks
    )
    kinds = [kind for _, _, _, kind in timeline_data(scenario, [])["marks"]]
    assert len(kinds) == drawn + 1
    assert kinds.count("stage") == drawn
