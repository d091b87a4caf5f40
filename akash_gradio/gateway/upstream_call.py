"""One endpoint asked once: from the open connection to the last event, and everything freed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointRefused,
    EndpointTimeout,
    RequestRefused,
)
from akash_gradio.domain.events import ReasoningDelta, TextDelta, ToolCallDelta, Usage
from akash_gradio.gateway.deadline import Deadline, DeadlineExceeded
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.error_responses import error_from_response
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from akash_gradio.gateway.passthrough.transport import Transport, UpstreamResponse, hide_secrets
from akash_gradio.gateway.retries import delay_from_headers

CHAT_PATH: Final = "/chat/completions"
USAGE_WITHIN_S: Final = 2.0
"""After the finish reason, for the usage that follows it."""
END_WITHIN_S: Final = 0.2
"""After the usage, for the end of the stream."""
BODY_END_WITHIN_S: Final = 0.05
"""After the last event, for the end of the body, so that the connection can be used again."""
REFUSAL_WITHIN_S: Final = 5.0
REFUSAL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds to connect, to the first token (connecting included), and between tokens."""

    connect_timeout_s: float
    first_token_timeout_s: float
    idle_timeout_s: float


class Reader(Protocol):
    """Reads one answer: a `ReplyReader`, or a `PassthroughReader` that passes it on."""

    @property
    def done(self) -> bool:
        """Nothing more can come."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """As the endpoint gave it, None before."""
        ...

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the answer."""
        ...

    @property
    def fingerprint(self) -> str:
        """Its `system_fingerprint`."""
        ...

    @property
    def flows(self) -> bool:
        """Whether what comes next, if it is words alone, needs no look."""
        ...

    def words_alone(self, data: bytes) -> RawChunk | None:
        """The bytes as they go on, if they are whole events of words; None says to feed them."""
        ...

    def feed(self, data: bytes) -> Sequence[StreamItem]:
        """What the bytes say. Raises EndpointError and RequestRefused."""
        ...

    def close(self) -> Sequence[StreamItem]:
        """What is left to say at the end. Raises as `feed` does."""
        ...


class MakeReader(Protocol):
    """A new reader, once the answer's head has come."""

    def __call__(self, alias: str, content_type: str | None) -> Reader:
        """alias: of the endpoint. content_type: as the headers say it."""
        ...


