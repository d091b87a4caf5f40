from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import (
    PHONE,
    answer_text,
    ask,
    open_chat,
    open_page,
    open_settings,
    skip_animation_delays,
    wait_until_settled,
)
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App, wait_until
from tests.browser.upstreams import Upstream, answering
from tests.stubs import StubThread

pytestmark = pytest.mark.browser

SERVED = (
    "meta-llama/Llama-3.3-70B-Instruct",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "deepseek-ai/DeepSeek-V4-Pro",
)
ABOUT = SERVED[0]


@pytest.fixture(scope="module")
def gallery(start_app: Callable[..., Any]) -> Iterator[App]:
    """The shipped catalog with three served models, and one more listed by an endpoint."""
    with StubThread() as eu, StubThread(models=("found/by-asking",)) as listing:
        entries = [
            {"name": "eu-1", "url": eu.url, "weight": 2, "models": list(SERVED)},
            {"name": "us-1", "url": eu.url, "weight": 1, "models": [ABOUT]},
            {"name": "listing", "url": listing.url},
        ]
        with start_app("gallery", ENDPOINTS=entries) as app:
            yield app


@pytest.fixture
def models(visit: NewVisitor, gallery: App) -> Page:
    return open_page(visit(gallery))


# ── the gallery ──────────────────────────────────────────────────────────────


def test_the_page_opens_with_a_card_for_each_model(models: Page) -> None:
    expect(models).to_have_title("Akash Gradio")
    expect(models.locator(".card")).to_have_count(4)
    card = models.locator(f'[data-model="{ABOUT}"]')
    expect(card).to_contain_text("Llama 3.3 70B")
    expect(card.locator(".badge").first).to_have_text("128K")
    expect(card.locator(".state")).to_have_text(re.compile("Ready|Not used yet"))
    assert card.locator("img").evaluate("(node) => node.decode().then(() => node.naturalWidth)") > 0
    expect(models.locator('[data-model="found/by-asking"]')).to_be_visible()
    expect(models.locator("#unavailable-title")).to_contain_text("models unavailable")


def test_the_outline_is_shown_before_gradio_has_loaded(visit: NewVisitor, gallery: App) -> None:
    page = visit(gallery)
    waiting: list[Route] = []
    page.route("**/assets/index-*.js", lambda route: waiting.append(route))
    page.goto("/", wait_until="commit")
    expect(page.locator("#early")).to_contain_text("Akash Gradio")
    assert page.locator(".gradio-container").count() == 0
    late = page.locator(".early-late")
    expect(late).to_have_css("opacity", "0")
    skip_animation_delays(page)
    expect(late).to_have_css("opacity", "1")
    expect(late).to_contain_text("allow JavaScript")
    for route in waiting:
        route.continue_()
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator("#early")).to_have_count(0)


def test_models_can_be_searched_filtered_and_sorted(models: Page) -> None:
    cards = models.locator(".card")
    models.fill("#model-search", "llama 70b")
    expect(cards).to_have_count(1)
    expect(models.locator("#model-count")).to_have_text("1 of 4 models")
    models.fill("#model-search", "no such thing")
    expect(cards).to_have_count(0)
    expect(models.locator("#no-match")).to_contain_text("No models match “no such thing”")
    models.click("#clear-search")
    expect(cards).to_have_count(4)
    models.get_by_role("button", name="Reasoning").click()
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("DeepSeek V4 Pro")
    models.get_by_role("button", name="Vision").click()
    expect(cards).to_contain_text("Llama 4 Maverick")
    models.get_by_role("button", name="All", exact=True).click()
    models.select_option("#model-sort", "name")
    names = cards.locator(".card-name").all_inner_texts()
    assert names == sorted(names, key=str.lower)
    models.select_option("#model-sort", "context")
    expect(cards.last).to_contain_text("by-asking")


