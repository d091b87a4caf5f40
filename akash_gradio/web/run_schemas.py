"""Schemas of the requests below `page/sets`, and their conversion to a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.lane_builder import (
    MAX_STOP_SEQUENCES,
    REASONING_EFFORT_PATTERN,
    Candidate,
    SharedSettings,
    build_lanes,
)
from akash_gradio.compare.plan import MAX_CALLS, MAX_LANES, MAX_REPEATS, Lane, Plan
from akash_gradio.compare.prompt_set import MAX_PROMPT_CHARACTERS, Prompt
from akash_gradio.compare.prompt_set_reader import SetFormat, format_from_name, parse_prompt_set
from akash_gradio.compare.reports.report import ReportFormat
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import PLAN_BYTES
from akash_gradio.domain.tokens import utf8_length
from akash_gradio.web.schemas import RunId


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Model = Annotated[str, Field(min_length=1, max_length=300)]
_Text = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
_Temperature = Annotated[float, Field(ge=0, le=2)]
_MaxTokens = Annotated[int, Field(ge=1, le=1_000_000)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]
_Stop = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=2000)], ...],
    Field(max_length=MAX_STOP_SEQUENCES),
]


class PromptSetRequest(_Schema):
    """A prompt set as it was pasted or opened.

    Attributes:
        text: The content.
        name: The name of the file, which determines its format; "" for pasted text.
    """

    text: str
    name: Annotated[str, Field(max_length=300)] = ""


class CandidateSchema(_Schema):
    """A model with its own settings; null means the settings of all candidates."""

    model: _Model
    temperature: _Temperature | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: _MaxTokens | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: _Stop | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    reasoning_effort: (
        Annotated[str, Field(pattern=rf"^{REASONING_EFFORT_PATTERN.pattern}$")] | None
    ) = None
    system: _Text | None = None
    endpoint: _Model | None = None


class RunRequest(_Schema):
    """A run to forecast or to start.

    Attributes:
        set: The prompts.
        candidates: The models to compare.
        temperatures: Each candidate gets a lane for each of these.
        max_tokens: Maximum length of an answer in tokens, None for the candidates' defaults.
        repeats: How often each prompt is sent to each lane.
        system: The system prompt.
        contains: A text that every answer must contain, "" for no such check.
        title: The run's title, "" for the beginning of its first prompt.
    """

    set: PromptSetRequest
    candidates: Annotated[list[CandidateSchema], Field(min_length=1, max_length=MAX_LANES)]
    temperatures: Annotated[list[_Temperature], Field(max_length=MAX_LANES)] = []
    max_tokens: _MaxTokens | None = None
    repeats: Annotated[int, Field(ge=1, le=MAX_REPEATS)] = 1
    system: _Text = ""
    contains: Annotated[str, Field(max_length=2000)] = ""
    title: Annotated[str, Field(max_length=300)] = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The distinct model ids, in order."""
        return tuple(dict.fromkeys(candidate.model for candidate in self.candidates))


class RunStatusRequest(_Schema):
    """A request for a run's progress and table.

    Attributes:
        run: The run's id.
        first: The number of the first row to show.
        earlier: The id of a run to compare with.
    """

    run: RunId
    first: Annotated[int, Field(ge=0)] = 0
    earlier: RunId | None = None


class RowRequest(_Schema):
    """A request for one row of a run's table."""

    run: RunId
    row: Annotated[int, Field(ge=0)]


class RunActionRequest(_Schema):
    """A request to change a run."""

    run: RunId
    action: Literal["pause", "resume", "stop", "retry", "delete"]


class RunReportRequest(_Schema):
    """A request for a run's report; a preview is only its beginning."""

    run: RunId
    form: ReportFormat
    preview: bool = False


def parse_prompts(body: PromptSetRequest) -> tuple[Prompt, ...]:
    """Parse a prompt set.

    Raises:
        PromptSetError: The set can't be used. Names the rows and columns to fix.
    """
    set_format = format_from_name(body.name) if body.name else SetFormat.LINES
    return parse_prompt_set(body.text, set_format)


def build_plan(body: RunRequest) -> Plan:
    """Build the plan of a run.

    Raises:
        UserError: `invalid_prompt_set`, also for too many lanes or calls.
    """
    check = (Check(kind=CheckKind.CONTAINS, value=body.contains),) if body.contains.strip() else ()
    prompts = tuple(
        Prompt(
            id=prompt.id, text=prompt.text, system=prompt.system, checks=(*prompt.checks, *check)
        )
        for prompt in parse_prompts(body.set)
    )
    shared = SharedSettings(
        temperatures=tuple(body.temperatures), max_tokens=body.max_tokens, system=body.system
    )
    candidates = (Candidate(**candidate.model_dump()) for candidate in body.candidates)
    lanes = build_lanes(tuple(candidates), shared)
    if len(lanes) > MAX_LANES:
        raise _too_large(f"{len(lanes)} lanes; a run has at most {MAX_LANES}.")
    if _size_bytes(prompts, lanes) > PLAN_BYTES:
        raise _too_large(f"A run on the page has at most {PLAN_BYTES // 1_000_000} MB of prompts.")
    plan = Plan(prompts=prompts, lanes=lanes, repeats=body.repeats)
    if plan.calls > MAX_CALLS:
        raise _too_large(f"{plan.calls:,} calls; a run has at most {MAX_CALLS:,}.")
    return plan


def _size_bytes(prompts: Iterable[Prompt], lanes: Iterable[Lane]) -> int:
    texts = [text for prompt in prompts for text in (prompt.id, prompt.text, prompt.system)]
    texts += [check.value for prompt in prompts for check in prompt.checks]
    texts += [lane.system for lane in lanes]
    return sum(utf8_length(text) for text in texts)


def _too_large(detail: str) -> UserError:
    return UserError("invalid_prompt_set", {"detail": detail})
