"""Prompt sets: the form, the forecast, runs, answers, saved sets and reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import PHONE, ask, file_payload, open_chat, open_page, reload_page
from tests.browser.axe import axe_source, serious_findings
from tests.browser.conftest import NewVisitor
from tests.browser.upstreams import (
    Gate,
    Upstream,
    Upstreams,
    answering,
    answering_at_gate,
    open_upstreams,
    split_tokens,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def set_upstreams() -> Iterator[Upstreams]:
    with open_upstreams(single=2, pairs=0) as upstreams:
        yield upstreams


@pytest.fixture(scope="module")
def sets_app(
    set_upstreams: Upstreams, start_app: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("sets")
    with start_app(
        "sets-app",
        ENDPOINTS=set_upstreams.entries(),
        CATALOG_FILE=set_upstreams.write_catalog(folder / "models.toml"),
        DATA_DIR=str(folder / "data"),
        EMBEDDED="off",
        RETRY_ATTEMPTS="0",
    ) as app:
        yield app


@pytest.fixture
def two_models(set_upstreams: Upstreams) -> list[Upstream]:
    for upstream in set_upstreams.single:
        upstream.stub.set_behavior(
            answering(*split_tokens(f"I am {upstream.model} and I say **so**."))
        )
    return set_upstreams.single


@pytest.fixture
def page(visit: NewVisitor, sets_app: Any, two_models: list[Upstream]) -> Page:
    return visit(sets_app)


def paste_prompts(page: Page, text: str) -> None:
    """Fill in the form and wait for the forecast."""
    open_page(page, "/?view=sets")
    page.fill("#set-text", text)
    expect(page.locator("#set-start")).to_be_enabled()


def test_a_set_is_pasted_run_and_downloaded_as_a_report(page: Page) -> None:
    open_page(page, "/?view=compare&with=single-01&with=single-00")
    page.click(".compare-head [data-go=sets]")
    expect(page.locator(".candidate select").first).to_have_value("single-01")
    paste_prompts(page, "Who are you?\nAnd who else?")
    expect(page.locator(".candidate select").first).to_have_value("single-01")  # after a reload
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
    with page.expect_download() as download:
        page.click(".report-forms .btn.primary")
    assert len(json.loads(Path(download.value.path()).read_text())["rows"]) == 4


def test_a_run_can_be_paused_resumed_and_reopened_after_a_reload(
    page: Page, two_models: list[Upstream]
) -> None:
    gate = Gate()
    two_models[1].stub.set_behavior(answering_at_gate(gate, *split_tokens("At last.")))
    paste_prompts(page, "One.\nTwo.\nThree.")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("3 of 6")
    page.click("#run-pause")
    expect(page.locator("#run-text")).to_contain_text("paused")
    page.click("#run-resume")
    reload_page(page)
    page.click("#set-runs .run-open >> nth=0")
    page.focus(".run-table .row-open >> nth=1")
    focused_row = page.evaluate_handle("document.activeElement")
    gate.open()
    expect(page.locator("#run-text")).to_contain_text("done · 6 of 6")
    expect(page.locator(".run-table td.ok")).to_have_count(6)
    assert focused_row.evaluate("(node) => node === document.activeElement")
    expect(page.locator("#live")).to_contain_text("done, 6 of 6")
    page.click("#run-new")
    page.click("#set-runs li >> nth=0 >> text=Delete")
    page.click("#set-runs li >> nth=0 >> text=Delete permanently")
    expect(page.locator(".toast")).to_have_text("Run and answers deleted.")


def test_prompts_of_a_chat_run_with_custom_settings_are_saved_and_retried(
    page: Page, two_models: list[Upstream]
) -> None:
    open_chat(page, "single-00")
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
    reload_page(page)
    expect(page.locator(".candidate-brief").nth(1)).to_have_text("Temperature 1, single-00-north")

    two_models[0].stub.set_behavior("status_400")
    page.click("#set-start")
    expect(page.locator("#run-title")).to_have_text("Ours")
    expect(page.locator("#run-text")).to_contain_text("done · 2 of 2 · 2 failed")
    two_models[0].stub.set_behavior(answering("Now."))
    page.click("text=Retry 2 failed calls")
    expect(page.locator("#run-text")).to_have_text("done · 2 of 2")
    assert [chat.json["temperature"] for chat in two_models[0].stub.chats[-2:]] in ([0, 1], [1, 0])


def test_a_file_error_names_its_position(page: Page, visit: NewVisitor) -> None:
    visit.allow("status of 400")
    open_page(page, "/?view=sets")
    invalid = file_payload("a.csv", b'prompt,id\n"open,1\n', "text/csv")
    page.set_input_files("#set-file", files=[invalid])
    expect(page.locator("#set-errors")).to_contain_text("row 2, column 1: a quote is not closed")
    expect(page.locator("#set-start")).to_be_disabled()
    page.click("#set-clear")
    expect(page.locator("#set-errors")).to_be_hidden()


def test_axe_finds_no_serious_problem_in_the_form_and_the_run(
    page: Page, two_models: list[Upstream]
) -> None:
    paste_prompts(page, "Who are you?")
    assert serious_findings(page, axe_source()) == []
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("done")
    expect(page.locator(".run-table td.ok").first).to_be_visible()
    assert serious_findings(page, axe_source()) == []


def test_a_phone_shows_sets_without_horizontal_scrolling(
    visit: NewVisitor, sets_app: Any, two_models: list[Upstream]
) -> None:
    page = visit(sets_app, **PHONE)
    paste_prompts(page, "Who are you?")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("done")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
