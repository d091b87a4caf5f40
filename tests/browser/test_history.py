from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    answer_text,
    ask,
    last_answer,
    open_chat,
    open_page,
    reload_page,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App, free_port
from tests.browser.upstreams import Gate, Upstream, answering_at_gate, messages, open_upstreams

pytestmark = pytest.mark.browser


IN_FOLDER = """async (name) =>
    (await akashGradio.history.store.list()).every(({ folder }) => folder === name)"""


def choose_chat_action(page: Page, title: str, action: str) -> None:
    """Choose an action from the menu of a chat in the list."""
    row = page.locator(".history-row", has=page.get_by_role("button", name=title, exact=True))
    row.hover()
    row.get_by_label(f"More: {title}", exact=True).click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def test_a_chat_survives_a_reload(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "remember **this**")
    reload_page(page)
    expect(answer_text(page)).to_have_text("remember this")
    expect(page.locator("#history .history-open")).to_have_text("remember **this**")
    ask(page, "and go on")
    assert [text for _, text in messages(upstream.stub)] == ["remember **this**"] * 2 + [
        "and go on"
    ]


def test_a_chat_survives_a_restart_of_the_server(
    visit: NewVisitor, start_app: Callable[..., Any]
) -> None:
    visit.allow("Failed to load resource|ERR_|[Cc]onnection|WebSocket|EventSource")
    port = free_port()
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior("echoes")
        with start_app("first", port=port, ENDPOINTS=upstreams.entries()) as app:
            page = visit(app)
            open_chat(page, upstream.model)
            ask(page, "before the restart")
        with start_app("second", port=port, ENDPOINTS=upstreams.entries()):
            ask(page, "after it, without a reload")
            expect(answer_text(page)).to_have_text("after it, without a reload")
            reload_page(page)
            expect(page.locator(".turn.user").first).to_contain_text("before the restart")
            expect(answer_text(page)).to_have_text("after it, without a reload")