class UpstreamCall:
    """Live: takes a slot of the endpoint when made; `aclose` gives back slot and connection.

    opening: what came up to the first token, and opened: that it did. over: nothing more
    will come. probe: whether the breaker lets the endpoint back by this one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        transport: Transport,
        limits: Limits,
        make_reader: MakeReader,
    ) -> None:
        self.endpoint, self.model = endpoint, model
        self.opening: list[StreamItem] = []
        self.over = False
        self.status: int | None = None
        self._transport, self._limits = transport, limits
        self._patience = Deadline(limits.first_token_timeout_s)
        self._headers: Mapping[str, str] = EMPTY_MAPPING
        self._answer: UpstreamResponse | None = None
        self._make_reader = make_reader
        self._reader: Reader | None = None
        self.opened = False
        self._began = self._lingering = self._body_ended = self._closed = False
        self.probe = endpoint.begin_call()

    @property
    def finish_reason(self) -> str:
        """As the endpoint gave it; `stop` where it ended well without a word about it."""
        return (self._reader.finish_reason if self._reader else None) or "stop"

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the answer."""
        return self._reader.upstream_id if self._reader else ""

    @property
    def fingerprint(self) -> str:
        """Its `system_fingerprint`."""
        return self._reader.fingerprint if self._reader else ""

    @property
    def lag_s(self) -> float:
        """Seconds since what was read last had come."""
        return self._answer.lag_s if self._answer else 0.0

    async def open(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Ask, and read up to the first token, or to the end of an answer without words.

        Raises EndpointError and RequestRefused.
        """
        self._headers = headers
        try:
            await self._until_first_token(body)
        except (EndpointError, RequestRefused) as error:
            hide_secrets(error, self.endpoint.entry, headers)
            raise
        self.opened = True

    async def more(
        self, straight: Callable[[RawChunk], bool] | None = None
    ) -> Sequence[StreamItem]:
        """What came next, never empty before the answer is over.

        straight: takes words where they come; what it took is not said here.
        Raises EndpointError and RequestRefused; `failure` says what they mean then. Each token
        comes by here, so the read has no coroutine of its own.
        """
        reader, answer, patience = self._reader, self._answer, self._patience
        assert reader is not None
        assert answer is not None
        while not self.over:
            part = b""
            if not reader.done:
                patience.begin()
                try:
                    if straight is not None and reader.flows:
                        await answer.pour(partial(self._passes, straight, reader))
                    part = await answer.read()
                    patience.end()
                    self._body_ended = not part
                except asyncio.CancelledError:
                    if not patience.end():
                        raise
                    self._do_without(self._too_late(), reader)
                except EndpointError as error:
                    patience.end()
                    self._do_without(error, reader)
            heard = self._hear(part, reader)
            if heard:
                return heard
        return ()

    def failure(self, error: EndpointError | RequestRefused) -> EndpointError:
        """What broke the answer off. A refusal in the middle of one is garbled."""
        hide_secrets(error, self.endpoint.entry, self._headers)
        if isinstance(error, RequestRefused):
            return EndpointMalformed(error.alias, "error_body", error.detail)
        return error

    async def aclose(self) -> None:
        """Free everything; an answer that isn't over is cut off at the endpoint at once."""
        if self._closed:
            return
        self._closed = True
        try:
            done = self._reader is not None and self._reader.done
            if self.over and done and not self._body_ended:
                await self._await_body_end()
            if self._answer is not None:
                await self._answer.aclose()
        finally:
            self._patience.close()
            self.endpoint.end_call(self.probe)

    async def _until_first_token(self, body: bytes) -> None:
        answer = self._answer = await self._connected(body)
        self.status = answer.status
        if not 200 <= answer.status < 300:
            raise await self._refusal(answer)
        self._reader = self._make_reader(self.endpoint.alias, answer.headers.get("content-type"))
        while not (self.over or self._began):
            events = await self.more()
            self.opening += events
            self._began = any(map(_is_token, events))
        if not self._lingering:
            self._patience.renew(self._limits.idle_timeout_s)

    async def _connected(self, body: bytes) -> UpstreamResponse:
        try:
            with self._patience:
                return await self._transport.open(
                    self.endpoint.entry,
                    CHAT_PATH,
                    body,
                    headers=self._headers,
                    connect_timeout_s=self._limits.connect_timeout_s,
                )
        except DeadlineExceeded:
            raise self._too_late() from None

    def _passes(self, straight: Callable[[RawChunk], bool], reader: Reader, part: bytes) -> bool:
        """Nearly each token of a relayed stream comes by here alone."""
        passed = reader.words_alone(part)
        if passed is None or not straight(passed):
            return False
        self._patience.go_on(self._limits.idle_timeout_s)
        return True

    def _do_without(self, failure: EndpointError, reader: Reader) -> None:
        """Raises it, unless the answer is whole and only its end is missing."""
        if reader.finish_reason is None:
            raise failure from None

    def _hear(self, part: bytes, reader: Reader) -> Sequence[StreamItem]:
        if not part:
            self.over = True
            return reader.close()
        events = reader.feed(part)
        if reader.finish_reason is not None:
            self._linger(events)
        elif events and self._began:
            self._patience.renew(self._limits.idle_timeout_s)
        return events

    def _linger(self, events: Sequence[StreamItem]) -> None:
        """The answer is whole; wait a little for its usage, and hardly for what is behind that."""
        if not self._lingering:
            self._lingering = True
            self._patience.renew(USAGE_WITHIN_S)
        if any(isinstance(event, Usage) for event in events):
            self._patience.shorten(END_WITHIN_S)

    def _too_late(self) -> EndpointTimeout:
        alias, limits = self.endpoint.alias, self._limits
        if self._began:
            return EndpointTimeout(alias, "idle", limits.idle_timeout_s)
        return EndpointTimeout(alias, "first_token", limits.first_token_timeout_s)

    async def _refusal(self, answer: UpstreamResponse) -> EndpointRefused | RequestRefused:
        """What a status that is no answer means; its words are read as far as they come."""
        self._patience.shorten(REFUSAL_WITHIN_S)
        body = bytearray()
        with suppress(DeadlineExceeded, EndpointError), self._patience:
            while len(body) < REFUSAL_BYTES and (part := await answer.read()):
                body += part
        rest_s = delay_from_headers(answer.headers, now=datetime.now(UTC))
        return error_from_response(self.endpoint.alias, answer.status, bytes(body), rest_s)

    async def _await_body_end(self) -> None:
        assert self._answer is not None
        self._patience.renew(BODY_END_WITHIN_S)
        with suppress(DeadlineExceeded, EndpointError), self._patience:
            await self._answer.read()


def _is_token(event: StreamItem) -> bool:
    return isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)
