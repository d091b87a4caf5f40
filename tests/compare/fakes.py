"""A gateway that follows a script and records its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.events import Event, Finished, ReasoningDelta, Started, TextDelta
from akash_gradio.domain.model import ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.receipt import Attempt, Count, Receipt

Step = Event | Exception | asyncio.Event
"""An event to yield, an exception to raise, or an `asyncio.Event` to wait for."""
Script = Callable[[ChatRequest], Iterable[Step]]


def make_receipt(request: ChatRequest, **more: Any) -> Receipt:
    facts: dict[str, Any] = {
        "requested_model": request.model,
        "answering_model": request.model,
        "endpoint": request.endpoint or "eu-1",
        "attempts": (
            Attempt(
                endpoint="eu-1",
                model=request.model,
                reason="weighted",
                outcome="ok",
                elapsed_ms=250.0,
            ),
        ),
        "first_token_s": 0.25,
        "total_s": 1.5,
        "tokens_in": Count(tokens=12, reported=True),
        "tokens_out": Count(tokens=100, reported=False),
        "tokens_per_s": 80.0,
        "sent": {"temperature": 0.2},
        "finish": "stop",
        "fingerprint": "fp",
    }
    return Receipt(**(facts | more))


def answer(request: ChatRequest, text: str, reasoning: str = "") -> list[Step]:
    """Return the events of a complete answer."""
    steps: list[Step] = [Started(endpoint="eu-1", model=request.model)]
    steps += [ReasoningDelta(reasoning)] if reasoning else []
    steps += [TextDelta(text)] if text else []
    return [*steps, Finished("stop", make_receipt(request))]


def echo(request: ChatRequest) -> list[Step]:
    return answer(request, f"{request.model}: {prompt_text(request)}")


def prompt_text(request: ChatRequest) -> str:
    return request.conversation.turns[-1].content


def endpoint(
    alias: str, *models: str, weight: int = 1, state: EndpointState = EndpointState.READY
) -> EndpointStatus:
    served = tuple(ServedModel(id=model) for model in models)
    return EndpointStatus(alias=alias, state=state, weight=weight, priority=1, models=served)


class FakeGateway:
    """Streams what a script returns for each request.

    Attributes:
        requests: In the order of their arrival.
        open: Streams that are open.
        closed: Streams that have ended.
        busiest: The most streams that were open at once.
    """

    def __init__(self, script: Script = echo, endpoints: Sequence[EndpointStatus] = ()) -> None:
        self.script, self._endpoints = script, tuple(endpoints)
        self.requests: list[ChatRequest] = []
        self.closed = self.busiest = self.open = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        self.open += 1
        self.busiest = max(self.busiest, self.open)
        try:
            for step in self.script(request):
                await asyncio.sleep(0)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        finally:
            self.open -= 1
            self.closed += 1

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        return self._endpoints


class RecordingSleep:
    """A sleep that returns at once and records the durations."""

    def __init__(self) -> None:
        self.durations_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.durations_s.append(seconds)
        await asyncio.sleep(0)


def prompts(*texts: str, checks: Sequence[Check] = ()) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=str(number), text=text, checks=tuple(checks))
        for number, text in enumerate(texts, 1)
    )


def plan(*texts: str, models: Sequence[str] = ("a", "b"), **more: Any) -> Plan:
    checks = (Check(kind=CheckKind.NOT_EMPTY),)
    lanes = tuple(Lane(model=model) for model in models)
    return Plan(
        **({"prompts": prompts(*(texts or ("one", "two")), checks=checks), "lanes": lanes} | more)
    )
