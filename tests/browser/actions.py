"""Actions of a visitor on the page, and the browser that runs them."""

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
    FilePayload,
    Locator,
    Page,
    WebError,
    expect,
    sync_playwright,
)

SYSTEM_CHROMIUM = Path("/usr/bin/chromium")
"""The package of Debian and Ubuntu, which tests/install_system.sh installs."""
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


def find_chromium(bundled: Path, system: Path = SYSTEM_CHROMIUM) -> Path:
    """Return the Chromium to run the tests with.

    Args:
        bundled: Where `playwright install chromium` puts it on this platform.
        system: The system's package, which is preferred.

    Raises:
        FileNotFoundError: Neither is installed.
    """
    for path in (system, bundled):
        if path.exists():
            return path
    raise FileNotFoundError(
        f"Chromium is not installed ({system} or {bundled}). "
        "Run: python -m playwright install --with-deps chromium"
    )


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium."""
    with sync_playwright() as playwright:
        path = find_chromium(Path(playwright.chromium.executable_path))
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class PageMonitor:
    """Records what a page must never do: errors, dialogs, requests to other hosts."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        """Expect problems that match this regular expression."""
        self._allowed.append(pattern)

    def monitor(self, context: BrowserContext, url: str) -> None:
        """Monitor every page of the context. url: of the only host that may be requested."""
        own = urlsplit(url).netloc
        context.on("request", lambda request: self._on_request(request.url, own))
        context.on("weberror", self._on_error)
        context.on("dialog", self._on_dialog)
        context.on("console", self._on_console)

    def unexpected(self) -> list[str]:
        """Return the problems that no test allowed."""
        return [
            problem
            for problem in self.problems
            if not any(re.search(pattern, problem) for pattern in self._allowed)
        ]

    def _on_request(self, url: str, own: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != own:
            self.problems.append(f"request to another host: {url}")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"page error: {error.error}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")


def file_payload(name: str, content: bytes, media_type: str = "text/plain") -> FilePayload:
    """Return a file for a file input."""
    return {"name": name, "mimeType": media_type, "buffer": content}


def open_page(page: Page, address: str = "/") -> Page:
    """Open an address and wait until the page's script has drawn it."""
    page.goto(address)
    page.wait_for_function("window.akashGradio?.routed === true")
    page.wait_for_function("document.documentElement.dataset.view")
    return page


def reload_page(page: Page) -> Page:
    """Reload the page and wait until its script has drawn it: earlier key presses are lost."""
    page.reload()
    page.wait_for_function("window.akashGradio?.routed === true")
    return page


def skip_animation_delays(page: Page) -> None:
    """Show immediately what the styles show with a delay."""
    now = "(one) => one.effect.updateTiming({ delay: 0 })"
    page.evaluate(f"document.getAnimations().forEach({now})")


def open_chat(page: Page, model: str) -> Page:
    """Open the chat with a model."""
    open_page(page, f"/?model={model}")
    expect(page.locator("#message")).to_be_visible()
    return page


def send(page: Page, text: str) -> None:
    """Write a message and press Enter."""
    page.fill("#message", text)
    page.press("#message", "Enter")


def last_answer(page: Page) -> Locator:
    """Return the newest turn of the model."""
    return page.locator(".turn.assistant").last


def answer_text(page: Page) -> Locator:
    """Return the text of the newest turn, without reasoning and footer."""
    return last_answer(page).locator(":scope > .prose-block")


def wait_until_settled(page: Page, turns: int | None = None) -> Locator:
    """Wait until no answer is streaming. Returns the newest turn."""
    if turns is not None:
        expect(page.locator(".turn.assistant")).to_have_count(turns, timeout=LONG_MS)
    expect(last_answer(page).locator(".answer-foot")).to_be_visible(timeout=LONG_MS)
    expect(page.locator("#send")).not_to_have_class(re.compile("stop"), timeout=LONG_MS)
    return last_answer(page)


def ask(page: Page, text: str) -> Locator:
    """Send a message and wait for the complete answer."""
    before = page.locator(".turn.assistant").count()
    send(page, text)
    return wait_until_settled(page, before + 1)


def open_settings(page: Page) -> Locator:
    """Open the settings drawer."""
    if page.locator("html").get_attribute("data-drawer") != "open":
        page.click("#open-settings")
    drawer = page.locator("#drawer")
    expect(drawer).to_be_visible()
    return drawer


def choose_value_source(page: Page, place: int, name: str) -> None:
    """Choose the source of a value. place: 0 is the temperature, 1 is top_p."""
    page.locator("#drawer .three").nth(place).locator("label", has_text=name).click()


def center_of(page: Page, selector: str) -> tuple[float, float]:
    """Return the center of a control, for a click without Playwright's waiting."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
