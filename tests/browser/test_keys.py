from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    answer_text,
    ask,
    last_answer,
    open_chat,
    reload_page,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.upstreams import Upstream, answering, endless, messages

pytestmark = pytest.mark.browser

SHIFTED = "Control+Shift+"


def test_a_chat_can_be_used_by_keyboard(visit: NewVisitor, app: App, upstream: Upstream) -> None:
    page = visit(app, permissions=["clipboard-read", "clipboard-write"])
    keys = page.keyboard
    upstream.stub.set_behavior(endless(40))
    open_chat(page, upstream.model)
    keys.press("Shift+Escape")
    keys.type("Count")
    keys.press("Enter")
    expect(answer_text(page)).to_contain_text("word5")
    keys.press("Escape")
    wait_until_settled(page)
    expect(last_answer(page).locator(".flag").first).to_have_text("stopped")

    upstream.stub.set_behavior(answering("Second", " answer"))
    keys.press(f"{SHIFTED}Enter")
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    wait_until_settled(page)
    keys.press(f"{SHIFTED}C")
    expect(page.locator(".toast")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "Second answer"

    keys.press(f"{SHIFTED}E")
    expect(page.locator(".edit-box textarea")).to_be_focused()
    keys.press("Control+A")
    keys.type("Greet")
    keys.press("Enter")
    expect(page.locator(".turn.user .bubble")).to_have_text(["Greet"])
    wait_until_settled(page)
    assert messages(upstream.stub) == [("user", "Greet")]

    keys.press(f"{SHIFTED}O")
    expect(page.locator("#message")).to_be_focused()
    expect(page.locator(".turn")).to_have_count(0)
    keys.press("Control+K")
    expect(page.locator("#chat-search")).to_be_focused()
    keys.type("greet")
    expect(page.locator("#history h2")).to_have_text("In messages")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page.locator(".turn.user .bubble")).to_have_text(["Greet"])

    keys.press(f"{SHIFTED}M")
    expect(page.locator("#pick-menu")).to_be_visible()
    keys.type("single-40")
    keys.press("Enter")
    expect(page.locator("#pick-name")).to_have_text("Single-40")
    expect(page.locator(".turn.user .bubble")).to_have_text(["Greet"])
    keys.press(f"{SHIFTED}S")
    expect(page.locator("#sidebar")).to_be_hidden()
    keys.press(f"{SHIFTED}S")
    expect(page.locator("#sidebar")).to_be_visible()


def test_the_list_of_shortcuts_opens_except_while_typing(page: Page) -> None:
    open_chat(page, "single-00")
    page.locator("#pick").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("Regenerate the last answer")
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(page.locator("#pick")).to_be_focused()
    page.focus("#message")
    page.keyboard.press("?")
    expect(page.locator("#message")).to_have_value("?")
    expect(sheet).to_have_count(0)
    page.keyboard.press("Control+/")
    expect(sheet).to_be_visible()
    page.keyboard.press("Control+/")
    expect(sheet).to_have_count(0)


def test_escape_closes_the_drawer_before_it_stops_an_answer(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(endless(40))
    open_chat(page, upstream.model)
    send(page, "Count")
    expect(answer_text(page)).to_contain_text("word2")
    page.click("#open-settings")
    page.keyboard.press("Escape")
    expect(page.locator("html")).to_have_attribute("data-drawer", "closed")
    expect(page.locator("#send")).to_have_attribute("aria-label", "Stop")
    page.keyboard.press("Escape")
    wait_until_settled(page)


def test_a_hidden_sidebar_stays_hidden_until_it_is_reopened(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    page.get_by_label("Hide sidebar").click()
    expect(page.locator("#sidebar")).to_be_hidden()
    reload_page(page)
    expect(page.locator("#message")).to_be_visible()
    expect(page.locator("#sidebar")).to_be_hidden()
    page.click("#menu")
    expect(page.locator("#sidebar")).to_be_visible()
    ask(page, "still works")
