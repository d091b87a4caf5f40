"""Measures a thousand chats and a chat of 500 turns in Chromium; docs/frontend.md has the results.

`python -m tests.browser.history_benchmark` prints a table; times are milliseconds, medians.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from tests.browser.actions import DESKTOP, open_browser, open_chat, open_page
from tests.browser.servers import QUICK_RETRIES, running_app
from tests.browser.upstreams import open_upstreams

CHATS: Final = 1000
TURNS: Final = 10
LONG_TURNS: Final = 500
ROUNDS: Final = 7

SEED: Final = """async ([chats, turns, longTurns]) => {
  const { searchText } = await import(new URL("page/assets/js/searching.js", document.baseURI));
  const words = Array.from({ length: 4000 }, (_, n) => `word${n.toString(36)}`);
  let at = 7;
  const word = () => words[(at = (at * 48271) % 2147483647) % words.length];
  const text = (count) => Array.from({ length: count }, word).join(" ");
  const answer = (id) => ({ id: `${id}v`, text: text(120), reasoning: "", model: "single-00" });
  const turn = (id, place) => place % 2
    ? { id: `${id}.${place}`, role: "assistant", shown: 0, versions: [answer(`${id}.${place}`)] }
    : { id: `${id}.${place}`, role: "user", text: text(30) };
  const { database } = window.akashGradio.history.store;
  const all = database.transaction(["chats", "bodies", "texts"], "readwrite");
  const put = (name, value) => all.objectStore(name).put(value);
  const keep = (id, title, length, time) => {
    const turns = Array.from({ length }, (_, place) => turn(id, place));
    const size = JSON.stringify(turns).length;
    put("chats", { id, title, created: time, updated: time, model: "single-00", rev: 1, size });
    put("bodies", { id, settings: {}, turns });
    put("texts", { id, text: searchText(turns) });
  };
  for (let n = 0; n < chats; n += 1) keep(`chat-${n}`, text(6), turns, Date.now() - n * 8_000_000);
  keep("long", "the long one", longTurns, Date.now());
  await new Promise((done, fail) => { all.oncomplete = done; all.onerror = fail; });
}"""

MEASURES: Final = {
    "load and draw the list of a thousand chats": """async ({ chats }) => {
      chats.sidebar.look = null;
      await chats.history.load();
    }""",
    "first key press of a search": """async ({ chats }) => {
      chats.history.texts = null;
      await chats.history.search("wordab word1");
    }""",
    "each further key press": """async ({ chats }) => {
      await chats.history.search("wordab word12");
    }""",
    "draw the search results": """async ({ chats }) => {
      chats.sidebar.query = "wordab word12";
      chats.sidebar.results = await chats.history.search("wordab word12");
      chats.sidebar.look = null;
      const from = performance.now();
      chats.sidebar.draw();
      const took = performance.now() - from;
      chats.sidebar.query = "";
      return took;
    }""",
    "load the chat of 500 turns": """async ({ chats }) => { await chats.history.read("long"); }""",
    "open it, with its last turns rendered by the server": """async (page) => {
      page.startChat("single-00");
      const from = performance.now();
      await page.openChat("long", { push: false });
      await new Promise((seen) => {
        const turns = document.querySelector("#thread").getElementsByClassName("turn");
        const look = () => turns.length >= 30 ? seen() : setTimeout(look, 1);
        look();
      });
      return performance.now() - from;
    }""",
    "save it": """async ({ history, chat }) => {
      await history.save(chat);
    }""",
}
RUN: Final = """async ([act, rounds]) => {
  const run = eval(act);
  const took = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    const own = await run(window.akashGradio);
    took.push(own ?? performance.now() - from);
  }
  return took;
}"""


def measure(page: Page) -> dict[str, float]:
    """Return the milliseconds of each action: the median of some rounds after a warm-up."""
    figures: dict[str, float] = {}
    for name, act in MEASURES.items():
        took: list[Any] = page.evaluate(RUN, [act, ROUNDS + 1])
        figures[name] = statistics.median(took[1:])
    return figures


def main() -> int:
    """Run the benchmark. Returns the exit status."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_upstreams(single=1, pairs=0) as upstreams,
        running_app(
            Path(folder) / "app", ENDPOINTS=upstreams.entries(), EMBEDDED="off", **QUICK_RETRIES
        ) as app,
        open_browser() as browser,
    ):
        page = browser.new_context(base_url=app.url, **DESKTOP).new_page()
        open_page(page, "/?view=models")
        page.evaluate(SEED, [CHATS, TURNS, LONG_TURNS])
        open_chat(page, "single-00")
        for name, figure in measure(page).items():
            sys.stdout.write(f"| {name} | {figure:.1f} |\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