def test_a_chat_can_be_renamed(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    ask(page, "old name")
    choose_chat_action(page, "old name", "Rename")
    title = page.get_by_label("Chat title")
    title.fill("new name")
    title.press("Enter")
    expect(page.locator("#history .history-open")).to_have_text("new name")
    reload_page(page)
    expect(page.locator("#history .history-open")).to_have_text("new name")


def test_undo_restores_a_deleted_chat(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    ask(page, "precious")
    choose_chat_action(page, "precious", "Delete")
    expect(page.locator("#history .history-open")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="precious", exact=True).click()
    expect(page.locator(".turn.user")).to_contain_text("precious")
    reload_page(page)
    expect(page.locator("#history .history-open")).to_have_text("precious")


def test_two_tabs_can_have_different_chats(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    other = page.context.new_page()
    open_chat(page, upstream.model)
    open_chat(other, upstream.model)
    ask(page, "in the first tab")
    ask(other, "in the second tab")
    ask(page, "first again")
    assert [text for _, text in messages(upstream.stub)] == ["in the first tab"] * 2 + [
        "first again"
    ]
    expect(page.locator(".turn.user")).to_have_count(2)
    expect(other.locator(".turn.user")).to_have_count(1)
    reload_page(other)
    expect(other.locator(".turn.user")).to_contain_text("in the second tab")
    expect(other.locator("#history .history-open")).to_have_count(2)


def test_visitors_do_not_see_each_others_chats(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    one, two = visit(app), visit(app)
    open_chat(one, upstream.model)
    open_chat(two, upstream.model)
    ask(one, "my secret question")
    ask(two, "hello")
    assert messages(upstream.stub) == [("user", "hello")]
    open_page(two)
    assert "my secret" not in two.content()
    open_chat(two, upstream.model)
    wait_until_settled(two)
    expect(two.locator("#history .history-open")).to_have_text("hello")
    assert "my secret" not in app.log


# ── the list ─────────────────────────────────────────────────────────────────

STORE_CHATS = """async (chats) => {
  for (const { id, title, ago_days, texts } of chats) {
    const time = Date.now() - ago_days * 86400000;
    const entry = { id, title, created: time, updated: time, model: "single-00" };
    const turns = texts.map((text, place) => ({ id: `${id}.${place}`, role: "user", text }));
    await window.akashGradio.history.put({ entry, body: { settings: {}, turns } });
  }
}"""


def store_chats(page: Page, *chats: dict[str, Any]) -> None:
    """Store chats in this browser: id, title, ago_days, and the texts of the visitor."""
    page.evaluate(
        STORE_CHATS,
        [{"title": chat["id"], "ago_days": 0, "texts": ["x"], **chat} for chat in chats],
    )


def listed(page: Page) -> list[str]:
    """Return the titles and group names in the list."""
    return page.locator("#history :is(h2, .history-open)").all_inner_texts()


def test_chats_are_grouped_by_day_with_pinned_ones_first(page: Page) -> None:
    open_page(page, "/?view=models")
    store_chats(page, *({"id": f"{days} days", "ago_days": days} for days in (0, 1, 3, 400)))
    choose_chat_action(page, "3 days", "Pin")
    expect(page.locator("#history h2").first).to_have_text("Pinned")
    reload_page(page)
    expect(page.locator("#history .history-open")).to_have_count(4)
    *rest, month, oldest = listed(page)
    assert rest == ["Pinned", "3 days", "Today", "0 days", "Yesterday", "1 days"]
    assert (len(month.split()), oldest) == (2, "400 days")
    choose_chat_action(page, "3 days", "Unpin")
    expect(page.locator("#history h2").first).to_have_text("Today")


def test_chats_can_be_moved_into_and_out_of_folders(page: Page) -> None:
    open_page(page, "/?view=models")
    store_chats(page, {"id": "one"}, {"id": "two"})
    choose_chat_action(page, "one", "Move to folder")
    page.get_by_label("New folder").fill("Trips")
    page.keyboard.press("Enter")
    folder = page.get_by_role("button", name="Trips 1")
    expect(folder).to_have_attribute("aria-expanded", "true")
    expect(page.locator("html")).to_have_attribute("data-view", "models")  # nothing was opened
    choose_chat_action(page, "two", "Move to folder")
    page.locator(".pop").get_by_role("button", name="Trips").click()
    expect(page.locator("#history .history-open")).to_have_count(2)
    reload_page(page)
    page.get_by_role("button", name="Trips 2").press("Enter")
    expect(page.locator("#history .history-open")).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#history .history-open").first).to_be_focused()
    page.get_by_role("button", name="Trips 2").press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Rename").press("Enter")
    page.get_by_label("Folder name").fill("Journeys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Journeys 2")).to_be_focused()
    page.wait_for_function(IN_FOLDER, arg="Journeys")
    reload_page(page)
    choose_chat_action(page, "one", "Move to folder")
    page.get_by_role("button", name="Remove from folder").click()
    expect(page.locator("#history :is(h2, .history-open)")).to_have_text(
        ["Journeys1", "two", "Today", "one"]
    )


def test_search_finds_titles_and_messages_in_the_index(page: Page) -> None:
    open_page(page, "/?view=models")
    store_chats(
        page,
        {"id": "Soup", "texts": ["with leeks", "and Crème fraîche"]},
        {"id": "Leeks", "texts": ["hello"]},
        {"id": "Trip", "texts": ["to Lisbon"]},
    )
    page.fill("#chat-search", "leek")
    expect(page.locator("#history .history-open")).to_have_count(2)
    assert [text.splitlines()[0] for text in listed(page)] == [
        "In titles",
        "Leeks",
        "In messages",
        "Soup",
    ]
    expect(page.locator("#history small")).to_have_text("with leeks")
    page.evaluate(
        """() => new Promise((done) => {
          indexedDB.open("akash-gradio").onsuccess = ({ target: { result } }) => {
            const all = result.transaction("bodies", "readwrite");
            all.objectStore("bodies").clear();
            all.oncomplete = () => { result.close(); done(); };
          };
        })"""
    )
    page.fill("#chat-search", "creme fraiche")
    expect(page.locator("#history .history-open")).to_have_text(["Soup"])
    page.fill("#chat-search", "nowhere")
    expect(page.locator("#history")).to_have_text("No chats match your search.")
    page.press("#chat-search", "Escape")
    expect(page.locator("#history .history-open")).to_have_count(3)


def test_a_thousand_chats_are_drawn_as_the_list_scrolls(page: Page) -> None:
    open_page(page, "/?view=models")
    store_chats(page, *({"id": f"chat {n:04}", "ago_days": n} for n in range(1000)))
    reload_page(page)
    rows = page.locator("#history .history-open")
    expect(rows.first).to_have_text("chat 0000")
    assert rows.count() < 200
    page.wait_for_function(
        """() => {
          const list = document.querySelector("#history");
          list.scrollTop = list.scrollHeight;
          return list.querySelectorAll(".history-open").length === 1000;
        }"""
    )
    expect(rows.last).to_have_text("chat 0999")


def test_a_duplicate_is_independent(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "both have this")
    choose_chat_action(page, "both have this", "Duplicate")
    expect(page.locator("#history .history-open")).to_have_count(2)
    expect(page.locator(".history-row[aria-current] .history-open")).to_have_text(
        "both have this (copy)"
    )
    expect(answer_text(page)).to_have_text("both have this")
    ask(page, "only the copy")
    page.get_by_role("button", name="both have this", exact=True).click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["both have this"])


# ── two tabs, and versions of the store ──────────────────────────────────────


def two_tabs(page: Page, upstream: Upstream) -> Page:
    """Open the same chat in two tabs. Returns the second."""
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "the beginning")
    other = page.context.new_page()
    open_chat(other, upstream.model)
    other.locator("#history .history-open").click()
    expect(other.locator(".turn.user")).to_have_count(1)
    return other


def test_messages_of_one_tab_appear_in_the_other(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    ask(page, "from the first tab")
    expect(other.locator(".turn.user").last).to_contain_text("from the first tab")
    expect(other.locator(".turn.assistant")).to_have_count(2)
    ask(other, "from the second")
    expect(page.locator(".turn.user")).to_have_count(3)
    reload_page(page)
    expect(page.locator(".turn.user")).to_have_count(3)
    choose_chat_action(other, "the beginning", "Rename")
    other.get_by_label("Chat title").fill("another name")
    other.keyboard.press("Enter")
    expect(page.locator("#history .history-open")).to_have_text("another name")
    ask(page, "after the renaming")
    expect(page.locator("#history .history-open")).to_have_text("another name")
    expect(other.locator(".turn.user").last).to_contain_text("after the renaming")


def test_messages_of_two_tabs_in_one_chat_are_merged(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, ["Begun"], [" and ended"]))
    send(page, "in the first")
    expect(answer_text(page)).to_have_text("Begun")
    upstream.stub.set_behavior("echoes")
    expect(answer_text(other)).to_have_text("Begun")
    expect(last_answer(other).locator(".flag")).to_have_text("in progress in another tab")
    expect(other.get_by_role("button", name="Continue", exact=True)).to_have_count(0)
    ask(other, "in the second")
    gate.open()
    wait_until_settled(page)
    prompts = ["the beginning", "in the first", "in the second"]
    expect(page.locator(".toast")).to_contain_text("Both changes were merged.")
    expect(page.locator(".turn.user .bubble")).to_have_text(prompts)
    expect(page.locator(".turn.assistant > .prose-block").nth(1)).to_have_text("Begun and ended")
    expect(other.locator(".turn.assistant > .prose-block").nth(1)).to_have_text("Begun and ended")
    reload_page(page)
    expect(page.locator(".turn.user .bubble")).to_have_text(prompts)
    expect(page.locator("#history .history-open")).to_have_count(1)


def test_conflicting_edits_in_two_tabs_give_two_chats(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, ["Slow"], ["."]))
    edit_last(page, "begun otherwise")
    expect(answer_text(page)).to_have_text("Slow")
    expect(other.locator(".turn.user .bubble")).to_have_text(["begun otherwise"])
    edit_last(other, "begun in a third way")
    expect(answer_text(other)).to_have_text("Slow")
    gate.open()
    wait_until_settled(page)
    wait_until_settled(other)
    titles = page.locator("#history .history-open")
    expect(titles).to_have_count(2)
    assert sorted(titles.all_inner_texts()) == ["the beginning", "the beginning (copy)"]
    expect(page.locator(".toast")).to_contain_text("Your version is now a copy.")
    expect(page.locator(".turn.user .bubble")).to_have_text(["begun otherwise"])
    for title, question in (("", "begun in a third way"), (" (copy)", "begun otherwise")):
        other.get_by_role("button", name=f"the beginning{title}", exact=True).click()
        expect(other.locator(".turn.user .bubble")).to_have_text([question])


