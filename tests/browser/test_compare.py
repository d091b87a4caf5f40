"""A comparer at work: lanes that race, stop, err, are voted on, told apart and taken along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe_source, grave_findings
from tests.browser.conftest import Visits
from tests.browser.servers import App
from tests.browser.upstreams import (
    Gate,
    Upstream,
    Upstreams,
    answering,
    answering_after,
    endless,
    messages,
    open_upstreams,
    tokens_of,
)
from tests.browser.visits import DESKTOP, PHONE, ask, chat_with, opened, whose

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lanes_pens() -> Iterator[Upstreams]:
    with open_upstreams(single=4, pairs=1) as upstreams:
        yield upstreams


@pytest.fixture(scope="module")
def lanes_app(
    lanes_pens: Upstreams, start_app: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A program of four models of its own; fallback and votes are on."""
    folder = tmp_path_factory.mktemp("lanes")
    with start_app(
        "lanes-app",
        ENDPOINTS=lanes_pens.entries(),
        CATALOG_FILE=lanes_pens.write_catalog(folder / "models.toml"),
        DATA_DIR=str(folder / "data"),
        FALLBACK_MODEL="single-00",
        EMBEDDED="off",
        RETRY_ATTEMPTS="0",
    ) as app:
        yield app


@pytest.fixture
def four(lanes_pens: Upstreams) -> list[Upstream]:
    """The four models, each answering with its own words."""
    for upstream in lanes_pens.single:
        upstream.stub.set_behavior(answering(*tokens_of(f"I am {upstream.model} and I say so.")))
    return lanes_pens.single


@pytest.fixture
def page(visit: Visits, lanes_app: App, four: list[Upstream]) -> Page:
    return visit(lanes_app)


def compare(page: Page, *models: str) -> Page:
    opened(page, "/?view=compare" + "".join(f"&with={model}" for model in models))
    expect(page.locator("#compare-message")).to_be_visible()
    return page


def question(page: Page, text: str = "Who are you?") -> None:
    page.fill("#compare-message", text)
    page.press("#compare-message", "Enter")


def over(page: Page) -> None:
    """Wait until no lane answers any more."""
    expect(page.locator("#compare-send")).not_to_have_class(re.compile("stop"))


def lane(page: Page, letter: str) -> Locator:
    return page.locator(f'.lane-col[data-letter="{letter}"]')


def answer(page: Page, letter: str) -> Locator:
    return lane(page, letter).locator(".lane-answer > .prose-block").last


