"""Measures how a page loads in a browser: first paint, time until usable, and size."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any, Final

CHROMIUM: Final = "/usr/bin/chromium"
VISITS: Final = 3
"""Visits with an empty cache, of which the medians are reported."""
USABLE_MS: Final = 30_000
_PAINT: Final = (
    """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null"""
)


class NoBrowser(Exception):
    """Playwright or Chromium is missing (`sh tests/install_system.sh` installs them)."""


def measure_load(address: str, usable: str) -> dict[str, float | None]:
    """Measure the time to the first paint and until usable, and the kB and requests by then.

    Args:
        address: The URL of the page.
        usable: A selector that is visible once the page is usable.

    Raises:
        NoBrowser: There is no browser to measure with.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser("Playwright is not installed") from None
    if not Path(CHROMIUM).exists():
        raise NoBrowser(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visits = [_visit(browser, address, usable) for _ in range(VISITS)]
        browser.close()
    return {name: median(visit[name] for visit in visits) for name in visits[0]}


def _visit(browser: Any, address: str, usable: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    started_at = time.monotonic()
    page.goto(address, wait_until="commit")
    page.locator(usable).first.wait_for(state="visible", timeout=USABLE_MS)
    usable_ms = 1000 * (time.monotonic() - started_at)
    paint_ms = page.evaluate(_PAINT) or usable_ms
    figures = {
        "paint_ms": paint_ms,
        "usable_ms": usable_ms,
        "weight_kb": sum(sizes) / 1000,
        "requests": float(len(sizes)),
    }
    context.close()
    return figures
