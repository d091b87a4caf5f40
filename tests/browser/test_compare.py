"""The comparison: lanes, stopping, errors, votes, differences, links and reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import (
    DESKTOP,
    PHONE,
    ask,
    choose_value_source,
    file_payload,
    open_chat,
    open_page,
)
from tests.browser.axe import axe_source, serious_findings
from tests.browser.conftest import NewVisitor
from tests.browser.servers import App
from tests.browser.upstreams import (
    Gate,
    Upstream,
    Upstreams,
    answering,
    answering_at_gate,
    endless,
    messages,
    open_upstreams,
    split_tokens,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lane_upstreams() -> Iterator[Upstreams]:
    with open_upstreams(single=4, pairs=1) as upstreams:
        yield upstreams


@pytest.fixture(scope="module")
def lanes_app(
    lane_upstreams: Upstreams, start_app: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A program with four models of its own, a fallback model and votes."""
    folder = tmp_path_factory.mktemp("lanes")
    with start_app(
        "lanes-app",
        ENDPOINTS=lane_upstreams.entries(),
        CATALOG_FILE=lane_upstreams.write_catalog(folder / "models.toml"),
        DATA_DIR=str(folder / "data"),
        FALLBACK_MODEL="single-00",
        EMBEDDED="off",
        RETRY_ATTEMPTS="0",
    ) as app:
        yield app


@pytest.fixture
def four_models(lane_upstreams: Upstreams) -> list[Upstream]:
    """The four models, each with a different answer."""
    for upstream in lane_upstreams.single:
        upstream.stub.set_behavior(answering(*split_tokens(f"I am {upstream.model} and I say so.")))
    return lane_upstreams.single


@pytest.fixture
def page(visit: NewVisitor, lanes_app: App, four_models: list[Upstream]) -> Page:
    return visit(lanes_app)


def compare(page: Page, *models: str) -> Page:
    open_page(page, "/?view=compare" + "".join(f"&with={model}" for model in models))
    expect(page.locator("#compare-message")).to_be_visible()
    return page


def send_prompt(page: Page, text: str = "Who are you?") -> None:
    page.fill("#compare-message", text)
    page.press("#compare-message", "Enter")


def wait_for_all_lanes(page: Page) -> None:
    """Wait until no lane is streaming."""
    expect(page.locator("#compare-send")).not_to_have_class(re.compile("stop"))


def lane(page: Page, letter: str) -> Locator:
    return page.locator(f'.lane-col[data-letter="{letter}"]')


def answer(page: Page, letter: str) -> Locator:
    return lane(page, letter).locator(".lane-answer > .prose-block").last


