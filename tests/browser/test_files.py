"""Chats out of the browser and back, and how much of it they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.conftest import Visits
from tests.browser.endpoints import Pen, saying
from tests.browser.running import App
from tests.browser.test_history import keep, of_chat
from tests.browser.visiting import answer_text, ask, chat_with, opened, reloaded

pytestmark = pytest.mark.browser

ANSWER = "A **bold** claim:\n\n```python\nprint('<b>')\n```\n"


def saved(page: Page, title: str, how: str) -> str:
    """The text of the file that a chat is saved as."""
    with page.expect_download() as download:
        of_chat(page, title, how)
    return Path(download.value.path()).read_text(encoding="utf-8")


def your_chats(page: Page) -> Locator:
    """The dialog about the kept chats."""
    if page.get_by_role("dialog", name="Your chats").count() == 0:
        page.click("#your-chats")
    return page.get_by_role("dialog", name="Your chats")


def bring(page: Page, file: Any) -> Locator:
    """Import a file; returns what the dialog says about it."""
    text = file if isinstance(file, str) else json.dumps(file)
    payload: FilePayload = {"name": "x.json", "mimeType": "", "buffer": text.encode()}
    dialog = your_chats(page)
    dialog.locator("input[type=file]").set_input_files([payload])
    expect(dialog.get_by_role("status")).not_to_be_empty()
    return dialog.get_by_role("status")


def test_a_chat_is_saved_to_be_read(visit: Visits, app: App, pen: Pen) -> None:
    page = visit(app)
    pen.stub.behave(saying(ANSWER))
    chat_with(page, pen.model)
    ask(page, "<i>Claim</i> something")
    title = "<i>Claim</i> something"
    markdown = saved(page, title, "Save as Markdown")
    assert markdown.startswith(f"# {title}\n\n*{pen.model} · ")
    assert f"## You\n\n{title}\n\n## {pen.model.title()}\n\n{ANSWER.strip()}" in markdown

    html = saved(page, title, "Save as HTML")
    for outside in ("http:", "https:", "<script", "<link", "src="):
        assert outside not in html
    alone = visit(app)
    alone.set_content(html)
    expect(alone.locator("h1")).to_have_text(title)
    expect(alone.locator(".prose-block strong")).to_have_text("bold")
    expect(alone.locator(".prose-block pre")).to_contain_text("print('<b>')")
    assert alone.locator("strong").evaluate("(node) => getComputedStyle(node).fontWeight") == "650"


def test_all_chats_go_out_and_come_back_in_another_browser(
    visit: Visits, app: App, pen: Pen
) -> None:
    page, other = visit(app), visit(app)
    pen.stub.behave(saying("First"))
    chat_with(page, pen.model)
    ask(page, "Keep this")
    keep(page, {"id": "second", "texts": ["and this"]})
    with page.expect_download() as download:
        your_chats(page).get_by_role("button", name="Export all").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    opened(other)
    assert bring(other, text).inner_text() == "2 chats were imported."
    assert bring(page, text).inner_text() == "0 chats were imported. Already here: 2."
    other.keyboard.press("Escape")
    other.get_by_role("button", name="Keep this", exact=True).click()
    expect(answer_text(other)).to_have_text("First")
    expect(other.locator(".receipt")).to_contain_text(f"{pen.model}-north")


def test_an_export_of_akash_chat_is_brought_in_and_what_is_broken_is_named(page: Page) -> None:
    opened(page)
    file = {
        "version": 1,
        "folders": [{"id": "f", "name": "Work"}],
        "prompts": [{"name": "Pirate", "content": "Arr"}],
        "chats": [
            {
                "id": "a",
                "name": "Greeting",
                "model": {"id": "lone-00", "name": "Llama"},
                "messages": [
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "<think>So.</think>Hi **there**"},
                ],
            },
            {"name": "Broken", "messages": [{"role": "user", "content": 7}]},
        ],
    }
    said = bring(page, file)
    expect(said).to_contain_text("1 chat was imported. Saved prompts: 1.")
    expect(said).to_contain_text("Chat 2 (Broken): message 1 has no text.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Greeting", exact=True).click()
    expect(answer_text(page)).to_have_text("Hi there")
    expect(page.locator(".thoughts .prose-block")).to_have_text("So.")
    assert "not JSON" in bring(page, "# no").inner_text()


def test_where_nothing_is_kept_chats_end_with_the_tab(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    keep(page, {"id": "kept before"})
    your_chats(page).get_by_label("Keep nothing").check()
    expect(page.get_by_role("dialog")).to_contain_text("Chats kept before and hidden now: 1.")
    page.keyboard.press("Escape")
    note = page.get_by_text("Nothing is kept: chats end with this tab.")
    expect(note).to_be_visible()
    ask(page, "forget me")
    expect(page.locator("#history .history-open")).to_have_text(["forget me"])
    reloaded(page)
    expect(note).to_be_visible()
    expect(page.locator("#history .history-open")).to_have_count(0)
    stored = page.evaluate("window.akashGradio.chats.store.list()")
    assert [chat["title"] for chat in stored] == ["kept before"]
    your_chats(page).get_by_label("Keep nothing").uncheck()
    expect(page.locator("#history .history-open")).to_have_text(["kept before"])
    expect(note).to_be_hidden()


def test_the_room_that_chats_take_is_told_and_all_can_be_deleted(page: Page) -> None:
    opened(page, "/?view=models")
    keep(page, {"id": "small"}, {"id": "large", "texts": ["x" * 50_000]})
    dialog = your_chats(page)
    expect(dialog.locator(".storage-meter b")).to_have_text("2 chats · 50 kB")
    dialog.get_by_text("The largest chats").click()
    expect(dialog.locator("li .storage-title")).to_have_text(["large", "small"])
    dialog.get_by_label("Delete: large").click()
    expect(dialog.locator(".storage-meter b")).to_have_text("1 chat · 1 kB")
    dialog.get_by_role("button", name="Delete all").click()
    dialog.get_by_role("button", name="Delete all 1, for ever").click()
    expect(dialog.locator(".storage-said")).to_have_text("All chats are deleted.")
    reloaded(page)
    expect(page.locator("#history")).to_have_text("Chats appear here. They stay in this browser.")
