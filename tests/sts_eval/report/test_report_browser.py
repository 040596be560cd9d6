"""The page in a real browser: opened from file://, drawn, played, filtered, printed.

Chromium is Debian's (`CHROMIUM` names another one), driven by Playwright. Nothing here may touch
the network; a request for anything but the page's own files fails the test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sts_eval.compare import compare
from sts_eval.record import RunRecord, load_run
from sts_eval.report import Budget, write_comparison, write_report

pytestmark = pytest.mark.browser
WORST = "s-bm_george-question-003"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not executable or not Path(executable).exists():
        pytest.skip("Chromium is not installed (apt-get install chromium, or set CHROMIUM)")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(run_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(run_template, folder, dirs_exist_ok=True)
    return write_report(load_run(folder), folder)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file; at the end no error may have been logged and no other file requested."""
    contexts, troubles = [], []

    def open_file(path: Path, *, width: int = 1280, fragment: str = "", **options: Any) -> Any:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("console", lambda message: troubles.append(f"console: {message.text}"))
        page.on("request", lambda request: check(request.url, path))
        page.goto(path.as_uri() + fragment)
        return page

    def check(url: str, path: Path) -> None:
        if not url.startswith((path.parent.as_uri() + "/", "data:", "blob:")):
            troubles.append(f"request: {url}")

    yield open_file
    for context in contexts:
        context.close()
    assert troubles == []


def card(page: Any, anchor: str = WORST) -> Any:
    return page.locator(f'[id="{anchor}"]')


def cursor_s(page: Any, anchor: str = WORST) -> float:
    return float(card(page, anchor).locator(".drawing").get_attribute("aria-valuenow"))


def drawn(page: Any, anchor: str = WORST) -> Any:
    """The timeline of a card, scrolled to and drawn."""
    drawing = card(page, anchor).locator(".drawing")
    drawing.scroll_into_view_if_needed()
    drawing.locator("svg").wait_for()
    return drawing


