from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.servers import App, alive, wait_until
from tests.browser.visits import (
    answer_text,
    ask,
    chat_with,
    last_answer,
    open_settings,
    opened,
    send,
    settled,
)

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

CACHE = Path("~/.cache/akash-gradio").expanduser()
"""The default, so that a machine fetches the weights once."""
FETCH_MS = 180_000
ANSWER_MS = 60_000


@pytest.fixture(scope="module")
def alone(start_app: Callable[..., Any]) -> Iterator[App]:
    """The program with nothing configured."""
    with start_app("alone", CACHE_DIR=CACHE) as app:
        yield app


@pytest.fixture
def chat(visit: Visits, alone: App) -> Page:
    """Its page, set to short answers."""
    page = opened(visit(alone))
    expect(page.locator("#message")).to_be_visible()
    open_settings(page)
    page.fill("#max_tokens input", "24")
    page.locator("#max_tokens input").blur()
    page.click("#close-settings")
    return page


def test_a_real_answer_comes_with_nothing_configured(chat: Page) -> None:
    expect(chat.locator("#pick-name")).to_have_text("SmolLM2 135M")
    expect(chat.locator("#chat")).to_contain_text("very small model", timeout=FETCH_MS)
    _ask(chat, "Say hello.")
    expect(answer_text(chat)).to_have_text(re.compile(r"\w"))
    expect(last_answer(chat).locator(".receipt")).to_contain_text("this-computer")


def test_it_is_started_again_when_it_is_killed_and_what_waits_is_answered(
    chat: Page, alone: App
) -> None:
    expect(chat.locator("#pick-state")).to_have_class("only-chat state ready", timeout=FETCH_MS)
    (child,) = alone.children
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not alive(child), 5, "the child's end")
    send(chat, "Say hello.")
    expect(last_answer(chat).locator(".status")).to_contain_text("until the model has started")
    _settled_slowly(chat)
    expect(last_answer(chat).locator(".receipt")).to_contain_text("this-computer")
    assert alone.children != [child]


def test_the_child_ends_with_the_program(start_app: Callable[..., Any]) -> None:
    with start_app("ending", CACHE_DIR=CACHE) as app:
        wait_until(lambda: app.children, 60, "a child")
        children = app.children
        app.end(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, children)), 20, "the child's end")


def test_missing_weights_are_named_and_what_to_set(
    visit: Visits, start_here: Callable[..., App], tmp_path: Path
) -> None:
    page = opened(visit(start_here("missing", EMBEDDED_MODEL=tmp_path / "absent.gguf")))
    notice = page.locator("[data-notices]:visible .notice")
    expect(notice).to_contain_text("the file that EMBEDDED_MODEL names does not exist")
    expect(notice).to_contain_text("Set ENDPOINTS")
    chat_with(page, "absent")
    ask(page, "Is anybody there?")
    expect(last_answer(page).locator(".failure")).to_contain_text("No endpoint")


def _ask(page: Page, text: str) -> None:
    send(page, text)
    _settled_slowly(page)


def _settled_slowly(page: Page) -> None:
    foot = last_answer(page).locator(".answer-foot")
    expect(foot).to_be_visible(timeout=ANSWER_MS)
    settled(page)
