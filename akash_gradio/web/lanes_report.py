"""What was said in lanes, as a report. The browser has it all, so it travels with the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from akash_gradio.compare.lanes import LETTERS
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.ranking import Ranking
from akash_gradio.compare.reports.report import Report, ReportFormat
from akash_gradio.compare.rows import OK, Row
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.markdown.renderer import render
from akash_gradio.web.schemas import AskedSettings, clean, sampling_of

STOPPED = "Cancelled"
FAILED = "Failed"

_Tokens = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SentFacts(_Sent):
    """A receipt as the browser keeps it, the `facts` of `present.receipt_view`."""

    model: str = ""
    endpoint: str = ""
    first_token_s: _Seconds | None = None
    total_s: _Seconds = 0
    tokens_per_s: _Seconds | None = None
    tokens_in: _Tokens | None = None
    tokens_in_reported: bool = False
    tokens_out: _Tokens | None = None
    reported: bool | None = None
    tokens_reasoning: _Tokens | None = None
    cost: float | None = None
    finish: str = ""
    sent: dict[str, Any] = {}


class SentAnswer(_Sent):
    """failed: the error's words, "" when all went well. asked: when."""

    asked: AwareDatetime
    text: str = ""
    reasoning: str = ""
    stopped: bool = False
    failed: str = ""
    facts: SentFacts | None = None


class SentTurn(_Sent):
    """A question, and what became of it."""

    question: str
    answer: SentAnswer | None = None


class SentLane(_Sent):
    """One lane with all that was said in it."""

    model: Annotated[str, Field(min_length=1, max_length=300)]
    endpoint: Annotated[str, Field(max_length=300)] | None = None
    settings: AskedSettings = AskedSettings()
    turns: Annotated[list[SentTurn], Field(max_length=500)]


class AskedLanesReport(_Sent):
    """A report of lanes. preview: its beginning alone. votes: the browser's own, unread."""

    lanes: Annotated[list[SentLane], Field(min_length=1, max_length=len(LETTERS))]
    form: ReportFormat
    preview: bool = False
    votes: list[Any] = []


def lanes_plan(asked: AskedLanesReport) -> Plan:
    """Questions × lanes, in the order in which they were asked."""
    longest = max(asked.lanes, key=lambda lane: len(lane.turns))
    return Plan(
        prompts=tuple(
            Prompt(id=f"question {place}", text=clean(turn.question))
            for place, turn in enumerate(longest.turns, 1)
        ),
        lanes=tuple(
            Lane(
                model=lane.model,
                sampling=sampling_of(lane.settings),
                system=clean(lane.settings.system),
                endpoint=lane.endpoint,
            )
            for lane in asked.lanes
        ),
        stream=all(lane.settings.stream for lane in asked.lanes),
    )


def lanes_report(
    asked: AskedLanesReport,
    plan: Plan,
    name_of: Callable[[str], str],
    ranking: Ranking | None,
    title: str,
) -> Report:
    """The report; a lane that joined later has its answers beside their questions."""
    rows = [_row(asked.lanes, plan, number) for number in range(plan.calls)]
    return Report(
        title=title,
        plan=plan,
        get_row=rows.__getitem__,
        created_at=datetime.now(UTC),
        names={lane.model: name_of(lane.model) for lane in plan.lanes},
        ranking=ranking,
        render=render,
    )


def _row(lanes: Sequence[SentLane], plan: Plan, number: int) -> Row | None:
    place, lane = divmod(number, len(lanes))
    turns = lanes[lane].turns
    place -= len(plan.prompts) - len(turns)
    answer = turns[place].answer if place >= 0 else None
    if answer is None:
        return None
    return Row(
        number=number,
        outcome=FAILED if answer.failed else STOPPED if answer.stopped else OK,
        began=answer.asked.astimezone(UTC).isoformat(timespec="seconds"),
        answer=clean(answer.text),
        reasoning=clean(answer.reasoning),
        said=answer.failed,
        receipt=_receipt(answer.facts, lanes[lane].model) if answer.facts else None,
        cost=answer.facts.cost if answer.facts else None,
    )


def _receipt(facts: SentFacts, model: str) -> Receipt:
    return Receipt(
        requested_model=model,
        answering_model=facts.model,
        endpoint=facts.endpoint,
        first_token_s=facts.first_token_s,
        total_s=facts.total_s,
        tokens_per_s=facts.tokens_per_s,
        finish=facts.finish,
        sent=facts.sent,
        tokens_in=_count(facts.tokens_in, facts.tokens_in_reported),
        tokens_out=_count(facts.tokens_out, facts.reported or False),
    )


def _count(tokens: int | None, reported: bool) -> Count | None:
    return None if tokens is None else Count(tokens=tokens, reported=reported)