def test_opens_from_a_file_and_draws_the_worst_scenario(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    assert page.title() == "Fail: latency of cascade"
    drawing = drawn(page)
    assert drawing.locator(".wave").count() == 2
    assert len(drawing.locator(".agent .wave").get_attribute("d")) > 1000
    assert drawing.locator(".word").count() == 5
    assert drawing.locator(".speech").count() == 3
    assert "Response onset 1,940\xa0ms" in drawing.locator(".measure.bad").text_content()
    assert page.locator("#index").count() == 1


def test_only_what_is_in_view_is_drawn(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    drawn(page)
    assert page.locator(".drawing svg").count() == 1
    page.get_by_role("button", name="Open all shown").click()
    page.wait_for_function("() => document.querySelectorAll('.drawing svg').length > 1")
    assert page.locator("details.card[open]").count() == 8


def test_the_copy_in_the_page_decodes_to_both_channels_in_time(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    found = page.evaluate(
        """async () => {
          const text = document.getElementById("sound-0").textContent;
          const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
          const context = new OfflineAudioContext(2, 24000, 24000);
          const buffer = await context.decodeAudioData(data.buffer);
          const onset = (channel) =>
            buffer.getChannelData(channel).findIndex((x) => Math.abs(x) > 0.03) / buffer.sampleRate;
          return { seconds: buffer.duration, channels: buffer.numberOfChannels, agent: onset(1) };
        }"""
    )
    scenario = load_run(report.parent).scenarios[3]
    assert found["channels"] == 2
    assert found["seconds"] == pytest.approx(scenario.seconds, abs=0.02)
    # The agent's first syllable begins within its span, not a codec delay away from it.
    assert found["agent"] == pytest.approx(scenario.agent_spans[0].start_s, abs=0.2)


def test_plays_pauses_and_moves_the_cursor(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    drawn(page)
    play = card(page).get_by_role("button", name="Play", exact=True)
    play.click()
    page.wait_for_function(
        "id => +document.getElementById(id).querySelector('.drawing').ariaValueNow > 0.3", arg=WORST
    )
    before = card(page).locator(".cursor").get_attribute("transform")
    card(page).get_by_role("button", name="Pause").click()
    stopped = cursor_s(page)
    assert stopped > 0.3
    assert before != "translate(0.00 0)"
    page.wait_for_timeout(150)
    assert cursor_s(page) == stopped
    assert play.text_content() == "Play"


def test_plays_only_the_span_of_an_observation(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    drawn(page)
    card(page).get_by_role("button", name="Play only the span of Response onset").click()
    page.wait_for_function(
        "id => document.getElementById(id).querySelector('.is-playing')", arg=WORST
    )
    assert card(page).locator(".measure.selected").count() == 1
    page.wait_for_function(
        "id => !document.getElementById(id).querySelector('.is-playing')", arg=WORST
    )
    span = load_run(report.parent).observations
    (start, end) = next(
        o.span_s for o in span if o.scenario_id == WORST[2:] and o.metric.startswith("response_on")
    ) or (0, 0)
    assert cursor_s(page) == pytest.approx(end, abs=0.02)
    assert end - start == pytest.approx(1.94)


def test_the_flac_beside_the_page_plays_where_the_copy_is_left_out(
    run_template: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    shutil.copytree(run_template, tmp_path, dirs_exist_ok=True)
    write_report(load_run(tmp_path), tmp_path, Budget(sound_bytes=0))
    page = open_page(tmp_path / "report.html")
    drawn(page)
    card(page).get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(
        "id => +document.getElementById(id).querySelector('.drawing').ariaValueNow > 0.3", arg=WORST
    )
    assert card(page).locator("[data-message]").text_content() == ""


def test_click_and_keys_move_the_cursor(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    drawing = drawn(page)
    box = drawing.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert cursor_s(page) == pytest.approx(2.0, abs=0.02)
    drawing.focus()
    page.keyboard.press("ArrowRight")
    assert cursor_s(page) == pytest.approx(3.0, abs=0.02)
    page.keyboard.press("Shift+ArrowLeft")
    assert cursor_s(page) == pytest.approx(2.95, abs=0.02)
    page.keyboard.press("End")
    assert cursor_s(page) == pytest.approx(8.0)
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    card(page).get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("Space")
    card(page).get_by_role("button", name="Play", exact=True).wait_for()


def test_zoom_shows_a_part_and_back(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    drawing = drawn(page)
    whole = drawing.locator(".ruler").all_text_contents()
    card(page).get_by_role("button", name="Zoom to the span of Response onset").click()
    ticks = [float(text.split()[0]) for text in drawing.locator(".ruler").all_text_contents()]
    assert 1.5 < ticks[0] < ticks[-1] < 6.0
    drawing.focus()
    page.keyboard.press("0")
    assert drawing.locator(".ruler").all_text_contents() == whole


def test_a_gate_leads_to_its_worst_scenario(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    link = page.locator("#gate-1 .gate-links a").nth(1)
    anchor = link.get_attribute("href")[1:]
    assert not card(page, anchor).evaluate("each => each.open")
    link.click()
    assert card(page, anchor).evaluate("each => each.open")
    top = card(page, anchor).evaluate("each => each.getBoundingClientRect().top")
    assert 0 <= top < 200
    drawn(page, anchor)


def test_an_address_with_a_fragment_opens_that_scenario(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report, fragment="#s-af_nova-question-004")
    assert card(page, "s-af_nova-question-004").evaluate("each => each.open")


def test_dots_are_links_and_one_stop_for_tab(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    figure = page.locator("#metric-response_onset_audio_ms .distribution")
    assert figure.locator("a[tabindex='0']").count() == 1
    figure.locator("a[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    assert figure.locator("a").nth(1).get_attribute("tabindex") == "0"
    page.keyboard.press("Enter")
    target = figure.locator("a").nth(1).get_attribute("href")[1:]
    page.wait_for_function("id => document.getElementById(id).open", arg=target)


def test_filters_and_sorting(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    filters = page.locator("#filters")

    def shown() -> list[str]:
        return page.locator("details.card:not([hidden])").evaluate_all("all => all.map(c => c.id)")

    assert len(shown()) == 8
    assert shown()[0] == WORST
    filters.get_by_label("Voice").select_option("bf_lily")
    assert {each.split("-")[1] for each in shown()} == {"bf_lily"}
    assert filters.locator("output").text_content() == "2 of 8 shown"
    filters.get_by_label("Voice").select_option("")
    filters.get_by_label("Show").select_option("worst")
    assert 0 < len(shown()) < 8
    filters.get_by_label("Show").select_option("")
    filters.get_by_label("Find").fill("PAUSE-002")
    assert shown() == ["s-bf_lily-pause-002"]
    page.locator("#gate-1 .gate-links a").first.click()  # a link wins over a filter that hides it
    assert len(shown()) == 8
    filters.get_by_label("Sort by").select_option("push_wall_ms")
    values = page.locator("details.card").evaluate_all(
        """all => all.map(c => [...c.querySelectorAll('.observations tr')]
             .find(r => r.textContent.includes('Compute per frame')).cells[1].textContent)"""
    )
    numbers = [float(text.split()[0]) for text in values]
    assert numbers == sorted(numbers, reverse=True)


def test_colours_follow_the_system_and_the_button(
    report: Path, open_page: Callable[..., Any]
) -> None:
    def background(page: Any) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = open_page(report), open_page(report, color_scheme="dark")
    assert background(light) != background(dark)
    seen = background(light)
    light.get_by_role("button", name="Use dark colours").click()
    assert background(light) == background(dark)
    light.reload()
    assert background(light) == background(dark)  # the choice is remembered
    light.get_by_role("button", name="Use light colours").click()
    assert background(light) == seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(report: Path, open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(report, color_scheme=scheme)
    worst = page.evaluate(
        """() => {
          const options = { willReadFrequently: true };
          const canvas = document.createElement("canvas").getContext("2d", options);
          const rgb = (colour) => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
          };
          const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (node) => {
            for (let at = node; at; at = at.parentElement) {
              const colour = rgb(getComputedStyle(at).backgroundColor);
              if (colour[3] === 255) return colour;
            }
            return rgb(getComputedStyle(document.body).backgroundColor);
          };
          const ratios = [...document.querySelectorAll("main :is(p, td, th, dd, dt, code, button)")]
            .filter((node) => node.offsetParent && node.textContent.trim())
            .map((node) => {
              const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
              const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              return [ratio, node.outerHTML.slice(0, 90)];
            });
          return ratios.sort((a, b) => a[0] - b[0])[0];
        }"""
    )
    assert worst[0] >= 4.5, worst


@pytest.mark.parametrize("width", [360, 768])
def test_no_sideways_scrolling(report: Path, open_page: Callable[..., Any], width: int) -> None:
    page = open_page(report, width=width)
    page.get_by_role("button", name="Open all shown").click()
    for summary in page.locator("details.breakdown:not([open]) summary, details.raw summary").all():
        summary.click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > "
        "innerWidth + 1 && !e.closest('svg')).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_prints_the_worst_and_no_controls(
    report: Path, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(report, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert not page.locator("header.bar").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert page.locator("details.card[open]").count() >= 3


def test_comparison_shows_both_recordings_on_one_scale(
    run_template: Path, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    record: RunRecord = load_run(run_template)
    path = write_comparison(
        record,
        record,
        compare(record, record),
        (run_template, run_template),
        tmp_path / "comparison.html",
        Budget(cards=2),
    )
    page = open_page(path)
    page.locator(".drawing").nth(1).scroll_into_view_if_needed()
    page.locator(".drawing svg").nth(1).wait_for()
    rulers = [each.locator(".ruler").all_text_contents() for each in page.locator(".drawing").all()]
    assert rulers[0] == rulers[1] != []
    page.get_by_role("button", name="Play", exact=True).nth(1).click()
    page.wait_for_function("() => +document.querySelectorAll('.drawing')[1].ariaValueNow > 0.2")
    assert page.evaluate("document.querySelectorAll('.drawing')[0].ariaValueNow") == "0.00"


def test_readable_without_javascript(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report, java_script_enabled=False)
    assert page.get_by_text("One of 3 gates is not met").is_visible()
    assert card(page).get_by_text("counts against a gate").is_visible()
    assert page.locator("#filters").is_hidden()
    assert page.locator("button:visible").count() == 0


def test_the_policy_stops_what_escaping_would_have_missed(
    report: Path, browser: Any, tmp_path: Path
) -> None:
    intruder = """<script>window.intruded = 1</script>
      <img src="x" onerror="window.intruded = 2">
      <a id="bait" href="javascript:intruded = 3">x</a>"""
    altered = report.read_text(encoding="utf-8").replace("</main>", intruder + "</main>")
    (tmp_path / "altered.html").write_text(altered, encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "altered.html").as_uri())
    page.locator("#bait").click()
    assert page.locator("#theme").is_visible()  # our own script ran
    assert page.evaluate("() => window.intruded") is None
    page.close()
