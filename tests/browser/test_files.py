"""Chats out of the browser and back, and how much of it they take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.conftest import Visits
from tests.browser.servers import App
from tests.browser.test_history import keep, of_chat
from tests.browser.upstreams import Upstream, answering
from tests.browser.visits import answer_text, ask, chat_with, opened, reloaded

pytestmark = pytest.mark.browser

NOTES: FilePayload = {
    "name": "notes <1>.md",
    "mimeType": "text/markdown",
    "buffer": b"<b>plum</b>",
}
PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC"
ANSWER = "A **bold** claim:\n\n```python\nprint('<b>')\n```\n\n```mermaid\ngraph TD\n```\n"


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


def test_a_chat_is_saved_to_be_read(visit: Visits, app: App, upstream: Upstream) -> None:
    page = visit(app)
    upstream.stub.set_behavior(answering(ANSWER))
    chat_with(page, upstream.model)
    page.set_input_files("#file-input", [NOTES])
    ask(page, "<i>Claim</i> something")
    title = "<i>Claim</i> something"
    markdown = saved(page, title, "Save as Markdown")
    assert markdown.startswith(f"# {title}\n\n*{upstream.model} · ")
    file = "<details><summary>notes &lt;1&gt;.md</summary>\n\n```\n<b>plum</b>\n```\n\n</details>"
    assert (
        f"## You\n\n{file}\n\n{title}\n\n## {upstream.model.title()}\n\n{ANSWER.strip()}"
        in markdown
    )

    page.evaluate(
        "(url) => window.akashGradio.chat.turns[0].attachments.push("
        "{ kind: 'picture', name: 'dot.gif', url, width: 1, height: 1 })",
        PICTURE,
    )
    assert "*Picture: dot.gif (1 × 1)*" in saved(page, title, "Save as Markdown")
    html = saved(page, title, "Save as HTML")
    for outside in ("http:", "https:", "<script", "<link", "<ag-diagram"):
        assert outside not in html
    assert re.findall(r'src="(.{9})', html) == ["data:imag"]
    alone = visit(app)
    alone.set_content(html)
    expect(alone.locator("h1")).to_have_text(title)
    expect(alone.locator("details.file summary")).to_have_text("notes <1>.md")
    expect(alone.locator("details.file pre")).to_have_text("<b>plum</b>")
    expect(alone.locator("figure.file img")).to_have_attribute("alt", "dot.gif")
    expect(alone.locator(".prose-block strong")).to_have_text("bold")
    expect(alone.locator(".prose-block pre").first).to_contain_text("print('<b>')")
    expect(alone.locator(".prose-block pre").last).to_contain_text("graph TD")
    assert alone.locator("strong").evaluate("(node) => getComputedStyle(node).fontWeight") == "650"


def test_all_chats_go_out_and_come_back_in_another_browser(
    visit: Visits, app: App, upstream: Upstream
) -> None:
    page, other = visit(app), visit(app)
    upstream.stub.set_behavior(answering("First"))
    chat_with(page, upstream.model)
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
    expect(other.locator(".receipt")).to_contain_text(f"{upstream.model}-north")


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
                "folderId": "f",
                "model": {"id": "single-00", "name": "Llama"},
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
    expect(page.locator("#history .history-open")).to_have_count(0)  # folders begin folded
    page.get_by_role("button", name="Work 1").click()
    page.get_by_role("button", name="Greeting", exact=True).click()
    expect(answer_text(page)).to_have_text("Hi there")
    expect(page.locator(".thoughts .prose-block")).to_have_text("So.")
    assert "not JSON" in bring(page, "# no").inner_text()


PROMPT = "(name) => window.akashGradio.prompts.prompts.put({ id: name, name, text: name })"


def prompts(page: Page) -> list[str]:
    """The names of the saved prompts."""
    names: list[str] = page.evaluate(
        "window.akashGradio.prompts.prompts.list().map(({ name }) => name)"
    )
    return names


def test_where_nothing_is_kept_chats_end_with_the_tab(page: Page, upstream: Upstream) -> None:
    chat_with(page, upstream.model)
    keep(page, {"id": "kept before"})
    page.evaluate(PROMPT, "kept before")
    your_chats(page).get_by_label("Keep nothing").check()
    expect(page.get_by_role("dialog")).to_contain_text("Chats kept before and hidden now: 1.")
    page.keyboard.press("Escape")
    note = page.get_by_text("Nothing is kept: chats end with this tab.")
    expect(note).to_be_visible()
    page.evaluate(PROMPT, "forget me")
    assert prompts(page) == ["forget me"]
    ask(page, "forget me")
    expect(page.locator("#history .history-open")).to_have_text(["forget me"])
    reloaded(page)
    expect(note).to_be_visible()
    expect(page.locator("#history .history-open")).to_have_count(0)
    stored = page.evaluate("window.akashGradio.chats.store.list()")
    assert [chat["title"] for chat in stored] == ["kept before"]
    assert prompts(page) == []
    assert "forget me" not in page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    )
    your_chats(page).get_by_label("Keep nothing").uncheck()
    expect(page.locator("#history .history-open")).to_have_text(["kept before"])
    expect(note).to_be_hidden()
    assert prompts(page) == ["kept before"]


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
    expect(dialog.locator(".storage-status")).to_have_text("All chats are deleted.")
    reloaded(page)
    expect(page.locator("#history")).to_have_text("Chats appear here. They stay in this browser.")
