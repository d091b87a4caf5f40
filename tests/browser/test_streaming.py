"""How the page bears a long, hostile answer, and a long chat."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visits
from tests.browser.long_chat import (
    hostile_answer,
    open_long_chat,
    pieces,
    shifted,
    watch_settled,
    watch_shifts,
)
from tests.browser.servers import App
from tests.browser.upstreams import Gate, Upstream, answering, answering_after
from tests.browser.visits import PHONE, answer_text, ask, chat_with, last_answer, send, settled

pytestmark = pytest.mark.browser

MOST_SHIFT = 0.05
# A line more in each frame, once a diagram waits: a fast answer on a slow screen.
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
def test_a_hostile_answer_grows_without_a_jump_and_harms_nothing(
    visit: Visits, app: App, upstream: Upstream, device: dict[str, object]
) -> None:
    page = visit(app, **device)
    upstream.stub.set_behavior(answering(*pieces(hostile_answer()), tokens_per_s=300))
    chat_with(page, upstream.model)
    send(page, "Say everything that is hard to draw.")
    expect(page.locator(".turn.user")).to_be_visible()
    watch_shifts(page)
    expect(answer_text(page)).to_contain_text("value_299", timeout=60_000)
    settled(page, 1)
    assert shifted(page) < MOST_SHIFT
    for diagram in page.locator("ag-diagram").all():
        diagram.scroll_into_view_if_needed()
        expect(diagram.locator(".diagram img, .diagram-error")).to_have_count(1)
    expect(page.locator(".diagram-error").first).to_contain_text("This diagram has a syntax error: line")
    drawn = page.locator(".diagram img")
    expect(drawn).to_have_count(2)
    assert "drawn" in (drawn.first.get_attribute("alt") or "")
    assert all(one.evaluate("(one) => one.naturalWidth > 0") for one in drawn.all())
    assert shifted(page) < MOST_SHIFT
    harmful = "script, iframe, style, form, input, svg:not(.i), img:not(.diagram img)"
    assert page.locator(f"#thread :is({harmful})").count() == 0
    assert page.locator(".diagram-renderer").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_read_stands_still_while_the_answer_grows_below(
    page: Page, upstream: Upstream
) -> None:
    gate = Gate()
    first, rest = pieces(hostile_answer())[:600], pieces(hostile_answer())[600:]
    upstream.stub.set_behavior(answering_after(gate, first, rest))
    chat_with(page, upstream.model)
    send(page, "Go on and on.")
    expect(answer_text(page)).to_contain_text("tabbed")
    scroller = page.locator("#scroller")
    scroller.evaluate("(node) => { node.scrollTop -= 600; }")
    expect(page.locator("#to-end")).to_be_visible()
    # The first that begins on the screen; above it a diagram may still become a picture.
    line = answer_text(page).locator(".blk").nth(scroller.evaluate(_FIRST_SEEN))
    read_at = top_of(line)
    watch_shifts(page)
    gate.open()
    settled(page, 1)
    assert top_of(line) == pytest.approx(read_at, abs=1)
    assert shifted(page) < MOST_SHIFT
    page.click("#to-end")
    at_end = "(node) => node.scrollHeight - node.scrollTop - node.clientHeight < 2"
    assert scroller.evaluate(at_end)


def test_what_is_read_stands_still_where_the_end_of_an_answer_draws_a_diagram_above(
    page: Page, upstream: Upstream
) -> None:
    grow_from_the_second_diagram_on(page, upstream)
    gate = Gate()
    tall = "```mermaid\ngraph TD\n  C --> D\n  D --> E\n  E --> F\n```\n\n"
    upstream.stub.set_behavior(
        answering_after(gate, [tall, *(f"Line {n}\n\n" for n in range(60))], ["End."])
    )
    send(page, "Draw another.")
    expect(answer_text(page)).to_contain_text("Line 59")
    line = answer_text(page).get_by_text("Line 12")  # the diagram is near enough to be drawn
    line.evaluate("(line) => { line.scrollIntoView(); window.grown = 0; }")
    page.wait_for_function("window.grown > 60")
    assert page.locator(".diagram").count() == 1
    read_at = top_of(line)
    gate.open()
    settled(page, 2)
    page.evaluate("window.grown = -1")
    expect(page.locator(".diagram")).to_have_count(2)
    assert top_of(line) == pytest.approx(read_at, abs=1)


def grow_from_the_second_diagram_on(page: Page, upstream: Upstream) -> None:
    """One diagram is drawn, so the library is there; with the next, every frame grows."""
    chat_with(page, upstream.model)
    upstream.stub.set_behavior(answering("```mermaid\ngraph LR\n  A --> B\n```\n"))
    ask(page, "Draw.")
    expect(page.locator(".diagram")).to_have_count(1)
    page.evaluate(_GROW_EACH_FRAME)


def top_of(part: Locator) -> float:
    """Pixels from the window's top to the part's."""
    box = part.bounding_box()
    assert box is not None
    return box["y"]


def test_a_diagram_takes_its_place_in_a_frame_in_which_nothing_grows(
    page: Page, upstream: Upstream
) -> None:
    """Shown in the frame of another growth, it makes what is between the two jump."""
    grow_from_the_second_diagram_on(page, upstream)
    gate = Gate()
    upstream.stub.set_behavior(
        answering_after(gate, ["```mermaid\ngraph LR\n  C --> D\n```\n\nBelow it.\n\n"], ["End."])
    )
    send(page, "Draw another.")
    expect(answer_text(page)).to_contain_text("Below it.")
    page.wait_for_function("window.grown > 60")
    assert page.locator(".diagram").count() == 1
    page.evaluate("window.grown = -1")
    expect(page.locator(".diagram")).to_have_count(2)
    gate.open()
    settled(page, 2)
    expect(page.locator(".diagram")).to_have_count(2)


def test_a_chat_of_500_turns_is_drawn_in_part_and_stands_still_while_one_grows(
    page: Page, upstream: Upstream
) -> None:
    chat_with(page, upstream.model)
    open_long_chat(page, upstream.model, 500)
    drawn = page.locator("#thread > .turn").count()
    assert drawn <= 40
    upstream.stub.set_behavior(answering(*pieces(hostile_answer()[:3000]), tokens_per_s=2000))
    watch_settled(page)
    watch_shifts(page)
    ask(page, "One more.")
    assert page.evaluate("window.touched") == 0
    assert shifted(page) < MOST_SHIFT
    expect(last_answer(page).locator(".receipt")).to_have_text(re.compile("tok"))
