"""Actions on answers: versions, other models, editing, deleting, continuing."""

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
from tests.browser.upstreams import Upstream, Upstreams, answering, endless, interrupting, messages

pytestmark = pytest.mark.browser


def choose_answer_action(page: Page, action: str) -> None:
    """Choose an action from the menu of the last answer."""
    last_answer(page).get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def test_an_interrupted_answer_can_be_continued_and_is_marked(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(interrupting("As far ", "as I ca"))
    open_chat(page, upstream.model)
    ask(page, "Go")
    upstream.stub.set_behavior(answering(" came", ", and then home."))
    assert len(upstream.stub.chats) == 1
    last_answer(page).get_by_role("button", name="Continue", exact=True).click()
    expect(answer_text(page)).to_have_text("As far as I came, and then home.")
    wait_until_settled(page)
    expect(last_answer(page).locator(".receipt .flag").first).to_have_text("continued")
    question, begun, more = messages(upstream.stub)
    assert [question, begun, more[0]] == [("user", "Go"), ("assistant", "As far as I "), "user"]
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    expect(last_answer(page).get_by_role("button", name="Continue", exact=True)).to_have_count(0)
    reload_page(page)
    expect(answer_text(page)).to_have_text("As far as I came, and then home.")
    last_answer(page).get_by_label("Previous version").click()
    expect(answer_text(page)).to_have_text("As far as I ca")


def test_a_stopped_answer_can_be_continued_and_a_complete_one_cannot(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(endless(40))
    open_chat(page, upstream.model)
    send(page, "Count")
    expect(answer_text(page)).to_contain_text("word5")
    page.click("#send")
    wait_until_settled(page)
    expect(last_answer(page).get_by_role("button", name="Continue", exact=True)).to_be_visible()
    upstream.stub.set_behavior("echoes")
    ask(page, "Enough")
    expect(page.get_by_role("button", name="Continue", exact=True)).to_have_count(0)


def test_regenerating_with_another_model_keeps_the_model_of_the_chat(
    page: Page, upstream: Upstream, upstreams: Upstreams
) -> None:
    other = upstreams.single.pop(0)
    upstream.stub.set_behavior(answering("From the first"))
    other.stub.set_behavior(answering("From the other"))
    open_chat(page, upstream.model)
    ask(page, "Who are you?")
    choose_answer_action(page, "Regenerate with another model")
    page.get_by_role("searchbox", name="Search models").fill(other.model)
    page.keyboard.press("Enter")
    expect(answer_text(page)).to_have_text("From the other")
    wait_until_settled(page)
    expect(last_answer(page).locator(".receipt")).to_contain_text(other.model.title())
    expect(page.locator("#pick-name")).to_have_text(upstream.model.title())
    assert other.stub.chats[-1].json["model"] == other.model
    last_answer(page).get_by_label("Previous version").click()
    expect(last_answer(page).locator(".receipt")).to_contain_text(f"{upstream.model}-north")
    upstream.stub.set_behavior("echoes")
    ask(page, "and now")
    expect(answer_text(page)).to_have_text("and now")


def test_an_edited_answer_becomes_a_version_that_is_sent_later(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(answering("The moon is **cheese**."))
    open_chat(page, upstream.model)
    ask(page, "What is the moon?")
    choose_answer_action(page, "Edit answer")
    box = last_answer(page).get_by_label("Edit answer")
    expect(box).to_have_value("The moon is **cheese**.")
    box.fill("The moon is **rock**.")
    last_answer(page).get_by_role("button", name="Save").click()
    expect(answer_text(page)).to_have_text("The moon is rock.")
    expect(last_answer(page).locator(".receipt")).to_have_text("edited by you")
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    ask(page, "Sure?")
    assert messages(upstream.stub)[1] == ("assistant", "The moon is **rock**.")
    reload_page(page)
    expect(page.locator(".turn.assistant").first.locator(".receipt")).to_have_text("edited by you")


def test_deleting_a_message_deletes_its_answer_and_undo_restores_both(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "one")
    ask(page, "two")
    first = page.locator(".turn.user").first
    first.hover()
    first.get_by_label("Delete").click()
    bubbles = page.locator(".turn.user .bubble")
    expect(bubbles).to_have_text(["two"])
    expect(page.locator(".turn.assistant")).to_have_count(1)
    ask(page, "three")
    assert messages(upstream.stub) == [("user", "two"), ("assistant", "two"), ("user", "three")]
    choose_answer_action(page, "Delete")
    expect(page.locator(".turn.assistant")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".turn.assistant")).to_have_count(2)
    reload_page(page)
    expect(bubbles).to_have_text(["two", "three"])
    expect(page.locator(".turn.assistant")).to_have_count(2)


def test_a_branch_has_the_turns_up_to_its_answer(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "one")
    ask(page, "two")
    page.locator(".turn.assistant").first.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="Branch from here").click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["one"])
    expect(answer_text(page)).to_have_text("one")
    expect(page.locator(".history-row[aria-current] .history-open")).to_have_text("one (copy)")
    page.get_by_role("button", name="one", exact=True).click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["one", "two"])


def test_a_reload_keeps_the_text_streamed_so_far(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    page = visit(app)
    upstream.stub.set_behavior(endless(40))
    open_chat(page, upstream.model)
    send(page, "Count")
    expect(answer_text(page)).to_contain_text("word9")
    reload_page(page)
    expect(answer_text(page)).to_contain_text("word9")
    expect(last_answer(page).locator(".flag").first).to_have_text("stopped")
    expect(last_answer(page).get_by_role("button", name="Continue", exact=True)).to_be_visible()
    upstream.stub.wait_for_disconnect(within_s=2)
