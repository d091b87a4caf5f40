"""Calls Python functions and sends what they yield as OpenAI-compatible responses."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.errors import EndpointUnreachable
from akash_gradio.gateway.callables.chunks import ChunkWriter, encode_event
from akash_gradio.gateway.callables.endpoint import FunctionEndpoint
from akash_gradio.gateway.transport import Transport, UpstreamResponse

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.gateway.passthrough.sink import Sink

logger = logging.getLogger(__name__)

MAX_QUEUED_ITEMS: Final = 256
"""Yields of a function that wait to be read; then the function waits."""
MAX_VISIBLE_CHARACTERS: Final = 300
_JSON: Final = {"content-type": "application/json"}
_EVENT_STREAM: Final = {"content-type": "text/event-stream"}


class FunctionTransport:
    """Calls the endpoints that are functions, and leaves the others to another transport.

    Args:
        http: The transport of the other endpoints.
        prepare: Called in the context of each call, before the function.
    """

    def __init__(self, http: Transport, prepare: Callable[[], None] = lambda: None) -> None:
        self._http, self._prepare = http, prepare

    async def start(self, urls: Iterable[str]) -> None:
        """See `Transport.start`."""
        await self._http.start(urls)

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> UpstreamResponse:
        """Call the function, and wait for its first yield; see `Transport.open`."""
        if not isinstance(entry, FunctionEndpoint):
            return await self._http.open(
                entry, path, body, headers=headers, connect_timeout_s=connect_timeout_s
            )
        if body is None:
            models = [{"id": model, "object": "model"} for model in entry.models or ()]
            return _BytesResponse(200, json.dumps({"object": "list", "data": models}).encode())
        request = json.loads(body)
        call = _Call(entry, request, self._prepare)
        try:
            await call.start()
            if request.get("stream"):
                return await _open_stream(call)
            return await _whole_answer(call)
        except BaseException:
            call.stop()
            raise

    async def aclose(self) -> None:
        """Close every connection. Functions that still run end at their next yield."""
        await self._http.aclose()


class _FunctionFailed(Exception):
    """The function raised an exception, or yielded something that isn't an answer."""

    def __init__(self, error: BaseException, name: str) -> None:
        visible = visible_message(error)
        super().__init__(f"{name}() raised {type(error).__name__}{visible and f': {visible}'}")
        self.error = error


def visible_message(error: BaseException) -> str:
    """Return the text of an error that is meant for visitors, a `gr.Error`; "" for any other."""
    classes = {(cls.__module__, cls.__name__) for cls in type(error).__mro__}
    if ("gradio.exceptions", "Error") not in classes:
        return ""
    text = re.sub(r"<[^>]*>", "", str(getattr(error, "message", "")))
    return " ".join(text.split())[:MAX_VISIBLE_CHARACTERS]


class _Call:
    """One call of a function, whose items arrive on the event loop.

    Args:
        entry: The endpoint.
        request: The request body.
        prepare: Called in the context of the call, before the function.
    """

    def __init__(
        self,
        entry: FunctionEndpoint,
        request: Mapping[str, Any],
        prepare: Callable[[], None],
    ) -> None:
        self.entry, self.function = entry, entry.function
        self.model = str(request.get("model") or "")
        self.received_at = time.monotonic()
        self._prepare = prepare
        self._messages = request["messages"]
        self._arguments = entry.function.arguments(request)
        self._items: deque[object] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._slots = threading.Semaphore(MAX_QUEUED_ITEMS)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the function, in a thread of its own or as a task."""
        context = contextvars.copy_context()
        context.run(self._prepare)
        self.entry.begin_call()
        if self.function.is_async:
            self._task = asyncio.create_task(self._run_async(), context=context)
            return
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=context.run, args=(self._run_in_thread, loop), name=self.entry.name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self.entry.end_call()
            raise EndpointUnreachable(self.entry.name, "connect") from None

    def stop(self) -> None:
        """Close the generator: an async one at once, a sync one at its next yield."""
        self._stopped.set()
        self._slots.release()
        if self._task is not None:
            self._task.cancel()

    async def next_items(self) -> list[object]:
        """Return what the function yielded since the last call; nothing at its end.

        Raises:
            _FunctionFailed: It raised an exception.
        """
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise _FunctionFailed(self._error, self.function.name)
                return []
            self._arrived.clear()
            await self._arrived.wait()
        items = list(self._items)
        self._items.clear()
        self._room.set()
        if not self.function.is_async:
            self._slots.release(len(items))
        return items

    def _receive(self, item: object) -> None:
        self.received_at = time.monotonic()
        self._items.append(item)
        self._arrived.set()

    def _end(self, error: BaseException | None) -> None:
        self._ended, self._error = True, error
        self._arrived.set()

    def _run_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            result = self.function.call(self._messages, **self._arguments)
            if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
                if inspect.iscoroutine(result):
                    result.close()
                raise TypeError("the function is sync and returned an async result")
            self._pass_on(result, loop)
        except BaseException as raised:  # SystemExit in a model must not end a thread silently
            error = raised
        finally:
            self.entry.end_call()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._end, error)

    def _pass_on(self, result: Any, loop: asyncio.AbstractEventLoop) -> None:
        if not _is_iterator(result):
            loop.call_soon_threadsafe(self._receive, result)
            return
        try:
            for item in result:
                self._slots.acquire()
                if self._stopped.is_set():
                    return
                loop.call_soon_threadsafe(self._receive, item)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    async def _run_async(self) -> None:
        error: BaseException | None = None
        try:
            result = self.function.call(self._messages, **self._arguments)
            if inspect.isawaitable(result):
                result = await result
            if hasattr(result, "__aiter__"):
                await self._pass_on_async(result)
            elif _is_iterator(result):
                raise TypeError("the function is async and returned a sync iterator")
            else:
                self._receive(result)
        except asyncio.CancelledError:
            raise
        except BaseException as raised:
            error = raised
        finally:
            self.entry.end_call()
            self._end(error)

    async def _pass_on_async(self, result: Any) -> None:
        try:
            async for item in result:
                while len(self._items) >= MAX_QUEUED_ITEMS:
                    self._room.clear()
                    await self._room.wait()
                self._receive(item)
        finally:
            aclose = getattr(result, "aclose", None)
            if aclose is not None:
                await aclose()


def _is_iterator(result: Any) -> bool:
    return hasattr(result, "__next__") or (
        hasattr(result, "__iter__") and not isinstance(result, str | bytes | Mapping)
    )


async def _open_stream(call: _Call) -> UpstreamResponse:
    """Return the response once there is a first chunk; an error before it becomes a 500."""
    stream = _StreamResponse(call)
    try:
        await stream.wait_for_first()
    except _FunctionFailed as failure:
        call.stop()
        return _failure(failure)
    return stream


async def _whole_answer(call: _Call) -> UpstreamResponse:
    writer, message = ChunkWriter(call.model), dict[str, Any]()
    try:
        while items := await call.next_items():
            for item in items:
                for event in _events(writer, item, call):
                    _merge(message, json.loads(event[6:])["choices"][0]["delta"])
    except _FunctionFailed as failure:
        call.stop()
        return _failure(failure)
    end, *usage = writer.end()
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": end["choices"][0]["finish_reason"],
    }
    completion = {**end, "object": "chat.completion", "choices": [choice]}
    if usage:
        completion["usage"] = usage[0]["usage"]
    return _BytesResponse(
        200, json.dumps(completion, ensure_ascii=False).encode("utf-8", "replace")
    )


def _merge(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Append a delta to the message: texts and lists grow, tool calls by their index."""
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault(key, [])
            for call in value:
                existing = next((c for c in calls if c["index"] == call["index"]), None)
                if existing is None:
                    calls.append(call)
                else:
                    existing["function"]["arguments"] += call["function"]["arguments"]
        else:
            message[key] = message[key] + value if key in message else value