def test_every_lane_gets_the_prompt_and_shows_a_receipt(
    page: Page, four_models: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01", "single-02", "single-03")
    send_prompt(page)
    wait_for_all_lanes(page)
    for letter, upstream in zip("ABCD", four_models, strict=True):
        expect(answer(page, letter)).to_contain_text(f"I am {upstream.model}")
        expect(lane(page, letter).locator(".receipt")).to_contain_text(f"{upstream.model}-north")
        assert messages(upstream.stub)[-1] == ("user", "Who are you?")
    expect(page.locator(".race-row")).to_have_count(4)
    expect(page.locator(".race-figures").first).to_contain_text("tok")


def test_a_slow_lane_does_not_block_others_and_can_be_stopped(
    page: Page, four_models: list[Upstream]
) -> None:
    four_models[0].stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    send_prompt(page)
    expect(answer(page, "A")).to_contain_text("word2")
    expect(answer(page, "B")).to_contain_text("I am single-01")
    expect(lane(page, "B").locator(".answer-foot")).to_be_visible()
    lane(page, "A").locator('[data-action="stop"]').click()
    four_models[0].stub.wait_for_disconnect(2.0)
    wait_for_all_lanes(page)
    expect(lane(page, "A").locator(".flag")).to_have_text("stopped")
    expect(lane(page, "B").locator(".flag")).to_have_count(0)


def test_stop_stops_all_lanes(page: Page, four_models: list[Upstream]) -> None:
    for upstream in four_models[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    send_prompt(page)
    for letter in "AB":
        expect(answer(page, letter)).to_contain_text("word1")
    page.click("#compare-send")
    for upstream in four_models[:2]:
        upstream.stub.wait_for_disconnect(2.0)
    expect(page.locator(".lane-col .flag", has_text="stopped")).to_have_count(2)


def test_a_failed_lane_shows_its_error_and_can_be_retried(
    page: Page, four_models: list[Upstream]
) -> None:
    four_models[1].stub.set_behavior("status_400")
    compare(page, "single-00", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
    expect(answer(page, "A")).to_contain_text("I am single-00")
    expect(lane(page, "B").locator(".failure")).to_be_visible()
    expect(page.locator("#vote")).to_be_hidden()
    count = len(four_models[0].stub.chats)
    four_models[1].stub.set_behavior(answering("Better ", "now."))
    lane(page, "B").get_by_role("button", name="Retry lane B").click()
    expect(answer(page, "B")).to_contain_text("Better now.")
    wait_for_all_lanes(page)
    assert len(four_models[0].stub.chats) == count
    expect(page.locator("#vote")).to_be_visible()


def test_lanes_use_no_fallback_model(page: Page, four_models: list[Upstream]) -> None:
    four_models[2].stub.set_behavior("status_500")
    compare(page, "single-02", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
    expect(lane(page, "A").locator(".failure")).to_contain_text("Single-02 is unavailable")


def test_a_lane_can_have_its_own_settings_and_endpoint(
    page: Page, lane_upstreams: Upstreams
) -> None:
    (pair,) = lane_upstreams.pairs
    for stub in pair.stubs:
        stub.set_behavior(answering("Yes."))
    compare(page, pair.model, pair.model)
    lane(page, "B").locator('[data-action="tune"]').click()
    expect(page.locator("#drawer-title")).to_have_text("Settings of lane B")
    page.select_option("#lane-endpoint", f"{pair.model}-south")
    choose_value_source(page, 0, "Custom")
    page.fill("#temperature input[type=number]", "0")
    page.press("#temperature input[type=number]", "Tab")
    page.click("#close-settings")
    expect(lane(page, "B").locator('[data-action="tune"]')).to_contain_text("temperature 0")
    for _ in range(2):
        send_prompt(page)
        wait_for_all_lanes(page)
    temperatures = [request.json["temperature"] for request in pair.stubs[1].chats]
    assert temperatures.count(0) == 2
    for receipt in lane(page, "B").locator(".receipt").all():
        expect(receipt).to_contain_text(f"{pair.model}-south")


def test_a_lane_with_several_turns_continues_as_a_chat(
    page: Page, four_models: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    send_prompt(page, "First?")
    wait_for_all_lanes(page)
    send_prompt(page, "Second?")
    wait_for_all_lanes(page)
    expect(lane(page, "B").locator(".lane-answer")).to_have_count(2)
    lane(page, "B").get_by_role("button", name="Continue with Single-01").click()
    expect(page.locator(".turn.assistant")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"model=single-01"))
    ask(page, "Third?")
    texts = [text for _, text in messages(four_models[1].stub)]
    assert [text.strip() for text in texts] == [
        "First?",
        "I am single-01 and I say so.",
        "Second?",
        "I am single-01 and I say so.",
        "Third?",
    ]


def test_differences_of_two_answers_are_marked(page: Page, four_models: list[Upstream]) -> None:
    four_models[0].stub.set_behavior(answering("The tower was built in 1889 <b>by</b> Eiffel."))
    four_models[1].stub.set_behavior(answering("The tower was built in 1887 <b>by</b> Eiffel."))
    compare(page, "single-00", "single-01")
    expect(page.locator("#compare-diff")).to_be_disabled()
    send_prompt(page)
    wait_for_all_lanes(page)
    page.click("#compare-diff")
    expect(page.locator(".diff-side .mark-number")).to_have_text(["1889 ", "1887 "])
    expect(page.locator(".diff-text").first).to_contain_text("<b>by</b>")
    page.keyboard.press("Escape")
    expect(page.locator(".diff")).to_have_count(0)


def test_blind_mode_hides_the_models_until_the_vote(
    page: Page, four_models: list[Upstream]
) -> None:
    for upstream in four_models[:2]:
        upstream.stub.set_behavior(answering("The same ", "words."))
    compare(page, "single-00", "single-01")
    page.click("#compare-blind")
    send_prompt(page)
    wait_for_all_lanes(page)
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


def test_blind_lanes_are_shuffled_and_a_vote_starts_a_new_round(
    page: Page, four_models: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    page.evaluate("Math.random = () => 0")
    page.click("#compare-blind")
    send_prompt(page)
    wait_for_all_lanes(page)
    page.click('[data-vote="tie"]')
    assert lane(page, "A").locator("select").input_value() == "single-01"
    send_prompt(page, "Again?")
    wait_for_all_lanes(page)
    assert page.locator(".lane-answer").count() == 2
    page.click('[data-vote="both_bad"]')
    assert lane(page, "A").locator("select").input_value() == "single-00"


def test_a_link_fills_in_the_comparison_but_sends_nothing(
    page: Page, visit: NewVisitor, lanes_app: App, four_models: list[Upstream]
) -> None:
    compare(page, "single-02", "single-03")
    lane(page, "A").locator('[data-action="tune"]').click()
    choose_value_source(page, 0, "Custom")
    page.click("#close-settings")
    page.fill("#compare-message", "Who is “ö” <i>?")
    link = page.evaluate(
        """() => new Promise((done) => {
            navigator.clipboard.writeText = async (text) => done(text);
            document.querySelector("#compare-link").click();
        })"""
    )
    counts = [len(upstream.stub.chats) for upstream in four_models]
    other = visit(lanes_app)
    sent: list[str] = []
    other.on("request", lambda request: sent.append(request.url))
    open_page(other, link.removeprefix(lanes_app.url))
    expect(other.locator("#compare-message")).to_have_value("Who is “ö” <i>?")
    expect(other.locator("#compare-note")).to_contain_text("Nothing is sent until you press Send")
    assert lane(other, "A").locator("select").input_value() == "single-02"
    expect(lane(other, "A").locator('[data-action="tune"]')).to_contain_text("temperature 0.7")
    assert [len(upstream.stub.chats) for upstream in four_models] == counts
    assert not [url for url in sent if "#c=" in url]
    other.press("#compare-message", "Enter")
    expect(answer(other, "B")).to_contain_text("I am single-03")


@pytest.mark.parametrize("fragment", ["#c=", "#c=!!!", "#c=eyJ2IjoyfQ", "#c=bnVsbA", "#c=W10"])
def test_an_invalid_link_opens_an_empty_comparison(page: Page, fragment: str) -> None:
    open_page(page, f"/?view=compare{fragment}")
    expect(page.locator(".lane-col")).to_have_count(2)
    expect(page.locator("#compare-note")).to_be_hidden()


def test_a_reload_restores_the_comparison(page: Page, four_models: list[Upstream]) -> None:
    compare(page, "single-00", "single-01", "single-02")
    send_prompt(page)
    wait_for_all_lanes(page)
    page.fill("#compare-message", "A draft")
    open_page(page, "/?view=compare")
    expect(answer(page, "C")).to_contain_text("I am single-02")
    expect(page.locator("#compare-message")).to_have_value("A draft")
    expect(lane(page, "A").locator(".receipt")).to_contain_text("single-00-north")


def test_a_reload_during_an_answer_keeps_its_text(page: Page, four_models: list[Upstream]) -> None:
    gate = Gate()
    four_models[1].stub.set_behavior(answering_at_gate(gate, ["Half ", "a ", "sentence"]))
    compare(page, "single-00", "single-01")
    send_prompt(page)
    expect(answer(page, "B")).to_contain_text("Half a sentence")
    open_page(page, "/?view=compare")
    gate.open()
    expect(answer(page, "B")).to_contain_text("Half a sentence")
    expect(lane(page, "B").locator(".flag")).to_have_text("stopped")


def test_selected_cards_are_compared(page: Page) -> None:
    open_page(page, "/?view=models")
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


def test_comparing_from_a_chat_takes_over_its_last_prompt(page: Page) -> None:
    open_chat(page, "single-02")
    notes = file_payload("notes.txt", b"The word is plum.")
    page.set_input_files("#file-input", [notes])
    expect(page.locator("#files .chip-remove")).to_have_count(1)
    ask(page, "A prompt of the chat")
    page.click("#compare-this")
    expect(page.locator("#compare-note")).to_contain_text("files of this message stay in the chat")
    expect(page.locator("#compare-message")).to_have_value("A prompt of the chat")
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


def test_lanes_scroll_together_on_request(page: Page, four_models: list[Upstream]) -> None:
    for upstream in four_models[:2]:
        upstream.stub.set_behavior(answering(*[f"Line {n}\n\n" for n in range(80)]))
    compare(page, "single-00", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
    tops = "[...document.querySelectorAll('.lane-scroll')].map((lane) => lane.scrollTop)"
    move = "document.querySelector('.lane-scroll').scrollTop = 900"
    page.evaluate(move)
    page.wait_for_function(f"{tops}[0] === 900")
    assert page.evaluate(f"{tops}[1]") == 0
    page.click("#compare-sync")
    page.evaluate("document.querySelector('.lane-scroll').scrollTop = 1000")
    page.wait_for_function(f"{tops}[1] > 800")


def test_a_comparison_can_be_made_by_keyboard(page: Page) -> None:
    open_page(page, "/?view=models")
    page.locator("#go-compare").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-message")).to_be_focused()
    page.keyboard.type("Who?")
    page.keyboard.press("Enter")
    wait_for_all_lanes(page)
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.dataset.vote") == "B":
            break
    page.evaluate("window.akashGradio.compare.modelsChanged()")  # may happen at any moment
    page.keyboard.press("Enter")
    expect(page.locator("#vote")).to_contain_text("Vote saved.")
    expect(page.locator("#compare-message")).to_be_focused()


def test_a_phone_shows_lanes_as_tabs_that_can_be_swiped(
    visit: NewVisitor, lanes_app: App, four_models: list[Upstream]
) -> None:
    page = visit(lanes_app, **PHONE)
    compare(page, "single-00", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
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
def test_axe_finds_no_serious_problem(
    visit: NewVisitor, lanes_app: App, four_models: list[Upstream], size: str
) -> None:
    axe = axe_source()
    page = visit(lanes_app, **(DESKTOP if size == "1440" else PHONE))
    compare(page, "single-00", "single-01")
    violations = {"empty": serious_findings(page, axe)}
    send_prompt(page)
    wait_for_all_lanes(page)
    violations["answered"] = serious_findings(page, axe)
    page.click("#compare-diff")
    expect(page.locator(".diff")).to_be_visible()
    violations["differences"] = serious_findings(page, axe)
    page.keyboard.press("Escape")
    page.click('[data-vote="A"]')
    open_page(page, "/?view=votes")
    expect(page.locator(".standings")).to_be_visible()
    violations["ranking"] = serious_findings(page, axe)
    assert {name: lines for name, lines in violations.items() if lines} == {}


def test_a_report_is_previewed_before_it_is_downloaded(
    page: Page, four_models: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    expect(page.locator("#compare-report")).to_be_disabled()
    send_prompt(page, "Who is who?")
    wait_for_all_lanes(page)
    page.click("#compare-report")
    preview = page.frame_locator(".report-preview iframe")
    expect(preview.locator("body")).to_contain_text("Who is who?")
    expect(preview.locator("body")).to_contain_text("I am single-01")
    with page.expect_download() as saved:
        page.click(".dialog .btn.primary")
    text = saved.value.path().read_text(encoding="utf-8")
    assert "I am single-00" in text
    for upstream in four_models:
        assert upstream.stub.url not in text


def test_a_new_comparison_stops_running_answers(page: Page, four_models: list[Upstream]) -> None:
    for upstream in four_models[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    send_prompt(page, "First?")
    expect(answer(page, "B")).to_contain_text("word1")
    page.click("#compare-new")
    expect(page.locator(".lane-answer")).to_have_count(0)
    for upstream in four_models[:2]:
        upstream.stub.wait_for_disconnect(2.0)
        upstream.stub.set_behavior(answering("Second", " answer"))
    send_prompt(page, "Second?")
    wait_for_all_lanes(page)
    expect(answer(page, "A")).to_contain_text("Second answer")
    expect(page.locator(".lane-answer")).to_have_count(2)
    page.click("#compare-new")
    expect(page.locator(".lane-answer")).to_have_count(0)
    page.click(".toast >> text=Undo")
    expect(answer(page, "B")).to_contain_text("Second answer")


def test_a_replaced_comparison_can_be_restored(page: Page, four_models: list[Upstream]) -> None:
    four_models[0].stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    send_prompt(page, "First?")
    expect(answer(page, "A")).to_contain_text("word1")
    page.evaluate("window.akashGradio.go('./?view=compare&with=single-02&with=single-03')")
    four_models[0].stub.wait_for_disconnect(2.0)
    expect(lane(page, "A").locator("select")).to_have_value("single-02")
    page.click(".toast >> text=Undo")
    expect(answer(page, "A")).to_contain_text("word1")
    expect(lane(page, "A").locator(".flag")).to_have_text("stopped")
    expect(answer(page, "B")).to_contain_text("I am single-01")


def test_a_vote_counts_once_for_the_model_that_answered(
    page: Page, four_models: list[Upstream]
) -> None:
    compare(page, "single-00", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
    lane(page, "B").locator("select").select_option("single-03")
    sent: list[Any] = []
    page.on(
        "request",
        lambda request: sent.extend([request.post_data_json] if "votes" in request.url else []),
    )
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


def test_updates_keep_the_model_list_open_and_the_scroll_position(
    page: Page, four_models: list[Upstream]
) -> None:
    gate = Gate()
    four_models[0].stub.set_behavior(answering(*[f"Line {n}\n\n" for n in range(80)]))
    four_models[1].stub.set_behavior(answering_at_gate(gate, ["Half "], ["done."]))
    compare(page, "single-00", "single-01", "single-02")
    send_prompt(page)
    expect(lane(page, "A").locator(".answer-foot")).to_be_attached()
    scroller = lane(page, "A").locator(".lane-scroll")
    scroller.evaluate("(node) => (node.scrollTop = 700)")
    gate.open()
    wait_for_all_lanes(page)
    assert scroller.evaluate("(node) => node.scrollTop") == 700
    page.evaluate("window.akashGradio.compare.modelsChanged()")
    select = lane(page, "A").locator("select").element_handle()
    assert select is not None
    page.evaluate("window.akashGradio.compare.modelsChanged()")
    assert select.evaluate("(node) => node.isConnected")


def test_code_in_a_lane_can_be_copied(page: Page, four_models: list[Upstream]) -> None:
    four_models[0].stub.set_behavior(answering("```python\nx = 1\n```\n"))
    compare(page, "single-00", "single-01")
    send_prompt(page)
    wait_for_all_lanes(page)
    page.evaluate("navigator.clipboard.writeText = async (text) => (window.copied = text)")
    lane(page, "A").locator("[data-copy]").click()
    page.wait_for_function("window.copied?.trim() === 'x = 1'")


def test_a_phone_closes_the_sidebar_and_always_shows_a_lane(
    visit: NewVisitor, lanes_app: App, four_models: list[Upstream]
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


def test_escape_stops_the_lanes(page: Page, four_models: list[Upstream]) -> None:
    for upstream in four_models[:2]:
        upstream.stub.set_behavior(endless())
    compare(page, "single-00", "single-01")
    send_prompt(page)
    expect(answer(page, "B")).to_contain_text("word1")
    page.keyboard.press("Escape")
    expect(page.locator(".lane-col .flag", has_text="stopped")).to_have_count(2)
