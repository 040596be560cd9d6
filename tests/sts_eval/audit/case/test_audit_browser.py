"""The page of an audit in a browser: hostile names, sorting, evidence on demand, 2,000 rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sts_eval.audit.case.case import Case
from sts_eval.audit.case.condition import Limits
from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.page import build_page
from sts_eval.audit.case.ratio import Ratio
from sts_eval.audit.case.records import (
    DetectorFinding,
    EvidenceFile,
    Examination,
    SoundFacts,
    Window,
)
from sts_eval.audit.case.rows import make_rows
from sts_eval.audit.case.settings import Context, Settings

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not executable:
        pytest.skip("Chromium is not installed (apt-get install chromium, or set CHROMIUM)")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


def examination(number: int) -> Examination:
    value = -1.5 + 3 * (number % 7) / 6
    name = f"r{number:05d}"
    return Examination(
        id=name,
        status="examined",
        sound=SoundFacts(
            container="WAV", codec="PCM_16", sample_rate_hz=24_000, channels=1, seconds=6.0,
            peak_dbfs=-3.0, clipped_share=0.0, dc_offset=0.0, speech_s=5.0, snr_db=30.0,
            band_hz=8000.0, speech=((0.5, 5.5),),
        ),
        detectors=(
            DetectorFinding(
                detector=EVIL,
                score=0.0,
                ratio=Ratio(value=value, lo=value - 0.1, hi=value + 0.1),
                windows=(Window(start_s=0, end_s=3, log10_lr=value),),
            ),
        ),
        files=(EvidenceFile(name=f"evidence/{name}.webp", sha256="0" * 64),),
    )  # fmt: skip


def test_two_thousand_rows(browser: Any, tmp_path: Path) -> None:
    numbers = range(1, 2001)
    settings = Settings(
        version="0", recordings=EVIL, registry=None, registry_sha256="", day="2026-01-01",
        detectors=("d",), detector_labels=(EVIL,), encoder="", marks=(), limits=Limits(),
        default=Context(), max_seconds=60,
    )  # fmt: skip
    case = Case(
        settings=settings,
        opened="2026-01-01T00:00:00",
        inventory=[
            InventoryEntry(id=f"r{k:05d}", name="x", shown=f"{EVIL}{k:04d}", kind="file")
            for k in numbers
        ],
        missing={"ghost": EVIL},
        compared=[],
        examinations={f"r{k:05d}": examination(k) for k in numbers},
    )
    path = tmp_path / "report.html"
    path.write_text(build_page(case, make_rows(case, None), "0" * 64))
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    troubles: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append("a dialog"))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    assert len(requests) == 1  # no picture is loaded before its row is opened
    assert "2001 of 2001 shown" in page.inner_text("#audit-filters")
    page.click("[data-sort=synthetic]")
    values = page.eval_on_selector_all("tbody.row", "rows => rows.map(r => r.dataset.synthetic)")
    measured = [float(value) for value in values if value]
    assert measured == sorted(measured, reverse=True)
    assert values[-1] == ""  # what has no value comes last
    page.click("tbody.row button.open >> nth=0")
    page.wait_for_selector("tr.detail svg.track rect.synthetic", state="attached")
    assert len(requests) == 2
    page.click(".level[data-level=finding]")
    shown = page.eval_on_selector_all("tbody.row:not([hidden])", "rows => rows.length")
    assert shown == sum(float(value) >= 1 for value in values if value)
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert troubles == []
