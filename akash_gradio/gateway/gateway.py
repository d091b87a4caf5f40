"""Routes chat requests to endpoints, streams the answers, and retries: `Gateway`.

The life of one request is `Gateway._run`, from top to bottom: choose an endpoint (`endpoint_pool`),
call it (`upstream_call`) and yield what it sends. A failure before the first token stays
invisible to the caller: the gateway fails over to another endpoint, then repeats the round
after a backoff, then tries the fallback models. After the first token it never retries.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

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
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.domain.receipt import Receipt
from akash_gradio.gateway.codec import Cards, ChatCodec, Codec
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.endpoint_pool import EndpointPool, probe_endpoint
from akash_gradio.gateway.passthrough.codec import PassthroughCodec
from akash_gradio.gateway.passthrough.request import (
    PassthroughItem,
    PassthroughRequest,
    StreamItem,
)
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.gateway.receipt_recorder import ReceiptRecorder
from akash_gradio.gateway.request_state import RequestState, Step
from akash_gradio.gateway.retries import RetryBudget, backoff_s, longest_backoff_s
from akash_gradio.gateway.transport import Transport
from akash_gradio.gateway.upstream_call import Timeouts, UpstreamCall

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.config.settings import Settings

logger = logging.getLogger(__name__)

WHOLE_RESPONSE_FACTOR: Final = 5
"""Multiplier of the first-token timeout for non-streaming requests."""

ItemT = TypeVar("ItemT")
OnReceipt = Callable[[Receipt], None]
"""Receives the receipt of a request when it ends."""


def open_gateway(
    settings: Settings,
    cards: Cards | None = None,
    *,
    transport: Transport | None = None,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    on_receipt: OnReceipt = lambda _receipt: None,
) -> Gateway:
    """Create a gateway to the endpoints of the settings; use it with `async with`.

    It does no I/O and needs no running loop.

    Args:
        settings: The endpoints, timeouts and retries.
        cards: Finds the card of a catalog id, whose defaults are sent; None sends none.
        transport: The network, HTTP by default.
        clock: Monotonic seconds.
        jitter: Returns a random number between 0 and 1.
        sleep: Waits for a number of seconds.
        on_receipt: Called at the end of each request, successful or not.
    """
    return Gateway(
        settings,
        cards or (lambda _model: None),
        transport=transport or HttpTransport(),
        clock=clock,
        jitter=jitter,
        sleep=sleep,
        on_receipt=on_receipt,
    )


class Gateway:
    """Routes requests to endpoints. Create it with `open_gateway`; it belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        cards: Cards,
        *,
        transport: Transport,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        on_receipt: OnReceipt,
    ) -> None:
        self._settings, self._cards, self._transport = settings, cards, transport
        self._clock, self._jitter, self._sleep = clock, jitter, sleep
        self._on_receipt = on_receipt
        self._epoch_s = time.time() - clock()
        self._pool = EndpointPool(settings.endpoints, settings.routing)
        self._retry_budget = RetryBudget()
        self._timeouts = Timeouts(
            connect_timeout_s=settings.connect_timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
        )
        self._whole_response_timeouts = replace(
            self._timeouts,
            first_token_timeout_s=WHOLE_RESPONSE_FACTOR * settings.first_token_timeout_s,
        )
        rounds = range(1, settings.retry_attempts + 1)
        self._wait_budget_s = sum(longest_backoff_s(n, settings.retry_delay_ms) for n in rounds)
        self._discovery: asyncio.Task[None] | None = None
        self._endpoint_added: asyncio.Event | None = None

    async def __aenter__(self) -> Self:
        await self._transport.start(entry.url for entry in self._settings.endpoints)
        self._endpoint_added = asyncio.Event()
        self._discovery = asyncio.create_task(self._keep_discovering(self._endpoint_added))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        discovery, self._discovery, self._endpoint_added = self._discovery, None, None
        try:
            if discovery is not None:
                discovery.cancel()
                await asyncio.gather(discovery, return_exceptions=True)
            await self._pool.cancel_discovery()
        finally:
            await self._transport.aclose()

    # One request.

    def stream(
        self, request: ChatRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[Event, None]:
        """Send a request and yield the events of its answer, in the order of `domain.events`.

        Hold the generator with `aclosing`: closing it closes the connection to the endpoint.

        Args:
            request: The request.
            on_receipt: Called once at the end of this request, whatever the end is, unless no
                event was requested.

        Raises:
            RequestRefused: The endpoint rejected the request.
            UnknownModel: No endpoint and no catalog entry has the model.
            NoEndpoint: No endpoint of the model can be called now.
            AllEndpointsFailed: Every attempt failed.
            ReplyInterrupted: The answer broke off after its first token.
                Each of these errors has a `receipt`.
        """
        return self._run(ChatCodec(request), on_receipt)

    def passthrough(
        self, request: PassthroughRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[PassthroughItem, None]:
        """Do the same with the endpoint's own bytes: `Retrying* Started bytes* Finished`.

        In a stream each `bytes` contains whole events, without `[DONE]`; otherwise there is
        only one, the whole JSON response.

        Raises:
            AkashGradioError: As `stream` does.
        """
        return self._run(PassthroughCodec(request), on_receipt)

    async def _run(
        self, codec: Codec[ItemT], on_receipt: OnReceipt | None
    ) -> AsyncGenerator[Retrying | Started | ItemT | Finished, None]:
        state = self._start(codec)
        state.on_receipt = on_receipt
        call: UpstreamCall | None = None
        try:
            await self._ensure_discovered(state)
            while call is None:
                step = self._next_step(state)
                if (failed := state.take_failed_attempt()) is not None:
                    yield Retrying(failed, step.wait_s)
                if step.endpoint is None:
                    await self._sleep(step.wait_s)
                else:
                    call = await self._attempt(codec, state, step.endpoint, step.model)
            yield Started(call.endpoint.alias, call.model)
            if codec.sink is not None:
                call.forward_to(codec.sink, state.recorder.record_forwarded)
            items: Sequence[StreamItem] = call.opening
            while items:
                for item in codec.visible_items(items):
                    yield item
                items = await call.read_items()
                state.recorder.record_items(items, call.lag_s)
            receipt = await self._finish(state, call)
            yield Finished(receipt.finish, receipt)
        except AkashGradioError as cause:
            error = cause if call is None else self._interrupted(call, cause)
            error.receipt = self._close(state, call, error)
            raise error from error.__cause__
        finally:
            if call is not None:
                await call.aclose()
            if state.receipt is None:
                self._close(state, call)

    def _start(self, codec: Codec[object]) -> RequestState:
        self._retry_budget.earn(self._clock())
        return RequestState(
            codec.model,
            codec.endpoint,
            fallbacks=codec.select_fallbacks(self._settings.fallback_models, self._cards),
            recorder=ReceiptRecorder(codec.model, codec.estimate_prompt_tokens, self._clock),
            extra_attempts=self._settings.retry_attempts,
            wait_budget_s=self._wait_budget_s,
        )

    async def _ensure_discovered(self, state: RequestState) -> None:
        """Wait for pending model lists if no endpoint is known to serve the model.

        Raises:
            UnknownModel: The name is a mistake of the caller, so no fallback is tried.
        """
        model, pinned = state.requested_model, state.pinned
        while not self._pool.serving(model, pinned):
            if self._pool.has_undiscovered():
                lists = self._discover(again=False)
                await asyncio.wait(lists, return_when=asyncio.FIRST_COMPLETED)
                continue
            error = self._unavailable_error(state)
            if isinstance(error, UnknownModel):
                raise error
            return

    def _next_step(self, state: RequestState) -> Step:
        """Choose the next endpoint, or a backoff delay.

        Raises:
            AkashGradioError: No attempt is left.
        """
        now = self._clock()
        if state.repeat is not None:
            return state.take_repeat()
        if state.has_attempts and not self._retry_budget.can_afford(now):
            raise self._final_error(state, now)
        while state.model is not None:
            step = self._step_for(state, state.model, now)
            if step is not None:
                return step
            state.next_model()
        return self._wait_for_ready(state, now)

    def _step_for(self, state: RequestState, model: str, now: float) -> Step | None:
        """Choose an endpoint not tried in this round; after all of them, pause before a new round.

        Returns:
            None if no endpoint of the model is ready, or no attempt at it is left.
        """
        if not state.may_attempt(model):
            return None
        ready = [e for e in self._candidates(state, model) if e.ready_in_s(model, now) == 0]
        untried = [endpoint for endpoint in ready if not state.tried(endpoint.alias, model)]
        if untried:
            return Step(model=model, endpoint=self._pool.choose(model, untried))
        if not ready:
            return None
        round_number = state.start_round(model)
        pause_s = backoff_s(round_number, self._settings.retry_delay_ms, self._jitter())
        return Step(model=model, wait_s=pause_s)

    def _wait_for_ready(self, state: RequestState, now: float) -> Step:
        """Wait for the endpoint that is ready first, if the budget covers it."""
        waits = [
            (endpoint.ready_in_s(model, now), model)
            for model in state.models
            if state.may_attempt(model)
            for endpoint in self._candidates(state, model)
        ]
        wait_s, model = min(waits, default=(float("inf"), ""))
        if not state.can_wait(wait_s):
            raise self._final_error(state, now)
        state.wait_for(model, wait_s)
        return Step(model=model, wait_s=wait_s)

    def _candidates(self, state: RequestState, model: str) -> list[Endpoint]:
        serving = self._pool.serving(model, state.pinned)
        return [endpoint for endpoint in serving if not endpoint.drained and not endpoint.busy]

    async def _attempt(
        self, codec: Codec[object], state: RequestState, endpoint: Endpoint, model: str
    ) -> UpstreamCall | None:
        """Call an endpoint, up to the first token. None if it failed and a next step follows."""
        card = self._cards(model)
        payload = codec.encode(endpoint, model, card)
        if state.has_attempts and not state.repeating:
            self._retry_budget.spend(self._clock())
        timeouts = self._whole_response_timeouts if codec.expects_whole_response else self._timeouts
        make_reader = codec.reader_factory(endpoint, model)
        call = UpstreamCall(endpoint, model, self._transport, timeouts, make_reader)
        reason = state.start_attempt(
            endpoint.alias,
            model,
            probe=call.probe,
            routing=self._settings.routing,
            parameters=payload.sent,
        )
        logger.debug(
            "attempt.begun", extra={"endpoint": endpoint.alias, "model": model, "reason": reason}
        )
        opened = False
        try:
            await call.open(payload.body, card.custom_headers if card else EMPTY_MAPPING)
            opened = True
        except EndpointError as error:
            self._record_failure(call, error)
            status = call.status
            if isinstance(error, EndpointRefused):
                status = error.upstream_status
            state.fail_attempt(error, status)
        except RequestRefused as error:
            endpoint.record_rejection(call.probe)
            state.reject_attempt(error)
            if not endpoint.is_usage_rejection(error):
                raise
            state.repeat_at_once(Step(model=model, endpoint=endpoint))
        finally:
            if not opened:
                await call.aclose()
        if not opened:
            return None
        self._record_first_token(state, call, streamed=codec.stream)
        return call

    def _record_first_token(
        self, state: RequestState, call: UpstreamCall, *, streamed: bool
    ) -> None:
        lag_s = call.lag_s
        waited_s = state.recorder.record_first_token(call.status, lag_s)
        state.recorder.record_items(call.opening, lag_s)
        call.endpoint.record_first_token(call.model, call.probe, waited_s if streamed else None)

    async def _finish(self, state: RequestState, call: UpstreamCall) -> Receipt:
        call.endpoint.record_success()
        receipt = self._close(state, call, finish=call.finish_reason)
        await call.aclose()
        return receipt

    def _interrupted(self, call: UpstreamCall, error: AkashGradioError) -> AkashGradioError:
        """Return the error to raise for an answer that broke off after its first token."""
        if not isinstance(error, EndpointError | RequestRefused):
            return error
        cause = call.interruption(error)
        self._record_failure(call, cause)
        interrupted = ReplyInterrupted(call.endpoint.alias, cause)
        interrupted.__cause__ = cause
        return interrupted

    def _record_failure(self, call: UpstreamCall, error: EndpointError) -> None:
        rest_s = self._settings.retry_delay_ms / 1000
        call.endpoint.record_failure(error, call.model, self._clock(), call.probe, rest_s)
        logger.debug(
            "attempt.failed",
            extra={
                "endpoint": call.endpoint.alias,
                "model": call.model,
                "outcome": type(error).__name__,
                "fact": str(error),
            },
        )

    def _final_error(self, state: RequestState, now: float) -> AkashGradioError:
        """Return the error to raise when no attempt is left."""
        waits = [
            (endpoint.ready_in_s(model, now), endpoint.blocking_error(model, now))
            for model in state.models
            for endpoint in self._candidates(state, model)
        ]
        blocked = [(wait_s, cause) for wait_s, cause in waits if wait_s > 0 and cause is not None]
        wait_s, cause = min(blocked, key=lambda block: block[0], default=(None, None))
        if len(blocked) < len(waits):
            wait_s = None
        cause = state.last_failure or cause
        # The server ended and is being restarted: it never received the request.
        refused = isinstance(cause, EndpointUnreachable) and cause.reason == "refused"
        starting = refused and self._pool.expects(state.requested_model, state.pinned)
        if cause is not None and not starting:
            return AllEndpointsFailed(
                state.requested_model,
                cause,
                retry_after_s=wait_s,
                resting=not state.has_attempts,
            )
        return self._unavailable_error(state)

    def _unavailable_error(self, state: RequestState) -> AkashGradioError:
        model = state.requested_model
        known = self._cards(model) is not None
        return self._pool.unavailable_error(model, known=known, pinned=state.pinned)

    def _close(
        self,
        state: RequestState,
        call: UpstreamCall | None,
        error: AkashGradioError | None = None,
        finish: str = "",
    ) -> Receipt:
        """Create the receipt and log it. Without error and finish the caller cancelled."""
        receipt = state.close(
            error=error,
            finish=finish,
            upstream_id=call.upstream_id if call else "",
            fingerprint=call.fingerprint if call else "",
        )
        logger.info("reply.finished", extra=_log_fields(receipt, error))
        self._on_receipt(receipt)
        if state.on_receipt is not None:
            state.on_receipt(receipt)
        return receipt

    # The endpoints.

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the status of every endpoint, in the order of the configuration."""
        return self._pool.statuses(self._clock(), self._epoch_s)

    def endpoint(self, alias: str) -> Endpoint | None:
        """Return the state of an endpoint, for the checker; None if there is none."""
        return self._pool.get(alias)

    async def probe_endpoint(self, alias: str) -> None:
        """Request the models of an endpoint without traffic, only to see whether it responds."""
        endpoint = self._pool.get(alias)
        if endpoint is not None:
            connect_s, rest_s = (
                self._timeouts.connect_timeout_s,
                self._settings.retry_delay_ms / 1000,
            )
            await probe_endpoint(endpoint, self._transport, self._clock, connect_s, rest_s)

    def put_endpoint(self, entry: EndpointSettings) -> None:
        """Add an endpoint, or replace the one with its alias; its state starts anew."""
        self._pool.put(entry)
        if self._endpoint_added is not None:
            self._endpoint_added.set()

    def expect_endpoint(self, alias: str, models: tuple[str, ...]) -> None:
        """Announce an endpoint that is starting; errors for its models say so."""
        self._pool.expect(alias, models)

    def remove_endpoint(self, alias: str) -> None:
        """Remove an endpoint. Its calls in progress continue."""
        self._pool.remove(alias)

    def rest_endpoint(self, alias: str, seconds: float) -> None:
        """Pause an endpoint that another replica reported as down."""
        self._pool.rest(alias, self._clock(), seconds)

    async def discover(self) -> None:
        """Request the models of every endpoint without configured models, and wait for them."""
        lists = self._discover(again=True)
        if lists:
            await asyncio.wait(lists)

    def _discover(self, *, again: bool) -> set[asyncio.Task[None]]:
        return self._pool.discover(self._transport, self._timeouts.connect_timeout_s, again=again)

    async def _keep_discovering(self, endpoint_added: asyncio.Event) -> None:
        while True:
            endpoint_added.clear()
            self._discover(again=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.discovery_interval_s):
                    await endpoint_added.wait()


def _log_fields(receipt: Receipt, error: AkashGradioError | None) -> Mapping[str, object]:
    """Return what is logged about a request; never any of its text."""
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
