"""A chat of many turns in the browser's store, and an answer that is hard to render."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

HOSTILE: Final = Path(__file__).resolve().parents[1] / "markdown" / "hostile"
CODE: Final = "```python\n" + "\n".join(f"value_{n} = compute({n})  # line {n}" for n in range(300))
PROSE: Final = (
    "A **comparison sort** needs about \\(n \\log n\\) comparisons, at $5 or $6 each.\n\n"
    "- insertion\n  - and its *variant*\n- merge\n\n"
    "| sort | best |\n|---|---|\n| merge | n log n |\n| quick | n log n |\n\n"
    "```python\nout.append(left.pop(0))\n```\n\n"
)

_SEED: Final = """
async ({ model, turns, text }) => {
  const receipt = { line: ["eu-1"], flags: [], rows: [], attempts: [], total_s: 1 };
  const version = { text, reasoning: "", model, model_name: model, receipt };
  const turnList = Array.from({ length: turns }, (_, n) => n % 2
    ? { id: `a${n}`, role: "assistant", shown: 0, versions: [{ ...version, id: `v${n}` }] }
    : { id: `u${n}`, role: "user", text: `Question ${n}` });
  const entry = { id: "long", title: "A long chat", created: 1, updated: Date.now(), model };
  await window.akashGradio.history.put({ entry, body: { turns: turnList, settings: {} } });
  await window.akashGradio.openChat("long");
}
"""


def open_long_chat(page: Page, model: str, turns: int) -> None:
    """Store a chat with this number of turns, and open it."""
    page.evaluate(_SEED, {"model": model, "turns": turns, "text": PROSE})
    page.locator(".turn.assistant .prose-block table").last.wait_for()


def hostile_answer() -> str:
    """Return all hostile texts, then 300 lines of code in a fence that is never closed."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(HOSTILE.glob("*.md"))]
    return "\n\n".join([*texts, CODE])


def split_into_chunks(text: str, size: int = 7) -> tuple[str, ...]:
    """Split the text into chunks of this many characters, as tokens split it."""
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def measure_layout_shift(page: Page) -> None:
    """Sum up the layout shift from now on in `window.shifted`, as browsers score it.

    Shifts within half a second after a key press or a click are expected and not counted.
    """
    page.evaluate(
        """() => {
        window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            if (!entry.hadRecentInput) window.shifted += entry.value;
          }
        }).observe({ type: "layout-shift" });
        }"""
    )


def count_changes_of_settled_turns(page: Page) -> None:
    """Count changes in finished turns in `window.touched`."""
    page.evaluate(
        """() => {
        window.touched = 0;
        const settled = new Set(document.querySelectorAll("#thread > .turn"));
        const whole = { childList: true, subtree: true, attributes: true, characterData: true };
        new MutationObserver((records) => {
          for (const { target } of records) {
            const element = target.closest ? target : target.parentElement;
            if (settled.has(element?.closest(".turn"))) window.touched += 1;
          }
        }).observe(document.querySelector("#thread"), whole);
        }"""
    )


def layout_shift(page: Page) -> float:
    """Return the layout shift since `measure_layout_shift`."""
    value: Any = page.evaluate("window.shifted")
    return float(value)
