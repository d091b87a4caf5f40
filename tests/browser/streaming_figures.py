"""A growing answer in a chat of 500 turns: `python -m tests.browser.streaming_figures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import CDPSession, expect

from tests.browser.endpoints import open_pens, saying
from tests.browser.long_chat import PROSE, open_long_chat, pieces
from tests.browser.servers import PATIENT, running_app
from tests.browser.visits import DESKTOP, chat_with, last_answer, open_browser, send

TOKENS: Final = 800
TOKENS_PER_S: Final = 100


def busy_s(session: CDPSession) -> float:
    """Seconds of the main thread's own time in tasks so far."""
    found: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


def main() -> int:
    """Print the figures. Returns the exit status."""
    with (
        open_pens(lone=1, pairs=0) as pens,
        tempfile.TemporaryDirectory() as folder,
        open_browser() as browser,
        running_app(Path(folder), ENDPOINTS=pens.entries(), EMBEDDED="off", **PATIENT) as app,
    ):
        pen = pens.lone[0]
        text = pieces(PROSE * TOKENS)[:TOKENS]
        pen.stub.behave(saying(*text, tokens_per_s=TOKENS_PER_S))
        context = browser.new_context(base_url=app.url, **DESKTOP)
        page = context.new_page()
        chat_with(page, pen.model)
        session = context.new_cdp_session(page)
        open_long_chat(page, pen.model, 500)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = busy_s(session)
        send(page, "One more.")
        expect(last_answer(page).locator(".answer-foot")).to_be_visible(timeout=120_000)
        busy = busy_s(session) - before
    share = busy / (TOKENS / TOKENS_PER_S)
    sys.stdout.write(f"{busy:.2f} s of the main thread for {TOKENS} tokens: {share:.0%} at 100/s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
