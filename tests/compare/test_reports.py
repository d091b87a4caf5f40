from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.ranking import rank
from akash_gradio.compare.reports.factory import write_report
from akash_gradio.compare.reports.report import Report, ReportFormat
from akash_gradio.compare.rows import Row
from akash_gradio.compare.summary import summarize
from akash_gradio.compare.task import run_task
from akash_gradio.compare.votes.store import Outcome, Vote
from akash_gradio.domain.chat import ChatRequest, Sampling
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointRefused
from akash_gradio.domain.model import ModelCard
from tests.compare.fakes import FakeGateway, Step, answer, prompt_text

HOSTILE = '<script>alert(1)</script> & "quotes" ```` | =1+1'
ADDRESS = "https://ann:planted-password@eu.planted.example/v1"
PLAN = Plan(
    prompts=(
        Prompt(id="capital", text=f"Capital? {HOSTILE}", system="Prompt's own system."),
        Prompt(
            id="sum",
            text="2 + 2?",
            checks=(
                Check(kind=CheckKind.CONTAINS, value="4"),
                Check(kind=CheckKind.REGEX, value="<b>"),
            ),
        ),
        Prompt(id="dead", text="dies"),
    ),
    lanes=(
        Lane(model="a", system="Lane's system."),
        Lane(model="a", sampling=Sampling(temperature=0.9)),
    ),
    repeats=2,
    seed=3,
)
CARD = ModelCard(id="a", name="Model A", prompt_price=1.0, completion_price=2.0)


def script(request: ChatRequest) -> list[Step]:
    if prompt_text(request) == "dies":
        cause = EndpointRefused("eu-1", 500, detail=f"cannot reach {ADDRESS}")
        return [AllEndpointsFailed("a", cause)]
    return answer(
        request, f"It is 4. {HOSTILE}\n```\n# No heading\n```", reasoning=f"Let me think. {HOSTILE}"
    )


@pytest.fixture
async def report() -> Report:
    gateway = FakeGateway(script)
    rows: dict[int, Row] = {}
    for number in PLAN.order()[:-1]:  # one has no row yet
        rows[number] = await run_task(PLAN.task(number), gateway, {"a": CARD}.get)
    when = datetime(2026, 11, 26, 12, tzinfo=UTC)
    votes = [
        Vote(id=str(n), when=when, a="a", b=PLAN.labels[1], outcome=Outcome.A) for n in range(3)
    ]
    return Report(
        title=f"Trial {HOSTILE}",
        plan=PLAN,
        get_row=rows.get,
        created_at=when,
        names={"a": "Model A"},
        ranking=rank(votes),
    )


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        tags: Names and attributes of the elements.
        text: All text.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def html(report: Report) -> Page:
    return Page("".join(write_report(report, ReportFormat.HTML)))


def test_the_html_contains_prompts_answers_receipts_votes_and_versions(report: Report) -> None:
    page = html(report)
    assert page.count("article") == PLAN.calls - 1
    for text in (
        f"Capital? {HOSTILE}", f"It is 4. {HOSTILE}", "Let me think.", "Prompt's own system.",
        "Lane's system.", "parameters sent", '{"temperature": 0.2}', "fp", "repeat 2",
        "no endpoint answered for 'a': eu-1: status 500", "Akash Gradio 0.", "95 % interval",
        "No clear winner between", "Model A",
        "eu-1 · 0.25 s · ≈ 80 tok/s · ≈ 100 tok · ≈ $0.00021",
        "contains “4”", "matches <b>", "order 3", PLAN.fingerprint,
    ):  # fmt: skip
        assert text in page.text, text


def test_the_html_has_no_scripts_and_makes_no_requests(report: Report) -> None:
    page = html(report)
    assert {"script", "link", "img", "iframe", "form", "a"} & {tag for tag, _ in page.tags} == set()
    for _, attributes in page.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href")}
    text = "".join(write_report(report, ReportFormat.HTML))
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_answers_are_rendered_and_reasoning_is_plain_text(
    report: Report,
) -> None:
    rendered = replace(report, render=lambda text: (f"<p><b>{escape(text[:8])}</b></p>", "<hr>"))
    text = "".join(write_report(rendered, ReportFormat.HTML))
    assert text.count("<p><b>It is 4.</b></p><hr>") == 8
    page = Page(text)
    assert f"Let me think. {HOSTILE}" in page.text
    assert page.count("script") == 0
    for form in set(ReportFormat) - {ReportFormat.HTML}:
        assert list(write_report(rendered, form)) == list(write_report(report, form))


