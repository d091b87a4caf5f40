"""Export and import of chats, private mode, and storage usage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.actions import answer_text, ask, open_chat, open_page, reload_page
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.test_history import choose_chat_action, store_chats
from tests.browser.upstreams import Upstream, answering

pytestmark = pytest.mark.browser

NOTES: FilePayload = {
    "name": "notes <1>.md",
    "mimeType": "text/markdown",
    "buffer": b"<b>plum</b>",
}
PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC"
ANSWER = "A **bold** claim:\n\n```python\nprint('<b>')\n```\n\n```mermaid\ngraph TD\n```\n"


def saved(page: Page, title: str, action: str) -> str:
    """Export a chat and return the text of the file."""
    with page.expect_download() as download:
        choose_chat_action(page, title, action)
    return Path(download.value.path()).read_text(encoding="utf-8")


def storage_dialog(page: Page) -> Locator:
    """Open the dialog about stored chats."""
    if page.get_by_role("dialog", name="Your chats").count() == 0:
        page.click("#your-chats")
    return page.get_by_role("dialog", name="Your chats")


def import_file(page: Page, file: Any) -> Locator:
    """Import a file. Returns the status in the dialog."""
    text = file if isinstance(file, str) else json.dumps(file)
    payload: FilePayload = {"name": "x.json", "mimeType": "", "buffer": text.encode()}
    dialog = storage_dialog(page)
    dialog.locator("input[type=file]").set_input_files([payload])
    expect(dialog.get_by_role("status")).not_to_be_empty()
    return dialog.get_by_role("status")


def test_a_chat_is_exported_as_markdown_and_html(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    page = visit(app)
    upstream.stub.set_behavior(answering(ANSWER))
    open_chat(page, upstream.model)
    page.set_input_files("#file-input", [NOTES])
    ask(page, "<i>Claim</i> something")
    title = "<i>Claim</i> something"
    markdown = saved(page, title, "Export as Markdown")
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
    assert "*Picture: dot.gif (1 × 1)*" in saved(page, title, "Export as Markdown")
    html = saved(page, title, "Export as HTML")
    for outside in ("http:", "https:", "<script", "<link", "<ag-diagram"):
        assert outside not in html
    assert re.findall(r'src="(.{9})', html) == ["data:imag"]
    viewer = visit(app)
    viewer.set_content(html)
    expect(viewer.locator("h1")).to_have_text(title)
    expect(viewer.locator("details.file summary")).to_have_text("notes <1>.md")
    expect(viewer.locator("details.file pre")).to_have_text("<b>plum</b>")
    expect(viewer.locator("figure.file img")).to_have_attribute("alt", "dot.gif")
    expect(viewer.locator(".prose-block strong")).to_have_text("bold")
    expect(viewer.locator(".prose-block pre").first).to_contain_text("print('<b>')")
    expect(viewer.locator(".prose-block pre").last).to_contain_text("graph TD")
    assert viewer.locator("strong").evaluate("(node) => getComputedStyle(node).fontWeight") == "650"


def test_all_chats_can_be_exported_and_imported_in_another_browser(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    page, other = visit(app), visit(app)
    upstream.stub.set_behavior(answering("First"))
    open_chat(page, upstream.model)
    ask(page, "Keep this")
    store_chats(page, {"id": "second", "texts": ["and this"]})
    with page.expect_download() as download:
        storage_dialog(page).get_by_role("button", name="Export all").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    open_page(other)
    assert import_file(other, text).inner_text() == "2 chats imported."
    assert (
        import_file(page, text).inner_text()
        == "0 chats imported. Skipped because they are already here: 2."
    )
    other.keyboard.press("Escape")
    other.get_by_role("button", name="Keep this", exact=True).click()
    expect(answer_text(other)).to_have_text("First")
    expect(other.locator(".receipt")).to_contain_text(f"{upstream.model}-north")


def test_an_akash_chat_export_is_imported_and_its_errors_are_listed(page: Page) -> None:
    open_page(page)
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
    status = import_file(page, file)
    expect(status).to_contain_text("1 chat imported. Saved prompts imported: 1.")
    expect(status).to_contain_text("Chat 2 (Broken): message 1 has no text.")
    page.keyboard.press("Escape")
    expect(page.locator("#history .history-open")).to_have_count(0)  # folders start closed
    page.get_by_role("button", name="Work 1").click()
    page.get_by_role("button", name="Greeting", exact=True).click()
    expect(answer_text(page)).to_have_text("Hi there")
    expect(page.locator(".thoughts .prose-block")).to_have_text("So.")
    assert "not valid JSON" in import_file(page, "# no").inner_text()


WHOLE_CHAT: dict[str, Any] = {
    "id": "x",
    "title": "A chat",
    "created": 1,
    "updated": 2,
    "model": "single-00",
    "pinned": False,
    "folder": "",
    "settings": {
        "system": "Be brief.",
        "temperature": 0.5,
        "top_p": "catalog",
        "max_tokens": 100,
        "seed": 1,
        "stop": ["END"],
        "presence_penalty": "endpoint",
        "frequency_penalty": 0,
        "reasoning_effort": "high",
        "stream": True,
        "whole": False,
    },
    "turns": [
        {
            "id": "u",
            "role": "user",
            "text": "Hello",
            "attachments": [{"kind": "text", "name": "a.txt", "text": "A", "size": 1}],
        },
        {
            "id": "a",
            "role": "assistant",
            "shown": 0,
            "versions": [
                {
                    "id": "v",
                    "text": "Hi there",
                    "reasoning": "So.",
                    "thought_s": 2,
                    "model": "single-00",
                    "model_name": "Llama",
                    "stopped": False,
                    "edited": False,
                    "continued": False,
                    "left_out": 0,
                    "settings": {"temperature": 0.5},
                    "error": {"title": "It broke.", "hint": "Try again."},
                    "receipt": {
                        "line": ["eu-1"],
                        "flags": ["edited"],
                        "rows": [["Endpoint", "eu-1"]],
                        "attempts": [{"endpoint": "eu-1", "seconds": 1, "outcome": "ok"}],
                        "total_s": 1,
                    },
                }
            ],
        },
    ],
}
ODD_VALUES: tuple[Any, ...] = (7, None, "x", [7], {"a": [{}]})


def odd_chats(value: Any = WHOLE_CHAT) -> Iterator[Any]:
    """Yield copies of a value with something else in one place, for each place in turn."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ({**value, name: odd} for odd in odd_chats(item))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], odd, *value[place + 1 :]] for odd in odd_chats(item))
    yield from ODD_VALUES


