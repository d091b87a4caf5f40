"""Around the message: what the model reads, and what every answer was asked with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.endpoints import messages, saying
from tests.browser.running import App
from tests.browser.visiting import (
    ask,
    chat_with,
    last_answer,
    open_settings,
    settled,
)
from tests.stubs import Exchange, StubThread, wire

pytestmark = pytest.mark.browser

CATALOG = """
[[models]]
id = "small"
name = "Small"
tokenLimit = 400

[[models]]
id = "large"
name = "Large"
tokenLimit = 100000
contextWindowMultiplier = 0.5
presencePenalty = 0.25
"""


@pytest.fixture(scope="module")
def stub() -> Iterator[StubThread]:
    with StubThread() as stub:
        yield stub


@pytest.fixture(scope="module")
def composer_app(
    stub: StubThread, start_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    catalog = tmp_path_factory.mktemp("composer") / "models.toml"
    catalog.write_text(CATALOG, encoding="utf-8")
    entry = {"name": "eu-1", "url": stub.url, "models": ["small", "large"]}
    with start_app("composer-app", ENDPOINTS=[entry], CATALOG_FILE=catalog, EMBEDDED="off") as app:
        yield app


@pytest.fixture
def page(visit: Visits, composer_app: App, stub: StubThread) -> Page:
    stub.behave(without_counts)
    return visit(composer_app)


async def without_counts(x: Exchange) -> None:
    """Answers, and reports no usage, so that estimates stay as they are."""
    await x.open_stream()
    await x.piece(wire.says("Yes.") + wire.ending() + wire.DONE)
    await x.end()


def long_chat(page: Page) -> None:
    """Two exchanges that just fit into the small model's 400 tokens, room for the answer taken."""
    chat_with(page, "small")
    ask(page, "first " + "a" * 420)
    ask(page, "second " + "b" * 420)


# ── what the model reads ─────────────────────────────────────────────────────


def test_the_bar_counts_what_is_written_before_it_is_sent(page: Page) -> None:
    chat_with(page, "large")
    expect(page.locator("#context-text")).to_have_text("1K / 50K")
    page.fill("#message", "x" * 40_000)
    expect(page.locator("#context-text")).to_have_text("11K / 50K")
    expect(page.locator("#context")).to_have_attribute("aria-label", re.compile("estimated"))
    page.click("#context")
    expect(page.locator("#context-sheet")).to_contain_text("Room for the answer")
    expect(page.locator("#context-sheet")).to_contain_text("10,004")
    page.keyboard.press("Escape")
    expect(page.locator("#context-sheet")).to_be_hidden()
    expect(page.locator("#context")).to_be_focused()


def test_what_will_be_left_out_is_dimmed_and_then_not_sent(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    expect(page.locator("#context-strip")).to_contain_text("The oldest 2 messages")
    expect(page.locator(".turn.left-out")).to_have_count(2)
    expect(page.locator(".turn[data-left-out]")).to_contain_text("second")
    page.press("#message", "Enter")
    settled(page, 3)
    said = [text[:6] for _, text in messages(stub)]
    assert said == ["second", "Yes.", "third "]
    expect(last_answer(page).locator(".receipt")).to_contain_text("2 messages left out")
    page.reload()
    expect(last_answer(page).locator(".receipt")).to_contain_text("2 messages left out")


def test_all_of_it_can_be_sent_against_the_estimate(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    page.get_by_role("button", name="Send all of it").click()
    expect(page.locator(".turn.left-out")).to_have_count(0)
    expect(page.locator("#context-strip")).to_contain_text("The endpoint may refuse it")
    page.press("#message", "Enter")
    settled(page, 3)
    assert len(messages(stub)) == 5
    expect(last_answer(page).locator(".receipt")).not_to_contain_text("left out")


def test_a_model_that_reads_more_takes_the_whole_chat(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    page.get_by_role("button", name="Use Large (50K)").click()
    expect(page.locator(".turn.left-out")).to_have_count(0)
    expect(page.locator("#message")).to_have_value(re.compile("^third"))
    page.press("#message", "Enter")
    settled(page, 3)
    assert (len(messages(stub)), stub.chats[-1].json["model"]) == (5, "large")


def test_counts_follow_what_the_endpoint_reported(page: Page, stub: StubThread) -> None:
    stub.behave(saying("Yes."))
    chat_with(page, "large")
    ask(page, "x" * 20_000)  # the endpoint says: 13 tokens
    page.click("#context")
    expect(page.locator("#context-sheet")).to_contain_text("what this model's endpoints reported")
    expect(page.locator("#context-text")).to_have_text("2K / 50K")


# ── settings ─────────────────────────────────────────────────────────────────


def test_a_setting_is_the_catalogs_the_endpoints_or_mine_and_seen_under_the_answer(
    page: Page, stub: StubThread
) -> None:
    chat_with(page, "large")
    ask(page, "catalog")
    assert stub.chats[-1].json["presence_penalty"] == 0.25
    assert not {"seed", "stop", "frequency_penalty", "reasoning_effort"} & set(stub.chats[-1].json)
    expect(last_answer(page).locator(".receipt")).not_to_contain_text("penalty")

    open_settings(page)
    page.click("#more-settings")
    choose(page, "presence_penalty", "Endpoint's own")
    choose(page, "frequency_penalty", "Mine")
    page.fill("#frequency_penalty input[type=number]", "-0.5")
    page.locator("#frequency_penalty input[type=number]").blur()
    page.fill("#seed input", "0")
    page.locator("#seed input").blur()
    page.fill("#stop textarea", "END\nHALT")
    ask(page, "mine")
    asked = stub.chats[-1].json
    assert "presence_penalty" not in asked
    assert (asked["frequency_penalty"], asked["seed"], asked["stop"]) == (-0.5, 0, ["END", "HALT"])
    receipt = last_answer(page).locator(".receipt")
    expect(receipt).to_contain_text("presence penalty: endpoint's own · frequency penalty -0.5")
    expect(receipt).to_contain_text('seed 0 · stop "END" "HALT"')

    page.reload()
    expect(last_answer(page).locator(".receipt")).to_contain_text("seed 0")
    page.click("#open-settings")
    expect(page.locator("#seed input")).to_have_value("0")
    page.click("#settings-reset")
    ask(page, "reset")
    assert stub.chats[-1].json["presence_penalty"] == 0.25
    assert "seed" not in stub.chats[-1].json


def test_an_emptied_number_is_the_catalogs_again(page: Page, stub: StubThread) -> None:
    chat_with(page, "large")
    open_settings(page)
    page.fill("#max_tokens input", "9")
    expect(chosen(page, "max_tokens")).to_have_text("Mine")
    page.fill("#max_tokens input", "")
    expect(chosen(page, "max_tokens")).to_have_text("Catalog")
    ask(page, "Hello")
    assert "max_tokens" not in stub.chats[-1].json


def choose(page: Page, name: str, whose: str) -> None:
    page.locator(f"#{name}-of label", has_text=whose).click()


def chosen(page: Page, name: str) -> Any:
    return page.locator(f"#{name}-of label.selected")
