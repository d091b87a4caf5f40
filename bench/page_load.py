"""How a page begins in a browser: its first paint, when it can be used, and what it weighs."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any, Final

CHROMIUM: Final = "/usr/bin/chromium"
VISITS: Final = 3
"""Each by a new visitor, with nothing kept; the medians are told."""
USABLE_MS: Final = 30_000
_PAINT: Final = (
    """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null"""
)


class NoBrowser(Exception):
    """There is no Playwright or no Chromium here (`sh tests/install_system.sh`)."""


def measure_load(address: str, usable: str) -> dict[str, float | None]:
    """Milliseconds to the first paint and until `usable` is there; kB and requests by then.

    usable: a selector. Raises NoBrowser.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser("Playwright is not installed") from None
    if not Path(CHROMIUM).exists():
        raise NoBrowser(f"{CHROMIUM} is not there")
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
    began = time.monotonic()
    page.goto(address, wait_until="commit")
    page.locator(usable).first.wait_for(state="visible", timeout=USABLE_MS)
    usable_ms = 1000 * (time.monotonic() - began)
    paint_ms = page.evaluate(_PAINT) or usable_ms
    found = {
        "paint_ms": paint_ms,
        "usable_ms": usable_ms,
        "weight_kb": sum(sizes) / 1000,
        "requests": float(len(sizes)),
    }
    context.close()
    return found
