"""The composer: context window, settings, files, reasoning effort and saved prompts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.actions import (
    ask,
    file_payload,
    last_answer,
    open_chat,
    open_settings,
    reload_page,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.upstreams import answering, messages, thinking
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

[[models]]
id = "eyes"
name = "Eyes"
tokenLimit = 32768
vision = true
reasoning = true
reasoningEfforts = ["low", "high"]
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
    entry = {"name": "eu-1", "url": stub.url, "models": ["small", "large", "eyes"]}
    with start_app("composer-app", ENDPOINTS=[entry], CATALOG_FILE=catalog, EMBEDDED="off") as app:
        yield app


@pytest.fixture
def page(visit: NewVisitor, composer_app: App, stub: StubThread) -> Page:
    stub.set_behavior(without_counts)
    return visit(composer_app)


async def without_counts(x: Exchange) -> None:
    """Answer without usage, so that estimates do not change."""
    await x.open_stream()
    await x.send(wire.text_event("Yes.") + wire.finish_event() + wire.DONE)
    await x.end()


def long_chat(page: Page) -> None:
    """Make two exchanges that just fit into the 400 tokens of the small model."""
    open_chat(page, "small")
    ask(page, "first " + "a" * 420)
    ask(page, "second " + "b" * 420)


# ── context window ───────────────────────────────────────────────────────────


def test_the_context_bar_counts_the_draft(page: Page) -> None:
    open_chat(page, "large")
    expect(page.locator("#context-text")).to_have_text("1K / 50K")
    page.fill("#message", "x" * 40_000)
    expect(page.locator("#context-text")).to_have_text("11K / 50K")
    expect(page.locator("#context")).to_have_attribute("aria-label", re.compile("estimated"))
    page.click("#context")
    expect(page.locator("#context-sheet")).to_contain_text("Reserved for the answer")
    expect(page.locator("#context-sheet")).to_contain_text("10,004")
    page.keyboard.press("Escape")
    expect(page.locator("#context-sheet")).to_be_hidden()
    expect(page.locator("#context")).to_be_focused()


def test_messages_that_do_not_fit_are_dimmed_and_not_sent(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    expect(page.locator("#context-strip")).to_contain_text("The oldest 2 messages")
    expect(page.locator(".turn.left-out")).to_have_count(2)
    expect(page.locator(".turn[data-left-out]")).to_contain_text("second")
    page.press("#message", "Enter")
    wait_until_settled(page, 3)
    texts = [text[:6] for _, text in messages(stub)]
    assert texts == ["second", "Yes.", "third "]
    expect(last_answer(page).locator(".receipt")).to_contain_text("2 messages left out")
    reload_page(page)
    expect(last_answer(page).locator(".receipt")).to_contain_text("2 messages left out")


def test_all_messages_can_be_sent_despite_the_estimate(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    page.get_by_role("button", name="Send all messages").click()
    expect(page.locator(".turn.left-out")).to_have_count(0)
    expect(page.locator("#context-strip")).to_contain_text("The endpoint may reject it")
    page.press("#message", "Enter")
    wait_until_settled(page, 3)
    assert len(messages(stub)) == 5
    expect(last_answer(page).locator(".receipt")).not_to_contain_text("left out")


def test_a_model_with_a_longer_context_gets_the_whole_chat(page: Page, stub: StubThread) -> None:
    long_chat(page)
    page.fill("#message", "third " + "c" * 420)
    page.get_by_role("button", name="Switch to Eyes (32K)").click()
    expect(page.locator(".turn.left-out")).to_have_count(0)
    expect(page.locator("#message")).to_have_value(re.compile("^third"))
    page.press("#message", "Enter")
    wait_until_settled(page, 3)
    assert (len(messages(stub)), stub.chats[-1].json["model"]) == (5, "eyes")


def test_estimates_follow_reported_token_counts(page: Page, stub: StubThread) -> None:
    stub.set_behavior(answering("Yes."))
    open_chat(page, "large")
    ask(page, "x" * 20_000)  # the endpoint reports 13 tokens
    page.click("#context")
    expect(page.locator("#context-sheet")).to_contain_text("that this model's endpoints reported")
    expect(page.locator("#context-text")).to_have_text("2K / 50K")


# ── settings ─────────────────────────────────────────────────────────────────


def test_parameters_have_three_states_and_are_shown_below_the_answer(
    page: Page, stub: StubThread
) -> None:
    open_chat(page, "large")
    ask(page, "catalog")
    assert stub.chats[-1].json["presence_penalty"] == 0.25
    assert not {"seed", "stop", "frequency_penalty", "reasoning_effort"} & set(stub.chats[-1].json)
    expect(last_answer(page).locator(".receipt")).not_to_contain_text("penalty")

    open_settings(page)
    page.click("#more-settings")
    choose(page, "presence_penalty", "Provider default")
    choose(page, "frequency_penalty", "Custom")
    page.fill("#frequency_penalty input[type=number]", "-0.5")
    page.locator("#frequency_penalty input[type=number]").blur()
    page.fill("#seed input", "0")
    page.locator("#seed input").blur()
    page.fill("#stop textarea", "END\nHALT")
    ask(page, "custom")
    request = stub.chats[-1].json
    assert "presence_penalty" not in request
    assert (request["frequency_penalty"], request["seed"], request["stop"]) == (
        -0.5,
        0,
        ["END", "HALT"],
    )
    receipt = last_answer(page).locator(".receipt")
    expect(receipt).to_contain_text("presence penalty: provider default · frequency penalty -0.5")
    expect(receipt).to_contain_text('seed 0 · stop "END" "HALT"')

    reload_page(page)
    expect(last_answer(page).locator(".receipt")).to_contain_text("seed 0")
    page.click("#open-settings")
    expect(page.locator("#seed input")).to_have_value("0")
    page.click("#settings-reset")
    ask(page, "reset")
    assert stub.chats[-1].json["presence_penalty"] == 0.25
    assert "seed" not in stub.chats[-1].json


def test_clearing_a_number_returns_to_the_model_default(page: Page, stub: StubThread) -> None:
    open_chat(page, "large")
    open_settings(page)
    page.fill("#max_tokens input", "9")
    expect(chosen(page, "max_tokens")).to_have_text("Custom")
    page.fill("#max_tokens input", "")
    expect(chosen(page, "max_tokens")).to_have_text("Model default")
    ask(page, "Hello")
    assert "max_tokens" not in stub.chats[-1].json


def choose(page: Page, name: str, source: str) -> None:
    page.locator(f"#{name}-of label", has_text=source).click()


def chosen(page: Page, name: str) -> Any:
    return page.locator(f"#{name}-of label.selected")


# ── files and pictures ───────────────────────────────────────────────────────


def photo() -> FilePayload:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    Image.new("RGB", (64, 48), "teal").save(out, "JPEG", exif=exif)
    return file_payload("dot.jpg", out.getvalue(), "image/jpeg")


NOTES = file_payload("notes.md", b"# Notes\nThe word is plum.", "text/markdown")


def test_an_attached_text_is_sent_and_stays_in_the_chat(page: Page, stub: StubThread) -> None:
    open_chat(page, "large")
    page.set_input_files("#file-input", [NOTES])
    expect(page.locator("#files .chip-file")).to_contain_text("notes.md")
    expect(page.locator("#files .chip-file")).to_contain_text("≈ 12 tokens")
    ask(page, "What is the word?")
    (_, first), *_ = messages(stub)
    assert first == (
        '<file name="notes.md">\n# Notes\nThe word is plum.\n</file>\n\nWhat is the word?'
    )
    expect(page.locator("#files")).to_be_hidden()
    ask(page, "And again?")
    assert messages(stub)[0][1] == first

    reload_page(page)
    page.locator(".turn-files .chip-open").click()
    expect(page.locator(".shown-text")).to_contain_text("The word is plum.")
    page.keyboard.press("Escape")
    page.locator(".turn.user").first.hover()
    page.get_by_label("Edit").first.click()
    page.get_by_label("Remove notes.md").click()
    page.get_by_role("button", name="Save and send").click()
    wait_until_settled(page, 1)
    assert messages(stub) == [("user", "What is the word?")]
    expect(page.locator(".turn-files")).to_have_count(0)


def test_a_picture_is_rejected_for_a_model_without_vision(page: Page, stub: StubThread) -> None:
    open_chat(page, "large")
    page.set_input_files("#file-input", [photo()])
    expect(page.locator("#vision-strip")).to_contain_text("Large can't read pictures")
    count = len(stub.chats)
    send(page, "What is this?")
    expect(page.locator("#note")).to_contain_text("Large can't read pictures")
    assert len(stub.chats) == count
    page.get_by_role("button", name="Switch to Eyes").click()
    expect(page.locator("#vision-strip")).to_be_hidden()
    page.press("#message", "Enter")
    wait_until_settled(page, 1)
    picture, words = stub.chats[-1].json["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert words == {"type": "text", "text": "What is this?"}
    expect(page.locator(".turn-files img")).to_be_visible()

    page.click("#pick")
    page.get_by_role("menuitemradio", name="Large").click()
    expect(page.locator("#vision-strip")).to_contain_text("earlier messages are not sent")
    page.click("#context")
    expect(page.locator("#context-sheet")).to_contain_text("earlier messages are not sent")
    history = page.locator("#context-sheet dd").nth(1)
    assert int(history.inner_text()) < 40, "a picture that is not sent is counted"
    ask(page, "And now?")
    assert messages(stub)[0] == ("user", "What is this?")


def test_files_that_can_not_be_attached_are_named(page: Page, visit: NewVisitor) -> None:
    visit.allow("422")
    open_chat(page, "large")
    program = file_payload("tool.bin", b"\x7fELF\xc0\x01", "")
    broken = file_payload("report.pdf", b"no pdf", "application/pdf")
    page.set_input_files("#file-input", [program, broken, NOTES])
    expect(page.locator("#note")).to_contain_text("tool.bin was not attached")
    expect(page.locator("#note")).to_contain_text("report.pdf was not attached: it is damaged")
    expect(page.locator("#files .chip-file")).to_have_count(1)


def test_files_can_be_pasted_and_dropped(page: Page) -> None:
    open_chat(page, "large")
    page.evaluate(
        """() => {
        const bring = (name) => {
          const data = new DataTransfer();
          data.items.add(new File(["plum"], name, { type: "text/plain" }));
          return data;
        };
        const paste = { clipboardData: bring("pasted.txt"), bubbles: true, cancelable: true };
        document.querySelector("#message").dispatchEvent(new ClipboardEvent("paste", paste));
        const drop = { dataTransfer: bring("dropped.txt"), bubbles: true, cancelable: true };
        document.querySelector("#thread").dispatchEvent(new DragEvent("dragover", drop));
        window.dropping = document.querySelector(".chat").classList.contains("dropping");
        document.querySelector("#thread").dispatchEvent(new DragEvent("drop", drop));
        }"""
    )
    expect(page.locator("#files .chip-file")).to_have_count(2)
    assert page.evaluate("window.dropping") is True
    page.get_by_label("Remove pasted.txt").click()
    expect(page.locator("#files .chip-file")).to_have_count(1)
    expect(page.locator("#send")).to_be_enabled()


def test_a_long_pasted_text_becomes_a_file_and_can_be_inserted(page: Page) -> None:
    open_chat(page, "large")
    page.fill("#message", "Shorten this: ")
    page.evaluate(
        """() => {
        const data = new DataTransfer();
        data.setData("text/plain", "plum ".repeat(2_000));
        const paste = { clipboardData: data, bubbles: true, cancelable: true };
        document.querySelector("#message").dispatchEvent(new ClipboardEvent("paste", paste));
        }"""
    )
    expect(page.locator("#files .chip-file")).to_contain_text("pasted text.txt")
    expect(page.locator("#message")).to_have_value("Shorten this: ")
    page.get_by_role("button", name="Insert as text").click()
    expect(page.locator("#files")).to_be_hidden()
    whole = "Shorten this: " + "plum " * 2_000
    expect(page.locator("#message")).to_have_value(whole)
    reload_page(page)
    expect(page.locator("#message")).to_have_value(whole)  # drafts survive a reload


# ── reasoning ────────────────────────────────────────────────────────────────


def test_the_effort_is_offered_for_models_that_support_it(page: Page, stub: StubThread) -> None:
    open_chat(page, "large")
    expect(page.locator("#effort")).to_be_hidden()
    open_chat(page, "eyes")
    page.select_option("#effort", "high")
    ask(page, "Think.")
    assert stub.chats[-1].json["reasoning_effort"] == "high"
    expect(last_answer(page).locator(".receipt")).to_contain_text("effort high")
    reload_page(page)
    expect(page.locator("#effort")).to_have_value("high")


def test_collapsed_reasoning_shows_its_time_and_tokens(page: Page, stub: StubThread) -> None:
    stub.set_behavior(thinking(["Let me ", "see how long this takes."], ["Done."], 0.05))
    open_chat(page, "eyes")
    ask(page, "Think.")
    expect(last_answer(page).locator(".thoughts summary")).to_have_text(
        re.compile(r"Thought for [\d.]+ s · \d+ tokens")
    )


# ── saved prompts ────────────────────────────────────────────────────────────


def save_prompt(page: Page, name: str, text: str) -> None:
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Prompt", exact=True).fill(text)
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_saved_prompt_is_filled_in_and_inserted(page: Page) -> None:
    open_chat(page, "large")
    page.click("#prompts")
    expect(page.locator(".dialog-empty")).to_contain_text("No saved prompts yet")
    save_prompt(page, "Translate", "Translate into {{language}}: {{text}}")
    page.keyboard.press("Escape")

    reload_page(page)
    page.press("#message", "/")
    page.get_by_role("button", name="Translate into").click()
    page.get_by_role("textbox", name="language").fill("Czech")
    page.get_by_role("textbox", name="text").fill("Hello {{you}}")
    page.get_by_role("button", name="Insert").click()
    expect(page.locator("#message")).to_have_value("Translate into Czech: Hello {{you}}")
    expect(page.locator("#message")).to_be_focused()


def test_a_system_prompt_can_be_saved_and_used(page: Page, stub: StubThread) -> None:
    open_chat(page, "large")
    open_settings(page)
    page.fill("#system textarea", "Speak like a pirate.")
    page.click("#system-save")
    page.get_by_label("Name").fill("Pirate")
    page.get_by_role("button", name="Save", exact=True).click()
    page.keyboard.press("Escape")
    page.fill("#system textarea", "")
    page.click("#system-prompts")
    page.get_by_role("button", name="Pirate").first.click()
    expect(page.locator("#system textarea")).to_have_value("Speak like a pirate.")
    ask(page, "Hello")
    assert messages(stub)[0] == ("system", "Speak like a pirate.")
    expect(last_answer(page).locator(".receipt")).to_contain_text("system prompt")


def test_a_deleted_prompt_can_be_restored(page: Page) -> None:
    open_chat(page, "large")
    page.click("#prompts")
    save_prompt(page, "Mail", "Write to {{name}}.")
    page.get_by_label("Delete: Mail").click()
    expect(page.locator(".prompt-row")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".prompt-row")).to_have_count(1)
