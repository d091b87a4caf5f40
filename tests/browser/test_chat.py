from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.endpoints import (
    Gate,
    Pen,
    breaking_off,
    endless,
    held,
    messages,
    saying,
    silent,
    thinking,
)
from tests.browser.servers import App, wait_until
from tests.browser.visits import (
    answer_text,
    ask,
    chat_with,
    last_answer,
    open_settings,
    press_exactly,
    send,
    settled,
    whose,
)

pytestmark = pytest.mark.browser

STOP_LIMIT_S = 0.2
STOPS = 5


# ── sending and streaming ────────────────────────────────────────────────────


def test_an_answer_is_shown_while_it_is_still_coming(page: Page, pen: Pen) -> None:
    gate = Gate()
    pen.stub.behave(held(gate, ["The first ", "part"], [" and the rest"]))
    chat_with(page, pen.model)
    send(page, "Tell me")
    expect(answer_text(page)).to_have_text("The first part")
    expect(page.locator("#send")).to_have_attribute("aria-label", "Stop")
    gate.open()
    settled(page)
    expect(answer_text(page)).to_have_text("The first part and the rest")
    assert messages(pen.stub) == [("user", "Tell me")]


def test_enter_sends_and_shift_enter_starts_a_line(page: Page, pen: Pen) -> None:
    pen.stub.behave("echoes")
    chat_with(page, pen.model)
    page.click("#message")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.locator("#message")).to_have_value("one\ntwo")
    assert not pen.stub.chats
    page.keyboard.press("Enter")
    settled(page)
    assert messages(pen.stub) == [("user", "one\ntwo")]
    expect(page.locator("#message")).to_have_value("")


@pytest.mark.parametrize("says", ["isComposing: true", "keyCode: 229"])
def test_enter_that_ends_a_composition_does_not_send(page: Page, pen: Pen, says: str) -> None:
    chat_with(page, pen.model)
    page.fill("#message", "かな")
    page.evaluate(
        f"""() => {{
          const box = document.querySelector("#message");
          box.dispatchEvent(new CompositionEvent("compositionstart", {{bubbles: true}}));
          const init = {{key: "Enter", bubbles: true, cancelable: true, {says}}};
          box.dispatchEvent(new KeyboardEvent("keydown", init));
          box.dispatchEvent(new CompositionEvent("compositionend", {{bubbles: true}}));
        }}"""
    )
    expect(page.locator("#message")).to_have_value("かな")
    expect(page.locator(".turn")).to_have_count(0)
    page.press("#message", "Enter")
    settled(page)
    assert messages(pen.stub) == [("user", "かな")]


def test_right_to_left_combining_and_control_characters_arrive_as_written(
    page: Page, pen: Pen
) -> None:
    text = "שלום \u202bעולם\u202c  e\u0301 n\u0308 👩‍🚀\ttab \u0007\u001b[31m \u2028 end"
    chat_with(page, pen.model)
    _write(page, text)
    page.press("#message", "Enter")
    settled(page)
    assert messages(pen.stub) == [("user", text)]


