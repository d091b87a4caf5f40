"""Routes chat requests to endpoints, streams the answers, and retries: `Gateway`.

The life of one request is `Gateway._run`, from top to bottom: choose an endpoint (`selection`),
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
    EndpointError,
    EndpointRefused,
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
from akash_gradio.gateway.failure_policy import judge
from akash_gradio.gateway.passthrough.codec import PassthroughCodec
from akash_gradio.gateway.passthrough.request import (
    PassthroughItem,
    PassthroughRequest,
    StreamItem,
)
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.gateway.receipt_recorder import ReceiptRecorder
from akash_gradio.gateway.request_state import RequestState, Step
from akash_gradio.gateway.selection import Selection
from akash_gradio.gateway.transport import Transport
from akash_gradio.gateway.upstream_call import CHAT_PATH, Timeouts, UpstreamCall

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
        self._clock, self._sleep = clock, sleep
        self._on_receipt = on_receipt
        self._epoch_s = time.time() - clock()
        self._pool = EndpointPool(settings.endpoints, settings.routing)
        self._selection = Selection(self._pool, settings, cards, jitter)
        self._timeouts = Timeouts(
            connect_timeout_s=settings.connect_timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
            request_timeout_s=settings.request_timeout_s,
        )
        self._whole_response_timeouts = replace(
            self._timeouts,
            first_token_timeout_s=WHOLE_RESPONSE_FACTOR * settings.first_token_timeout_s,
        )
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
                step = self._selection.next_step(state, self._clock())
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
        return RequestState(
            codec.model,
            codec.endpoint,
            fallbacks=codec.select_fallbacks(self._settings.fallback_models, self._cards),
            recorder=ReceiptRecorder(codec.model, codec.estimate_prompt_tokens, self._clock),
            extra_attempts=self._settings.retry_attempts,
            wait_budget_s=self._selection.wait_budget_s,
            deadline=self._clock() + self._settings.request_timeout_s,
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
            error = self._selection.unavailable_error(state)
            if isinstance(error, UnknownModel):
                raise error
            return

    async def _attempt(
        self, codec: Codec[object], state: RequestState, endpoint: Endpoint, model: str
    ) -> UpstreamCall | None:
        """Call an endpoint, up to the first token. None if it failed and a next step follows."""
        card = self._cards(model)
        payload = codec.encode(endpoint, model, card)
        repeating = state.repeating
        if not state.was_called(model):
            self._selection.budget(model).earn(self._clock())
        timeouts = self._whole_response_timeouts if codec.expects_whole_response else self._timeouts
        call = UpstreamCall(
            endpoint,
            model,
            self._transport,
            timeouts,
            codec.reader_factory(endpoint, model),
            left_s=state.deadline - self._clock(),
        )
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
        except (EndpointError, RequestRefused) as error:
            endpoint.name_wrong_address(error, CHAT_PATH)
            _log_failure(call, error)
            if isinstance(error, RequestRefused) and endpoint.is_usage_rejection(error):
                endpoint.health.record_rejection(model, call.probe)
                state.close_attempt(error, error.upstream_status)
                state.repeat_at_once(Step(model=model, endpoint=endpoint))
            elif not repeating and endpoint.switch_address(error):
                state.close_attempt(error, _status_of(call, error))
                state.repeat_at_once(Step(model=model, endpoint=endpoint))
            else:
                self._fail_attempt(state, call, error)
        finally:
            if not opened:
                await call.aclose()
        if not opened:
            return None
        self._record_first_token(state, call, streamed=codec.stream)
        return call

    def _fail_attempt(
        self, state: RequestState, call: UpstreamCall, error: EndpointError | RequestRefused
    ) -> None:
        """Record a failed attempt.

        Raises:
            AkashGradioError: No other endpoint can do better.
        """
        endpoint, model, now, verdict = call.endpoint, call.model, self._clock(), judge(error)
        again = state.failures_at(endpoint.alias, model) > 0
        share = 1 - endpoint.health.success_share(model)
        if isinstance(error, RequestRefused):
            endpoint.health.record_rejection(model, call.probe)
        else:
            endpoint.health.record_failure(
                error,
                verdict,
                model,
                now,
                call.probe,
                again=again,
                others=bool(self._pool.peers(endpoint, model, now)),
                default_rest_s=self._settings.retry_delay_ms / 1000,
            )
            if verdict.breaker == "error" and not again:
                state.uncounted_errors.append((endpoint, model))
        status = _status_of(call, error)
        if state.fail_attempt(error, verdict, endpoint.alias, model, status, share):
            self._selection.budget(model).spend(now)
        if not verdict.fail_over:
            raise self._selection.final_error(state, now)

    def _record_first_token(
        self, state: RequestState, call: UpstreamCall, *, streamed: bool
    ) -> None:
        lag_s = call.lag_s
        waited_s = state.recorder.record_first_token(call.status, lag_s)
        state.recorder.record_items(call.opening, lag_s)
        call.endpoint.record_first_token(call.model, call.probe, waited_s if streamed else None)
        if state.last_failure is not None:
            self._count_errors(state)
            if earned := state.earned_repeats(call.model):
                self._selection.budget(call.model).earn(self._clock(), earned)

    def _count_errors(self, state: RequestState) -> None:
        """Count the errors of a request that didn't cause them."""
        now = self._clock()
        for endpoint, model in state.uncounted_errors:
            self._pool.count_error(endpoint, model, now)
        state.uncounted_errors.clear()

    async def _finish(self, state: RequestState, call: UpstreamCall) -> Receipt:
        call.endpoint.health.record_success(call.model)
        receipt = self._close(state, call, finish=call.finish_reason)
        await call.aclose()
        return receipt

    def _interrupted(self, call: UpstreamCall, error: AkashGradioError) -> AkashGradioError:
        """Return the error to raise for an answer that broke off after its first token."""
        if not isinstance(error, EndpointError | RequestRefused):
            return error
        cause = call.interruption(error)
        if judge(cause).fail_over:  # otherwise it was the request's own timeout
            self._pool.record_interruption(call.endpoint, cause, call.model, self._clock())
        _log_failure(call, cause)
        interrupted = ReplyInterrupted(call.endpoint.alias, cause)
        interrupted.__cause__ = cause
        return interrupted

    def _close(
        self,
        state: RequestState,
        call: UpstreamCall | None,
        error: AkashGradioError | None = None,
        finish: str = "",
    ) -> Receipt:
        """Create the receipt and log it. Without error and finish the caller cancelled."""
        if error is not None and call is None and state.tried_once:
            self._count_errors(state)
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
        """Prefer other endpoints to one that another replica reported as down."""
        self._pool.avoid(alias, self._clock(), seconds)

    async def discover(self) -> None:
        """Request the models of every endpoint without configured models, and wait for them."""
        lists = self._discover(again=True)
        if lists:
            await asyncio.wait(lists)

    def _discover(self, *, again: bool) -> set[asyncio.Task[None]]:
        return self._pool.discover(self._transport, self._timeouts.connect_timeout_s, again=again)

    def unknown_fallbacks(self) -> tuple[str, ...]:
        """Return the fallback models that no endpoint and no catalog entry has.

        There are none as long as the models of an endpoint aren't known.
        """
        statuses = self.endpoints()
        if any(status.models is None for status in statuses):
            return ()
        served = {model.id for status in statuses for model in status.models or ()}
        return tuple(
            model
            for model in self._settings.fallback_models
            if model not in served and self._cards(model) is None
        )

    async def _keep_discovering(self, endpoint_added: asyncio.Event) -> None:
        logged: set[str] = set()
        while True:
            endpoint_added.clear()
            if lists := self._discover(again=True):
                await asyncio.wait(lists)
            for model in self.unknown_fallbacks():
                if model not in logged:
                    logged.add(model)
                    logger.warning("fallback.unknown_model", extra={"model": model})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.discovery_interval_s):
                    await endpoint_added.wait()


def _status_of(call: UpstreamCall, error: EndpointError | RequestRefused) -> int | None:
    if isinstance(error, EndpointRefused | RequestRefused):
        return error.upstream_status
    return call.status


def _log_failure(call: UpstreamCall, error: EndpointError | RequestRefused) -> None:
    """Log a failed attempt with the endpoint's own words, which are redacted already."""
    if logger.isEnabledFor(logging.DEBUG):
        facts = {
            "endpoint": call.endpoint.alias,
            "model": call.model,
            "outcome": type(error).__name__,
            "status": _status_of(call, error),
            "fact": str(error),
            "detail": getattr(error, "detail", ""),
        }
        logger.debug("attempt.failed", extra=facts)


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