def test_the_panel_shows_the_details_of_a_model(models: Page) -> None:
    models.locator(f'[data-about="{ABOUT}"]').click()
    panel = models.locator("#panel")
    expect(panel.locator("h1")).to_have_text("Llama 3.3 70B")
    for heading in ("About", "Info", "Facts", "Endpoints", "Defaults"):
        expect(panel.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(panel).to_contain_text("Meta tuned for dialogue")
    expect(panel.locator("li", has_text="128K context").first).to_be_visible()
    expect(panel.locator(".facts").first).to_contain_text("131,072 tokens")
    link = panel.get_by_role("link", name=ABOUT)
    expect(link).to_have_attribute("href", f"https://huggingface.co/{ABOUT}")
    rows = panel.locator(".endpoint-list li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("eu-1")
    expect(rows.nth(0)).to_contain_text("weight 2")
    expect(rows.nth(1)).to_contain_text("us-1")
    assert "127.0.0.1" not in panel.inner_text()
    assert models.url.endswith(f"/?about={ABOUT}")
    models.go_back()
    expect(models.locator(".card").first).to_be_visible()
    models.go_forward()
    expect(panel.locator("h1")).to_have_text("Llama 3.3 70B")
    panel.get_by_role("link", name="Start chat").click()
    expect(models.locator("#pick-name")).to_have_text("Llama 3.3 70B")
    models.go_back()
    expect(panel.locator("h1")).to_be_visible()


def test_links_to_a_model_and_to_its_panel_work(visit: NewVisitor, gallery: App) -> None:
    page = visit(gallery)
    open_page(page, f"/?model={ABOUT}")
    expect(page.locator("#pick-name")).to_have_text("Llama 3.3 70B")
    expect(page.locator("#message")).to_have_attribute("placeholder", "Message Llama 3.3 70B")
    open_page(page, f"/?about={ABOUT}")
    expect(page.locator("#panel h1")).to_have_text("Llama 3.3 70B")


def test_an_unknown_model_gives_an_error_with_its_name(visit: NewVisitor, gallery: App) -> None:
    visit.allow("status of 404")
    page = visit(gallery)
    open_page(page, "/?model=no/such")
    expect(page.locator("#thread")).to_contain_text("The model “no/such” is not available here.")
    open_page(page, "/?about=no/such")
    expect(page.locator("#panel")).to_contain_text("The model “no/such” is not available here.")


def test_the_theme_is_light_dark_or_that_of_the_system(visit: NewVisitor, gallery: App) -> None:
    page = visit(gallery, color_scheme="light")
    open_page(page)
    _background(page, "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    _background(page, "rgb(9, 9, 11)")
    page.get_by_role("button", name="Light").click()
    _background(page, "rgb(255, 255, 255)")
    page.get_by_role("button", name="Dark").click()
    page.emulate_media(color_scheme="light")
    open_page(page)
    _background(page, "rgb(9, 9, 11)")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="System").click()
    _background(page, "rgb(255, 255, 255)")


def _background(page: Page, color: str) -> None:
    expect(page.locator(".gradio-container").first).to_have_css("background-color", color)


# ── other configurations ─────────────────────────────────────────────────────


def test_a_single_model_opens_its_chat(visit: NewVisitor, start_here: Callable[..., App]) -> None:
    with StubThread(answering("At your service.")) as stub:
        app = start_here("one", API_ENDPOINT=stub.url, DEFAULT_MODEL="only-one")
        page = open_page(visit(app))
        expect(page.locator("#pick-name")).to_have_text("Only One")
        ask(page, "Hello")
        expect(answer_text(page)).to_have_text("At your service.")


LAG_LIMIT_MS = 400
FILTERED_MS = """(query) => new Promise((done) => {
  const box = document.querySelector("#model-search");
  const began = performance.now();
  box.value = query;
  box.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def test_two_hundred_models_are_filtered_without_lag(
    visit: NewVisitor, start_here: Callable[..., App]
) -> None:
    names = tuple(f"maker/model-{number:03}" for number in range(200))
    with StubThread(models=names) as stub:
        app = start_here("many", API_ENDPOINT=stub.url)
        page = open_page(visit(app))
        expect(page.locator(".card")).to_have_count(200)
        for query, count in (("model-1", 100), ("model-19", 10), ("model-199", 1)):
            took_ms = min(page.evaluate(FILTERED_MS, query) for _ in range(3))
            expect(page.locator(".card")).to_have_count(count)
            assert took_ms < LAG_LIMIT_MS, f"{query}: {took_ms:.0f} ms"
        page.fill("#model-search", "")
        expect(page.locator("#model-count")).to_have_text("200 models")


def test_configuration_errors_are_shown_without_secrets(
    visit: NewVisitor, start_here: Callable[..., App]
) -> None:
    with StubThread() as stub:
        entries = [
            {"url": stub.url, "apiKey": "sk-planted-1234567890abcdef", "wieght": 2},
            {"url": stub.url, "models": ["right"]},
        ]
        app = start_here("mistake", ENDPOINTS=entries)
        page = open_page(visit(app), "/?view=models")
        notice = page.locator("#gallery .notice")
        expect(notice).to_contain_text("The configuration has an error")
        expect(notice).to_contain_text("ENDPOINTS[1]")
        expect(notice).to_contain_text("weight")
        expect(page.locator(".card")).to_have_count(1)
        assert "planted" not in page.content()
        assert "planted" not in app.log


def test_without_an_endpoint_the_page_shows_what_to_set(
    visit: NewVisitor, start_here: Callable[..., App]
) -> None:
    page = open_page(visit(start_here("nothing", EMBEDDED="off")))
    expect(page.locator("#gallery .notice")).to_contain_text("No endpoint is configured")
    expect(page.locator("#gallery .notice")).to_contain_text("Set ENDPOINTS")
    expect(page.locator("#no-models")).to_be_hidden()  # the notice says it
    expect(page.locator("#model-search")).to_be_hidden()


# ── keyboard and phone ───────────────────────────────────────────────────────


def test_the_page_can_be_used_by_keyboard(models: Page) -> None:
    _tab_to(models, "#model-search")
    models.keyboard.type("3.3 70b")
    expect(models.locator(".card")).to_have_count(1)
    _tab_to(models, f'[data-about="{ABOUT}"]')
    outline = "(node) => getComputedStyle(node).outlineStyle"
    assert models.locator(".card").evaluate(outline) == "solid"
    models.keyboard.press("Enter")
    expect(models.locator("#panel h1")).to_have_text("Llama 3.3 70B")
    _tab_to(models, "#panel .btn.primary")
    models.keyboard.press("Enter")
    expect(models.locator("#message")).to_be_focused()
    models.keyboard.type("Hello")
    models.keyboard.press("Enter")
    wait_until_settled(models)
    expect(answer_text(models)).to_contain_text("Grüße")
    _tab_to(models, "#open-settings")
    models.keyboard.press("Enter")
    expect(models.locator("#close-settings")).to_be_focused()
    models.keyboard.press("Escape")
    expect(models.locator("#drawer")).to_be_hidden()


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll(
    ".view-scroll, #scroller, #main, #drawer, #sidebar, .gradio-container")]
  .filter((node) => node.checkVisibility?.() && node.scrollWidth > node.clientWidth + 1)
  .map((node) => `${node.tagName}#${node.id}.${node.className}: ${node.scrollWidth}`)"""
SMALL = """(selectors) => [...document.querySelectorAll(selectors)]
  .filter((node) => node.checkVisibility({visibilityProperty: true}))
  .map((node) => [node.getBoundingClientRect(), node])
  .filter(([box]) => box.width < 43.5 || box.height < 43.5)
  .map(([box, node]) => `${node.id || node.className || node.textContent}: `
    + `${box.width.toFixed()}×${box.height.toFixed()}`)"""
SMALL_TYPE = """() => [...document.querySelectorAll("input, textarea, select")]
  .filter((node) => node.checkVisibility({visibilityProperty: true})
    && !["range", "radio", "checkbox"].includes(node.type))
  .filter((node) => parseFloat(getComputedStyle(node).fontSize) < 16)
  .map((node) => `${node.id || node.className}: ${getComputedStyle(node).fontSize}`)"""
MAIN_CONTROLS = (
    "#menu, #pick, #new-chat-top, #open-settings, #send, .tune, .btn, .chip, .side-link, .back, "
    "#close-settings, .turn-tools .icon-btn, .history-open, .menu-item, .side-foot button"
)
WIDE = """\
| a | very | wide | table | with | many | columns | that | does | not | fit |
|---|---|---|---|---|---|---|---|---|---|---|
| Donaudampfschifffahrtsgesellschaft | b | c | d | e | f | g | h | i | j | k |

```
a line of code that is much longer than any phone is wide, and then longer still, by far, really
```
https://example.com/an/address/without/any/space/that/is/longer/than/the/phone/is/wide/by/far
"""


def test_a_phone_shows_every_view_without_horizontal_scrolling(
    visit: NewVisitor, gallery: App, app: App, upstream: Upstream
) -> None:
    page = visit(gallery, **PHONE)
    open_page(page)
    expect(page.locator(".card")).to_have_count(4)
    _fits(page)
    page.tap("#menu")
    expect(page.locator("#sidebar")).to_be_in_viewport(ratio=1)
    _fits(page)
    page.touchscreen.tap(370, 500)
    expect(page.locator("#sidebar")).to_be_hidden()
    open_page(page, f"/?about={ABOUT}")
    expect(page.locator("#panel h1")).to_be_visible()
    _fits(page)

    page = visit(app, **PHONE)
    upstream.stub.set_behavior(answering(WIDE))
    open_chat(page, upstream.model)
    _fits(page)
    ask(page, "Show a wide table https://example.com/" + "x" * 200)
    _fits(page)
    page.locator(".receipt").tap()
    _fits(page)
    page.tap("#pick")
    expect(page.locator("#pick-menu")).to_be_visible()
    _fits(page)
    page.keyboard.press("Escape")
    open_settings(page)
    wait_until(lambda: page.locator("#drawer").bounding_box()["x"] == 0, 2, "the drawer")  # type: ignore[index]
    _fits(page)


def _fits(page: Page) -> None:
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(SMALL, MAIN_CONTROLS) == []
    assert page.evaluate(SMALL_TYPE) == []
