from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.servers import App, free_port
from tests.browser.upstreams import Gate, Upstream, answering_after, messages, open_upstreams
from tests.browser.visits import (
    answer_text,
    ask,
    chat_with,
    last_answer,
    opened,
    reloaded,
    send,
    settled,
)

pytestmark = pytest.mark.browser


IN_FOLDER = """async (name) =>
    (await akashGradio.history.store.list()).every(({ folder }) => folder === name)"""


def of_chat(page: Page, title: str, what: str) -> None:
    """Choose from the menu of a chat in the list."""
    row = page.locator(".history-row", has=page.get_by_role("button", name=title, exact=True))
    row.hover()
    row.get_by_label(f"More: {title}", exact=True).click()
    page.get_by_role("menuitem", name=what, exact=True).click()


def test_a_chat_survives_a_reload(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
    ask(page, "remember **this**")
    reloaded(page)
    expect(answer_text(page)).to_have_text("remember this")
    expect(page.locator("#history .history-open")).to_have_text("remember **this**")
    ask(page, "and go on")
    assert [text for _, text in messages(upstream.stub)] == ["remember **this**"] * 2 + [
        "and go on"
    ]


def test_a_chat_survives_a_restart_of_the_server(
    visit: Visits, start_app: Callable[..., Any]
) -> None:
    visit.allow("Failed to load resource|ERR_|[Cc]onnection|WebSocket|EventSource")
    port = free_port()
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior("echoes")
        with start_app("first", port=port, ENDPOINTS=upstreams.entries()) as app:
            page = visit(app)
            chat_with(page, upstream.model)
            ask(page, "before the restart")
        with start_app("second", port=port, ENDPOINTS=upstreams.entries()):
            ask(page, "after it, without a reload")
            expect(answer_text(page)).to_have_text("after it, without a reload")
            reloaded(page)
            expect(page.locator(".turn.user").first).to_contain_text("before the restart")
            expect(answer_text(page)).to_have_text("after it, without a reload")


def test_a_chat_can_be_renamed(page: Page, upstream: Upstream) -> None:
    chat_with(page, upstream.model)
    ask(page, "old name")
    of_chat(page, "old name", "Rename")
    title = page.get_by_label("Chat title")
    title.fill("new name")
    title.press("Enter")
    expect(page.locator("#history .history-open")).to_have_text("new name")
    reloaded(page)
    expect(page.locator("#history .history-open")).to_have_text("new name")


def test_a_deleted_chat_comes_back_with_undo(page: Page, upstream: Upstream) -> None:
    chat_with(page, upstream.model)
    ask(page, "precious")
    of_chat(page, "precious", "Delete")
    expect(page.locator("#history .history-open")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="precious", exact=True).click()
    expect(page.locator(".turn.user")).to_contain_text("precious")
    reloaded(page)
    expect(page.locator("#history .history-open")).to_have_text("precious")


def test_two_tabs_have_chats_of_their_own(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    other = page.context.new_page()
    chat_with(page, upstream.model)
    chat_with(other, upstream.model)
    ask(page, "in the first tab")
    ask(other, "in the second tab")
    ask(page, "first again")
    assert [text for _, text in messages(upstream.stub)] == ["in the first tab"] * 2 + [
        "first again"
    ]
    expect(page.locator(".turn.user")).to_have_count(2)
    expect(other.locator(".turn.user")).to_have_count(1)
    reloaded(other)
    expect(other.locator(".turn.user")).to_contain_text("in the second tab")
    expect(other.locator("#history .history-open")).to_have_count(2)


def test_two_visitors_see_nothing_of_each_other(
    visit: Visits, app: App, upstream: Upstream
) -> None:
    one, two = visit(app), visit(app)
    chat_with(one, upstream.model)
    chat_with(two, upstream.model)
    ask(one, "my secret question")
    ask(two, "hello")
    assert messages(upstream.stub) == [("user", "hello")]
    opened(two)
    assert "my secret" not in two.content()
    chat_with(two, upstream.model)
    settled(two)
    expect(two.locator("#history .history-open")).to_have_text("hello")
    assert "my secret" not in app.log


# ── the list ─────────────────────────────────────────────────────────────────

KEEP = """async (chats) => {
  for (const { id, title, ago_days, texts } of chats) {
    const time = Date.now() - ago_days * 86400000;
    const entry = { id, title, created: time, updated: time, model: "single-00" };
    const turns = texts.map((text, place) => ({ id: `${id}.${place}`, role: "user", text }));
    await window.akashGradio.history.put({ entry, body: { settings: {}, turns } });
  }
}"""


def keep(page: Page, *chats: dict[str, Any]) -> None:
    """Put chats into this browser: id, title, ago_days, texts of the visitor."""
    page.evaluate(
        KEEP, [{"title": chat["id"], "ago_days": 0, "texts": ["x"], **chat} for chat in chats]
    )


def listed(page: Page) -> list[str]:
    """What stands in the list, titles and the names of groups."""
    return page.locator("#history :is(h2, .history-open)").all_inner_texts()


def test_chats_are_grouped_by_day_and_the_pinned_stand_first(page: Page) -> None:
    opened(page, "/?view=models")
    keep(page, *({"id": f"{days} days", "ago_days": days} for days in (0, 1, 3, 400)))
    of_chat(page, "3 days", "Pin")
    expect(page.locator("#history h2").first).to_have_text("Pinned")
    reloaded(page)
    expect(page.locator("#history .history-open")).to_have_count(4)
    *rest, month, oldest = listed(page)
    assert rest == ["Pinned", "3 days", "Today", "0 days", "Yesterday", "1 days"]
    assert (len(month.split()), oldest) == (2, "400 days")
    of_chat(page, "3 days", "Unpin")
    expect(page.locator("#history h2").first).to_have_text("Today")


def test_a_chat_goes_into_a_folder_that_folds_and_out_again(page: Page) -> None:
    opened(page, "/?view=models")
    keep(page, {"id": "one"}, {"id": "two"})
    of_chat(page, "one", "Move to a folder")
    page.get_by_label("New folder").fill("Trips")
    page.keyboard.press("Enter")
    folder = page.get_by_role("button", name="Trips 1")
    expect(folder).to_have_attribute("aria-expanded", "true")
    expect(page.locator("html")).to_have_attribute("data-view", "models")  # nothing was opened
    of_chat(page, "two", "Move to a folder")
    page.locator(".pop").get_by_role("button", name="Trips").click()
    expect(page.locator("#history .history-open")).to_have_count(2)
    reloaded(page)
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
    reloaded(page)
    of_chat(page, "one", "Move to a folder")
    page.get_by_role("button", name="Remove from folder").click()
    expect(page.locator("#history :is(h2, .history-open)")).to_have_text(
        ["Journeys1", "two", "Today", "one"]
    )


def test_search_finds_titles_and_messages_without_reading_the_chats(page: Page) -> None:
    opened(page, "/?view=models")
    keep(
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


def test_a_thousand_chats_are_drawn_as_they_come_into_view(page: Page) -> None:
    opened(page, "/?view=models")
    keep(page, *({"id": f"chat {n:04}", "ago_days": n} for n in range(1000)))
    reloaded(page)
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


def test_a_duplicate_goes_its_own_way(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
    ask(page, "both have this")
    of_chat(page, "both have this", "Duplicate")
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
    """Both have the same chat open, with one answer; returns the second."""
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
    ask(page, "the beginning")
    other = page.context.new_page()
    chat_with(other, upstream.model)
    other.locator("#history .history-open").click()
    expect(other.locator(".turn.user")).to_have_count(1)
    return other


def test_what_one_tab_says_is_in_the_other(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    ask(page, "from the first tab")
    expect(other.locator(".turn.user").last).to_contain_text("from the first tab")
    expect(other.locator(".turn.assistant")).to_have_count(2)
    ask(other, "from the second")
    expect(page.locator(".turn.user")).to_have_count(3)
    reloaded(page)
    expect(page.locator(".turn.user")).to_have_count(3)
    of_chat(other, "the beginning", "Rename")
    other.get_by_label("Chat title").fill("another name")
    other.keyboard.press("Enter")
    expect(page.locator("#history .history-open")).to_have_text("another name")
    ask(page, "after the renaming")
    expect(page.locator("#history .history-open")).to_have_text("another name")
    expect(other.locator(".turn.user").last).to_contain_text("after the renaming")


def test_two_tabs_that_answer_the_same_chat_both_keep_their_words(
    page: Page, upstream: Upstream
) -> None:
    other = two_tabs(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(answering_after(gate, ["Begun"], [" and ended"]))
    send(page, "in the first")
    expect(answer_text(page)).to_have_text("Begun")
    upstream.stub.set_behavior("echoes")
    expect(answer_text(other)).to_have_text("Begun")
    expect(last_answer(other).locator(".flag")).to_have_text("in progress in another tab")
    expect(other.get_by_role("button", name="Continue")).to_have_count(0)
    ask(other, "in the second")
    gate.open()
    settled(page)
    said = ["the beginning", "in the first", "in the second"]
    expect(page.locator(".toast")).to_contain_text("Both changes were merged.")
    expect(page.locator(".turn.user .bubble")).to_have_text(said)
    expect(page.locator(".turn.assistant > .prose-block").nth(1)).to_have_text("Begun and ended")
    expect(other.locator(".turn.assistant > .prose-block").nth(1)).to_have_text("Begun and ended")
    reloaded(page)
    expect(page.locator(".turn.user .bubble")).to_have_text(said)
    expect(page.locator("#history .history-open")).to_have_count(1)


def test_two_tabs_that_go_different_ways_have_two_chats(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(answering_after(gate, ["Slow"], ["."]))
    edit_last(page, "begun otherwise")
    expect(answer_text(page)).to_have_text("Slow")
    expect(other.locator(".turn.user .bubble")).to_have_text(["begun otherwise"])
    edit_last(other, "begun in a third way")
    expect(answer_text(other)).to_have_text("Slow")
    gate.open()
    settled(page)
    settled(other)
    titles = page.locator("#history .history-open")
    expect(titles).to_have_count(2)
    assert sorted(titles.all_inner_texts()) == ["the beginning", "the beginning (copy)"]
    expect(page.locator(".toast")).to_contain_text("Your version is now a copy.")
    expect(page.locator(".turn.user .bubble")).to_have_text(["begun otherwise"])
    for title, question in (("", "begun in a third way"), (" (copy)", "begun otherwise")):
        other.get_by_role("button", name=f"the beginning{title}", exact=True).click()
        expect(other.locator(".turn.user .bubble")).to_have_text([question])


def edit_last(page: Page, text: str) -> None:
    """Say the visitor's last message otherwise, and send it."""
    page.keyboard.press("Control+Shift+E")
    box = page.locator(".edit-box textarea")
    box.fill(text)
    box.press("Enter")


def test_a_chat_deleted_in_another_tab_is_gone_here(page: Page, upstream: Upstream) -> None:
    other = two_tabs(page, upstream)
    of_chat(page, "the beginning", "Delete")
    expect(other.locator(".toast")).to_have_text("This chat was deleted in another tab.")
    expect(other.locator(".turn")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(other.locator("#history .history-open")).to_have_text(["the beginning"])


OLD = """() => new Promise((done) => {
  const asked = indexedDB.open("akash-gradio", 1);
  asked.onupgradeneeded = () => {
    for (const name of ["chats", "bodies"]) asked.result.createObjectStore(name, { keyPath: "id" });
  };
  asked.onsuccess = () => {
    const both = asked.result.transaction(["chats", "bodies"], "readwrite");
    const [chats, bodies] = ["chats", "bodies"].map((name) => both.objectStore(name));
    const entry = { created: 1000, updated: 1000, model: "single-00" };
    const version = (text) => ({ text, reasoning: "", model: "single-00", model_name: "Lone" });
    const answer = { role: "assistant", shown: 1, versions: [version("one"), version("**two**")] };
    chats.put({ ...entry, id: "a", title: "An old chat" });
    const turns = [{ role: "user", text: "leeks" }, answer];
    bodies.put({ id: "a", settings: { system: "Be old." }, turns });
    chats.put({ ...entry, id: "b", title: "A broken chat" });
    bodies.put({ id: "b", settings: {}, turns: "none" });
    both.oncomplete = () => { asked.result.close(); done(); };
  };
})"""


def test_chats_of_the_first_version_are_still_there(page: Page) -> None:
    page.goto("/page/boot")
    page.evaluate(OLD)
    opened(page, "/?view=models")
    expect(page.locator("#history .history-open")).to_have_count(2)
    page.get_by_role("button", name="An old chat", exact=True).click()
    expect(page.locator(".turn.user .bubble")).to_have_text(["leeks"])
    expect(answer_text(page)).to_have_text("two")
    expect(page.locator(".versions")).to_have_text("2/2")
    expect(page.locator("#system textarea")).to_have_value("Be old.")
    page.get_by_role("button", name="A broken chat", exact=True).click()
    expect(page.locator(".toast")).to_have_text(
        "This chat can't be read from the browser's storage."
    )
    ids = "window.akashGradio.history.read('a').then(({ turns }) => turns.map(({ id }) => id))"
    assert page.evaluate(ids) == page.evaluate(ids), "tabs can't tell their turns apart"
    page.fill("#chat-search", "leek")
    expect(page.locator("#history .history-open")).to_have_count(1)
    page.press("#chat-search", "Escape")
    of_chat(page, "An old chat", "Pin")
    expect(page.locator("#history h2").first).to_have_text("Pinned")


def test_an_older_page_says_that_a_newer_one_keeps_the_chats(page: Page) -> None:
    page.goto("/page/boot")
    page.evaluate("new Promise((done) => (indexedDB.open('akash-gradio', 99).onsuccess = done))")
    opened(page, "/?view=models")
    expect(page.locator("#history")).to_have_text(
        "A newer version of this page keeps your chats. Reload the page to see them."
    )


def test_a_full_browser_says_what_to_do_and_loses_nothing_of_the_open_chat(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior("echoes")
    chat_with(page, upstream.model)
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
    reloaded(page)
    expect(page.locator(".turn.user .bubble")).to_have_text(["no room for this", "and now"])
