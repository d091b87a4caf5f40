"""A public page: sign-in, limits and a visitor's own API key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import PHONE, ask, last_answer, open_chat, send, wait_until_settled
from tests.browser.axe import axe_source, serious_findings
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.upstreams import Upstream, answering, open_upstreams

pytestmark = pytest.mark.browser

TOKEN = "let-me-in-9f3"


@pytest.fixture(scope="module")
def closed(start_app: Callable[..., object]) -> Iterator[tuple[App, Upstream]]:
    """A page with an access token, two messages per minute, and visitors' own keys."""
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior(answering("Hello"))
        keyed = [{**entry, "apiKey": "sk-host-planted"} for entry in upstreams.entries()]
        starting = start_app(
            "closed", ENDPOINTS=keyed, EMBEDDED="off", ACCESS_TOKEN=TOKEN,
            VISITOR_MESSAGES_PER_MINUTE="2", OWN_KEYS="keys",
        )  # fmt: skip
        with starting as app:  # type: ignore[attr-defined]
            yield app, upstream


def signed_in(page: Page, upstream: Upstream) -> Page:
    page.goto(f"/?model={upstream.model}")
    page.fill("#secret", TOKEN)
    page.press("#secret", "Enter")
    page.wait_for_function("window.akashGradio?.routed === true")
    assert f"model={upstream.model}" in page.url
    return page


def linked(model: str, prompt: str) -> str:
    """Return the fragment of a link to a comparison."""
    data = json.dumps({"v": 1, "p": prompt, "l": [{"m": model}, {"m": model}]})
    return f"#c={base64.urlsafe_b64encode(data.encode()).decode().rstrip('=')}"


def test_a_visitor_signs_in_reaches_the_limit_and_signs_out(
    visit: NewVisitor, closed: tuple[App, Upstream]
) -> None:
    app, upstream = closed
    page = visit(app)
    visit.allow("401")
    page.goto(f"/?view=compare{linked(upstream.model, 'Which is better?')}")
    expect(page.locator("#secret")).to_be_focused()
    assert serious_findings(page, axe_source()) == []
    page.fill("#secret", "wrong")
    page.press("#secret", "Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.fill("#secret", TOKEN)
    page.press("#secret", "Enter")
    expect(page.locator("#compare-message")).to_have_value("Which is better?")
    open_chat(page, upstream.model)
    for text in ("One", "Two"):
        ask(page, text)
    send(page, "Three")
    expect(last_answer(page)).to_contain_text("the limit is 2 per minute")
    expect(last_answer(page)).to_contain_text("Try again in")
    open_chat(page, upstream.model)  # a reload keeps the session
    page.click("#sign-out")
    expect(page.locator("#secret")).to_be_visible()


def test_a_visitors_own_key_is_used_and_deleted_with_the_tab(
    visit: NewVisitor, closed: tuple[App, Upstream]
) -> None:
    app, upstream = closed
    page = signed_in(visit(app, **PHONE), upstream)
    page.click("#menu")
    page.click("#own-key")
    page.get_by_label("API key", exact=True).fill("sk-own-planted")
    page.get_by_role("button", name="Use key").click()
    ask(page, "Hello")
    assert upstream.stub.chats[-1].headers["authorization"] == "Bearer sk-own-planted"
    page.reload()
    page.wait_for_function("window.akashGradio?.routed === true")
    send(page, "Again")
    wait_until_settled(page, 2)
    assert upstream.stub.chats[-1].headers["authorization"] == "Bearer sk-own-planted"
    tab = page.context.new_page()
    open_chat(tab, upstream.model)
    places = "Object.keys({...localStorage, ...sessionStorage}).join()"
    assert "own-key" not in tab.evaluate(places)
    assert "sk-own-planted" not in app.log
