"""The cost of the worst texts, in counts where possible; times are generous for busy machines."""

from __future__ import annotations

import gc
import time

import pytest

from akash_gradio.domain.size_limits import FORMATTED_COST_CHARACTERS, OPEN_BLOCK_COST_CHARACTERS
from akash_gradio.markdown.renderer import (
    INSTANT_COST_CHARS,
    CodeJob,
    GrowingMarkdown,
    Patch,
    TailJob,
    cost_chars,
    render_all,
)

UNITS = {
    "list": "- a\n",
    "numbered list": "1. a\n",
    "quote": "> a\n",
    "lazy quote": ">" * 30 + "a\n" + "a\n" * 500,
    "nested list": "".join("  " * depth + "- a\n" for depth in range(30)),
    "paragraphs": "word *a* `b` [c](http://d)\n\n",
    "one paragraph": "word *a* `b` [c](http://d) ",
    "blank lines": "\n",
    "rules": "---\n",
    "headings": "# a\n",
    "fences": "```python\nx = 1\n```\n",
    "open fence": "```\n" + "x = 1\n" * 200_000,
    "table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 500 + "\n",
    "wide table": "a|" * 39 + "\n" + "-|" * 39 + "\n" + "b\n" * 2000 + "\n",
    "brackets": "[" * 399 + "\n\n",
    "more brackets": "[",
    "backticks": "`a" * 1000 + "\n\n",
    "emphasis": "*a **b " * 1000 + "\n\n",
    "nested emphasis": "*" * 500 + "a" + "_" * 500 + "\n\n",
    "formulas": "$x_1$ ",
    "formula blocks": "$$\nx\n$$\n",
    "open formulas": "\\[\n",
    "long formulas": "$$\n" + "\\frac{a}{b}" * 250 + "\n$$\n",
    "entities": "&#x41;",
    "addresses": "http://a.b/c ",
    "autolinks": "<http://a.b> ",
    "tags": "<br>",
    "definitions": "[a]: http://b\n\n[a] ",
    "setext": "a\n===\n",
    "escapes": "\\a",
    "pipes": "a|b\n",
    "controls": "\x00",
    "one word": "x",
}


def text_of(name: str, characters: int) -> str:
    unit = UNITS[name]
    return (unit * (characters // len(unit) + 1))[:characters]


def best_cpu_s(text: str, tries: int = 7) -> float:
    times = []
    gc.disable()  # a full collection of the test process takes longer than what is measured
    try:
        for _ in range(tries):
            began = time.process_time()
            TailJob(text, {}, whole=True).run()
            times.append(time.process_time() - began)
    finally:
        gc.enable()
    return min(times)


@pytest.mark.parametrize("name", UNITS)
def test_what_is_rendered_on_the_event_loop_takes_milliseconds(name: str) -> None:
    size = INSTANT_COST_CHARS
    while size and not TailJob(text_of(name, size), {}, whole=True).is_instant:
        size = size * 9 // 10
    assert best_cpu_s(text_of(name, size)) < 0.03  # about 5 ms on an idle machine


@pytest.mark.parametrize("name", UNITS)
def test_every_patch_of_a_growing_text_has_a_bound(name: str) -> None:
    text, step = text_of(name, 12_000), 600
    growing = GrowingMarkdown()
    sent = 0
    for at in range(0, len(text), step):
        growing.add(text[at : at + step])
        current = growing.next_job()
        while current is not None and not isinstance(current, Patch):
            if isinstance(current, TailJob):
                assert cost_chars(current.text) < 2 * OPEN_BLOCK_COST_CHARACTERS + 61 * step
            current = growing.apply(current, current.run())
        sent += sum(map(len, current.blocks)) if current else 0
    assert growing.rendered_chars < 12 * len(text) + 1_000_000
    assert sent < 400 * len(text)
    growing.finish()


def test_a_text_that_was_not_rendered_in_time_is_shown_whole_as_plain_text() -> None:
    growing = GrowingMarkdown()
    blocks: list[str] = []

    def take(step: object) -> None:
        while step is not None and not isinstance(step, Patch):
            assert isinstance(step, TailJob | CodeJob)
            step = growing.apply(step, None)  # it could not be run
        if isinstance(step, Patch):
            blocks[step.keep :] = step.blocks

    parts = ["# A\n\ntext **b", "old** and\n- a\n", "```py\nx = 1\n", "```\n", "end < & |"]
    for part in parts:
        growing.add(part)
        take(growing.next_job())
        assert part.strip().split("\n")[-1].replace("<", "&lt;").replace("&", "&amp;", 0)[:3] in (
            "".join(blocks)
        )
    step = growing.next_job(final=True)
    assert isinstance(step, TailJob)
    last = growing.apply(step, None)
    if isinstance(last, Patch):
        blocks[last.keep :] = last.blocks
    shown = "".join(blocks)
    for word in ("# A", "text **bold**", "- a", "x = 1", "end &lt; &amp; |"):
        assert word in shown


def test_the_limit_of_formatting_is_shared_by_the_texts_of_a_request() -> None:
    text = "- a\n" * (FORMATTED_COST_CHARACTERS // 64)
    first, second = render_all([text, text])
    assert first[0].startswith("<ul>")
    assert second[0].startswith('<p dir="auto">- a<br>')