def test_every_lane_gets_the_question_and_shows_its_receipt(
    page: Page, four: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01", "single-02", "single-03")
    question(page)
    over(page)
    for letter, upstream in zip("ABCD", four, strict=True):
        expect(answer(page, letter)).to_contain_text(f"I am {upstream.model}")
        expect(lane(page, letter).locator(".receipt")).to_contain_text(f"{upstream.model}-north")
        assert messages(upstream.stub)[-1] == ("user", "Who are you?")
    expect(page.locator(".race-row")).to_have_count(4)
    expect(page.locator(".race-figures").first).to_contain_text("tok")


def test_a_lane_that_is_held_up_holds_up_no_other_and_stops_alone(
    page: Page, four: list[Upstream]
) -> None:
    four[0].stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    question(page)
    expect(answer(page, "A")).to_contain_text("word2")
    expect(answer(page, "B")).to_contain_text("I am single-01")
    expect(lane(page, "B").locator(".answer-foot")).to_be_visible()
    lane(page, "A").locator('[data-action="stop"]').click()
    four[0].stub.wait_for_disconnect(2.0)
    over(page)
    expect(lane(page, "A").locator(".flag")).to_have_text("stopped")
    expect(lane(page, "B").locator(".flag")).to_have_count(0)


def test_stop_ends_all(page: Page, four: list[Upstream]) -> None:
    for upstream in four[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    question(page)
    for letter in "AB":
        expect(answer(page, letter)).to_contain_text("word1")
    page.click("#compare-send")
    for upstream in four[:2]:
        upstream.stub.wait_for_disconnect(2.0)
    expect(page.locator(".lane-col .flag", has_text="stopped")).to_have_count(2)


def test_a_lane_that_errs_says_so_and_can_be_asked_again(page: Page, four: list[Upstream]) -> None:
    four[1].stub.set_behavior("status_400")
    compare(page, "single-00", "single-01")
    question(page)
    over(page)
    expect(answer(page, "A")).to_contain_text("I am single-00")
    expect(lane(page, "B").locator(".failure")).to_be_visible()
    expect(page.locator("#vote")).to_be_hidden()
    asked = len(four[0].stub.chats)
    four[1].stub.set_behavior(answering("Better ", "now."))
    lane(page, "B").get_by_role("button", name="Retry lane B").click()
    expect(answer(page, "B")).to_contain_text("Better now.")
    over(page)
    assert len(four[0].stub.chats) == asked
    expect(page.locator("#vote")).to_be_visible()


def test_no_fallback_answers_in_a_lanes_name(page: Page, four: list[Upstream]) -> None:
    four[2].stub.set_behavior("status_500")
    compare(page, "single-02", "single-01")
    question(page)
    over(page)
    expect(lane(page, "A").locator(".failure")).to_contain_text("Single-02 is unavailable")


def test_a_lane_has_settings_of_its_own_and_a_pinned_endpoint(
    page: Page, lanes_pens: Upstreams
) -> None:
    (pair,) = lanes_pens.pairs
    for stub in pair.stubs:
        stub.set_behavior(answering("Yes."))
    compare(page, pair.model, pair.model)
    lane(page, "B").locator('[data-action="tune"]').click()
    expect(page.locator("#drawer-title")).to_have_text("Settings of lane B")
    page.select_option("#lane-endpoint", f"{pair.model}-south")
    whose(page, 0, "Custom")
    page.fill("#temperature input[type=number]", "0")
    page.press("#temperature input[type=number]", "Tab")
    page.click("#close-settings")
    expect(lane(page, "B").locator('[data-action="tune"]')).to_contain_text("temperature 0")
    for _ in range(2):
        question(page)
        over(page)
    temperatures = [asked.json["temperature"] for asked in pair.stubs[1].chats]
    assert temperatures.count(0) == 2
    for receipt in lane(page, "B").locator(".receipt").all():
        expect(receipt).to_contain_text(f"{pair.model}-south")


def test_several_turns_and_the_winners_conversation_goes_on_in_the_chat(
    page: Page, four: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    question(page, "First?")
    over(page)
    question(page, "Second?")
    over(page)
    expect(lane(page, "B").locator(".lane-answer")).to_have_count(2)
    lane(page, "B").get_by_role("button", name="Continue with Single-01").click()
    expect(page.locator(".turn.assistant")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"model=single-01"))
    ask(page, "Third?")
    said = [text for _, text in messages(four[1].stub)]
    assert [text.strip() for text in said] == [
        "First?",
        "I am single-01 and I say so.",
        "Second?",
        "I am single-01 and I say so.",
        "Third?",
    ]


def test_differences_of_two_answers(page: Page, four: list[Upstream]) -> None:
    four[0].stub.set_behavior(answering("The tower was built in 1889 <b>by</b> Eiffel."))
    four[1].stub.set_behavior(answering("The tower was built in 1887 <b>by</b> Eiffel."))
    compare(page, "single-00", "single-01")
    expect(page.locator("#compare-diff")).to_be_disabled()
    question(page)
    over(page)
    page.click("#compare-diff")
    expect(page.locator(".diff-side .mark-number")).to_have_text(["1889 ", "1887 "])
    expect(page.locator(".diff-text").first).to_contain_text("<b>by</b>")
    page.keyboard.press("Escape")
    expect(page.locator(".diff")).to_have_count(0)


def test_blind_hides_who_is_who_until_the_vote(page: Page, four: list[Upstream]) -> None:
    for upstream in four[:2]:
        upstream.stub.set_behavior(answering("The same ", "words."))
    compare(page, "single-00", "single-01")
    page.click("#compare-blind")
    question(page)
    over(page)
    expect(page.locator("#vote")).to_be_visible()
    seen = page.locator("#compare").inner_html()
    assert "single-0" not in seen.lower()
    assert not re.search(r"tok/s|0\.\d\d s", seen)
    page.click('[data-vote="A"]')
    expect(page.locator(".lane-col .receipt")).to_have_count(2)
    expect(page.locator(".race-row")).to_have_count(2)
    winner = lane(page, "A").locator("select").input_value()
    page.locator("#vote").get_by_role("link", name="View ranking").click()
    expect(page.locator(".standings tbody tr").first).to_contain_text(winner.title())
    expect(page.locator(".ranking-lead").first).to_contain_text("Votes of all visitors")
    expect(page.locator(".doubt")).to_contain_text("No clear winner between")


def test_the_sides_are_shuffled_and_a_vote_begins_a_new_blind_round(
    page: Page, four: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    page.evaluate("Math.random = () => 0")
    page.click("#compare-blind")
    question(page)
    over(page)
    page.click('[data-vote="tie"]')
    assert lane(page, "A").locator("select").input_value() == "single-01"
    question(page, "Again?")
    over(page)
    assert page.locator(".lane-answer").count() == 2
    page.click('[data-vote="both_bad"]')
    assert lane(page, "A").locator("select").input_value() == "single-00"


def test_a_link_fills_the_page_and_asks_before_anything_is_spent(
    page: Page, visit: Visits, lanes_app: App, four: list[Upstream]
) -> None:
    compare(page, "single-02", "single-03")
    lane(page, "A").locator('[data-action="tune"]').click()
    whose(page, 0, "Custom")
    page.click("#close-settings")
    page.fill("#compare-message", "Who is “ö” <i>?")
    link = page.evaluate(
        """() => new Promise((done) => {
            navigator.clipboard.writeText = async (text) => done(text);
            document.querySelector("#compare-link").click();
        })"""
    )
    asked = [len(upstream.stub.chats) for upstream in four]
    other = visit(lanes_app)
    sent: list[str] = []
    other.on("request", lambda request: sent.append(request.url))
    opened(other, link.removeprefix(lanes_app.url))
    expect(other.locator("#compare-message")).to_have_value("Who is “ö” <i>?")
    expect(other.locator("#compare-note")).to_contain_text("Nothing is sent until you press Send")
    assert lane(other, "A").locator("select").input_value() == "single-02"
    expect(lane(other, "A").locator('[data-action="tune"]')).to_contain_text("temperature 0.7")
    assert [len(upstream.stub.chats) for upstream in four] == asked
    assert not [url for url in sent if "#c=" in url]
    other.press("#compare-message", "Enter")
    expect(answer(other, "B")).to_contain_text("I am single-03")


@pytest.mark.parametrize("fragment", ["#c=", "#c=!!!", "#c=eyJ2IjoyfQ", "#c=bnVsbA", "#c=W10"])
def test_a_link_that_is_none_opens_an_empty_comparison(page: Page, fragment: str) -> None:
    opened(page, f"/?view=compare{fragment}")
    expect(page.locator(".lane-col")).to_have_count(2)
    expect(page.locator("#compare-note")).to_be_hidden()


def test_a_reload_loses_nothing_that_was_said(page: Page, four: list[Upstream]) -> None:
    compare(page, "single-00", "single-01", "single-02")
    question(page)
    over(page)
    page.fill("#compare-message", "A draft")
    opened(page, "/?view=compare")
    expect(answer(page, "C")).to_contain_text("I am single-02")
    expect(page.locator("#compare-message")).to_have_value("A draft")
    expect(lane(page, "A").locator(".receipt")).to_contain_text("single-00-north")


def test_a_reload_in_the_middle_keeps_what_had_come(page: Page, four: list[Upstream]) -> None:
    gate = Gate()
    four[1].stub.set_behavior(answering_after(gate, ["Half ", "a ", "sentence"]))
    compare(page, "single-00", "single-01")
    question(page)
    expect(answer(page, "B")).to_contain_text("Half a sentence")
    opened(page, "/?view=compare")
    gate.open()
    expect(answer(page, "B")).to_contain_text("Half a sentence")
    expect(lane(page, "B").locator(".flag")).to_have_text("stopped")


def test_ticked_cards_are_compared(page: Page) -> None:
    opened(page, "/?view=models")
    for model in ("single-01", "single-03", "single-00"):
        page.locator(f'[data-tick="{model}"]').check()
    page.focus('[data-tick="single-00"]')
    page.evaluate("""() => {
        const { models } = window.akashGradio;
        models.take({ models: models.list.toReversed(), hidden: [], waking: false, notices: [] });
    }""")
    expect(page.locator(".card").first).to_have_attribute("data-model", "pair-00")
    expect(page.locator('[data-tick="single-00"]')).to_be_focused()
    page.click("text=Compare 3 models")
    expect(page.locator(".lane-col")).to_have_count(3)
    models = [box.input_value() for box in page.locator(".lane-col select").all()]
    assert models == ["single-01", "single-03", "single-00"]


def test_the_open_chats_question_goes_along(page: Page) -> None:
    chat_with(page, "single-02")
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The word is plum."}
    page.set_input_files("#file-input", [notes])  # type: ignore[list-item]
    expect(page.locator("#files .chip-remove")).to_have_count(1)
    ask(page, "A question of the chat")
    page.click("#compare-this")
    expect(page.locator("#compare-note")).to_contain_text("files of this message stay in the chat")
    expect(page.locator("#compare-message")).to_have_value("A question of the chat")
    assert lane(page, "A").locator("select").input_value() == "single-02"


def test_lanes_are_added_swapped_and_removed(page: Page) -> None:
    compare(page, "single-00", "single-01")
    page.click(".lane-add")
    expect(page.locator(".lane-col")).to_have_count(3)
    lane(page, "C").locator('[data-action="left"]').click()
    models = [box.input_value() for box in page.locator(".lane-col select").all()]
    assert models == ["single-00", "single-02", "single-01"]
    lane(page, "A").locator('[data-action="close"]').click()
    expect(page.locator(".lane-col")).to_have_count(2)
    page.click(".toast >> text=Undo")
    expect(page.locator(".lane-col")).to_have_count(3)


def test_scrolling_goes_together_on_request(page: Page, four: list[Upstream]) -> None:
    for upstream in four[:2]:
        upstream.stub.set_behavior(answering(*[f"Line {n}\n\n" for n in range(80)]))
    compare(page, "single-00", "single-01")
    question(page)
    over(page)
    tops = "[...document.querySelectorAll('.lane-scroll')].map((lane) => lane.scrollTop)"
    move = "document.querySelector('.lane-scroll').scrollTop = 900"
    page.evaluate(move)
    page.wait_for_function(f"{tops}[0] === 900")
    assert page.evaluate(f"{tops}[1]") == 0
    page.click("#compare-sync")
    page.evaluate("document.querySelector('.lane-scroll').scrollTop = 1000")
    page.wait_for_function(f"{tops}[1] > 800")


def test_by_keyboard_alone(page: Page) -> None:
    opened(page, "/?view=models")
    page.locator("#go-compare").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-message")).to_be_focused()
    page.keyboard.type("Who?")
    page.keyboard.press("Enter")
    over(page)
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.dataset.vote") == "B":
            break
    page.evaluate("window.akashGradio.compare.modelsChanged()")  # as the server may tell any moment
    page.keyboard.press("Enter")
    expect(page.locator("#vote")).to_contain_text("Vote saved.")
    expect(page.locator("#compare-message")).to_be_focused()


def test_on_a_phone_lanes_are_tabs_and_a_swipe_apart(
    visit: Visits, lanes_app: App, four: list[Upstream]
) -> None:
    page = visit(lanes_app, **PHONE)
    compare(page, "single-00", "single-01")
    question(page)
    over(page)
    tabs = page.locator(".lane-tab")
    expect(lane(page, "A")).to_be_in_viewport(ratio=1)
    expect(lane(page, "B")).not_to_be_in_viewport()
    tabs.nth(1).focus()
    page.evaluate("window.akashGradio.compare.modelsChanged()")
    expect(tabs.nth(1)).to_be_focused()
    tabs.nth(1).click()
    expect(lane(page, "B")).to_be_in_viewport(ratio=1)
    expect(answer(page, "B")).to_contain_text("I am single-01")
    page.locator("#lanes").evaluate("(lanes) => lanes.scrollTo(0, 0)")
    expect(tabs.nth(0)).to_have_attribute("aria-selected", "true")
    expect(lane(page, "A")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("size", ["1440", "390"])
def test_axe_finds_nothing_grave(
    visit: Visits, lanes_app: App, four: list[Upstream], size: str
) -> None:
    axe = axe_source()
    page = visit(lanes_app, **(DESKTOP if size == "1440" else PHONE))
    compare(page, "single-00", "single-01")
    found = {"empty": grave_findings(page, axe)}
    question(page)
    over(page)
    found["answered"] = grave_findings(page, axe)
    page.click("#compare-diff")
    expect(page.locator(".diff")).to_be_visible()
    found["differences"] = grave_findings(page, axe)
    page.keyboard.press("Escape")
    page.click('[data-vote="A"]')
    opened(page, "/?view=votes")
    expect(page.locator(".standings")).to_be_visible()
    found["ranking"] = grave_findings(page, axe)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_report_is_looked_at_before_it_is_saved(page: Page, four: list[Upstream]) -> None:
    compare(page, "single-00", "single-01")
    expect(page.locator("#compare-report")).to_be_disabled()
    question(page, "Who is who?")
    over(page)
    page.click("#compare-report")
    preview = page.frame_locator(".report-preview iframe")
    expect(preview.locator("body")).to_contain_text("Who is who?")
    expect(preview.locator("body")).to_contain_text("I am single-01")
    with page.expect_download() as saved:
        page.click(".dialog .btn.primary")
    text = saved.value.path().read_text(encoding="utf-8")
    assert "I am single-00" in text
    for upstream in four:
        assert upstream.stub.url not in text


def test_a_new_question_in_the_middle_of_answers_begins_anew(
    page: Page, four: list[Upstream]
) -> None:
    for upstream in four[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    question(page, "First?")
    expect(answer(page, "B")).to_contain_text("word1")
    page.click("#compare-new")
    expect(page.locator(".lane-answer")).to_have_count(0)
    for upstream in four[:2]:
        upstream.stub.wait_for_disconnect(2.0)
        upstream.stub.set_behavior(answering("Second", " answer"))
    question(page, "Second?")
    over(page)
    expect(answer(page, "A")).to_contain_text("Second answer")
    expect(page.locator(".lane-answer")).to_have_count(2)
    page.click("#compare-new")
    expect(page.locator(".lane-answer")).to_have_count(0)
    page.click(".toast >> text=Undo")
    expect(answer(page, "B")).to_contain_text("Second answer")


def test_a_comparison_that_another_one_replaces_comes_back(
    page: Page, four: list[Upstream]
) -> None:
    four[0].stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    question(page, "First?")
    expect(answer(page, "A")).to_contain_text("word1")
    page.evaluate("window.akashGradio.go('./?view=compare&with=single-02&with=single-03')")
    four[0].stub.wait_for_disconnect(2.0)
    expect(lane(page, "A").locator("select")).to_have_value("single-02")
    page.click(".toast >> text=Undo")
    expect(answer(page, "A")).to_contain_text("word1")
    expect(lane(page, "A").locator(".flag")).to_have_text("stopped")
    expect(answer(page, "B")).to_contain_text("I am single-01")


def test_a_vote_is_for_the_model_that_answered_and_counts_once(
    page: Page, four: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    question(page)
    over(page)
    lane(page, "B").locator("select").select_option("single-03")
    sent: list[Any] = []
    page.on("request", lambda asked: "votes" in asked.url and sent.append(asked.post_data_json))
    page.evaluate("""() => {
        const button = document.querySelector('[data-vote="B"]');
        button.click();
        button.click();
    }""")
    expect(page.locator("#vote")).to_contain_text("Vote saved.")
    (votes,) = sent
    assert [(vote["a"], vote["b"], vote["outcome"]) for vote in votes["votes"]] == [
        ("single-00", "single-01", "b")
    ]
    lane(page, "B").get_by_role("button", name="Continue with Single-01").click()
    expect(page).to_have_url(re.compile("model=single-01"))


def test_a_list_of_models_stays_open_and_a_finished_lane_keeps_its_place(
    page: Page, four: list[Upstream]
) -> None:
    gate = Gate()
    four[0].stub.set_behavior(answering(*[f"Line {n}\n\n" for n in range(80)]))
    four[1].stub.set_behavior(answering_after(gate, ["Half "], ["done."]))
    compare(page, "single-00", "single-01", "single-02")
    question(page)
    expect(lane(page, "A").locator(".answer-foot")).to_be_attached()
    scroller = lane(page, "A").locator(".lane-scroll")
    scroller.evaluate("(node) => (node.scrollTop = 700)")
    gate.open()
    over(page)
    assert scroller.evaluate("(node) => node.scrollTop") == 700
    page.evaluate("window.akashGradio.compare.modelsChanged()")
    select = lane(page, "A").locator("select").element_handle()
    assert select is not None
    page.evaluate("window.akashGradio.compare.modelsChanged()")
    assert select.evaluate("(node) => node.isConnected")


def test_code_in_a_lane_can_be_copied(page: Page, four: list[Upstream]) -> None:
    four[0].stub.set_behavior(answering("```python\nx = 1\n```\n"))
    compare(page, "single-00", "single-01")
    question(page)
    over(page)
    page.evaluate("navigator.clipboard.writeText = async (text) => (window.copied = text)")
    lane(page, "A").locator("[data-copy]").click()
    page.wait_for_function("window.copied?.trim() === 'x = 1'")


def test_on_a_phone_the_sidebar_closes_and_a_lane_is_always_shown(
    visit: Visits, lanes_app: App, four: list[Upstream]
) -> None:
    page = visit(lanes_app, **PHONE)
    compare(page, "single-00", "single-01", "single-02")
    page.locator(".compare-head [data-menu]").click()
    expect(page.locator("#sidebar")).to_be_visible()
    page.locator("#scrim").click(position={"x": 370, "y": 400})
    expect(page.locator("#sidebar")).to_be_hidden()
    page.locator(".lane-tab").nth(2).click()
    lane(page, "C").locator('[data-action="close"]').click()
    expect(lane(page, "B")).to_be_in_viewport(ratio=1)
    expect(page.locator('.lane-tab[aria-selected="true"]')).to_have_count(1)


def test_escape_stops_the_lanes(page: Page, four: list[Upstream]) -> None:
    for upstream in four[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    question(page)
    expect(answer(page, "B")).to_contain_text("word1")
    page.keyboard.press("Escape")
    expect(page.locator(".lane-col .flag", has_text="stopped")).to_have_count(2)