def _events(writer: ChunkWriter, item: object, call: _Call) -> list[bytes]:
    """Return the events of an item.

    Raises:
        _FunctionFailed: The item isn't something that a function may yield.
    """
    try:
        return [encode_event(chunk) for chunk in writer.chunks(item)]
    except Exception as error:  # an item of the author's own class may raise anything
        raise _FunctionFailed(error, call.function.name) from None


def _failure(failure: _FunctionFailed) -> UpstreamResponse:
    """Return a 500 that names the exception; its text and traceback go to the log alone."""
    _log(failure)
    return _BytesResponse(500, _error_json(failure))


def _error_json(failure: _FunctionFailed) -> bytes:
    error = {"message": str(failure), "type": "function_error", "code": 500}
    return json.dumps({"error": error}).encode()


def _log(failure: _FunctionFailed) -> None:
    error = failure.error
    logger.error(
        "function.failed",
        extra={"fact": str(failure)},
        exc_info=(type(error), error, error.__traceback__),
    )


class _BytesResponse:
    """A response that is complete.

    Args:
        status: The HTTP status.
        body: The whole body, JSON.
    """

    lag_s = 0.0

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.headers = status, _JSON
        self._body = body

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        body, self._body = self._body, b""
        return body

    async def pipe_to(self, sink: Sink) -> None:
        """See `UpstreamResponse.pipe_to`: there is nothing to wait for."""

    async def aclose(self) -> None:
        """See `UpstreamResponse.aclose`."""


class _StreamResponse:
    """The stream of a function's answer.

    Args:
        call: The running call.
    """

    status = 200
    headers: Mapping[str, str] = _EVENT_STREAM

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._writer = ChunkWriter(call.model)
        self._pending = b""
        self._failure: _FunctionFailed | None = None
        self._done = False

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return max(0.0, time.monotonic() - self._call.received_at)

    async def wait_for_first(self) -> None:
        """Wait for the first bytes.

        Raises:
            _FunctionFailed: The function failed before.
        """
        self._pending = await self._next_bytes()

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        try:
            return await self._next_bytes()
        except _FunctionFailed as failure:
            _log(failure)
            self._done = True
            return b"data: " + _error_json(failure) + b"\n\n"

    async def pipe_to(self, sink: Sink) -> None:
        """See `UpstreamResponse.pipe_to`."""
        while True:
            self._pending = self._pending or await self.read()
            if not self._pending or not sink.try_write(self._pending):
                return
            self._pending = b""

    async def aclose(self) -> None:
        """See `UpstreamResponse.aclose`."""
        self._call.stop()

    async def _next_bytes(self) -> bytes:
        """Return the events of the next items; b"" after the end.

        Raises:
            _FunctionFailed: The function failed, and all events before it were returned.
        """
        if self._failure is not None:
            raise self._failure
        while not self._done:
            items = await self._call.next_items()
            if not items:
                self._done = True
                return b"".join(map(encode_event, self._writer.end())) + b"data: [DONE]\n\n"
            events: list[bytes] = []
            try:
                for item in items:
                    events += _events(self._writer, item, self._call)
            except _FunctionFailed as failure:
                if not events:
                    raise
                self._failure = failure
            if events:
                return b"".join(events)
        return b""
