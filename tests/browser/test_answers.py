"""What is done with answers: versions, other models, other words, deleting, going on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.servers import App
from tests.browser.upstreams import Upstream, Upstreams, answering, breaking_off, endless, messages
from tests.browser.visits import answer_text, ask, chat_with, last_answer, reloaded, send, settled

pytestmark = pytest.mark.browser


def of_answer(page: Page, what: str) -> None:
    """Choose from the menu of the last answer."""
    last_answer(page).get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def test_an_interrupted_answer_goes_on_when_asked_and_says_so(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(breaking_off("As far ", "as I ca"))
    chat_with(page, upstream.model)
    ask(page, "Go")
    upstream.stub.set_behavior(answering(" came", ", and then home."))
    assert len(upstream.stub.chats) == 1
    last_answer(page).get_by_role("button", name="Continue").click()
    expect(answer_text(page)).to_have_text("As far as I came, and then home.")
    settled(page)
    expect(last_answer(page).locator(".receipt .flag").first).to_have_text("continued")
    question, begun, more = messages(upstream.stub)
    assert [question, begun, more[0]] == [("user", "Go"), ("assistant", "As far as I "), "user"]
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    expect(last_answer(page).get_by_role("button", name="Continue")).to_have_count(0)
    reloaded(page)
    expect(answer_text(page)).to_have_text("As far as I came, and then home.")
    last_answer(page).get_by_label("Previous version").click()
    expect(answer_text(page)).to_have_text("As far as I ca")


def test_a_stopped_answer_can_go_on_and_one_that_ended_cannot(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(endless(40))
    chat_with(page, upstream.model)
    send(page, "Count")
    expect(answer_text(page)).to_contain_text("word5")
    page.click("#send")
    settled(page)
    expect(last_answer(page).get_by_role("button", name="Continue")).to_be_visible()
    upstream.stub.set_behavior("echoes")
    ask(page, "Enough")
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def test_another_model_gives_another_version_and_the_chat_keeps_its_own(
    page: Page, upstream: Upstream, upstreams: Upstreams
) -> None:
    other = upstreams.single.pop(0)
    upstream.stub.set_behavior(answering("From the first"))
    other.stub.set_behavior(answering("From the other"))
    chat_with(page, upstream.model)
    ask(page, "Who are you?")
    of_answer(page, "Regenerate with another model")
    page.get_by_role("searchbox", name="Search models").fill(other.model)
    page.keyboard.press("Enter")
    expect(answer_text(page)).to_have_text("From the other")
    settled(page)
    expect(last_answer(page).locator(".receipt")).to_contain_text(other.model.title())
    expect(page.locator("#pick-name")).to_have_text(upstream.model.title())
    assert other.stub.chats[-1].json["model"] == other.model
    last_answer(page).get_by_label("Previous version").click()
    expect(last_answer(page).locator(".receipt")).to_contain_text(f"{upstream.model}-north")
    upstream.stub.set_behavior("echoes")
    ask(page, "and now")
    expect(answer_text(page)).to_have_text("and now")


def test_an_edited_answer_is_a_version_that_is_sent_from_then_on(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(answering("The moon is **cheese**."))
    chat_with(page, upstream.model)
    ask(page, "What is the moon?")
    of_answer(page, "Edit answer")
    box = last_answer(page).get_by_label("Edit answer")
    expect(box).to_have_value("The moon is **cheese**.")
    box.fill("The moon is **rock**.")
    last_answer(page).get_by_role("button", name="Save").click()
    expect(answer_text(page)).to_have_text("The moon is rock.")
    expect(last_answer(page).locator(".receipt")).to_have_text("edited by you")
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    ask(page, "Sure?")
    assert messages(upstream.stub)[1] == ("assistant", "The moon is **rock**.")
    reloaded(page)
    expect(page.locator(".turn.assistant").first.locator(".receipt")).to_have_text("edited by you")


def test_a_deleted_question_goes_with_its_answer_and_comes_back_with_undo(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
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
    of_answer(page, "Delete")
    expect(page.locator(".turn.assistant")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".turn.assistant")).to_have_count(2)
    reloaded(page)
    expect(bubbles).to_have_text(["two", "three"])
    expect(page.locator(".turn.assistant")).to_have_count(2)


def test_a_branch_has_the_chat_up_to_there(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
    ask(page, "one")
    ask(page, "two")
    page.locator(".turn.assistant").first.get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="Branch from here").click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["one"])
    expect(answer_text(page)).to_have_text("one")
    expect(page.locator(".history-row[aria-current] .history-open")).to_have_text("one (copy)")
    page.get_by_role("button", name="one", exact=True).click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["one", "two"])


def test_an_answer_is_kept_as_far_as_it_came_when_the_tab_is_reloaded(
    visit: Visits, app: App, upstream: Upstream
) -> None:
    page = visit(app)
    upstream.stub.set_behavior(endless(40))
    chat_with(page, upstream.model)
    send(page, "Count")
    expect(answer_text(page)).to_contain_text("word9")
    reloaded(page)
    expect(answer_text(page)).to_contain_text("word9")
    expect(last_answer(page).locator(".flag").first).to_have_text("stopped")
    expect(last_answer(page).get_by_role("button", name="Continue")).to_be_visible()
    upstream.stub.wait_for_disconnect(within_s=2)
