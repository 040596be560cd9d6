"""The README's picture of a report: its verdict, its first two gates, and one scenario.

    python reports/picture.py reports/sample af_nova-fact-050.street20.rate1

Needs Chromium (`CHROMIUM` names another executable than `chromium`) and Playwright.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, CARD_HEIGHT, GATES = 1120, 440, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("scenario")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, reduced_motion="reduce")
        page.goto((options.run / "report.html").resolve().as_uri())
        gate = page.locator(".gate-row").nth(GATES - 1).bounding_box()
        card = page.locator(f'[id="s-{options.scenario}"]')
        if gate is None or not card.count():
            raise SystemExit(f"{options.run}: no scenario {options.scenario!r}, or too few gates")
        size = {"x": 0, "y": 0, "width": WIDTH, "height": gate["y"] + gate["height"]}
        top = page.screenshot(clip=size, full_page=True)
        card.evaluate("card => { card.open = true; card.scrollIntoView(); }")
        card.locator(".drawing svg").wait_for()
        below = card.screenshot()
        browser.close()
    with Image.open(io.BytesIO(top)) as first, Image.open(io.BytesIO(below)) as second:
        picture = Image.new("RGB", (WIDTH, first.height + CARD_HEIGHT), first.getpixel((0, 60)))
        picture.paste(first)
        picture.paste(second, ((WIDTH - second.width) // 2, first.height + 6))
        picture.save(options.run / "report.png", optimize=True)


if __name__ == "__main__":
    main()
