"""The checker on the page, as the host uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.axe import axe_source, grave_findings
from tests.browser.servers import App
from tests.browser.upstreams import Upstream, answering
from tests.browser.visits import reloaded
from tests.stubs.compliant import compliant

pytestmark = pytest.mark.browser


def test_findings_fill_the_list_and_what_is_wrong_comes_first(
    app: App, upstream: Upstream, visit: Callable[..., Any]
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
    expect(framing).to_contain_text("Lines end in CR alone.")
    expect(framing.locator("code")).to_contain_text("curl -sS")
    expect(page.locator("#probes > .pending")).to_have_count(0)
    assert grave_findings(page, axe_source()) == []


def test_an_address_and_its_key_can_be_given_and_a_check_stopped(
    app: App, upstream: Upstream, visit: Callable[..., Any]
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


def test_an_address_that_is_none_is_told_in_a_sentence(app: App, visit: Callable[..., Any]) -> None:
    visit.allow("422")
    page = visit(app)
    page.goto("./?view=check")
    page.locator("#check-endpoint").select_option("")
    page.locator("#check-url").fill("https://me:pass@host")
    page.locator("#check-run").click()
    expect(page.locator("#check-verdict")).to_contain_text("Take the user and password out")


def test_who_is_not_the_host_sees_no_way_to_it(app: App, visit: Callable[..., Any]) -> None:
    page = visit(app, extra_http_headers={"x-forwarded-for": "203.0.113.9"})
    page.goto("./?view=check")
    expect(page.locator("#gallery .card").first).to_be_visible()
    expect(page.locator("#go-check")).to_be_hidden()


def test_a_card_says_since_when_its_model_is_down_and_how_it_fared(
    app: App, upstream: Upstream, visit: Callable[..., Any]
) -> None:
    page = visit(app)
    upstream.stub.set_behavior(answering("One ", "two ", "three ", "four.", tokens_per_s=50))
    question = {"model": upstream.model, "turns": [{"role": "user", "text": "Hello"}]}
    assert page.request.post("./page/reply", data=question).ok
    page.goto("./?view=models")
    card = page.locator(f'.card[data-model="{upstream.model}"]')
    expect(card.locator(".health-numbers")).to_contain_text("tok/s")
    expect(card.locator(".spark path")).to_have_count(1)
    upstream.stub.set_behavior("status_500")
    for _ in range(2):
        page.request.post("./page/reply", data=question)
    reloaded(page)
    expect(card.locator(".state")).to_have_text(re.compile(r"^Down since \d\d:\d\d( [AP]M)?$"))