def edit_last(page: Page, text: str) -> None:
    """Edit the visitor's last message and send it."""
    page.keyboard.press("Control+Shift+E")
    box = page.locator(".edit-box textarea")
    box.fill(text)
    box.press("Enter")


def test_a_chat_deleted_in_another_tab_disappears(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    choose_chat_action(page, "the beginning", "Delete")
    expect(other.locator(".toast")).to_have_text("This chat was deleted in another tab.")
    expect(other.locator(".turn")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(other.locator("#history .history-open")).to_have_text(["the beginning"])


STORE_VERSION_1 = """() => new Promise((done) => {
  const request = indexedDB.open("akash-gradio", 1);
  request.onupgradeneeded = () => {
    const stores = ["chats", "bodies"];
    for (const name of stores) request.result.createObjectStore(name, { keyPath: "id" });
  };
  request.onsuccess = () => {
    const both = request.result.transaction(["chats", "bodies"], "readwrite");
    const [chats, bodies] = ["chats", "bodies"].map((name) => both.objectStore(name));
    const entry = { created: 1000, updated: 1000, model: "single-00" };
    const version = (text) => ({ text, reasoning: "", model: "single-00", model_name: "Single" });
    const answer = { role: "assistant", shown: 1, versions: [version("one"), version("**two**")] };
    chats.put({ ...entry, id: "a", title: "An old chat" });
    const turns = [{ role: "user", text: "leeks" }, answer];
    bodies.put({ id: "a", settings: { system: "Be old." }, turns });
    chats.put({ ...entry, id: "b", title: "A broken chat" });
    bodies.put({ id: "b", settings: {}, turns: "none" });
    both.oncomplete = () => { request.result.close(); done(); };
  };
})"""


def test_chats_of_store_version_1_are_migrated(page: Page) -> None:
    page.goto("/page/boot")
    page.evaluate(STORE_VERSION_1)
    open_page(page, "/?view=models")
    expect(page.locator("#history .history-open")).to_have_count(2)
    page.get_by_role("button", name="An old chat", exact=True).click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["leeks"])
    expect(answer_text(page)).to_have_text("two")
    expect(page.locator(".versions")).to_have_text("2/2")
    expect(page.locator("#system textarea")).to_have_value("Be old.")
    page.get_by_role("button", name="A broken chat", exact=True).click()
    expect(page.locator(".toast")).to_have_text(
        "This chat could not be loaded from browser storage."
    )
    ids = "window.akashGradio.history.read('a').then(({ turns }) => turns.map(({ id }) => id))"
    assert page.evaluate(ids) == page.evaluate(ids), "the ids of turns change"
    page.fill("#chat-search", "leek")
    expect(page.locator("#history .history-open")).to_have_count(1)
    page.press("#chat-search", "Escape")
    choose_chat_action(page, "An old chat", "Pin")
    expect(page.locator("#history h2").first).to_have_text("Pinned")


def test_an_outdated_page_explains_a_newer_store(page: Page) -> None:
    page.goto("/page/boot")
    page.evaluate("new Promise((done) => (indexedDB.open('akash-gradio', 99).onsuccess = done))")
    open_page(page, "/?view=models")
    expect(page.locator("#history")).to_have_text(
        "Your chats were saved by a newer version of this page. Reload the page to see them."
    )


def test_full_storage_gives_a_hint_and_keeps_the_open_chat(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    browser = page.context.new_cdp_session(page)
    origin = page.evaluate("location.origin")
    browser.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1})
    ask(page, "no room for this")
    page.get_by_role("button", name="Free up space").click()
    dialog = page.get_by_role("dialog", name="Your chats")
    expect(dialog).to_contain_text("Browser storage is full.")
    browser.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    page.keyboard.press("Escape")
    expect(answer_text(page)).to_have_text("no room for this")
    ask(page, "and now")
    reload_page(page)
    expect(page.locator(".turn.user .bubble")).to_have_text(["no room for this", "and now"])
