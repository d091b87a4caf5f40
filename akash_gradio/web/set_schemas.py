"""What the page's script sends of prompt sets, checked where it enters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from akash_gradio.compare.candidates import (
    MAX_STOP_SEQUENCES,
    REASONING_EFFORT_PATTERN,
    Candidate,
    SharedSettings,
    build_lanes,
)
from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import MAX_CALLS, MAX_LANES, MAX_REPEATS, Plan
from akash_gradio.compare.prompt_set import MAX_PROMPT_CHARACTERS, Prompt, PromptSetError
from akash_gradio.compare.prompt_set_reader import SetFormat, format_from_name, parse_prompt_set
from akash_gradio.compare.reports.report import ReportFormat
from akash_gradio.domain.errors import UserError


class _Sent(BaseModel):
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
RunId = Annotated[str, Field(pattern=r"^[\w-]{16,64}$")]


class AskedSet(_Sent):
    """A set as it was pasted or opened. name: of the file, "" for pasted text."""

    text: str
    name: Annotated[str, Field(max_length=300)] = ""


class AskedCandidate(_Sent):
    """A model with what is its own; null leaves what holds for all."""

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


class AskedRun(_Sent):
    """A run that is to be forecast or begun. temperatures: several make a lane each. title: what
    its owner calls it, "" for the beginning of its first prompt."""

    set: AskedSet
    candidates: Annotated[list[AskedCandidate], Field(min_length=1, max_length=MAX_LANES)]
    temperatures: Annotated[list[_Temperature], Field(max_length=MAX_LANES)] = []
    max_tokens: _MaxTokens | None = None
    repeats: Annotated[int, Field(ge=1, le=MAX_REPEATS)] = 1
    system: _Text = ""
    contains: Annotated[str, Field(max_length=2000)] = ""
    title: Annotated[str, Field(max_length=300)] = ""

    @property
    def models(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(each.model for each in self.candidates))


class AskedLook(_Sent):
    """How a run goes. first: of the rows that are shown. earlier: the run to compare with."""

    run: RunId
    first: Annotated[int, Field(ge=0)] = 0
    earlier: RunId | None = None


class AskedRow(_Sent):
    """One row of the table, to be read."""

    run: RunId
    row: Annotated[int, Field(ge=0)]


class AskedAct(_Sent):
    """What is to be done with a run."""

    run: RunId
    act: Literal["pause", "go_on", "stop", "again", "forget"]


class AskedReport(_Sent):
    """A report. preview: its beginning alone."""

    run: RunId
    form: ReportFormat
    preview: bool = False


def read_sent(kind: type[Any], body: bytes) -> Any:
    """The body as what it is to be. Raises UserError."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(
            "invalid_request", {"detail": f"{place}: {first['msg']}" if place else first["msg"]}
        ) from None


def prompts_of(sent: AskedSet) -> tuple[Prompt, ...]:
    """The prompts of the set. Raises UserError with the rows and columns to mend."""
    form = format_from_name(sent.name) if sent.name else SetFormat.LINES
    try:
        return parse_prompt_set(sent.text, form)
    except PromptSetError as refused:
        raise UserError(
            "invalid_prompt_set", {"detail": "\n".join(map(str, refused.problems))}
        ) from None


def plan_of(asked: AskedRun) -> Plan:
    """The whole run. Raises UserError."""
    check = (
        (Check(kind=CheckKind.CONTAINS, value=asked.contains),) if asked.contains.strip() else ()
    )
    prompts = tuple(
        Prompt(id=each.id, text=each.text, system=each.system, checks=(*each.checks, *check))
        for each in prompts_of(asked.set)
    )
    common = SharedSettings(
        temperatures=tuple(asked.temperatures), max_tokens=asked.max_tokens, system=asked.system
    )
    candidates = (Candidate(**each.model_dump()) for each in asked.candidates)
    lanes = build_lanes(tuple(candidates), common)
    if len(lanes) > MAX_LANES:
        raise UserError(
            "invalid_prompt_set", {"detail": f"{len(lanes)} lanes; a run has at most {MAX_LANES}."}
        )
    plan = Plan(prompts=prompts, lanes=lanes, repeats=asked.repeats)
    if plan.calls > MAX_CALLS:
        raise UserError(
            "invalid_prompt_set",
            {"detail": f"{plan.calls:,} calls; a run has at most {MAX_CALLS:,}."},
        )
    return plan
