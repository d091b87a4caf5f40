"""One call of one endpoint, from connecting to releasing the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointRefused,
    EndpointTimeout,
    RequestRefused,
)
from akash_gradio.domain.events import (
    MediaDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.known_secrets import NO_SECRETS
from akash_gradio.gateway.answer_redaction import AnswerRedactor, redact_error, safe_identifier
from akash_gradio.gateway.codec import Reader, ReaderFactory
from akash_gradio.gateway.deadline import Deadline, DeadlineExceeded
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.error_responses import error_from_response
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
from akash_gradio.gateway.passthrough.sink import Sink
from akash_gradio.gateway.transport import Transport, UpstreamResponse

UNKNOWN_FINISH: Final = "other"
"""Finish reason in place of one that isn't an identifier."""
CHAT_PATH: Final = "/chat/completions"
USAGE_TIMEOUT_S: Final = 2.0
"""Seconds to wait for the usage after the finish reason."""
EMPTY_CHUNKS_FACTOR: Final = 10
"""How many idle timeouts chunks without output may extend an answer after its last output."""
END_TIMEOUT_S: Final = 0.2
"""Seconds to wait for the end of the stream after the usage."""
BODY_END_TIMEOUT_S: Final = 0.05
"""Seconds to wait for the end of the body after the last event, to reuse the connection."""
ERROR_BODY_TIMEOUT_S: Final = 5.0
"""Seconds to wait for the body of an error response."""
ERROR_BODY_BYTES: Final = 64 * 1024
"""How much of the body of an error response is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts of a call.

    Attributes:
        connect_timeout_s: Seconds to connect.
        first_token_timeout_s: Seconds to the first token, connecting included.
        idle_timeout_s: Seconds between two tokens.
        request_timeout_s: Seconds for the whole request, all its attempts included.
    """

    connect_timeout_s: float
    first_token_timeout_s: float
    idle_timeout_s: float
    request_timeout_s: float


class Phase(IntEnum):
    """The phases of a call, in their order. A call may skip phases, but never goes back."""

    CONNECTING = 0
    """No response head was received."""
    WAITING = 1
    """The head was received, but no token."""
    STREAMING = 2
    """The first token was received."""
    FINISHING = 3
    """The finish reason was received: the answer is complete, usage and end may follow."""
    ENDED = 4
    """The reader returned its last item; the body may continue."""
    BODY_ENDED = 5
    """The body was read to its end, so the connection can be reused."""
    CLOSED = 6
    """The connection and the endpoint's slot were released."""


# Python 3.11 looks members up in the class slowly, and each read of a body needs some.
CONNECTING, WAITING, STREAMING, FINISHING, ENDED, BODY_ENDED, CLOSED = Phase


