"""What a visitor does on the page, and how Chromium is started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    expect,
    sync_playwright,
)

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
LONG_MS = 15_000


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing: run tests/install_system.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Watch:
    """Notes whatever a page should never do: errors, dialogs, requests to other hosts."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        """This error is what the test is about."""
        self._allowed.append(pattern)

    def over(self, context: BrowserContext, url: str) -> None:
        """Watch every page of the context; url: the only host that may be asked."""
        own = urlsplit(url).netloc
        context.on("request", lambda request: self._asked(request.url, own))
        context.on("weberror", lambda error: self.faults.append(f"page error: {error.error}"))
        context.on("dialog", self._shown)
        context.on("console", self._said)

    def left(self) -> list[str]:
        """The faults that nobody allowed."""
        return [
            fault for fault in self.faults if not any(re.search(a, fault) for a in self._allowed)
        ]

    def _asked(self, url: str, own: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != own:
            self.faults.append(f"request to another host: {url}")

    def _shown(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")


def opened(page: Page, address: str = "/") -> Page:
    """Open an address and wait until the page's script has drawn it."""
    page.goto(address)
    page.wait_for_function("window.akashGradio?.routed === true")
    page.wait_for_function("document.documentElement.dataset.view")
    return page


def reloaded(page: Page) -> Page:
    """Load the page again, and wait until its script has drawn it: keys go nowhere before."""
    page.reload()
    page.wait_for_function("window.akashGradio?.routed === true")
    return page


def delayed_no_more(page: Page) -> None:
    """What the styles show after a while is shown now."""
    now = "(one) => one.effect.updateTiming({ delay: 0 })"
    page.evaluate(f"document.getAnimations().forEach({now})")


def chat_with(page: Page, model: str) -> Page:
    """Open the chat with a model."""
    opened(page, f"/?model={model}")
    expect(page.locator("#message")).to_be_visible()
    return page


def send(page: Page, text: str) -> None:
    """Write a message and press Enter."""
    page.fill("#message", text)
    page.press("#message", "Enter")


def last_answer(page: Page) -> Locator:
    """The newest turn of the model."""
    return page.locator(".turn.assistant").last


def answer_text(page: Page) -> Locator:
    """The text of the newest turn, without reasoning or foot."""
    return last_answer(page).locator(":scope > .prose-block")


def settled(page: Page, turns: int | None = None) -> Locator:
    """Wait until nothing is being answered; returns the newest turn."""
    if turns is not None:
        expect(page.locator(".turn.assistant")).to_have_count(turns, timeout=LONG_MS)
    expect(last_answer(page).locator(".answer-foot")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#send")).not_to_have_class(re.compile("stop"), timeout=LONG_MS)
    return last_answer(page)


def ask(page: Page, text: str) -> Locator:
    """Send a message and wait for the whole answer."""
    before = page.locator(".turn.assistant").count()
    send(page, text)
    return settled(page, before + 1)


def open_settings(page: Page) -> Locator:
    """Open the drawer."""
    if page.locator("html").get_attribute("data-drawer") != "open":
        page.click("#open-settings")
    drawer = page.locator("#drawer")
    expect(drawer).to_be_visible()
    return drawer


def whose(page: Page, place: int, name: str) -> None:
    """Choose whose value holds: place 0 is the temperature, 1 is top_p."""
    page.locator("#drawer .three").nth(place).locator("label", has_text=name).click()


def press_exactly(page: Page, selector: str) -> tuple[float, float]:
    """The middle of a control, for a click without Playwright's own waiting."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
