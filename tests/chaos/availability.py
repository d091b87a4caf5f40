"""Situations in which endpoints fail, and the share of requests that has to be answered.

Whether an attempt fails is drawn for each request and each of its attempts in advance, so that
the requests that independent retries would answer are known: those with a success among their
first 1 + `RETRY_ATTEMPTS` draws. A gateway must answer as many, less one in a hundred. Where one
endpoint is healthy it must answer all.

`run` sends the requests through a gateway whose network is simulated, in virtual time; `serve`
through `/v1` over sockets. `make chaos` runs all situations with `serve`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import Settings
from akash_gradio.domain.errors import AkashGradioError, EndpointUnreachable, RequestRefused
from akash_gradio.gateway import Gateway, open_gateway
from tests.api.serving import Served, chat_body, serving
from tests.gateway.fakes import (
    FakeReply,
    FakeResponse,
    FakeTransport,
    chat_request,
    collect,
    error_reply,
    prompt,
    streamed_reply,
    wait_forever,
)
from tests.stubs import Exchange, StubEndpoint, settings_for
from tests.stubs.wire import DONE, error, finish_event, text_event, to_json

MARGIN: Final = 0.01
"""The share of requests by which a gateway may fall short of independent retries."""
LATENCY_S: Final = 0.02


class Fault(Enum):
    """What an endpoint does with a request."""

    NONE = auto()
    STATUS_500 = auto()
    CLOSES = auto()
    """It closes the connection before the first byte."""
    HANGS = auto()
    REFUSES_KEY = auto()
    """403 without a reason."""
    INVALID = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that arrives at an endpoint.

    Attributes:
        endpoint: Its name.
        request: The number of the request, from 0.
        attempt: The number of the attempt of this request, from 0, at whichever endpoint.
    """

    endpoint: str
    request: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A situation.

    Attributes:
        name: What it is called.
        endpoints: The endpoints by name, with their fields.
        fault: What an endpoint does with a call.
        expected: Whether a request, by its number, has to be answered.
        requests: How many there are.
        at_once: How many clients send them.
        model: The model of a request.
        variables: Settings.
        margin: The share of the requests by which the expectation may be missed.
    """

    name: str
    endpoints: Mapping[str, Mapping[str, Any]]
    fault: Callable[[Call], Fault]
    expected: Callable[[int], bool] = lambda _: True
    requests: int = 400
    at_once: int = 8
    model: Callable[[int], str] = lambda _: "m"
    variables: Mapping[str, object] = field(default_factory=dict)
    margin: float = 0.0


@dataclass(slots=True)
class Outcome:
    """What became of the requests of a situation.

    Attributes:
        answered: The requests that were answered.
        rejected: Those that were rejected as invalid.
        calls: The calls that the endpoints received.
        longest_s: The longest time until a request was answered or failed.
    """

    situation: Situation
    answered: int = 0
    rejected: int = 0
    calls: int = 0
    longest_s: float = 0.0

    @property
    def expected(self) -> int:
        """How many requests independent retries would answer."""
        numbers = range(self.situation.requests)
        return sum(map(self.situation.expected, numbers))

    @property
    def fell_short(self) -> bool:
        """Whether too few requests were answered."""
        return self.answered < self.expected - self.situation.margin * self.situation.requests

    def __str__(self) -> str:
        situation = self.situation
        share = self.answered / situation.requests
        return (
            f"{situation.name}: {self.answered} of {situation.requests} answered ({share:.1%}), "
            f"independent retries {self.expected}, {self.rejected} rejected, {self.calls} calls, "
            f"longest {self.longest_s:.1f} s"
        )


def _names(count: int) -> dict[str, dict[str, Any]]:
    return {f"e{number}": {} for number in range(count)}


def _draw(name: str, call_number: int, attempt: int) -> float:
    return random.Random(f"{name} {call_number} {attempt}").random()


def random_failures(
    probability: float, endpoints: int, fault: Fault, *, at_once: int = 8, attempts: int = 4
) -> Situation:
    """Return a situation in which every endpoint fails with a probability."""
    name = f"{probability:.0%} {fault.name.lower()} at each of {endpoints}, {at_once} at once"

    def fails(number: int, attempt: int) -> bool:
        return _draw(name, number, attempt) < probability

    return Situation(
        name=f"{name}, {attempts} attempts",
        endpoints=_names(endpoints),
        fault=lambda call: fault if fails(call.request, call.attempt) else Fault.NONE,
        expected=lambda number: not all(fails(number, attempt) for attempt in range(attempts)),
        at_once=at_once,
        variables={"RETRY_ATTEMPTS": attempts - 1},
        margin=MARGIN,
    )


def one_broken(fault: Fault, *, of: int = 2, at_once: int = 8) -> Situation:
    """Return a situation in which the first endpoint always fails, and the others never."""
    return Situation(
        name=f"one of {of} {fault.name.lower()}, {at_once} at once",
        endpoints=_names(of),
        fault=lambda call: fault if call.endpoint == "e0" else Fault.NONE,
        at_once=at_once,
    )


def many_models(count: int, fault: Fault) -> Situation:
    """Return a situation in which the first endpoint of each model is broken."""
    endpoints = {
        f"m{number}-{rank}": {"models": [f"m{number}"], "priority": rank}
        for number in range(count)
        for rank in (1, 2)
    }
    return Situation(
        name=f"the first endpoint of each of {count} models {fault.name.lower()}",
        endpoints=endpoints,
        fault=lambda call: fault if call.endpoint.endswith("-1") else Fault.NONE,
        model=lambda number: f"m{number % count}",
        requests=count,
        at_once=50,
    )


def forbidden_prompts(endpoints: int) -> Situation:
    """Return a situation in which some prompts get 403 and others 400, at every endpoint."""

    def fault(call: Call) -> Fault:
        if call.request % 5 == 0:
            return Fault.REFUSES_KEY
        return Fault.INVALID if call.request % 5 == 1 else Fault.NONE

    return Situation(
        name=f"a fifth of the prompts 403, a fifth 400, {endpoints} endpoints",
        endpoints=_names(endpoints),
        fault=fault,
        expected=lambda number: number % 5 > 1,
    )


def recovery(fault: Fault, failing: int = 30) -> Situation:
    """Return a situation in which an only endpoint fails some requests and then recovers."""
    return Situation(
        name=f"an only endpoint {fault.name.lower()} {failing} requests, then recovers",
        endpoints=_names(1),
        fault=lambda call: fault if call.request < failing else Fault.NONE,
        expected=lambda number: number >= failing,
        requests=failing + 20,
        at_once=1,
        variables={"RETRY_ATTEMPTS": 0},
    )


def one_dead_one_random(probability: float) -> Situation:
    """Return a situation in which one endpoint is down and the other fails at random."""
    name = f"one closes, the other fails {probability:.0%}"

    def fails(number: int, attempt: int) -> bool:
        return _draw(name, number, attempt) < probability

    def fault(call: Call) -> Fault:
        if call.endpoint == "e0":
            return Fault.CLOSES
        return Fault.STATUS_500 if fails(call.request, call.attempt) else Fault.NONE

    return Situation(
        name=name,
        endpoints=_names(2),
        fault=fault,
        # The first is avoided soon. Retries in turn would reach the other only twice.
        expected=lambda number: not all(fails(number, attempt) for attempt in range(4)),
        margin=MARGIN,
    )


def exchange(first: Fault, second: Fault) -> Situation:
    """Return a situation in which one endpoint recovers when the other begins to fail."""

    def fault(call: Call) -> Fault:
        if call.request < 200:
            return first if call.endpoint == "e0" else Fault.NONE
        return second if call.endpoint == "e1" else Fault.NONE

    return Situation(
        name=f"e0 {first.name.lower()}, then recovers while e1 {second.name.lower()}",
        endpoints=_names(2),
        fault=fault,
    )


SITUATIONS: Final = (
    *(
        random_failures(probability, endpoints, fault)
        for probability in (0.1, 0.3, 0.5)
        for endpoints in (1, 2, 3)
        for fault in (Fault.STATUS_500, Fault.CLOSES)
    ),
    random_failures(0.3, 2, Fault.STATUS_500, attempts=3),
    random_failures(0.3, 1, Fault.STATUS_500, at_once=400),
    random_failures(0.3, 2, Fault.CLOSES, at_once=400),
    random_failures(0.7, 2, Fault.STATUS_500),
    one_broken(Fault.CLOSES, at_once=400),
    one_broken(Fault.STATUS_500, at_once=400),
    one_broken(Fault.CLOSES),
    one_broken(Fault.HANGS, of=3),
    one_broken(Fault.HANGS, at_once=400),
    one_broken(Fault.REFUSES_KEY),
    many_models(400, Fault.CLOSES),
    many_models(400, Fault.STATUS_500),
    forbidden_prompts(1),
    forbidden_prompts(2),
    recovery(Fault.CLOSES),
    recovery(Fault.STATUS_500),
    one_dead_one_random(0.3),
    exchange(Fault.CLOSES, Fault.CLOSES),
    exchange(Fault.CLOSES, Fault.STATUS_500),
    exchange(Fault.STATUS_500, Fault.HANGS),
    exchange(Fault.REFUSES_KEY, Fault.STATUS_500),
)


class Scenario:
    """The endpoints of one run of a situation."""

    def __init__(self, situation: Situation) -> None:
        self.outcome = Outcome(situation)
        self._situation = situation
        self._attempts: dict[int, int] = {}

    def fault(self, endpoint: str, number: int) -> Fault:
        """Return what an endpoint does with a call."""
        attempt = self._attempts.get(number, 0)
        self._attempts[number] = attempt + 1
        self.outcome.calls += 1
        call = Call(endpoint=endpoint, request=number, attempt=attempt)
        return self._situation.fault(call)

    async def send_all(self, send: Callable[[int, str], Any]) -> Outcome:
        """Send the requests; `send` returns True when one is answered, None when rejected."""
        numbers = iter(range(self._situation.requests))
        async with asyncio.TaskGroup() as group:
            for _ in range(self._situation.at_once):
                group.create_task(self._send_next(numbers, send))
        return self.outcome

    async def _send_next(self, numbers: Any, send: Callable[[int, str], Any]) -> None:
        loop, outcome = asyncio.get_running_loop(), self.outcome
        for number in numbers:
            begun = loop.time()
            answered = await send(number, self._situation.model(number))
            outcome.longest_s = max(outcome.longest_s, loop.time() - begun)
            outcome.answered += answered is True
            outcome.rejected += answered is None


# In virtual time.


class FaultyNetwork(FakeTransport):
    """A network whose endpoints fail as a scenario says."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self._scenario = scenario

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> FakeResponse:
        assert body is not None
        number = int(json.loads(body)["messages"][-1]["content"])
        fault = self._scenario.fault(entry.name, number)
        await asyncio.sleep(LATENCY_S)
        if fault is Fault.HANGS:
            await wait_forever()
        if fault is Fault.CLOSES:
            raise EndpointUnreachable(entry.name, "reset")
        return FakeResponse(self, entry.name, _REPLIES[fault])