class UpstreamCall:
    """One call of an endpoint.

    It occupies a slot of the endpoint from its creation to `aclose`.

    Args:
        endpoint: The endpoint to call.
        model: The catalog id of the model that is called.
        transport: The network.
        timeouts: The timeouts.
        make_reader: Creates the reader of the response.
        left_s: How much of the request's timeout is left.

    Attributes:
        opening: The items received up to the first token.
        status: The HTTP status, None before it was received.
        probe: Whether the call is the probe of the endpoint's half-open breaker.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        transport: Transport,
        timeouts: Timeouts,
        make_reader: ReaderFactory,
        left_s: float,
    ) -> None:
        self.endpoint, self.model = endpoint, model
        self.opening: list[StreamItem] = []
        self.status: int | None = None
        self._transport, self._timeouts = transport, timeouts
        self._make_reader, self._left_s = make_reader, left_s
        self._phase = CONNECTING
        self._deadline = Deadline(timeouts.first_token_timeout_s, limit_s=left_s)
        self._headers: Mapping[str, str] = EMPTY_MAPPING
        self._secrets = NO_SECRETS
        self._redactor: AnswerRedactor | None = None
        self._response: UpstreamResponse | None = None
        self._reader: Reader | None = None
        self._forwarder: _Forwarder | None = None
        self._finish_is_final = True
        """Whether a finish reason means the end: not if one came beside or before output."""
        self._empty_since: tuple[float, int] | None = None
        """When the first chunk without output came after that many bytes of output."""
        self.probe = endpoint.begin_call(model)

    @property
    def finish_reason(self) -> str:
        """The endpoint's finish reason, `stop` if it gave none."""
        reason = (self._reader.finish_reason if self._reader else None) or "stop"
        return safe_identifier(reason, self._secrets) or UNKNOWN_FINISH

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the response."""
        return safe_identifier(self._reader.upstream_id, self._secrets) if self._reader else ""

    @property
    def fingerprint(self) -> str:
        """The `system_fingerprint` of the response."""
        return safe_identifier(self._reader.fingerprint, self._secrets) if self._reader else ""

    @property
    def lag_s(self) -> float:
        """Seconds since the bytes read last were received."""
        return self._response.lag_s if self._response else 0.0

    async def open(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the request, and read up to the first token, or to the end without one.

        Args:
            body: The payload.
            headers: The model's custom headers.

        Raises:
            EndpointError: The endpoint failed.
            RequestRefused: The endpoint rejected the request.
        """
        self._headers, self._secrets = headers, self.endpoint.secrets(headers)
        if self._secrets.in_answers:
            self._redactor = AnswerRedactor(self._secrets)
        try:
            await self._read_to_first_token(body)
        except (EndpointError, RequestRefused) as error:
            redact_error(error, self._secrets)
            raise

    def forward_to(self, sink: Sink, on_forwarded: Callable[[RawChunk], None]) -> None:
        """Write plain events directly to the sink until the finish reason.

        `read_items` leaves these events out.

        Args:
            sink: Receives the bytes.
            on_forwarded: Called with what was written after each write.
        """
        assert self._reader is not None
        if self._phase < FINISHING:
            self._forwarder = _Forwarder(
                sink,
                self._reader,
                self._deadline,
                self._timeouts.idle_timeout_s,
                on_forwarded,
                self._redactor,
            )

    async def read_items(self) -> Sequence[StreamItem]:
        """Return the next items; none at the end.

        Each token passes through here, so the read has no coroutine of its own.

        Raises:
            EndpointError: The endpoint failed; see `interruption`.
            RequestRefused: The endpoint sent an error about the request; see `interruption`.
        """
        reader, response, deadline = self._reader, self._response, self._deadline
        assert reader is not None
        assert response is not None
        while self._phase < ENDED:
            data = b""
            if not reader.done:
                deadline.begin()
                try:
                    if self._forwarder is not None and reader.passthrough_ready:
                        await response.pipe_to(self._forwarder)
                    data = await response.read()
                    deadline.end()
                    if not data:
                        self._advance(BODY_ENDED)
                except asyncio.CancelledError:
                    if not deadline.end():
                        raise
                    self._raise_unless_complete(self._timeout_error(), reader)
                except EndpointError as error:
                    deadline.end()
                    self._raise_unless_complete(error, reader)
            items = self._parse(data, reader)
            if items:
                return items if self._redactor is None else self._redactor.items(items)
        return ()

    def interruption(self, error: EndpointError | RequestRefused) -> EndpointError:
        """Return the error that interrupted the answer; a rejection within it is malformed."""
        redact_error(error, self._secrets)
        if isinstance(error, RequestRefused):
            return EndpointMalformed(error.alias, "error_body", error.detail)
        return error

    async def aclose(self) -> None:
        """Release the connection and the slot; an unfinished response is cut off at once."""
        phase = self._phase
        if phase is CLOSED:
            return
        self._advance(CLOSED)
        try:
            if phase is ENDED and self._reader is not None and self._reader.done:
                await self._wait_for_body_end()
            if self._response is not None:
                await self._response.aclose()
        finally:
            self._deadline.close()
            self.endpoint.end_call(self.model, self.probe)

    def _advance(self, phase: Phase) -> None:
        """Enter a phase, unless the call is past it, and set the deadline for it."""
        if phase <= self._phase:
            return
        self._phase = phase
        if phase is STREAMING:
            self._deadline.renew(self._timeouts.idle_timeout_s)
        elif phase is FINISHING:
            self._deadline.renew(USAGE_TIMEOUT_S)
            self._forwarder = None  # it would extend the deadline with each event

    async def _read_to_first_token(self, body: bytes) -> None:
        response = self._response = await self._connect(body)
        self.status = response.status
        if not 200 <= response.status < 300:
            raise await self._response_error(response)
        self._reader = self._make_reader(self.endpoint.alias, response.headers.get("content-type"))
        self._advance(WAITING)
        while items := await self.read_items():
            self.opening += items
            if any(map(_is_token, items)):
                self._advance(STREAMING)
                return

    async def _connect(self, body: bytes) -> UpstreamResponse:
        try:
            with self._deadline:
                return await self._transport.open(
                    self.endpoint.entry,
                    CHAT_PATH,
                    body,
                    headers=self._headers,
                    connect_timeout_s=self._timeouts.connect_timeout_s,
                )
        except DeadlineExceeded:
            raise self._timeout_error() from None

    def _raise_unless_complete(self, error: EndpointError, reader: Reader) -> None:
        """Raise the error, unless the answer is complete and only the end of it is missing."""
        if not reader.ends_with_finish:
            raise error from None

    def _parse(self, data: bytes, reader: Reader) -> Sequence[StreamItem]:
        if not data:
            self._advance(ENDED)
            return reader.close()
        output_before, events_before = reader.output_bytes, reader.events_read
        items = reader.feed(data)
        if reader.output_bytes > output_before:
            self._renew_after_output(reader)
        elif reader.events_read > events_before:
            self._renew_after_event(reader, items)
        return items

    def _renew_after_output(self, reader: Reader) -> None:
        """Set the deadline for the next read, after output.

        A finish reason beside or before output doesn't mean the end: some servers send one with
        each chunk, or with the first.
        """
        if reader.finish_reason is not None:
            self._finish_is_final = False
        if self._phase >= STREAMING:
            self._phase = STREAMING
            self._deadline.renew(self._timeouts.idle_timeout_s)

    def _renew_after_event(self, reader: Reader, items: Sequence[StreamItem]) -> None:
        """Set the deadline after an event without output, which is a sign of life for a while.

        After a finish reason only usage and the end are expected, for which the time is short.
        """
        if reader.finish_reason is None or not self._finish_is_final:
            if self._phase is STREAMING:
                self._deadline.renew(self._empty_chunk_timeout_s(reader.output_bytes))
        elif self._phase < STREAMING:
            self._finish_is_final = False
        else:
            self._advance(FINISHING)
            if any(isinstance(item, Usage) for item in items):
                self._deadline.shorten(END_TIMEOUT_S)

    def _empty_chunk_timeout_s(self, output_bytes: int) -> float:
        """Return the time left after a chunk without output."""
        now = asyncio.get_running_loop().time()
        if self._empty_since is None or self._empty_since[1] != output_bytes:
            self._empty_since = now, output_bytes
        idle_s = self._timeouts.idle_timeout_s
        left_s = self._empty_since[0] + EMPTY_CHUNKS_FACTOR * idle_s - now
        return max(0.0, min(idle_s, left_s))

    def _timeout_error(self) -> EndpointTimeout:
        alias, timeouts = self.endpoint.alias, self._timeouts
        silent = self._phase < STREAMING
        if self._deadline.limit_passed:
            if silent and 2 * self._left_s > timeouts.request_timeout_s:
                return EndpointTimeout(alias, "first_token", self._left_s)  # it had most of it
            return EndpointTimeout(alias, "request", timeouts.request_timeout_s)
        if silent:
            return EndpointTimeout(alias, "first_token", timeouts.first_token_timeout_s)
        return EndpointTimeout(alias, "idle", timeouts.idle_timeout_s)

    async def _response_error(self, response: UpstreamResponse) -> EndpointRefused | RequestRefused:
        """Return the error for a status other than success, with the text received in time."""
        self._deadline.shorten(ERROR_BODY_TIMEOUT_S)
        body = bytearray()
        with suppress(DeadlineExceeded, EndpointError), self._deadline:
            while len(body) < ERROR_BODY_BYTES and (data := await response.read()):
                body += data
        alias, headers = self.endpoint.alias, response.headers
        return error_from_response(alias, response.status, bytes(body), headers)

    async def _wait_for_body_end(self) -> None:
        assert self._response is not None
        self._deadline.renew(BODY_END_TIMEOUT_S)
        with suppress(DeadlineExceeded, EndpointError), self._deadline:
            await self._response.read()


class _Forwarder:
    """The sink between the upstream body and the client's: lets plain events through."""

    __slots__ = ("_deadline", "_idle_timeout_s", "_on_forwarded", "_reader", "_redactor", "_sink")

    def __init__(
        self,
        sink: Sink,
        reader: Reader,
        deadline: Deadline,
        idle_timeout_s: float,
        on_forwarded: Callable[[RawChunk], None],
        redactor: AnswerRedactor | None,
    ) -> None:
        self._sink, self._reader, self._redactor = sink, reader, redactor
        self._deadline, self._idle_timeout_s = deadline, idle_timeout_s
        self._on_forwarded = on_forwarded

    def try_write(self, data: bytes) -> bool:
        """See `Sink.try_write`. Nearly every token of a passthrough stream takes only this way."""
        if self._redactor is not None and not self._redactor.is_clean(data):
            return False
        chunk = self._reader.match_plain(data)
        if chunk is None or not self._sink.try_write(chunk.data):
            return False
        self._on_forwarded(chunk)
        self._deadline.extend(self._idle_timeout_s)
        return True


def _is_token(item: StreamItem) -> bool:
    return isinstance(item, TextDelta | ReasoningDelta | ToolCallDelta | MediaDelta)
