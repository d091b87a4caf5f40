"""What the page's script sends of prompt sets, checked where it enters."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import MOST_CALLS, MOST_LANES, MOST_REPEATS, Lane, Plan
from akash_gradio.compare.prompts import LONGEST_PROMPT, Prompt, SetRefused
from akash_gradio.compare.report import ReportForm
from akash_gradio.compare.set_reading import SetFormat, format_of, read_set
from akash_gradio.domain.chat import Sampling
from akash_gradio.ui.asked import Fault


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Model = Annotated[str, Field(min_length=1, max_length=300)]
_Text = Annotated[str, Field(max_length=LONGEST_PROMPT)]
RunId = Annotated[str, Field(pattern=r"^[\w-]{16,64}$")]


class AskedSet(_Sent):
    """A set as it was pasted or opened. name: of the file, "" for pasted text."""

    text: str
    name: Annotated[str, Field(max_length=300)] = ""


class AskedRun(_Sent):
    """A run that is to be forecast or begun."""

    set: AskedSet
    models: Annotated[list[_Model], Field(min_length=1, max_length=MOST_LANES)]
    temperatures: Annotated[
        list[Annotated[float, Field(ge=0, le=2)]], Field(max_length=MOST_LANES)
    ] = []
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    repeats: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 1
    system: _Text = ""
    contains: Annotated[str, Field(max_length=2000)] = ""


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
    act: Literal["pause", "go_on", "stop", "forget"]


class AskedReport(_Sent):
    """A report. preview: its beginning alone."""

    run: RunId
    form: ReportForm
    preview: bool = False


def read_sent(kind: type[Any], body: bytes) -> Any:
    """The body as what it is to be. Raises Fault."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Fault("shape", mend=f"{place}: {first['msg']}" if place else first["msg"]) from None


def prompts_of(sent: AskedSet) -> tuple[Prompt, ...]:
    """The prompts of the set. Raises Fault with the rows and columns to mend."""
    form = format_of(sent.name) if sent.name else SetFormat.LINES
    try:
        return read_set(sent.text, form)
    except SetRefused as refused:
        raise Fault("set", mend="\n".join(map(str, refused.mistakes))) from None


def plan_of(asked: AskedRun) -> Plan:
    """The whole run. Raises Fault."""
    check = (
        (Check(kind=CheckKind.CONTAINS, value=asked.contains),) if asked.contains.strip() else ()
    )
    prompts = tuple(
        Prompt(id=each.id, text=each.text, system=each.system, checks=(*each.checks, *check))
        for each in prompts_of(asked.set)
    )
    plan = Plan(prompts=prompts, lanes=_lanes(asked), repeats=asked.repeats)
    if plan.calls > MOST_CALLS:
        raise Fault("set", mend=f"{plan.calls:,} calls; a run has at most {MOST_CALLS:,}.")
    return plan


def _lanes(asked: AskedRun) -> tuple[Lane, ...]:
    models = dict.fromkeys(asked.models)
    ways = list(product(models, dict.fromkeys(asked.temperatures) or [None]))
    if len(ways) > MOST_LANES:
        raise Fault("set", mend=f"{len(ways)} lanes; a run has at most {MOST_LANES}.")
    lanes = []
    for model, temperature in ways:
        own: dict[str, Any] = {"temperature": temperature, "max_tokens": asked.max_tokens}
        sampling = Sampling(**{name: value for name, value in own.items() if value is not None})
        lanes.append(Lane(model=model, sampling=sampling, system=asked.system))
    return tuple(lanes)
