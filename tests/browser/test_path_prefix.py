"""The page at https://host/chat/, where a proxy removes the path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Response, expect

from tests.browser.actions import answer_text, ask, open_page
from tests.browser.conftest import NewVisitor
from tests.browser.nginx import running_nginx
from tests.browser.servers import QUICK_RETRIES, App, running_app
from tests.browser.upstreams import answering, open_upstreams

pytestmark = pytest.mark.browser

BROKEN_IMAGES = "[...document.images].filter((one) => one.complete && !one.naturalWidth).length"


def test_the_page_works_below_a_path_prefix(tmp_path: Path, visit: NewVisitor) -> None:
    visit.allow("401")
    with open_upstreams(single=2, pairs=0) as upstreams:
        for upstream in upstreams.single:
            upstream.stub.set_behavior(answering("I am ", upstream.model))
        options: dict[str, Any] = {
            "ENDPOINTS": upstreams.entries(),
            "EMBEDDED": "off",
            "ACCESS_TOKEN": "let-me-in",
        }
        with (
            running_app(
                tmp_path / "app",
                GRADIO_ROOT_PATH="/chat",
                TRUSTED_PROXIES="1",
                **options,
                **QUICK_RETRIES,
            ) as app,
            running_nginx(tmp_path, app, app, path="/chat/") as url,
        ):
            page = visit(App(app.process, f"{url}/", app.log_file))
            missing: list[str] = []
            page.on("response", lambda one: _note_missing(one, missing))
            page.goto("?view=models")
            page.fill("#secret", "let-me-in")
            page.press("#secret", "Enter")
            page.wait_for_function("window.akashGradio?.routed === true")
            assert page.url == f"{url}/?view=models"
            assert page.evaluate(BROKEN_IMAGES) == 0
            page.locator('[data-model="single-00"] [data-chat]').click()
            ask(page, "Who?")
            expect(answer_text(page)).to_have_text("I am single-00")
            assert page.url == f"{url}/?model=single-00"
            page.reload()
            expect(answer_text(page)).to_have_text("I am single-00")
            page.click("#go-compare")
            page.fill("#compare-message", "Who?")
            page.press("#compare-message", "Enter")
            for letter, upstream in zip("AB", upstreams.single, strict=True):
                lane = page.locator(f'.lane-col[data-letter="{letter}"] .lane-answer')
                expect(lane).to_contain_text(f"I am {upstream.model}")
            assert page.url.startswith(f"{url}/?view=compare")
            for view in ("models", "votes", "sets"):
                open_page(page, f"?view={view}")
            page.click("#sign-out")
            expect(page.locator("#secret")).to_be_visible()
            assert page.url.startswith(url)
            assert missing == []
            page.context.close()


def _note_missing(response: Response, missing: list[str]) -> None:
    """Record failed responses, except 401, which leads to the sign-in form."""
    if response.status >= 400 and response.status != 401:
        missing.append(f"{response.status} {response.url}")
