"""The story of one request, from top to bottom: `Gateway.stream`.

Who can answer is chosen (`roster`), asked (`exchange`) and listened to. Until the first
token a failure is nobody's business but ours: another endpoint is asked, after all of them
the same ones again, then the fallback models. After the first token nothing is asked again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from akash_gradio.domain.chat import EMPTY_MAPPING, ChatRequest
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
)
from akash_gradio.domain.events import Event, Finished, Retrying, Started
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.endpoint_pool import EndpointPool, probe_endpoint
from akash_gradio.gateway.passthrough.reader import PassthroughReader
from akash_gradio.gateway.passthrough.request import (
    PassthroughRequest,
    Question,
    RawChunk,
    StreamItem,
    build_passthrough_payload,
)
from akash_gradio.gateway.passthrough.transport import HttpTransport, Transport
from akash_gradio.gateway.payload import Payload, build_payload
from akash_gradio.gateway.request_state import RequestState, Step
from akash_gradio.gateway.retries import RetryBudget, backoff_s, longest_backoff_s
from akash_gradio.gateway.stream_reader import ReplyReader
from akash_gradio.gateway.upstream_call import Limits, MakeReader, UpstreamCall

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.config.settings import Settings

logger = logging.getLogger(__name__)

WHOLE_ANSWER_TIMES: Final = 5
"""A caller who wants no stream sees the first token with the last: so many times as long may
it take."""

Cards = Callable[[str], ModelCard | None]
PassthroughItem: TypeAlias = Retrying | Started | bytes | Finished


def open_gateway(
    settings: Settings,
    cards: Cards | None = None,
    *,
    transport: Transport | None = None,
    clock: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    on_receipt: Callable[[Receipt], None] = lambda _receipt: None,
) -> Gateway:
    """A gateway to the endpoints of the settings; use it with `async with`.

    cards: catalog id → its card, for the catalog's defaults; None sends no defaults.
    transport: the network, HTTP when None. clock: monotonic seconds. chance: 0 to 1.
    sleep: of pauses, in seconds. on_receipt: called at each answer's end, also without one.
    Does no I/O and needs no running loop.
    """
    return Gateway(
        settings,
        cards or (lambda _model: None),
        transport=transport or HttpTransport(),
        clock=clock,
        chance=chance,
        sleep=sleep,
        on_receipt=on_receipt,
    )


class Gateway:
    """Sees to it that somebody answers. Make it with `open_gateway`; lives on one event loop."""

    def __init__(
        self,
        settings: Settings,
        cards: Cards,
        *,
        transport: Transport,
        clock: Callable[[], float],
        chance: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]],
        on_receipt: Callable[[Receipt], None],
    ) -> None:
        self._settings, self._cards, self._transport = settings, cards, transport
        self._clock, self._chance, self._sleep = clock, chance, sleep
        self._on_receipt = on_receipt
        self._epoch_s = time.time() - clock()
        self._roster = EndpointPool(settings.endpoints, settings.routing)
        self._budget = RetryBudget()
        self._limits = Limits(
            connect_timeout_s=settings.connect_timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
        )
        self._whole_limits = replace(
            self._limits,
            first_token_timeout_s=WHOLE_ANSWER_TIMES * settings.first_token_timeout_s,
        )
        rounds = range(1, settings.retry_attempts + 1)
        self._rest_budget_s = sum(longest_backoff_s(n, settings.retry_delay_ms) for n in rounds)
        self._discovery: asyncio.Task[None] | None = None
        self._newcomer: asyncio.Event | None = None

    async def __aenter__(self) -> Self:
        await self._transport.start(entry.url for entry in self._settings.endpoints)
        self._newcomer = asyncio.Event()
        self._discovery = asyncio.create_task(self._keep_discovering(self._newcomer))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        discovery, self._discovery, self._newcomer = self._discovery, None, None
        try:
            if discovery is not None:
                discovery.cancel()
                await asyncio.gather(discovery, return_exceptions=True)
            await self._roster.cancel_discovery()
        finally:
            await self._transport.aclose()

    # One request, from top to bottom.

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and pass on what is answered; see `domain.events` for the order of events.

        Hold it with `aclosing`: closing it closes the connection to the endpoint. Raises
        RequestRefused, UnknownModel, NoEndpoint, AllEndpointsFailed and ReplyInterrupted, each with
        its `receipt`.
        """
        return self._tell(request, _as_it_is)

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """The same with the endpoint's own bytes: `Retrying* Started bytes* Finished`.

        Each `bytes` holds whole events of a stream, without `[DONE]`; or, where no stream was
        asked, there is one, the whole JSON answer. Hold it and mind its errors as `stream`'s.
        """
        return self._tell(request, _bytes_alone)

    async def _tell(
        self, request: Question, shown: Callable[[Sequence[StreamItem]], Sequence[Any]]
    ) -> AsyncGenerator[Any, None]:
        case = self._take(request)
        exchange: UpstreamCall | None = None
        try:
            await self._look_around(case)
            while exchange is None:
                move = self._next_move(case)
                if (failed := case.report()) is not None:
                    yield Retrying(failed, move.wait_s)
                if move.endpoint is None:
                    await self._sleep(move.wait_s)
                else:
                    exchange = await self._ask(case, move.endpoint, move.model)
            yield Started(exchange.endpoint.alias, exchange.model)
            straight = _straight(request, case)
            events: Sequence[StreamItem] = exchange.opening
            while events:
                for event in shown(events):
                    yield event
                events = await exchange.more(straight)
                case.record.hears(events, exchange.lag_s)
            receipt = await self._finish(case, exchange)
            yield Finished(receipt.finish, receipt)
        except AkashGradioError as error:
            told = error if exchange is None else self._interrupted(exchange, error)
            told.receipt = self._close_case(case, exchange, told)
            raise told from told.__cause__
        finally:
            if exchange is not None:
                await exchange.aclose()
            if case.receipt is None:
                self._close_case(case, exchange)

    def _take(self, request: Question) -> RequestState:
        self._budget.earn(self._clock())
        settings = self._settings
        fallbacks = settings.fallback_models
        if isinstance(request, ChatRequest) and not request.fallback:
            fallbacks = ()
        if isinstance(request, ChatRequest) and request.conversation.has_pictures:
            fallbacks = tuple(model for model in fallbacks if self._sees(model))
        elif isinstance(request, PassthroughRequest) and request.models is not None:
            fallbacks = tuple(model for model in fallbacks if model in request.models)
        return RequestState(
            request,
            self._clock,
            fallbacks=fallbacks,
            extra_attempts=settings.retry_attempts,
            rest_budget_s=self._rest_budget_s,
        )

    def _sees(self, model: str) -> bool:
        card = self._cards(model)
        return card is not None and card.vision

    async def _look_around(self, case: RequestState) -> None:
        """Before saying that nobody serves the model, ask those who never said what they serve.

        A name that nobody knows is a mistake of the caller, and no fallback's business.
        """
        model, pinned = case.request.model, case.request.endpoint
        while not self._roster.serving(model, pinned):
            if self._roster.has_undiscovered():
                lists = self._ask_lists(again=False)
                await asyncio.wait(lists, return_when=asyncio.FIRST_COMPLETED)
                continue
            reason = self._roster.unavailable_error(
                model, known=self._cards(model) is not None, pinned=pinned
            )
            if isinstance(reason, UnknownModel):
                raise reason
            return

    def _next_move(self, case: RequestState) -> Step:
        """Whom to ask now, or how long to pause. Raises when there is nothing left to do."""
        now = self._clock()
        if case.again is not None:
            return case.take_again()
        if case.asked and not self._budget.affords(now):
            raise self._given_up(case, now)
        while case.model is not None:
            move = self._move_for(case, case.model, now)
            if move is not None:
                return move
            case.next_model()
        return self._wait_for_rest(case, now)

    def _move_for(self, case: RequestState, model: str, now: float) -> Step | None:
        """Ask one not tried in this round; when all have been tried, pause before a new round."""
        if not case.may_ask(model):
            return None
        ready = [e for e in self._willing(case, model) if e.ready_in_s(model, now) == 0]
        fresh = [endpoint for endpoint in ready if not case.tried(endpoint.alias, model)]
        if fresh:
            return Step(model=model, endpoint=self._roster.choose(model, fresh))
        if not ready:
            return None
        round_number = case.new_round(model)
        pause_s = backoff_s(round_number, self._settings.retry_delay_ms, self._chance())
        return Step(model=model, wait_s=pause_s)

    def _wait_for_rest(self, case: RequestState, now: float) -> Step:
        """All that is left rests: wait for the first to be back, if that is soon enough."""
        rests = [
            (endpoint.ready_in_s(model, now), model)
            for model in case.models
            if case.may_ask(model)
            for endpoint in self._willing(case, model)
        ]
        wait_s, model = min(rests, default=(float("inf"), ""))
        if not case.affords_rest(wait_s):
            raise self._given_up(case, now)
        case.wait_for(model, wait_s)
        return Step(model=model, wait_s=wait_s)

    def _willing(self, case: RequestState, model: str) -> list[Endpoint]:
        serving = self._roster.serving(model, case.request.endpoint)
        return [endpoint for endpoint in serving if not endpoint.drained and not endpoint.busy]

    async def _ask(self, case: RequestState, endpoint: Endpoint, model: str) -> UpstreamCall | None:
        """Ask one endpoint, up to its first token. None when it failed and others may be asked."""
        card = self._cards(model)
        payload, make_reader = _worded(case.request, endpoint, model, card)
        if case.asked and not case.asking_again:
            self._budget.spend(self._clock())
        limits = self._limits_of(case.request)
        exchange = UpstreamCall(endpoint, model, self._transport, limits, make_reader)
        why = case.asks(endpoint.alias, model, exchange.probe, self._settings.routing)
        logger.debug(
            "attempt.begun", extra={"endpoint": endpoint.alias, "model": model, "why": why}
        )
        case.record.sends(payload.sent)
        try:
            await exchange.open(payload.body, card.custom_headers if card else EMPTY_MAPPING)
        except EndpointError as failure:
            self._blame(exchange, failure)
            case.fails(failure, _status(failure, exchange))
        except RequestRefused as refusal:
            endpoint.record_rejection(exchange.probe)
            case.refused(refusal)
            if not endpoint.is_usage_rejection(refusal):
                raise
            case.ask_again(Step(model=model, endpoint=endpoint))
        else:
            self._note_first_token(case, exchange)
            return exchange
        finally:
            if not exchange.opened:
                await exchange.aclose()
        return None

    def _limits_of(self, request: Question) -> Limits:
        if isinstance(request, PassthroughRequest) and not request.stream:
            return self._whole_limits
        return self._limits

    def _note_first_token(self, case: RequestState, exchange: UpstreamCall) -> None:
        lag_s = exchange.lag_s
        waited_s = case.record.begins(exchange.status, lag_s)
        case.record.hears(exchange.opening, lag_s)
        counts = waited_s if case.request.stream else None
        exchange.endpoint.record_first_token(exchange.model, exchange.probe, counts)

    async def _finish(self, case: RequestState, exchange: UpstreamCall) -> Receipt:
        exchange.endpoint.record_success()
        receipt = self._close_case(case, exchange, finish=exchange.finish_reason)
        await exchange.aclose()
        return receipt

    def _interrupted(self, exchange: UpstreamCall, error: AkashGradioError) -> AkashGradioError:
        """What to raise for an answer that broke off after its first token."""
        if not isinstance(error, EndpointError | RequestRefused):
            return error
        failure = exchange.failure(error)
        self._blame(exchange, failure)
        interrupted = ReplyInterrupted(exchange.endpoint.alias, failure)
        interrupted.__cause__ = failure
        return interrupted

    def _blame(self, exchange: UpstreamCall, failure: EndpointError) -> None:
        rest_s = self._settings.retry_delay_ms / 1000
        exchange.endpoint.record_failure(
            failure, exchange.model, self._clock(), exchange.probe, rest_s
        )
        logger.debug(
            "attempt.failed",
            extra={
                "endpoint": exchange.endpoint.alias,
                "model": exchange.model,
                "outcome": type(failure).__name__,
                "fact": str(failure),
            },
        )

    def _given_up(self, case: RequestState, now: float) -> AkashGradioError:
        """What to raise when nobody is left to ask."""
        model, pinned = case.request.model, case.request.endpoint
        waits = [
            (endpoint.ready_in_s(each, now), endpoint.blocking_error(each, now))
            for each in case.models
            for endpoint in self._willing(case, each)
        ]
        rests = [(wait_s, cause) for wait_s, cause in waits if wait_s > 0 and cause is not None]
        wait_s, cause = min(rests, key=lambda rest: rest[0], default=(None, None))
        if len(rests) < len(waits):
            wait_s = None
        cause = case.last_failure or cause
        # It died under the question and is being started again: nobody has heard the question.
        refused = isinstance(cause, EndpointUnreachable) and cause.reason == "refused"
        if cause is not None and not (refused and self._roster.expects(model, pinned)):
            return AllEndpointsFailed(model, cause, retry_after_s=wait_s, resting=not case.asked)
        return self._roster.unavailable_error(
            model, known=self._cards(model) is not None, pinned=pinned
        )

    def _close_case(
        self,
        case: RequestState,
        exchange: UpstreamCall | None,
        error: AkashGradioError | None = None,
        finish: str = "",
    ) -> Receipt:
        """The receipt, and one line in the log. Without finish or error the caller has left."""
        receipt = case.close(
            error=error,
            finish=finish,
            upstream_id=exchange.upstream_id if exchange else "",
            fingerprint=exchange.fingerprint if exchange else "",
        )
        logger.info("reply.finished", extra=_facts(receipt, error))
        self._on_receipt(receipt)
        return receipt

    # The endpoints.

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint's state now, in the order of the configuration."""
        return self._roster.statuses(self._clock(), self._epoch_s)

    def endpoint(self, alias: str) -> Endpoint | None:
        """The endpoint of this name as it is now, for who checks it."""
        return self._roster.get(alias)

    async def probe_endpoint(self, alias: str) -> None:
        """Ask an endpoint that nobody asks for its models, only to see whether it is there."""
        endpoint = self._roster.get(alias)
        if endpoint is not None:
            connect_s, rest_s = self._limits.connect_timeout_s, self._settings.retry_delay_ms / 1000
            await probe_endpoint(endpoint, self._transport, self._clock, connect_s, rest_s)

    def put_endpoint(self, entry: EndpointSettings) -> None:
        """Add an endpoint, or replace the one of this name; it starts with a clean record."""
        self._roster.put(entry)
        if self._newcomer is not None:
            self._newcomer.set()

    def expect_endpoint(self, alias: str, models: tuple[str, ...]) -> None:
        """It is coming: shown as starting, and requests for its models say so."""
        self._roster.expect(alias, models)

    def remove_endpoint(self, alias: str) -> None:
        """It is gone. What it is answering just now goes on."""
        self._roster.remove(alias)

    def rest_endpoint(self, alias: str, seconds: float) -> None:
        """Another replica found it down: it isn't asked here either, for so long."""
        self._roster.rest(alias, self._clock(), seconds)

    async def discover(self) -> None:
        """Ask now every endpoint whose `models` are left out, and wait until all have said it."""
        lists = self._ask_lists(again=True)
        if lists:
            await asyncio.wait(lists)

    def _ask_lists(self, *, again: bool) -> set[asyncio.Task[None]]:
        timeout_s = self._limits.connect_timeout_s
        return self._roster.discover(self._transport, timeout_s, again=again)

    async def _keep_discovering(self, newcomer: asyncio.Event) -> None:
        while True:
            newcomer.clear()
            self._ask_lists(again=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.discovery_interval_s):
                    await newcomer.wait()


