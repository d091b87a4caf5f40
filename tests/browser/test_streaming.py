"""The page with a long hostile answer, and with a long chat."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import (
    PHONE,
    answer_text,
    ask,
    last_answer,
    open_chat,
    send,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.long_chat import (
    count_changes_of_settled_turns,
    hostile_answer,
    layout_shift,
    measure_layout_shift,
    open_long_chat,
    split_into_chunks,
)
from tests.browser.servers import App
from tests.browser.upstreams import Gate, Upstream, answering, answering_at_gate

pytestmark = pytest.mark.browser

MAX_SHIFT = 0.05
# Adds a line in each frame once a diagram waits, like a fast answer on a slow screen.
_GROW_EACH_FRAME = """() => {
  window.grown = 0;
  const line = Object.assign(document.createElement("p"), { textContent: "one more" });
  const grow = () => {
    if (window.grown < 0) return;
    if (document.querySelectorAll("ag-diagram").length > 1) window.grown += 1;
    document.querySelector("#thread").append(line.cloneNode(true));
    requestAnimationFrame(grow);
  };
  grow();
}"""

_FIRST_SEEN = """(scroller) => {
  const { top } = scroller.getBoundingClientRect();
  const blocks = [...scroller.querySelectorAll(".turn.assistant > .prose-block > .blk")];
  return blocks.findIndex((block) => block.getBoundingClientRect().top >= top);
}"""


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desk", "phone"])
def test_a_hostile_answer_streams_without_layout_shift_and_is_inert(
    visit: NewVisitor, app: App, upstream: Upstream, device: dict[str, object]
) -> None:
    page = visit(app, **device)
    upstream.stub.set_behavior(answering(*split_into_chunks(hostile_answer()), tokens_per_s=300))
    open_chat(page, upstream.model)
    send(page, "Say everything that is hard to draw.")
    expect(page.locator(".turn.user")).to_be_visible()
    measure_layout_shift(page)
    expect(answer_text(page)).to_contain_text("value_299", timeout=60_000)
    wait_until_settled(page, 1)
    assert layout_shift(page) < MAX_SHIFT
    for diagram in page.locator("ag-diagram").all():
        diagram.scroll_into_view_if_needed()
        expect(diagram.locator(".diagram img, .diagram-error")).to_have_count(1)
    expect(page.locator(".diagram-error").first).to_contain_text(
        "This diagram has a syntax error: line"
    )
    drawn = page.locator(".diagram img")
    expect(drawn).to_have_count(2)
    assert "drawn" in (drawn.first.get_attribute("alt") or "")
    assert all(one.evaluate("(one) => one.naturalWidth > 0") for one in drawn.all())
    assert layout_shift(page) < MAX_SHIFT
    harmful = "script, iframe, style, form, input, svg:not(.i), img:not(.diagram img)"
    assert page.locator(f"#thread :is({harmful})").count() == 0
    assert page.locator(".diagram-renderer").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_visible_text_keeps_its_position_while_the_answer_grows(
    page: Page, upstream: Upstream
) -> None:
    gate = Gate()
    first, rest = (
        split_into_chunks(hostile_answer())[:600],
        split_into_chunks(hostile_answer())[600:],
    )
    upstream.stub.set_behavior(answering_at_gate(gate, first, rest))
    open_chat(page, upstream.model)
    send(page, "Go on and on.")
    expect(answer_text(page)).to_contain_text("tabbed")
    scroller = page.locator("#scroller")
    scroller.evaluate("(node) => { node.scrollTop -= 600; }")
    expect(page.locator("#to-end")).to_be_visible()
    # The first block that starts on the screen; a diagram above it may still become a picture.
    line = answer_text(page).locator(".blk").nth(scroller.evaluate(_FIRST_SEEN))
    read_at = top_of(line)
    measure_layout_shift(page)
    gate.open()
    wait_until_settled(page, 1)
    assert top_of(line) == pytest.approx(read_at, abs=1)
    assert layout_shift(page) < MAX_SHIFT
    page.click("#to-end")
    at_end = "(node) => node.scrollHeight - node.scrollTop - node.clientHeight < 2"
    assert scroller.evaluate(at_end)


def test_the_visible_text_keeps_its_position_when_a_diagram_above_is_drawn(
    page: Page, upstream: Upstream
) -> None:
    grow_from_the_second_diagram_on(page, upstream)
    gate = Gate()
    tall = "```mermaid\ngraph TD\n  C --> D\n  D --> E\n  E --> F\n```\n\n"
    upstream.stub.set_behavior(
        answering_at_gate(gate, [tall, *(f"Line {n}\n\n" for n in range(60))], ["End."])
    )
    send(page, "Draw another.")
    expect(answer_text(page)).to_contain_text("Line 59")
    line = answer_text(page).get_by_text("Line 12")  # the diagram is close enough to be drawn
    line.evaluate("(line) => { line.scrollIntoView(); window.grown = 0; }")
    page.wait_for_function("window.grown > 60")
    assert page.locator(".diagram").count() == 1
    read_at = top_of(line)
    gate.open()
    wait_until_settled(page, 2)
    page.evaluate("window.grown = -1")
    expect(page.locator(".diagram")).to_have_count(2)
    assert top_of(line) == pytest.approx(read_at, abs=1)


def grow_from_the_second_diagram_on(page: Page, upstream: Upstream) -> None:
    """Draw one diagram to load the library; from the second one on, every frame grows."""
    open_chat(page, upstream.model)
    upstream.stub.set_behavior(answering("```mermaid\ngraph LR\n  A --> B\n```\n"))
    ask(page, "Draw.")
    expect(page.locator(".diagram")).to_have_count(1)
    page.evaluate(_GROW_EACH_FRAME)


def top_of(part: Locator) -> float:
    """Return the distance from the top of the window in pixels."""
    box = part.bounding_box()
    assert box is not None
    return box["y"]


def test_a_diagram_is_inserted_in_a_frame_without_other_growth(
    page: Page, upstream: Upstream
) -> None:
    """A diagram inserted together with other growth makes the content between them jump."""
    grow_from_the_second_diagram_on(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(
        answering_at_gate(gate, ["```mermaid\ngraph LR\n  C --> D\n```\n\nBelow it.\n\n"], ["End."])
    )
    send(page, "Draw another.")
    expect(answer_text(page)).to_contain_text("Below it.")
    page.wait_for_function("window.grown > 60")
    assert page.locator(".diagram").count() == 1
    page.evaluate("window.grown = -1")
    expect(page.locator(".diagram")).to_have_count(2)
    gate.open()
    wait_until_settled(page, 2)
    expect(page.locator(".diagram")).to_have_count(2)


def test_a_chat_of_500_turns_is_drawn_in_part_and_does_not_change(
    page: Page, upstream: Upstream
) -> None:
    open_chat(page, upstream.model)
    open_long_chat(page, upstream.model, 500)
    drawn = page.locator("#thread > .turn").count()
    assert drawn <= 40
    upstream.stub.set_behavior(
        answering(*split_into_chunks(hostile_answer()[:3000]), tokens_per_s=2000)
    )
    count_changes_of_settled_turns(page)
    measure_layout_shift(page)
    ask(page, "One more.")
    assert page.evaluate("window.touched") == 0
    assert layout_shift(page) < MAX_SHIFT
    expect(last_answer(page).locator(".receipt")).to_have_text(re.compile("tok"))
