from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    answer_text,
    ask,
    last_answer,
    open_chat,
    open_page,
    open_settings,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App, alive, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

CACHE = Path("~/.cache/akash-gradio").expanduser()
"""The default folder, so that the weights are downloaded once per machine."""
FETCH_MS = 180_000
STARTED = re.compile("state (ready|unknown)")
ANSWER_MS = 60_000


@pytest.fixture(scope="module")
def unconfigured_app(start_app: Callable[..., Any]) -> Iterator[App]:
    """The program without configuration."""
    with start_app("unconfigured", CACHE_DIR=CACHE) as app:
        yield app


@pytest.fixture
def chat(visit: NewVisitor, unconfigured_app: App) -> Page:
    """Its page, limited to short answers."""
    page = open_page(visit(unconfigured_app))
    expect(page.locator("#message")).to_be_visible()
    open_settings(page)
    page.fill("#max_tokens input", "24")
    page.locator("#max_tokens input").blur()
    page.click("#close-settings")
    return page


def test_the_embedded_model_answers_without_configuration(chat: Page) -> None:
    expect(chat.locator("#pick-name")).to_have_text("SmolLM2 135M")
    expect(chat.locator("#chat")).to_contain_text("A small demo model", timeout=FETCH_MS)
    _ask(chat, "Say hello.")
    expect(answer_text(chat)).to_have_text(re.compile(r"\w"))
    expect(last_answer(chat).locator(".receipt")).to_contain_text("this-computer")


def test_a_killed_embedded_model_restarts_and_answers_waiting_requests(
    chat: Page, unconfigured_app: App
) -> None:
    expect(chat.locator("#pick-state")).to_have_class(STARTED, timeout=FETCH_MS)
    (child,) = unconfigured_app.children
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not alive(child), 5, "the child's end")
    send(chat, "Say hello.")
    expect(last_answer(chat).locator(".status")).to_contain_text("The model is starting")
    _settled_slowly(chat)
    expect(last_answer(chat).locator(".receipt")).to_contain_text("this-computer")
    assert unconfigured_app.children != [child]


def test_the_child_process_ends_with_the_program(start_app: Callable[..., Any]) -> None:
    with start_app("ending", CACHE_DIR=CACHE) as app:
        wait_until(lambda: app.children, 60, "a child")
        children = app.children
        app.end(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, children)), 20, "the child's end")


def test_missing_weights_give_an_error_with_a_hint(
    visit: NewVisitor, start_here: Callable[..., App], tmp_path: Path
) -> None:
    page = open_page(visit(start_here("missing", EMBEDDED_MODEL=tmp_path / "absent.gguf")))
    notice = page.locator("[data-notices]:visible .notice")
    expect(notice).to_contain_text("the file named by EMBEDDED_MODEL does not exist")
    expect(notice).to_contain_text("Set ENDPOINTS")
    open_chat(page, "absent")
    ask(page, "Is anybody there?")
    expect(last_answer(page).locator(".failure")).to_contain_text("No endpoint")


def _ask(page: Page, text: str) -> None:
    send(page, text)
    _settled_slowly(page)


def _settled_slowly(page: Page) -> None:
    foot = last_answer(page).locator(".answer-foot")
    expect(foot).to_be_visible(timeout=ANSWER_MS)
    wait_until_settled(page)
