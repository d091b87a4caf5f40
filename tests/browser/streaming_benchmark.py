"""Measures a streaming answer in a chat of 500 turns.

Run it with `python -m tests.browser.streaming_benchmark`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import CDPSession, expect

from tests.browser.actions import DESKTOP, last_answer, open_browser, open_chat, send
from tests.browser.long_chat import PROSE, open_long_chat, split_into_chunks
from tests.browser.servers import QUICK_RETRIES, running_app
from tests.browser.upstreams import answering, open_upstreams

TOKENS: Final = 800
TOKENS_PER_S: Final = 100


def busy_s(session: CDPSession) -> float:
    """Return the seconds that the main thread has spent in tasks."""
    metrics: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def main() -> int:
    """Run the benchmark and print the results. Returns the exit status."""
    with (
        open_upstreams(single=1, pairs=0) as upstreams,
        tempfile.TemporaryDirectory() as folder,
        open_browser() as browser,
        running_app(
            Path(folder), ENDPOINTS=upstreams.entries(), EMBEDDED="off", **QUICK_RETRIES
        ) as app,
    ):
        upstream = upstreams.single[0]
        text = split_into_chunks(PROSE * TOKENS)[:TOKENS]
        upstream.stub.set_behavior(answering(*text, tokens_per_s=TOKENS_PER_S))
        context = browser.new_context(base_url=app.url, **DESKTOP)
        page = context.new_page()
        open_chat(page, upstream.model)
        session = context.new_cdp_session(page)
        open_long_chat(page, upstream.model, 500)
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
