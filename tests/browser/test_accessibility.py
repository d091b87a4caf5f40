from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    DESKTOP,
    PHONE,
    ask,
    file_payload,
    last_answer,
    open_chat,
    open_page,
    open_settings,
)
from tests.browser.axe import axe_source, serious_findings
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.test_history import choose_chat_action, store_chats
from tests.browser.upstreams import Upstream, interrupting, thinking

pytestmark = pytest.mark.browser

RICH = """\
## A heading

A paragraph with `code`, **bold** and [a link](https://example.com).

| name | value |
|---|--:|
| one | 1 |

```python
def f(x):
    return "text"  # a comment
```

> A quotation

1. first
2. second: $$a^2 + b^2$$

```mermaid
graph LR
A-->B
```
"""


@pytest.mark.parametrize("size", ["1440", "390"])
def test_axe_finds_no_serious_problem(
    visit: NewVisitor, app: App, upstream: Upstream, axe: str, size: str
) -> None:
    page = visit(app, **(DESKTOP if size == "1440" else PHONE))
    violations = {name: serious_findings(page, axe) for name in _states(page, upstream)}
    assert {name: lines for name, lines in violations.items() if lines} == {}


def _states(page: Page, upstream: Upstream) -> Iterator[str]:
    open_page(page, "/?view=models")
    expect(page.locator(".card").first).to_be_visible()
    yield "models"
    open_page(page, f"/?about={upstream.model}")
    expect(page.locator("#panel h1")).to_be_visible()
    yield "panel"
    open_chat(page, upstream.model)
    yield "empty chat"
    upstream.stub.set_behavior(thinking(["Let me think."], [RICH]))
    ask(page, "Show everything")
    page.locator(".thoughts summary").click()
    page.locator(".receipt").click()
    expect(page.locator(".diagram img")).to_be_visible()
    yield "answer"
    page.locator(".diagram button").click()
    yield "an enlarged diagram"
    page.keyboard.press("Escape")
    upstream.stub.set_behavior(interrupting("As far as I came"))
    ask(page, "Break")
    yield "interrupted"
    last_answer(page).get_by_label("More", exact=True).click()
    yield "the menu of an answer"
    page.get_by_role("menuitem", name="Regenerate with another model").click()
    expect(page.locator(".pop-models")).to_be_visible()
    yield "another model"
    page.keyboard.press("Escape")
    yield from _lists(page)
    yield from _composer(page)
    open_settings(page)
    page.click("#more-settings")
    yield "settings"


def _composer(page: Page) -> Iterator[str]:
    notes = file_payload("notes.md", b"plum", "text/markdown")
    page.set_input_files("#file-input", [notes])
    page.fill("#message", "long " * 8000)
    expect(page.locator("#context-strip")).to_be_visible()
    page.click("#context")
    yield "the context window"
    page.keyboard.press("Escape")
    page.click("#prompts")
    expect(page.locator(".dialog-empty")).to_be_visible()
    yield "no prompts"
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Prompt", exact=True).fill("Write to {{name}}.")
    yield "a new prompt"
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    yield "prompts"
    page.get_by_role("button", name="Write to").first.click()
    yield "a prompt's fields"
    page.keyboard.press("Escape")
    page.get_by_label("Remove notes.md").click()
    page.fill("#message", "")


def _lists(page: Page) -> Iterator[str]:
    store_chats(page, {"id": "pinned", "texts": ["leeks"]})
    if page.locator("#menu").is_visible():
        page.click("#menu")
    choose_chat_action(page, "pinned", "Pin")
    page.fill("#chat-search", "leek")
    expect(page.locator("#history small")).to_be_visible()
    yield "search in chats"
    page.press("#chat-search", "Escape")
    page.locator(".history-row").first.hover()
    page.get_by_label("More: pinned").click()
    yield "the menu of a chat"
    page.get_by_role("menuitem", name="Move to folder").click()
    yield "a folder for a chat"
    page.keyboard.press("Escape")
    for name in ("your-chats", "show-shortcuts"):
        page.click(f"#{name}")
        expect(page.get_by_role("dialog").locator("h2").first).to_be_visible()
        yield name
        page.keyboard.press("Escape")
    if page.locator("html").get_attribute("data-sidebar") == "open":
        page.keyboard.press("Escape")


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()
