from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.endpoints import Pen, messages, open_pens
from tests.browser.running import App, free_port
from tests.browser.visiting import answer_text, ask, chat_with, opened, settled

pytestmark = pytest.mark.browser


def test_a_chat_survives_a_reload(page: Page, pen: Pen) -> None:
    pen.stub.behave("echoes")
    chat_with(page, pen.model)
    ask(page, "remember **this**")
    page.reload()
    expect(answer_text(page)).to_have_text("remember this")
    expect(page.locator("#history .history-open")).to_have_text("remember **this**")
    ask(page, "and go on")
    assert [text for _, text in messages(pen.stub)] == ["remember **this**"] * 2 + ["and go on"]


def test_a_chat_survives_a_restart_of_the_server(
    visit: Visits, start_app: Callable[..., Any]
) -> None:
    visit.allow("Failed to load resource|ERR_|[Cc]onnection|WebSocket|EventSource")
    port = free_port()
    with open_pens(lone=1, pairs=0) as pens:
        (pen,) = pens.lone
        pen.stub.behave("echoes")
        with start_app("first", port=port, ENDPOINTS=pens.entries()) as app:
            page = visit(app)
            chat_with(page, pen.model)
            ask(page, "before the restart")
        with start_app("second", port=port, ENDPOINTS=pens.entries()):
            ask(page, "after it, without a reload")
            expect(answer_text(page)).to_have_text("after it, without a reload")
            page.reload()
            expect(page.locator(".turn.user").first).to_contain_text("before the restart")
            expect(answer_text(page)).to_have_text("after it, without a reload")


def test_a_chat_can_be_renamed(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    ask(page, "old name")
    page.locator(".history-row").hover()
    page.get_by_label("Rename: old name").click()
    title = page.get_by_label("Title of this chat")
    title.fill("new name")
    title.press("Enter")
    expect(page.locator("#history .history-open")).to_have_text("new name")
    page.reload()
    expect(page.locator("#history .history-open")).to_have_text("new name")


def test_a_deleted_chat_comes_back_with_undo(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    ask(page, "precious")
    page.locator(".history-row").hover()
    page.get_by_label("Delete: precious").click()
    expect(page.locator("#history .history-open")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="precious", exact=True).click()
    expect(page.locator(".turn.user")).to_contain_text("precious")
    page.reload()
    expect(page.locator("#history .history-open")).to_have_text("precious")


def test_two_tabs_have_chats_of_their_own(page: Page, pen: Pen) -> None:
    pen.stub.behave("echoes")
    other = page.context.new_page()
    chat_with(page, pen.model)
    chat_with(other, pen.model)
    ask(page, "in the first tab")
    ask(other, "in the second tab")
    ask(page, "first again")
    assert [text for _, text in messages(pen.stub)] == ["in the first tab"] * 2 + ["first again"]
    expect(page.locator(".turn.user")).to_have_count(2)
    expect(other.locator(".turn.user")).to_have_count(1)
    other.reload()
    expect(other.locator(".turn.user")).to_contain_text("in the second tab")
    expect(other.locator("#history .history-open")).to_have_count(2)


def test_two_visitors_see_nothing_of_each_other(visit: Visits, app: App, pen: Pen) -> None:
    one, two = visit(app), visit(app)
    chat_with(one, pen.model)
    chat_with(two, pen.model)
    ask(one, "my secret question")
    ask(two, "hello")
    assert messages(pen.stub) == [("user", "hello")]
    opened(two)
    assert "my secret" not in two.content()
    chat_with(two, pen.model)
    settled(two)
    expect(two.locator("#history .history-open")).to_have_text("hello")
    assert "my secret" not in app.log