def _worded(
    request: Question, endpoint: Endpoint, model: str, card: ModelCard | None
) -> tuple[Payload, MakeReader]:
    """What to say to the endpoint, and how to read what it says."""
    entry, ask_usage = endpoint.entry, endpoint.accepts_usage
    if isinstance(request, ChatRequest):
        payload = build_payload(request, model=model, card=card, entry=entry, ask_usage=ask_usage)
        if endpoint.starts_in_reasoning(model):
            return payload, partial(ReplyReader, starts_in_reasoning=True)
        return payload, ReplyReader
    reader = partial(
        PassthroughReader,
        stream=request.stream,
        usage=request.wants_usage,
        answers=request.answers,
        rename=model if entry.model_map.get(model, model) != model else "",
    )
    return build_passthrough_payload(request, model=model, entry=entry, ask_usage=ask_usage), reader


def _straight(request: Question, case: RequestState) -> Callable[[RawChunk], bool] | None:
    """Where words go on without a detour by the consumer, if he wants that."""
    take = request.straight if isinstance(request, PassthroughRequest) else None
    if take is None:
        return None
    passes = case.record.passes

    def pass_on(passed: RawChunk) -> bool:
        taken = take(passed.data)
        if taken:
            passes(passed.events)
        return taken

    return pass_on


def _as_it_is(heard: Sequence[StreamItem]) -> Sequence[StreamItem]:
    return heard


def _bytes_alone(heard: Sequence[StreamItem]) -> Sequence[bytes]:
    if len(heard) == 1 and type(heard[0]) is RawChunk:  # nearly always
        return (heard[0].data,)
    return [event.data for event in heard if type(event) is RawChunk]


def _status(failure: EndpointError, exchange: UpstreamCall) -> int | None:
    return failure.upstream_status if isinstance(failure, EndpointRefused) else exchange.status


def _facts(receipt: Receipt, error: AkashGradioError | None) -> Mapping[str, object]:
    """What the log says of an answer; never a word of it."""
    return {
        "model": receipt.answering_model or receipt.requested_model,
        "endpoint": receipt.endpoint,
        "outcome": type(error).__name__ if error is not None else receipt.finish,
        "attempts": len(receipt.attempts),
        "first_token_ms": _ms(receipt.first_token_s),
        "total_ms": _ms(receipt.total_s),
        "tokens_in": receipt.tokens_in.tokens if receipt.tokens_in else None,
        "tokens_out": receipt.tokens_out.tokens if receipt.tokens_out else None,
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
