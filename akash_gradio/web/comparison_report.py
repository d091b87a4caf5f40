"""Builds the report of a comparison from its contents, which the browser stores and sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from akash_gradio.compare.lanes import LETTERS
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.ranking import Ranking
from akash_gradio.compare.reports.report import Report, ReportFormat
from akash_gradio.compare.rows import OK, Row
from akash_gradio.domain.dates import to_utc
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.web.schemas import SettingsSchema, build_sampling, remove_nul

STOPPED: Final = "Cancelled"
FAILED: Final = "Failed"

_Tokens = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReceiptSchema(_Schema):
    """A receipt as the browser stores it: the `facts` of `receipt_view`."""

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


class AnswerSchema(_Schema):
    """One answer of a lane.

    Attributes:
        requested_at: When it was requested.
        stopped: Whether the visitor stopped it.
        failed: The error's text, "" if it succeeded.
        facts: Its receipt, None without one.
    """

    requested_at: Annotated[AwareDatetime, AfterValidator(to_utc)]
    text: str = ""
    reasoning: str = ""
    stopped: bool = False
    failed: str = ""
    facts: ReceiptSchema | None = None


class PromptSchema(_Schema):
    """A prompt and its answer, None if there is none."""

    prompt: str
    answer: AnswerSchema | None = None


class ComparedLaneSchema(_Schema):
    """One lane with its prompts and answers."""

    model: Annotated[str, Field(min_length=1, max_length=300)]
    endpoint: Annotated[str, Field(max_length=300)] | None = None
    settings: SettingsSchema = SettingsSchema()
    turns: Annotated[list[PromptSchema], Field(max_length=500)]


class ComparisonReportRequest(_Schema):
    """A request for the report of a comparison.

    Attributes:
        lanes: Everything that the report contains.
        form: The format of the file.
        preview: Whether only the beginning is needed.
        votes: The browser's own votes, not validated yet.
    """

    lanes: Annotated[list[ComparedLaneSchema], Field(min_length=1, max_length=len(LETTERS))]
    form: ReportFormat
    preview: bool = False
    votes: list[Any] = []


def build_comparison_plan(body: ComparisonReportRequest) -> Plan:
    """Return the prompts and lanes of a comparison as a plan, in their order."""
    longest = max(body.lanes, key=lambda lane: len(lane.turns))
    return Plan(
        prompts=tuple(
            Prompt(id=f"question {number}", text=remove_nul(turn.prompt))
            for number, turn in enumerate(longest.turns, 1)
        ),
        lanes=tuple(
            Lane(
                model=lane.model,
                sampling=build_sampling(lane.settings),
                system=remove_nul(lane.settings.system),
                endpoint=lane.endpoint,
            )
            for lane in body.lanes
        ),
        stream=all(lane.settings.stream for lane in body.lanes),
    )


def build_comparison_report(
    body: ComparisonReportRequest,
    plan: Plan,
    display_name: Callable[[str], str],
    ranking: Ranking | None,
    title: str,
) -> Report:
    """Build the report of a comparison.

    The answers of a lane that joined later belong to the last prompts.

    Args:
        body: The lanes with their answers.
        plan: From `build_comparison_plan`.
        display_name: Returns the display name of a model id.
        ranking: The ranking of the lanes, None without votes.
        title: The title of the report.
    """
    rows = [_row(body.lanes, plan, number) for number in range(plan.calls)]
    return Report(
        title=title,
        plan=plan,
        get_row=rows.__getitem__,
        created_at=datetime.now(UTC),
        names={lane.model: display_name(lane.model) for lane in plan.lanes},
        ranking=ranking,
    )


def _row(lanes: Sequence[ComparedLaneSchema], plan: Plan, number: int) -> Row | None:
    index, lane = divmod(number, len(lanes))
    turns = lanes[lane].turns
    index -= len(plan.prompts) - len(turns)
    answer = turns[index].answer if index >= 0 else None
    if answer is None:
        return None
    return Row(
        number=number,
        outcome=FAILED if answer.failed else STOPPED if answer.stopped else OK,
        began=answer.requested_at.isoformat(timespec="seconds"),
        answer=remove_nul(answer.text),
        reasoning=remove_nul(answer.reasoning),
        error=answer.failed,
        receipt=_receipt(answer.facts, lanes[lane].model) if answer.facts else None,
        cost=answer.facts.cost if answer.facts else None,
    )


def _receipt(facts: ReceiptSchema, model: str) -> Receipt:
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