_REPLIES: Final[Mapping[Fault, FakeReply]] = {
    Fault.NONE: streamed_reply("answer"),
    Fault.STATUS_500: error_reply(500, "random"),
    Fault.REFUSES_KEY: error_reply(403, "Forbidden"),
    Fault.INVALID: error_reply(400, "temperature must be below 2"),
}


async def run(situation: Situation, **variables: object) -> Outcome:
    """Run a situation on a simulated network. Run it in virtual time."""
    scenario = Scenario(situation)
    names = {name: f"http://{name}.test/v1" for name in situation.endpoints}
    loop = asyncio.get_running_loop()
    gateway: Gateway = open_gateway(
        _settings(situation, names, {"FIRST_TOKEN_TIMEOUT": 60, "RETRY_DELAY": 1000} | variables),
        transport=FaultyNetwork(scenario),
        clock=loop.time,
        jitter=random.Random(1).random,
    )

    async def send(number: int, model: str) -> bool | None:
        try:
            await collect(gateway, chat_request(model, conversation=prompt(str(number))))
        except RequestRefused:
            return None
        except AkashGradioError:
            return False
        return True

    return await scenario.send_all(send)


# Over sockets.


async def serve(situation: Situation) -> Outcome:
    """Run a situation through `/v1` and over sockets."""
    scenario = Scenario(situation)
    async with faulty_endpoints(scenario) as urls:
        settings = _settings(situation, urls, {"FIRST_TOKEN_TIMEOUT": 5, "RETRY_DELAY": 20})
        async with serving(settings) as served:
            return await scenario.send_all(lambda n, model: _send_over_http(served, n, model))