def test_reasoning_is_folded(report: Report) -> None:
    page = html(report)
    assert page.count("details") >= 8
    assert all("open" not in attributes for tag, attributes in page.tags if tag == "details")


def test_every_chart_is_well_formed_and_has_its_figures_as_text(report: Report) -> None:
    text = "".join(write_report(report, ReportFormat.HTML))
    charts = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(charts) == 3
    for chart in charts:
        tree = ET.fromstring(chart)
        assert len(tree.findall("rect")) == 4
        assert re.search(r": A .+, B .+", tree.attrib["aria-label"])


@pytest.mark.parametrize("form", ReportFormat)
def test_the_report_contains_no_address_and_no_key_of_an_endpoint(
    report: Report, form: ReportFormat
) -> None:
    text = "".join(write_report(report, form))
    assert "status 500 (cannot reach [address]" in text.replace("\\", "")
    for planted in ("planted", "://", "ann:"):
        assert planted not in text


def test_the_csv_has_a_line_per_row_and_no_formulas(report: Report) -> None:
    text = "".join(write_report(report, ReportFormat.CSV))
    names, *lines = csv.reader(io.StringIO(text, newline=""))
    rows: list[dict[str, Any]] = [dict(zip(names, line, strict=True)) for line in lines]
    assert len(rows) == PLAN.calls - 1
    assert rows[0]["prompt"] == f"Capital? {HOSTILE}"
    assert rows[2]["failed_checks"] == "regex <b>"
    assert (rows[0]["tokens_out"], rows[0]["tokens_out_reported"]) == ("100", "false")
    assert rows[4]["outcome"] == "AllEndpointsFailed"


def test_the_json_is_valid(report: Report) -> None:
    data = json.loads("".join(write_report(report, ReportFormat.JSON)))
    assert len(data["rows"]) == PLAN.calls - 1
    assert data["rows"][0]["receipt"]["attempts"][0]["endpoint"] == "eu-1"
    assert data["lanes"][0]["summary"]["answered"] == 4
    assert data["ranking"]["votes"] == 3
    assert data["plan"]["repeats"] == 2


def test_an_answer_stays_inside_its_fence_in_markdown(report: Report) -> None:
    text = "".join(write_report(report, ReportFormat.MARKDOWN))
    blocks = re.findall(r"^(`{3,})text\n(.*?)^\1$", text, re.M | re.S)
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.M | re.S)
    assert any("It is 4." in block for _, block in blocks)
    assert "It is 4." not in outside
    assert "No heading" not in outside
    assert "<script" not in re.sub(r"\\.", "", outside)


@pytest.mark.parametrize("form", ReportFormat)
def test_a_run_without_rows_has_a_report(form: ReportFormat) -> None:
    empty = Report(
        title="x", plan=PLAN, get_row=lambda _: None, created_at=datetime.now(UTC), names={}
    )
    text = "".join(write_report(empty, form))
    assert text
    if form is ReportFormat.JSON:
        assert json.loads(text)["rows"] == []


def test_rows_are_read_one_by_one_while_the_report_is_written(report: Report) -> None:
    numbers: list[int] = []

    def get_row(number: int) -> Row | None:
        numbers.append(number)
        return report.get_row(number)

    pieces = write_report(
        Report(title="x", plan=PLAN, get_row=get_row, created_at=report.created_at, names={}),
        ReportFormat.CSV,
    )
    next(pieces)
    next(pieces)
    assert numbers == [0]


# ── summaries ──────────────────────────────────────────────────────────────


def test_a_summary_counts_answers_checks_and_tokens(report: Report) -> None:
    first, second = summarize(PLAN, report.get_row)
    assert (first.finished + second.finished, first.answered, first.checked) == (11, 4, 2)
    assert (first.passed, first.tokens_out, first.estimated) == (0, 400, True)
    assert first.cost == pytest.approx(4 * (12 * 1.0 + 100 * 2.0) / 1e6)
    assert first.first_token_s is not None
    assert first.first_token_s.median == 0.25


async def test_a_lane_with_an_answer_of_unknown_cost_has_no_cost() -> None:
    plan = Plan(prompts=(Prompt(id="1", text="x"),) * 2, lanes=(Lane(model="a"),))
    known: list[dict[str, ModelCard]] = [{"a": CARD}, {}]
    rows = [await run_task(plan.task(n), FakeGateway(script), known[n].get) for n in (0, 1)]
    (only,) = summarize(plan, dict(enumerate(rows)).get)
    assert only.cost is None
