from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    answer_text,
    ask,
    center_of,
    choose_value_source,
    last_answer,
    open_chat,
    open_settings,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App, wait_until
from tests.browser.upstreams import (
    Gate,
    Upstream,
    answering,
    answering_at_gate,
    endless,
    interrupting,
    messages,
    silent,
    thinking,
)

pytestmark = pytest.mark.browser

STOP_LIMIT_S = 0.2
STOPS = 5


# ── sending and streaming ────────────────────────────────────────────────────


def test_an_answer_is_shown_while_it_streams(page: Page, upstream: Upstream) -> None:
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, ["The first ", "part"], [" and the rest"]))
    open_chat(page, upstream.model)
    send(page, "Tell me")
    expect(answer_text(page)).to_have_text("The first part")
    expect(page.locator("#send")).to_have_attribute("aria-label", "Stop")
    gate.open()
    wait_until_settled(page)
    expect(answer_text(page)).to_have_text("The first part and the rest")
    assert messages(upstream.stub) == [("user", "Tell me")]


def test_enter_sends_and_shift_enter_inserts_a_line(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    page.click("#message")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.locator("#message")).to_have_value("one\ntwo")
    assert not upstream.stub.chats
    page.keyboard.press("Enter")
    wait_until_settled(page)
    assert messages(upstream.stub) == [("user", "one\ntwo")]
    expect(page.locator("#message")).to_have_value("")


@pytest.mark.parametrize("event_init", ["isComposing: true", "keyCode: 229"])
def test_enter_that_ends_an_ime_composition_does_not_send(
    page: Page, upstream: Upstream, event_init: str
) -> None:
    open_chat(page, upstream.model)
    page.fill("#message", "かな")
    page.evaluate(
        f"""() => {{
          const box = document.querySelector("#message");
          box.dispatchEvent(new CompositionEvent("compositionstart", {{bubbles: true}}));
          const init = {{key: "Enter", bubbles: true, cancelable: true, {event_init}}};
          box.dispatchEvent(new KeyboardEvent("keydown", init));
          box.dispatchEvent(new CompositionEvent("compositionend", {{bubbles: true}}));
        }}"""
    )
    expect(page.locator("#message")).to_have_value("かな")
    expect(page.locator(".turn")).to_have_count(0)
    page.press("#message", "Enter")
    wait_until_settled(page)
    assert messages(upstream.stub) == [("user", "かな")]


def test_right_to_left_combining_and_control_characters_arrive_as_written(
    page: Page, upstream: Upstream
) -> None:
    text = "שלום \u202bעולם\u202c  e\u0301 n\u0308 👩‍🚀\ttab \u0007\u001b[31m \u2028 end"
    open_chat(page, upstream.model)
    _write(page, text)
    page.press("#message", "Enter")
    wait_until_settled(page)
    assert messages(upstream.stub) == [("user", text)]