def test_an_imported_chat_opens_whatever_is_in_one_of_its_places(page: Page) -> None:
    open_page(page)
    chats = [chat for chat in odd_chats() if isinstance(chat, dict) and "turns" in chat]
    chats = [
        {**chat, "id": f"odd-{number}", "title": f"odd {number}", "folder": ""}
        for number, chat in enumerate(chats)
    ]
    status = import_file(page, {"format": "akash-gradio chats", "version": 1, "chats": chats})
    expect(status).to_contain_text("chats imported.", timeout=60_000)
    page.keyboard.press("Escape")
    opened, problems = page.evaluate(
        """async (count) => {
          const { akashGradio } = window;
          const problems = [];
          let opened = 0;
          for (let number = 0; number < count; number++) {
            const id = `odd-${number}`;
            if (!akashGradio.history.entry(id)) continue; // it was skipped
            opened++;
            try {
              await akashGradio.openChat(id);
              await akashGradio.thread.show(akashGradio.chat, akashGradio.model());
              if (!document.querySelector("#thread .turn")) problems.push(`${id} is empty`);
            } catch (error) {
              problems.push(`${id}: ${error}`);
            }
          }
          return [opened, problems];
        }""",
        len(chats),
    )
    assert problems == []
    assert opened > len(chats) / 2


PROMPT = "(name) => window.akashGradio.prompts.prompts.put({ id: name, name, text: name })"


def prompts(page: Page) -> list[str]:
    """Return the names of the saved prompts."""
    names: list[str] = page.evaluate(
        "window.akashGradio.prompts.prompts.list().map(({ name }) => name)"
    )
    return names


def test_private_mode_deletes_chats_with_the_tab(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    store_chats(page, {"id": "stored before"})
    page.evaluate(PROMPT, "stored before")
    storage_dialog(page).get_by_label("Private mode").check()
    expect(page.get_by_role("dialog")).to_contain_text("Stored chats hidden in private mode: 1.")
    page.keyboard.press("Escape")
    note = page.get_by_text("Private mode: chats are deleted when you close this tab.")
    expect(note).to_be_visible()
    page.evaluate(PROMPT, "forget me")
    assert prompts(page) == ["forget me"]
    ask(page, "forget me")
    expect(page.locator("#history .history-open")).to_have_text(["forget me"])
    reload_page(page)
    expect(note).to_be_visible()
    expect(page.locator("#history .history-open")).to_have_count(0)
    stored = page.evaluate("window.akashGradio.chats.store.list()")
    assert [chat["title"] for chat in stored] == ["stored before"]
    assert prompts(page) == []
    assert "forget me" not in page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    )
    storage_dialog(page).get_by_label("Private mode").uncheck()
    expect(page.locator("#history .history-open")).to_have_text(["stored before"])
    expect(note).to_be_hidden()
    assert prompts(page) == ["stored before"]


def test_the_dialog_shows_storage_usage_and_deletes_all_chats(page: Page) -> None:
    open_page(page, "/?view=models")
    store_chats(page, {"id": "small"}, {"id": "large", "texts": ["x" * 50_000]})
    dialog = storage_dialog(page)
    expect(dialog.locator(".storage-meter b")).to_have_text("2 chats · 50 kB")
    dialog.get_by_text("Largest chats").click()
    expect(dialog.locator("li .storage-title")).to_have_text(["large", "small"])
    dialog.get_by_label("Delete: large").click()
    expect(dialog.locator(".storage-meter b")).to_have_text("1 chat · 1 kB")
    dialog.get_by_role("button", name="Delete all").click()
    dialog.get_by_role("button", name="Delete all 1 permanently").click()
    expect(dialog.locator(".storage-status")).to_have_text("All chats deleted.")
    reload_page(page)
    expect(page.locator("#history")).to_have_text(
        "Your chats appear here. They are stored in this browser only."
    )
