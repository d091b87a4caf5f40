"""The endpoint checker on the page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.actions import reload_page
from tests.browser.axe import axe_source, serious_findings
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.upstreams import Upstream, answering
from tests.stubs.compliant import compliant

pytestmark = pytest.mark.browser


def test_findings_fill_the_list_and_problems_come_first(
    app: App, upstream: Upstream, visit: NewVisitor
) -> None:
    upstream.stub.set_behavior(compliant("cr_lines"))
    page = visit(app)
    page.goto("./?view=models")
    page.locator("#go-check").click()
    page.locator("#check-endpoint").select_option(f"{upstream.model}-north")
    expect(page.locator("#check-cost")).to_contain_text("calls")
    page.locator("#check-run").click()
    expect(page.locator("#check-verdict")).to_have_text("This endpoint works. Warnings: 3.")
    rows = page.locator("#probes > li")
    expect(rows).to_have_count(36)
    expect(rows.first).to_have_class("probe warn")
    framing = page.locator("#probe-framing")
    expect(framing).to_contain_text("Lines end with CR only")
    expect(framing.locator("code")).to_contain_text("curl -sS")
    expect(page.locator("#probes > .pending")).to_have_count(0)
    assert serious_findings(page, axe_source()) == []


def test_a_url_with_a_key_can_be_checked_and_the_check_stopped(
    app: App, upstream: Upstream, visit: NewVisitor
) -> None:
    upstream.stub.set_behavior("hangs_before_headers")
    page = visit(app)
    page.goto("./?view=check")
    page.locator("#check-endpoint").select_option("")
    page.locator("#check-url").fill(upstream.stub.url)
    page.locator("#check-key").fill("planted-key")
    page.locator("#check-run").click()
    expect(page.locator("#probe-reachable")).to_have_class("probe pass")
    upstream.stub.wait_for_requests()
    page.locator("#check-run").click()
    expect(page.locator("#check-verdict")).to_have_text("Stopped.")
    expect(page.locator("#check-run")).to_have_text("Check")
    assert "planted-key" not in page.content()
    upstream.stub.wait_for_idle(5)


def test_an_invalid_url_gives_an_error_message(app: App, visit: NewVisitor) -> None:
    visit.allow("422")
    page = visit(app)
    page.goto("./?view=check")
    page.locator("#check-endpoint").select_option("")
    page.locator("#check-url").fill("https://me:pass@host")
    page.locator("#check-run").click()
    expect(page.locator("#check-verdict")).to_contain_text("must not contain a user or password")


def test_visitors_do_not_see_the_checker(app: App, visit: NewVisitor) -> None:
    page = visit(app, extra_http_headers={"x-forwarded-for": "203.0.113.9"})
    page.goto("./?view=check")
    expect(page.locator("#gallery .card").first).to_be_visible()
    expect(page.locator("#go-check")).to_be_hidden()


def test_a_card_shows_health_and_since_when_the_model_is_down(
    app: App, upstream: Upstream, visit: NewVisitor
) -> None:
    page = visit(app)
    upstream.stub.set_behavior(answering("One ", "two ", "three ", "four.", tokens_per_s=50))
    request = {"model": upstream.model, "turns": [{"role": "user", "text": "Hello"}]}
    assert page.request.post("./page/reply", data=request).ok
    page.goto("./?view=models")
    card = page.locator(f'.card[data-model="{upstream.model}"]')
    expect(card.locator(".health-numbers")).to_contain_text("tok/s")
    expect(card.locator(".spark path")).to_have_count(1)
    upstream.stub.set_behavior("closes_at_once")
    for _ in range(3):
        page.request.post("./page/reply", data=request)
    reload_page(page)
    expect(card.locator(".state")).to_have_text(re.compile(r"^Down since \d\d:\d\d( [AP]M)?$"))