def test_a_message_of_two_megabytes_is_rejected_and_kept(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    _write(page, "word " * 400_000)
    page.press("#message", "Enter")
    expect(page.locator("#note")).to_contain_text("This message is 2.0 MB")
    assert page.evaluate("document.querySelector('#message').value.length") == 2_000_000
    assert not upstream.stub.chats


def _write(page: Page, text: str) -> None:
    page.evaluate(
        """(text) => {
          const box = document.querySelector("#message");
          box.value = text;
          box.dispatchEvent(new Event("input", {bubbles: true}));
          box.focus();
        }""",
        text,
    )


# ── stopping ─────────────────────────────────────────────────────────────────


def test_stop_closes_the_upstream_connection_and_keeps_the_text(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior(endless(10))
    open_chat(page, upstream.model)

    def begin() -> None:
        send(page, "Count")
        expect(answer_text(page)).to_contain_text("word3")

    assert _shortest_stop(page, upstream, begin) < STOP_LIMIT_S
    turn = wait_until_settled(page)
    expect(turn.locator(".flag")).to_have_text("stopped")
    expect(answer_text(page)).to_contain_text("word1 word2 word3")
    upstream.stub.set_behavior(answering("Again."))
    ask(page, "Go on")
    expect(answer_text(page)).to_have_text("Again.")
    assert messages(upstream.stub)[1][1].startswith("word1 word2 word3")


def test_stop_closes_the_connection_to_a_silent_endpoint(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(silent())
    open_chat(page, upstream.model)

    def begin() -> None:
        count = len(upstream.stub.chats)
        send(page, "Hello?")
        upstream.stub.wait_for_requests(count + 1)

    assert _shortest_stop(page, upstream, begin) < STOP_LIMIT_S
    expect(wait_until_settled(page).locator(".flag")).to_have_text("stopped")
    upstream.stub.set_behavior(answering("Here."))
    ask(page, "And now?")
    expect(answer_text(page)).to_have_text("Here.")


def _shortest_stop(page: Page, upstream: Upstream, begin: Callable[[], None]) -> float:
    """Return the shortest stop of several answers in seconds: load only makes it slower."""
    shortest = math.inf
    for _ in range(STOPS):
        begin()
        shortest = min(shortest, _stop(page, upstream))
        if shortest < STOP_LIMIT_S:
            break
        wait_until_settled(page)
    return shortest


def _stop(page: Page, upstream: Upstream) -> float:
    """Return the seconds from just before the click until the upstream connection closed."""
    expect(page.locator("#send.stop")).to_be_visible()
    place = center_of(page, "#send")
    before = time.monotonic()
    page.mouse.click(*place)
    wait_until(
        lambda: (upstream.stub.closed_at or 0) > before, 2, "the endpoint's connection to close"
    )
    return (upstream.stub.closed_at or 0) - before


def test_closing_the_tab_closes_the_upstream_connection(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(silent())
    open_chat(page, upstream.model)
    send(page, "Hello?")
    upstream.stub.wait_for_requests()
    page.close()
    upstream.stub.wait_for_disconnect(within_s=1)


# ── regenerating and editing ─────────────────────────────────────────────────────────


def test_regenerate_keeps_both_versions(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(answering("First version"))
    open_chat(page, upstream.model)
    ask(page, "Name one")
    upstream.stub.set_behavior(answering("Second version"))
    last_answer(page).get_by_label("Regenerate").click()
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    expect(answer_text(page)).to_have_text("Second version")
    last_answer(page).get_by_label("Previous version").click()
    expect(last_answer(page).locator(".versions")).to_have_text("1/2")
    expect(answer_text(page)).to_have_text("First version")
    last_answer(page).get_by_label("Next version").click()
    expect(answer_text(page)).to_have_text("Second version")
    assert messages(upstream.stub) == [("user", "Name one")]


def test_editing_a_message_resends_it_and_removes_later_turns(
    page: Page, upstream: Upstream
) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, "one")
    ask(page, "two")
    first = page.locator(".turn.user").first
    first.hover()
    first.get_by_label("Edit").click()
    first.locator("textarea").fill("uno")
    first.get_by_role("button", name="Save and send").click()
    wait_until_settled(page, 1)
    expect(answer_text(page)).to_have_text("uno")
    expect(page.locator(".turn.user .bubble")).to_have_text("uno")
    assert messages(upstream.stub) == [("user", "uno")]


# ── copying, reasoning ───────────────────────────────────────────────────────


def test_reasoning_is_collapsed_not_copied_and_not_sent_again(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    page = visit(app, permissions=["clipboard-read", "clipboard-write"])
    thoughts = ["Let me ", "weigh *this*. "]
    upstream.stub.set_behavior(thinking(thoughts, ["The answer is **4**."], 0.02))
    open_chat(page, upstream.model)
    turn = ask(page, "2+2?")
    expect(turn.locator(".thoughts summary")).to_have_text(re.compile(r"Thought for [\d.]+ s"))
    expect(turn.locator(".thoughts .prose-block")).to_be_hidden()
    turn.locator(".thoughts summary").click()
    expect(turn.locator(".thoughts .prose-block")).to_have_text("Let me weigh this.")
    turn.locator(".turn-tools").get_by_label("Copy", exact=True).click()
    expect(turn.get_by_label("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "The answer is **4**."
    ask(page, "Sure?")
    assert messages(upstream.stub) == [
        ("user", "2+2?"),
        ("assistant", "The answer is **4**."),
        ("user", "Sure?"),
    ]


def test_a_code_block_is_copied_by_its_button(
    visit: NewVisitor, app: App, upstream: Upstream
) -> None:
    page = visit(app, permissions=["clipboard-read", "clipboard-write"])
    code = 'def f(x):\n\treturn "<b>" + x  # tabs kept\n'
    upstream.stub.set_behavior(answering("Here:\n\n```python\n", code, "```\n"))
    open_chat(page, upstream.model)
    turn = ask(page, "Code")
    turn.locator("[data-copy]").click()
    expect(turn.locator("[data-copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").rstrip("\n") == code.rstrip("\n")


# ── when endpoints fail ──────────────────────────────────────────────────────


def test_another_endpoint_answers_after_one_dies_between_two_messages(
    page: Page, pair: Upstream
) -> None:
    for stub in pair.stubs:
        stub.set_behavior("echoes")
    open_chat(page, pair.model)
    ask(page, "one")
    first, second = sorted(pair.stubs, key=lambda stub: -len(stub.chats))
    second.kill()
    turn = ask(page, "two")
    expect(answer_text(page)).to_have_text("two")
    assert len(first.chats) == 2
    expect(turn.locator(".receipt .flag", has_text="2 attempts")).to_be_visible()
    expect(turn.locator(".sheet")).to_be_hidden()
    turn.locator(".receipt").click()
    sheet = turn.locator(".sheet")
    expect(sheet).to_be_visible()
    expect(sheet.locator(".lane")).to_have_count(2)
    for name in ("north", "south"):
        expect(sheet).to_contain_text(f"{pair.model}-{name}")
    expect(sheet).to_contain_text("unreachable")


def test_a_failed_message_stays_and_can_be_retried(page: Page, pair: Upstream) -> None:
    for stub in pair.stubs:
        stub.kill()
    open_chat(page, pair.model)
    turn = ask(page, "Anybody?")
    expect(turn.locator(".failure")).to_contain_text(f"{pair.model.title()} is unavailable.")
    expect(page.locator(".turn.user")).to_contain_text("Anybody?")
    for stub in pair.stubs:
        stub.set_behavior(answering("I am back."))
        stub.listen()
    turn.get_by_role("button", name="Try again").click()
    expect(answer_text(page)).to_have_text("I am back.")
    expect(wait_until_settled(page).locator(".failure")).to_have_count(0)
    expect(page.locator(".turn.assistant .versions")).to_have_count(0)


def test_an_interrupted_answer_keeps_its_text(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(interrupting("As far ", "as I came"))
    open_chat(page, upstream.model)
    turn = ask(page, "Go")
    expect(answer_text(page)).to_have_text("As far as I came")
    expect(turn.locator(".flag").first).to_have_text("interrupted")
    expect(turn.locator(".failure")).to_contain_text("The answer was interrupted")
    assert len(upstream.stub.chats) == 1


def test_an_answer_of_the_fallback_model_is_marked(
    visit: NewVisitor, fallback_app: tuple[App, Upstream]
) -> None:
    app, spare = fallback_app
    page = visit(app)
    spare.stub.set_behavior(answering("From the spare."))
    open_chat(page, "broken")
    turn = ask(page, "Hello")
    expect(answer_text(page)).to_have_text("From the spare.")
    expect(turn.locator(".receipt")).to_contain_text("fallback: Single 01")


# ── settings ─────────────────────────────────────────────────────────────────


def test_the_settings_determine_the_parameters_sent(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    ask(page, "catalog")
    request = upstream.stub.chats[-1].json
    assert (request["temperature"], request["top_p"], request["stream"]) == (0.7, 0.9, True)
    assert "max_tokens" not in request

    open_settings(page)
    temperature = page.locator("#temperature input[type=range]")
    assert temperature.get_attribute("aria-valuetext") is None
    page.fill("#system textarea", "Be brief.")
    choose_value_source(page, 0, "Provider default")
    expect(temperature).to_have_attribute("aria-valuetext", "temperature: provider default")
    page.fill("#max_tokens input", "55")
    page.locator("#max_tokens input").blur()
    ask(page, "own")
    request = upstream.stub.chats[-1].json
    assert "temperature" not in request
    assert (request["top_p"], request["max_tokens"]) == (0.9, 55)
    assert messages(upstream.stub)[0] == ("system", "Be brief.")

    choose_value_source(page, 0, "Custom")
    expect(page.locator("#temperature")).not_to_have_class(re.compile("unsent"))
    page.fill("#temperature input[type=number]", "0")
    page.locator("#temperature input[type=number]").blur()
    choose_value_source(page, 1, "Custom")
    page.fill("#top_p input[type=number]", "0.35")
    page.locator("#top_p input[type=number]").blur()
    page.locator("#stream input").uncheck()
    ask(page, "custom")
    request = upstream.stub.chats[-1].json
    assert (request["temperature"], request["top_p"]) == (0, 0.35)
    assert not request.get("stream")

    page.click("#settings-reset")
    ask(page, "reset")
    request = upstream.stub.chats[-1].json
    assert (request["temperature"], request["top_p"], request["stream"]) == (0.7, 0.9, True)
    assert "max_tokens" not in request


def test_settings_belong_to_their_chat(page: Page, upstream: Upstream) -> None:
    open_chat(page, upstream.model)
    open_settings(page)
    page.fill("#system textarea", "Speak like a pirate.")
    choose_value_source(page, 0, "Custom")
    page.fill("#temperature input[type=number]", "1.5")
    page.locator("#temperature input[type=number]").blur()
    ask(page, "the first chat")
    page.click("#new-chat")
    expect(page.locator("#system textarea")).to_have_value("")
    ask(page, "the second chat")
    assert upstream.stub.chats[-1].json["temperature"] == 0.7
    page.get_by_role("button", name="the first chat", exact=True).click()
    expect(page.locator(".turn.user")).to_contain_text("the first chat")
    expect(page.locator("#system textarea")).to_have_value("Speak like a pirate.")
    expect(page.locator("#temperature input[type=number]")).to_have_value("1.5")
    ask(page, "again")
    assert upstream.stub.chats[-1].json["temperature"] == 1.5
    assert messages(upstream.stub)[0] == ("system", "Speak like a pirate.")


# ── hostile text ─────────────────────────────────────────────────────────────

HOSTILE = """\
<script>alert(1)</script><img src=x onerror=alert(2)><iframe src="https://evil.example"></iframe>
<form action="https://evil.example"><input name=q><button>Go</button></form>
<style>body{display:none}</style><svg onload=alert(3)></svg><object data=x></object>

[click](javascript:alert(4)) [data](data:text/html,<script>alert(5)</script>)
![pixel](https://evil.example/pixel.png) <link rel=stylesheet href="https://evil.example/x.css">
<div style="position:fixed;inset:0">overlay</div> {{7*7}} ${alert(6)}
"""
FORBIDDEN = "script, img, iframe, form, input, style, object, embed, link, [onerror], [onload]"


def test_a_hostile_answer_is_inert(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior(answering(*HOSTILE.splitlines(keepends=True), "harmless end"))
    open_chat(page, upstream.model)
    ask(page, "Attack")
    body = answer_text(page)
    expect(body).to_contain_text("harmless end")
    expect(body.locator(FORBIDDEN)).to_have_count(0)
    for link in body.locator("a").all():
        assert re.match(r"https?://", link.get_attribute("href") or ""), link
    assert page.locator("[style*=fixed]").count() == 0
    page.reload()
    expect(answer_text(page)).to_contain_text("harmless end")
    expect(answer_text(page).locator(FORBIDDEN)).to_have_count(0)


def test_a_hostile_message_is_shown_as_plain_text(page: Page, upstream: Upstream) -> None:
    upstream.stub.set_behavior("echoes")
    open_chat(page, upstream.model)
    ask(page, HOSTILE)
    bubble = page.locator(".turn.user .bubble")
    assert bubble.evaluate("(node) => node.textContent") == HOSTILE
    assert bubble.evaluate("(node) => node.children.length") == 0
    expect(page.locator("#history").locator(FORBIDDEN)).to_have_count(0)
    expect(answer_text(page).locator(FORBIDDEN)).to_have_count(0)
