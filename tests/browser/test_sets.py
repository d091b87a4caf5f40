"""A comparer with a prompt set: pasted, forecast, run, read, compared and taken away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import axe_source, grave_findings
from tests.browser.conftest import Visits
from tests.browser.upstreams import (
    Gate,
    Upstream,
    Upstreams,
    answering,
    answering_after,
    open_upstreams,
    tokens_of,
)
from tests.browser.visits import PHONE, ask, chat_with, opened, reloaded

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sets_pens() -> Iterator[Upstreams]:
    with open_upstreams(single=2, pairs=0) as upstreams:
        yield upstreams


@pytest.fixture(scope="module")
def sets_app(sets_pens: Upstreams, start_app: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sets")
    with start_app(
        "sets-app",
        ENDPOINTS=sets_pens.entries(),
        CATALOG_FILE=sets_pens.write_catalog(folder / "models.toml"),
        DATA_DIR=str(folder / "data"),
        EMBEDDED="off",
        RETRY_ATTEMPTS="0",
    ) as app:
        yield app


@pytest.fixture
def two(sets_pens: Upstreams) -> list[Upstream]:
    for upstream in sets_pens.single:
        upstream.stub.set_behavior(
            answering(*tokens_of(f"I am {upstream.model} and I say **so**."))
        )
    return sets_pens.single


@pytest.fixture
def page(visit: Visits, sets_app: Any, two: list[Upstream]) -> Page:
    return visit(sets_app)


def pasted(page: Page, text: str) -> None:
    """The form with these prompts, and its forecast said."""
    opened(page, "/?view=sets")
    page.fill("#set-text", text)
    expect(page.locator("#set-start")).to_be_enabled()


def test_a_set_is_pasted_run_read_and_taken_away(page: Page) -> None:
    opened(page, "/?view=compare&with=single-01&with=single-00")
    page.click(".compare-head [data-go=sets]")
    expect(page.locator(".candidate select").first).to_have_value("single-01")
    pasted(page, "Who are you?\nAnd who else?")
    expect(page.locator(".candidate select").first).to_have_value("single-01")  # loaded anew
    page.fill("#set-contains", "single-01")
    expect(page.locator("#set-count")).to_have_text("2 prompts")
    expect(page.locator("#set-forecast")).to_contain_text("4 calls: 2 prompts × 2 lanes")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("done · 4 of 4")
    rows = page.locator(".run-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator("td").first).to_have_class(re.compile("ok"))
    expect(rows.first.locator("td").nth(1)).to_have_class(re.compile("failed"))

    rows.first.locator(".row-open").press("Enter")
    cells = page.locator(".row-cell")
    expect(cells).to_have_count(2)
    expect(cells.first.locator("strong")).to_have_text("so")
    page.click('.row-dialog [data-step="right"]')
    expect(page.locator(".row-prompt")).to_have_text("And who else?")
    expect(page.locator('.row-dialog [data-step="left"]')).to_be_focused()
    page.keyboard.press("Escape")

    page.click("#run-report")
    frame = page.frame_locator(".report-preview iframe")
    expect(frame.locator("h1")).to_have_text("Who are you?")
    page.click(".report-forms .chip:text('JSON')")
    expect(page.locator(".report-preview pre")).to_contain_text('"akash_gradio"')
    with page.expect_download() as taken:
        page.click(".report-forms .btn.primary")
    assert len(json.loads(Path(taken.value.path()).read_text())["rows"]) == 4


def test_a_run_is_paused_goes_on_and_is_found_again_after_a_reload(
    page: Page, two: list[Upstream]
) -> None:
    gate = Gate()
    two[1].stub.set_behavior(answering_after(gate, *tokens_of("At last.")))
    pasted(page, "One.\nTwo.\nThree.")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("3 of 6")
    page.click("#run-pause")
    expect(page.locator("#run-text")).to_contain_text("paused")
    page.click("#run-resume")
    reloaded(page)
    page.click("#set-runs .run-open >> nth=0")
    page.focus(".run-table .row-open >> nth=1")
    held_there = page.evaluate_handle("document.activeElement")
    gate.open()
    expect(page.locator("#run-text")).to_contain_text("done · 6 of 6")
    expect(page.locator(".run-table td.ok")).to_have_count(6)
    assert held_there.evaluate("(node) => node === document.activeElement")
    expect(page.locator("#live")).to_contain_text("done, 6 of 6")
    page.click("#run-new")
    page.click("#set-runs li >> nth=0 >> text=Delete")
    page.click("#set-runs li >> nth=0 >> text=Delete for good")
    expect(page.locator(".toast")).to_have_text("Run and answers deleted.")


def test_a_chats_prompts_are_asked_with_parameters_of_their_own_kept_and_asked_again(
    page: Page, two: list[Upstream]
) -> None:
    chat_with(page, "single-00")
    ask(page, "First line\nand second")
    page.evaluate("window.akashGradio.go('./?view=sets')")
    page.click("#set-chat")
    expect(page.locator("#set-count")).to_have_text("1 prompt")

    candidates = page.locator(".candidate")
    candidates.nth(1).get_by_label("Remove this model").click()
    candidates.first.get_by_label("Settings for this model").click()
    candidates.first.get_by_label("Temperature").fill("0")
    candidates.first.get_by_label("Endpoint").select_option("single-00-north")
    candidates.first.get_by_label("Duplicate this model").click()
    expect(candidates).to_have_count(2)
    temperature = candidates.nth(1).get_by_label("Temperature", exact=True)
    expect(temperature).to_be_focused()
    temperature.fill("hot")
    expect(page.locator("#set-errors")).to_have_text("Temperature: enter a number from 0 to 2.")
    temperature.fill("1")
    expect(page.locator("#set-forecast")).to_contain_text("2 calls: 1 prompt × 2 lanes")

    page.click("#set-save")
    page.fill(".dialog-field", "Custom")
    page.press(".dialog-field", "Enter")
    page.click("#set-saved >> text=Rename")
    page.fill(".dialog-field", "Ours")
    page.press(".dialog-field", "Enter")
    expect(page.locator("#set-count")).to_have_text("Ours: 1 prompt")
    page.click("#set-clear")
    page.click("#set-saved >> text=Delete")
    page.click(".toast >> text=Undo")
    page.click("#set-saved .run-open")
    expect(page.locator("#set-text")).to_have_value("First line\nand second\n---\n")
    reloaded(page)
    expect(page.locator(".candidate-brief").nth(1)).to_have_text("Temperature 1, single-00-north")

    two[0].stub.set_behavior("status_400")
    page.click("#set-start")
    expect(page.locator("#run-title")).to_have_text("Ours")
    expect(page.locator("#run-text")).to_contain_text("done · 2 of 2 · 2 failed")
    two[0].stub.set_behavior(answering("Now."))
    page.click("text=Ask the 2 failed again")
    expect(page.locator("#run-text")).to_have_text("done · 2 of 2")
    assert [chat.json["temperature"] for chat in two[0].stub.chats[-2:]] in ([0, 1], [1, 0])


def test_a_file_with_a_mistake_says_where(page: Page, visit: Visits) -> None:
    visit.allow("status of 400")
    opened(page, "/?view=sets")
    wrong = {"name": "a.csv", "mimeType": "text/csv", "buffer": b'prompt,id\n"open,1\n'}
    page.set_input_files("#set-file", files=[wrong])  # type: ignore[list-item]
    expect(page.locator("#set-errors")).to_contain_text("row 2, column 1: a quote is never")
    expect(page.locator("#set-start")).to_be_disabled()
    page.click("#set-clear")
    expect(page.locator("#set-errors")).to_be_hidden()


def test_axe_finds_nothing_grave_in_the_form_and_the_run(page: Page, two: list[Upstream]) -> None:
    pasted(page, "Who are you?")
    assert grave_findings(page, axe_source()) == []
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("done")
    expect(page.locator(".run-table td.ok").first).to_be_visible()
    assert grave_findings(page, axe_source()) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(
    visit: Visits, sets_app: Any, two: list[Upstream]
) -> None:
    page = visit(sets_app, **PHONE)
    pasted(page, "Who are you?")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("done")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