@asynccontextmanager
async def faulty_endpoints(scenario: Scenario) -> AsyncIterator[dict[str, str]]:
    """Serve all endpoints of a scenario on one port; gives their base URLs by name."""

    async def respond(x: Exchange) -> None:
        number = int(x.request.json["messages"][-1]["content"])
        fault = scenario.fault(x.request.path.split("/")[1], number)
        if fault is Fault.HANGS:
            await x.hang()
        elif fault is Fault.STATUS_500:
            await x.reply(to_json(error("random")), 500)
        elif fault is Fault.REFUSES_KEY:
            await x.reply(to_json(error("Forbidden")), 403)
        elif fault is Fault.INVALID:
            await x.reply(to_json(error("temperature must be below 2")), 400)
        elif fault is Fault.NONE:
            await x.open_stream()
            await x.send(text_event("answer") + finish_event() + DONE)
            await x.end()

    async with StubEndpoint(respond) as stub:
        base = f"http://127.0.0.1:{stub.port}"
        names = scenario.outcome.situation.endpoints
        yield {name: f"{base}/{name}/v1" for name in names}


async def _send_over_http(served: Served, number: int, model: str) -> bool | None:
    response = await served.ask(chat_body(str(number), model=model, stream=True))
    if 400 <= response.status < 500 and response.status != 429:
        return None
    return response.status == 200 and response.body.endswith(b"[DONE]\n\n")


def _settings(
    situation: Situation, urls: Mapping[str, str], variables: Mapping[str, object]
) -> Settings:
    entries = [
        {"name": name, "url": urls[name], "models": ["m"], **fields}
        for name, fields in situation.endpoints.items()
    ]
    return settings_for(*entries, **{**variables, **situation.variables})