def test_a_message_of_two_megabytes_is_refused_and_kept(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    _write(page, "word " * 400_000)
    page.press("#message", "Enter")
    expect(page.locator("#note")).to_contain_text("This message has 2.0 MB")
    assert page.evaluate("document.querySelector('#message').value.length") == 2_000_000
    assert not pen.stub.chats


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


def test_stop_closes_the_endpoint_and_keeps_what_came(page: Page, pen: Pen) -> None:
    pen.stub.behave(endless(10))
    chat_with(page, pen.model)

    def begin() -> None:
        send(page, "Count")
        expect(answer_text(page)).to_contain_text("word3")

    assert _quickest_stop(page, pen, begin) < STOP_LIMIT_S
    turn = settled(page)
    expect(turn.locator(".flag")).to_have_text("stopped")
    expect(answer_text(page)).to_contain_text("word1 word2 word3")
    pen.stub.behave(saying("Again."))
    ask(page, "Go on")
    expect(answer_text(page)).to_have_text("Again.")
    assert messages(pen.stub)[1][1].startswith("word1 word2 word3")


def test_stop_closes_an_endpoint_that_has_said_nothing(page: Page, pen: Pen) -> None:
    pen.stub.behave(silent())
    chat_with(page, pen.model)

    def begin() -> None:
        asked = len(pen.stub.chats)
        send(page, "Hello?")
        pen.stub.asked(asked + 1)

    assert _quickest_stop(page, pen, begin) < STOP_LIMIT_S
    expect(settled(page).locator(".flag")).to_have_text("stopped")
    pen.stub.behave(saying("Here."))
    ask(page, "And now?")
    expect(answer_text(page)).to_have_text("Here.")


def _quickest_stop(page: Page, pen: Pen, begin: Callable[[], None]) -> float:
    """Of a few answers, each begun and stopped: a busy machine makes none of them quicker."""
    quickest = math.inf
    for _ in range(STOPS):
        begin()
        quickest = min(quickest, _stop(page, pen))
        if quickest < STOP_LIMIT_S:
            break
        settled(page)
    return quickest


def _stop(page: Page, pen: Pen) -> float:
    """Seconds from just before the click until the endpoint's connection closed."""
    expect(page.locator("#send.stop")).to_be_visible()
    place = press_exactly(page, "#send")
    before = time.monotonic()
    page.mouse.click(*place)
    wait_until(lambda: (pen.stub.closed_at or 0) > before, 2, "the endpoint's connection to close")
    return (pen.stub.closed_at or 0) - before


def test_a_closed_tab_closes_the_endpoint(page: Page, pen: Pen) -> None:
    pen.stub.behave(silent())
    chat_with(page, pen.model)
    send(page, "Hello?")
    pen.stub.asked()
    page.close()
    pen.stub.closed(within_s=1)


# ── again, otherwise ─────────────────────────────────────────────────────────


def test_regenerate_keeps_both_versions(page: Page, pen: Pen) -> None:
    pen.stub.behave(saying("First version"))
    chat_with(page, pen.model)
    ask(page, "Name one")
    pen.stub.behave(saying("Second version"))
    last_answer(page).get_by_label("Regenerate").click()
    expect(last_answer(page).locator(".versions")).to_have_text("2/2")
    expect(answer_text(page)).to_have_text("Second version")
    last_answer(page).get_by_label("Previous version").click()
    expect(last_answer(page).locator(".versions")).to_have_text("1/2")
    expect(answer_text(page)).to_have_text("First version")
    last_answer(page).get_by_label("Next version").click()
    expect(answer_text(page)).to_have_text("Second version")
    assert messages(pen.stub) == [("user", "Name one")]


def test_an_edited_turn_is_sent_again_and_what_followed_goes(page: Page, pen: Pen) -> None:
    pen.stub.behave("echoes")
    chat_with(page, pen.model)
    ask(page, "one")
    ask(page, "two")
    first = page.locator(".turn.user").first
    first.hover()
    first.get_by_label("Edit").click()
    first.locator("textarea").fill("uno")
    first.get_by_role("button", name="Send again").click()
    settled(page, 1)
    expect(answer_text(page)).to_have_text("uno")
    expect(page.locator(".turn.user .bubble")).to_have_text("uno")
    assert messages(pen.stub) == [("user", "uno")]


# ── copying, reasoning ───────────────────────────────────────────────────────


def test_reasoning_is_folded_not_copied_and_not_sent_again(
    visit: Visits, app: App, pen: Pen
) -> None:
    page = visit(app, permissions=["clipboard-read", "clipboard-write"])
    thoughts = ["Let me ", "weigh *this*. "]
    pen.stub.behave(thinking(thoughts, ["The answer is **4**."], 0.02))
    chat_with(page, pen.model)
    turn = ask(page, "2+2?")
    expect(turn.locator(".thoughts summary")).to_have_text(re.compile(r"Thought for [\d.]+ s"))
    expect(turn.locator(".thoughts .prose-block")).to_be_hidden()
    turn.locator(".thoughts summary").click()
    expect(turn.locator(".thoughts .prose-block")).to_have_text("Let me weigh this.")
    turn.locator(".turn-tools").get_by_label("Copy", exact=True).click()
    expect(turn.get_by_label("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "The answer is **4**."
    ask(page, "Sure?")
    assert messages(pen.stub) == [
        ("user", "2+2?"),
        ("assistant", "The answer is **4**."),
        ("user", "Sure?"),
    ]


def test_a_code_block_is_copied_by_its_button(visit: Visits, app: App, pen: Pen) -> None:
    page = visit(app, permissions=["clipboard-read", "clipboard-write"])
    code = 'def f(x):\n\treturn "<b>" + x  # tabs kept\n'
    pen.stub.behave(saying("Here:\n\n```python\n", code, "```\n"))
    chat_with(page, pen.model)
    turn = ask(page, "Code")
    turn.locator("[data-copy]").click()
    expect(turn.locator("[data-copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").rstrip("\n") == code.rstrip("\n")


# ── when endpoints fail ──────────────────────────────────────────────────────


def test_another_endpoint_answers_when_one_dies_between_two_messages(page: Page, pair: Pen) -> None:
    for stub in pair.stubs:
        stub.behave("echoes")
    chat_with(page, pair.model)
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
    expect(sheet).to_contain_text("not reachable")


def test_when_nobody_answers_the_message_stays_and_can_be_tried_again(
    page: Page, pair: Pen
) -> None:
    for stub in pair.stubs:
        stub.kill()
    chat_with(page, pair.model)
    turn = ask(page, "Anybody?")
    expect(turn.locator(".failure")).to_contain_text(f"Nobody answered for {pair.model.title()}")
    expect(page.locator(".turn.user")).to_contain_text("Anybody?")
    for stub in pair.stubs:
        stub.behave(saying("I am back."))
        stub.listen()
    turn.get_by_role("button", name="Try again").click()
    expect(answer_text(page)).to_have_text("I am back.")
    expect(settled(page).locator(".failure")).to_have_count(0)
    expect(page.locator(".turn.assistant .versions")).to_have_count(0)


def test_an_interrupted_answer_keeps_its_text(page: Page, pen: Pen) -> None:
    pen.stub.behave(breaking_off("As far ", "as I came"))
    chat_with(page, pen.model)
    turn = ask(page, "Go")
    expect(answer_text(page)).to_have_text("As far as I came")
    expect(turn.locator(".flag").first).to_have_text("interrupted")
    expect(turn.locator(".failure")).to_contain_text("The answer broke off")
    assert len(pen.stub.chats) == 1


def test_an_answer_of_the_fallback_model_says_so(
    visit: Visits, fallback_app: tuple[App, Pen]
) -> None:
    app, spare = fallback_app
    page = visit(app)
    spare.stub.behave(saying("From the spare."))
    chat_with(page, "broken")
    turn = ask(page, "Hello")
    expect(answer_text(page)).to_have_text("From the spare.")
    expect(turn.locator(".receipt")).to_contain_text("fallback: Lone 01")


# ── settings ─────────────────────────────────────────────────────────────────


def test_the_sliders_decide_what_the_endpoint_gets(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    ask(page, "catalog")
    asked = pen.stub.chats[-1].json
    assert (asked["temperature"], asked["top_p"], asked["stream"]) == (0.7, 0.9, True)
    assert "max_tokens" not in asked

    open_settings(page)
    temperature = page.locator("#temperature input[type=range]")
    assert temperature.get_attribute("aria-valuetext") is None
    page.fill("#system textarea", "Be brief.")
    whose(page, 0, "Endpoint's own")
    expect(temperature).to_have_attribute("aria-valuetext", "temperature: endpoint's own")
    page.fill("#max_tokens input", "55")
    page.locator("#max_tokens input").blur()
    ask(page, "own")
    asked = pen.stub.chats[-1].json
    assert "temperature" not in asked
    assert (asked["top_p"], asked["max_tokens"]) == (0.9, 55)
    assert messages(pen.stub)[0] == ("system", "Be brief.")

    whose(page, 0, "Mine")
    expect(page.locator("#temperature")).not_to_have_class(re.compile("unsent"))
    page.fill("#temperature input[type=number]", "0")
    page.locator("#temperature input[type=number]").blur()
    whose(page, 1, "Mine")
    page.fill("#top_p input[type=number]", "0.35")
    page.locator("#top_p input[type=number]").blur()
    page.locator("#stream input").uncheck()
    ask(page, "mine")
    asked = pen.stub.chats[-1].json
    assert (asked["temperature"], asked["top_p"]) == (0, 0.35)
    assert not asked.get("stream")

    page.click("#settings-reset")
    ask(page, "reset")
    asked = pen.stub.chats[-1].json
    assert (asked["temperature"], asked["top_p"], asked["stream"]) == (0.7, 0.9, True)
    assert "max_tokens" not in asked


def test_settings_belong_to_their_chat(page: Page, pen: Pen) -> None:
    chat_with(page, pen.model)
    open_settings(page)
    page.fill("#system textarea", "Speak like a pirate.")
    whose(page, 0, "Mine")
    page.fill("#temperature input[type=number]", "1.5")
    page.locator("#temperature input[type=number]").blur()
    ask(page, "the first chat")
    page.click("#new-chat")
    expect(page.locator("#system textarea")).to_have_value("")
    ask(page, "the second chat")
    assert pen.stub.chats[-1].json["temperature"] == 0.7
    page.get_by_role("button", name="the first chat", exact=True).click()
    expect(page.locator(".turn.user")).to_contain_text("the first chat")
    expect(page.locator("#system textarea")).to_have_value("Speak like a pirate.")
    expect(page.locator("#temperature input[type=number]")).to_have_value("1.5")
    ask(page, "again")
    assert pen.stub.chats[-1].json["temperature"] == 1.5
    assert messages(pen.stub)[0] == ("system", "Speak like a pirate.")


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


def test_a_hostile_answer_is_inert(page: Page, pen: Pen) -> None:
    pen.stub.behave(saying(*HOSTILE.splitlines(keepends=True), "harmless end"))
    chat_with(page, pen.model)
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


def test_a_hostile_message_is_shown_as_it_was_written(page: Page, pen: Pen) -> None:
    pen.stub.behave("echoes")
    chat_with(page, pen.model)
    ask(page, HOSTILE)
    bubble = page.locator(".turn.user .bubble")
    assert bubble.evaluate("(node) => node.textContent") == HOSTILE
    assert bubble.evaluate("(node) => node.children.length") == 0
    expect(page.locator("#history").locator(FORBIDDEN)).to_have_count(0)
    expect(answer_text(page).locator(FORBIDDEN)).to_have_count(0)
