"""All behaviors by name, with how they end, so that tests can be parametrized with them."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol

import brotli  # type: ignore[import-untyped]

from tests.stubs.behavior import BEHAVIORS, Behavior, Ending, Handler
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import (
    DONE,
    REASONING,
    TEXT,
    TOKENS,
    USAGE,
    chunk,
    completion,
    error,
    event,
    finish_event,
    role_event,
    stream_body,
    text_event,
    to_json,
    usage_event,
)

TICK_S = 0.02
RETRY_AFTER_S = 7
"""The delay that the 429 responses request, in seconds."""
MEBIBYTE = 1 << 20
LONG_LINE = 3 * MEBIBYTE // 2


def behaviors_with(ending: Ending) -> list[str]:
    """Return the names of all behaviors with an ending."""
    return [name for name, behavior in BEHAVIORS.items() if behavior.ending is ending]


def _add(name: str, handler: Handler, ending: Ending, error: str = "", **fields: Any) -> None:
    BEHAVIORS[name] = Behavior(name=name, handler=handler, ending=ending, error=error, **fields)


def completes(**fields: Any) -> Callable[[Handler], Handler]:
    """Register a valid way of streaming. Without `stream` it sends a plain answer."""

    def add(handler: Handler) -> Handler:
        async def respond(x: Exchange) -> None:
            if wants_stream(x):
                await handler(x)
            else:
                await x.reply(to_json(completion("".join(x.stub.tokens))))

        _add(handler.__name__, respond, Ending.COMPLETE, **fields)
        return handler

    return add


def fails(error: str, **fields: Any) -> Callable[[Handler], Handler]:
    """Register a failure before the first token."""

    def add(handler: Handler) -> Handler:
        _add(handler.__name__, handler, Ending.NO_FIRST_TOKEN, error, **fields)
        return handler

    return add


def interrupts(error: str, text: str = "".join(TOKENS[:3])) -> Callable[[Handler], Handler]:
    """Register a failure after the first three tokens, or after `text`."""

    def add(handler: Handler) -> Handler:
        _add(handler.__name__, handler, Ending.INTERRUPTED, error, text=text)
        return handler

    return add


def wants_stream(x: Exchange) -> bool:
    return bool(x.request.json.get("stream"))


def wants_usage(x: Exchange) -> bool:
    return bool((x.request.json.get("stream_options") or {}).get("include_usage"))


def letters(count: int) -> bytes:
    """Return a delta of a number of letters, faster than the JSON encoder would."""
    before, _, after = text_event("@").partition(b"@")
    return before + b"x" * count + after


async def send_stream(x: Exchange, *chunks: bytes, content_type: str = "text/event-stream") -> None:
    """Send a complete chunked stream."""
    await x.open_stream(content_type)
    for data in chunks:
        await x.send(data)
    await x.end()


async def begin(x: Exchange, tokens: Iterable[str] = TOKENS[:3]) -> None:
    """Send a stream's headers, role and first tokens."""
    await x.open_stream()
    await x.send(role_event())
    for token in tokens:
        await x.send(text_event(token))


async def reset_when_read(x: Exchange) -> None:
    """Reset the connection after the client has read, as RST discards unread data."""
    await asyncio.sleep(3 * TICK_S)
    x.reset()


async def ticks() -> AsyncIterator[None]:
    while True:
        await asyncio.sleep(TICK_S)
        yield


# ---- complete answers ----


def streams(tokens_per_s: float | None = None) -> Handler:
    """Return a handler that streams at a speed; None means as fast as possible."""

    async def handler(x: Exchange) -> None:
        await answer(x, x.stub.tokens, tokens_per_s)

    return handler


async def answer(x: Exchange, tokens: Iterable[str], tokens_per_s: float | None = None) -> None:
    if not wants_stream(x):
        await x.reply(to_json(completion("".join(tokens))))
        return
    await x.open_stream()
    await x.send(role_event())
    for token in tokens:
        await asyncio.sleep(1 / tokens_per_s if tokens_per_s else 0)
        await x.send(text_event(token))
    await x.send(finish_event())
    if wants_usage(x):
        await x.send(usage_event())
    await x.send(DONE)
    await x.end()


async def echoes(x: Exchange) -> None:
    """Repeat the last message, three characters at a time."""
    content = x.request.json["messages"][-1]["content"]
    await answer(x, [content[i : i + 3] for i in range(0, len(content), 3)])


_add("perfect", streams(), Ending.COMPLETE)
_add("slow", streams(20), Ending.COMPLETE)
_add("echoes", echoes, Ending.COMPLETE, text="")


@completes()
async def split_into_bytes(x: Exchange) -> None:
    await x.open_stream()
    for byte in stream_body():
        await x.send(bytes([byte]))
        await asyncio.sleep(0)
    await x.end()


@completes()
async def cr_lines(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"\n", b"\r"))


@completes()
async def crlf_lines(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"\n", b"\r\n"))


@completes()
async def crlf_split_between(x: Exchange) -> None:
    await x.open_stream()
    for line in stream_body().split(b"\n"):
        await x.send(line + b"\r")
        await asyncio.sleep(0)
        await x.send(b"\n")
    await x.end()


@completes()
async def byte_order_mark(x: Exchange) -> None:
    await send_stream(x, b"\xef\xbb\xbf" + stream_body())


@completes()
async def comments_and_other_fields(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        await x.send(b": keep-alive\n\nevent: message\nid: 7\nretry: 100\n" + text_event(token))
    await x.send(finish_event() + DONE)
    await x.end()


@completes()
async def no_space_after_data(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"data: ", b"data:"))


@completes()
async def data_over_several_lines(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        lines = json.dumps(chunk({"content": token}), indent=1).encode().split(b"\n")
        await x.send(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n")
    await x.send(finish_event() + DONE)
    await x.end()


@completes()
async def typed_as_plain_text(x: Exchange) -> None:
    await send_stream(x, stream_body(), content_type="text/plain")


@completes()
async def typed_as_json(x: Exchange) -> None:
    await send_stream(x, stream_body(), content_type="application/json")


@completes()
async def whole_json_for_a_stream(x: Exchange) -> None:
    await x.reply(to_json(completion()))


@completes()
async def whole_json_typed_as_stream(x: Exchange) -> None:
    await x.reply(to_json(completion()), content_type="text/event-stream")


@completes()
async def no_done(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(DONE))


@completes()
async def no_finish_reason(x: Exchange) -> None:
    await send_stream(x, role_event(), *map(text_event, TOKENS), DONE)


@completes()
async def no_blank_line_at_the_end(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(b"\n\n"))


@completes()
async def no_line_end_after_the_finish(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(DONE).removesuffix(b"\n\n"))


@completes()
async def body_ends_with_the_connection(x: Exchange) -> None:
    """As in HTTP/1.0, the end of the connection ends the body."""
    await x.head()
    await x.send(stream_body())


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...
    def finish(self) -> bytes: ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.compressobj(wbits=window_bits)

    def compress(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def flush(self) -> bytes:
        return self._inner.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Compressor()

    def compress(self, data: bytes) -> bytes:
        return bytes(self._inner.process(data))

    def flush(self) -> bytes:
        return bytes(self._inner.flush())

    def finish(self) -> bytes:
        return bytes(self._inner.finish())


def compressed(coding: str, make: Callable[[], _Compressor]) -> Handler:
    """Return a handler that compresses the stream and flushes after each token."""

    async def handler(x: Exchange) -> None:
        compressor = make()
        await x.open_stream(content_encoding=coding)
        for part in (role_event(), *map(text_event, TOKENS), finish_event(), DONE):
            await x.send(compressor.compress(part) + compressor.flush())
        await x.send(compressor.finish())
        await x.end()

    handler.__name__ = coding
    return handler


async def false_gzip_encoding(x: Exchange) -> None:
    await x.open_stream(content_encoding="gzip")
    await x.send(stream_body())
    await x.end()


_add("false_gzip_encoding", false_gzip_encoding, Ending.COMPLETE)
completes()(compressed("gzip", lambda: _Zlib(31)))
completes()(compressed("deflate", lambda: _Zlib(15)))
completes()(compressed("br", _Brotli))


async def float_usage(x: Exchange) -> None:
    """The guide's own example sends such counts."""
    usage = {"prompt_tokens": 13.0, "completion_tokens": 9.25, "total_tokens": 22.25}
    if wants_stream(x):
        await send_stream(x, stream_body().removesuffix(DONE), usage_event(usage), DONE)
    else:
        await x.reply(to_json({**completion(), "usage": usage}))


_add("float_usage", float_usage, Ending.COMPLETE)


@completes()
async def usage_on_every_chunk(x: Exchange) -> None:
    chunks = [event(chunk({"content": token}, usage=USAGE)) for token in TOKENS]
    await send_stream(x, *chunks, event(chunk({}, "stop", usage=USAGE)), DONE)


@completes()
async def null_deltas(x: Exchange) -> None:
    no_output = {
        "role": "assistant",
        "content": None,
        "tool_calls": None,
        "reasoning_content": None,
    }
    empty = event(chunk(no_output, usage=None))
    no_delta = event({**chunk(None), "choices": [{"index": 0, "delta": None}]})
    await send_stream(x, empty, no_delta, *map(text_event, TOKENS), empty, finish_event(), DONE)


@completes()
async def no_choices_at_first(x: Exchange) -> None:
    no_key = event({"id": "chatcmpl-stub", "object": "chat.completion.chunk"})
    await send_stream(x, event(chunk(None, prompt_filter_results=[])), no_key, stream_body())


@completes()
async def finish_with_last_token(x: Exchange) -> None:
    last = event(chunk({"content": TOKENS[-1]}, "stop"))
    await send_stream(x, role_event(), *map(text_event, TOKENS[:-1]), last, DONE)


@completes()
async def late_single_chunk(x: Exchange) -> None:
    await x.open_stream()
    await asyncio.sleep(3 * TICK_S)
    await x.send(stream_body())
    await x.end()


def reasons(*deltas: dict[str, str]) -> Handler:
    async def handler(x: Exchange) -> None:
        parts = [event(chunk({"role": "assistant", **delta})) for delta in deltas]
        await send_stream(x, *parts, *map(text_event, TOKENS), finish_event(), DONE)

    return handler


def _add_reasoning(name: str, handler: Handler, **fields: Any) -> None:
    handler.__name__ = name
    completes(**({"reasoning": "".join(REASONING)} | fields))(handler)


_add_reasoning("reasoning_content", reasons(*({"reasoning_content": t} for t in REASONING)))
_add_reasoning("reasoning", reasons(*({"reasoning": t} for t in REASONING)))
_add_reasoning(
    "think_tags_split",
    reasons(*({"content": t} for t in ("<th", "ink>", *REASONING, "</thi", "nk>"))),
)
_add_reasoning(
    "think_end_alone",
    reasons(*({"content": t} for t in (*REASONING, "</th", "ink>"))),
    # The text before the tag has been shown by the time the tag arrives.
    reasoning="",
    text="".join(REASONING) + TEXT,
)


@completes(text="x" * LONG_LINE)
async def long_line(x: Exchange) -> None:
    await send_stream(x, role_event(), letters(LONG_LINE), finish_event(), DONE)


async def empty_answer(x: Exchange) -> None:
    if wants_stream(x):
        await send_stream(x, role_event(), finish_event(), usage_event(), DONE)
    else:
        await x.reply(to_json(completion("")))


_add("empty_answer", empty_answer, Ending.COMPLETE, text="", whole_text="")


async def rejects_stream_options(x: Exchange) -> None:
    if "stream_options" in x.request.json:
        refusal = error("Unrecognized request argument: stream_options", "invalid_request_error")
        await x.reply(to_json(refusal), 400)
    else:
        await answer(x, x.stub.tokens)


_add("rejects_stream_options", rejects_stream_options, Ending.COMPLETE)


# ---- failures before the first token ----


@fails("EndpointUnreachable", listens=False)
async def closed_port(x: Exchange) -> None:
    """The port is closed."""


@fails("EndpointUnreachable", scheme="https")
async def plain_text_on_https(x: Exchange) -> None:
    """The TLS handshake isn't a request that this stub can read."""


@fails("EndpointUnreachable")
async def resets_at_once(x: Exchange) -> None:
    x.reset()


@fails("EndpointUnreachable")
async def closes_at_once(x: Exchange) -> None:
    pass


@fails("EndpointTimeout")
async def hangs_before_headers(x: Exchange) -> None:
    await x.hang()


@fails("EndpointTimeout")
async def hangs_after_headers(x: Exchange) -> None:
    await x.open_stream()
    await x.hang()


@fails("EndpointTimeout")
async def hangs_after_role(x: Exchange) -> None:
    await begin(x, ())
    await x.hang()


@fails("EndpointTimeout")
async def slow_headers(x: Exchange) -> None:
    await x.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    async for _ in ticks():
        await x.write(b"z")


@fails("EndpointTimeout")
async def endless_comments(x: Exchange) -> None:
    await x.open_stream()
    async for _ in ticks():
        await x.send(b": keep-alive\n\n")


@fails("EndpointTimeout")
async def endless_empty_deltas(x: Exchange) -> None:
    await begin(x, ())
    async for _ in ticks():
        await x.send(text_event(""))


@fails("EndpointMalformed")
async def cuts_before_first_token(x: Exchange) -> None:
    await begin(x, ())


@fails("EndpointUnreachable EndpointMalformed")
async def resets_before_first_token(x: Exchange) -> None:
    await begin(x, ())
    await reset_when_read(x)


@fails("EndpointUnreachable EndpointMalformed")
async def cuts_in_the_headers(x: Exchange) -> None:
    await x.write(b"HTTP/1.1 200 OK\r\ncontent-ty")


@fails("EndpointMalformed")
async def not_http(x: Exchange) -> None:
    await x.write(b"SSH-2.0-OpenSSH_9.2\r\n")


@fails("EndpointMalformed")
async def shorter_than_promised(x: Exchange) -> None:
    body = to_json(completion())
    await x.head(200, "application/json", content_length=str(len(body)))
    await x.write(body[:40])


@fails("EndpointMalformed")
async def html_with_200(x: Exchange) -> None:
    await x.reply(b"<!DOCTYPE html><title>Welcome to nginx!</title>", content_type="text/html")


@fails("EndpointMalformed")
async def html_typed_as_stream(x: Exchange) -> None:
    await x.reply(b"<html><body>Sign in\n\n</body></html>", content_type="text/event-stream")


@fails("EndpointMalformed EndpointSilent")
async def empty_body(x: Exchange) -> None:
    await x.reply(b"")


@fails("EndpointSilent")
async def done_only(x: Exchange) -> None:
    await send_stream(x, DONE)


@fails("EndpointMalformed")
async def error_object_with_200(x: Exchange) -> None:
    await x.reply(to_json(error("The model is overloaded")))


@fails("EndpointMalformed")
async def error_as_first_event(x: Exchange) -> None:
    await send_stream(x, event(error("CUDA out of memory")), DONE)


@fails("EndpointMalformed")
async def error_as_a_string(x: Exchange) -> None:
    await send_stream(x, event({"error": "overloaded"}), DONE)


@fails("EndpointMalformed")
async def broken_json(x: Exchange) -> None:
    await send_stream(x, b'data: {"choices": [{"delta": {"content": "Hel\n\n', DONE)


@fails("EndpointMalformed")
async def json_of_another_shape(x: Exchange) -> None:
    if wants_stream(x):
        await send_stream(x, event([1, 2, 3]), DONE)
    else:
        await x.reply(b"[1, 2, 3]")


@fails("EndpointMalformed")
async def twenty_mebibytes_in_a_line(x: Exchange) -> None:
    await send_stream(x, role_event(), letters(20 * MEBIBYTE), finish_event(), DONE)


@fails("EndpointMalformed")
async def endless_line(x: Exchange) -> None:
    await x.open_stream()
    await a_line_without_end(x)


async def a_line_without_end(x: Exchange) -> None:
    await x.send(b'data: {"choices": [{"index": 0, "delta": {"content": "')
    while True:
        await x.send(b"x" * 65536)


def redirects(status: int) -> Handler:
    """Redirect to the same stub under another host name. No client may request `/stolen`."""

    async def handler(x: Exchange) -> None:
        location = f"http://localhost:{x.stub.port}/stolen/v1/chat/completions"
        await x.reply(b"", status, location=location)

    return handler


_add("redirects_307", redirects(307), Ending.NO_FIRST_TOKEN, "EndpointRefused")
_add("redirects_302", redirects(302), Ending.NO_FIRST_TOKEN, "EndpointRefused")


def respond_with(status: int, body: object, **headers: str) -> Handler:
    async def handler(x: Exchange) -> None:
        await x.reply(to_json(body), status, **headers)

    return handler


for _status in (401, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529):
    _handler = respond_with(_status, error(f"failed with {_status}"))
    _add(f"status_{_status}", _handler, Ending.NO_FIRST_TOKEN, "EndpointRefused")


_add(
    "status_403",
    respond_with(403, error("failed with 403")),
    Ending.NO_FIRST_TOKEN,
    "RequestRefused",
)


@fails("RequestRefused")
async def firewall_page(x: Exchange) -> None:
    await x.reply(b"<html><title>Request blocked</title></html>", 403, "text/html")


@fails("RequestRefused")
async def template_error(x: Exchange) -> None:
    text = "Error: Jinja Exception: Conversation roles must alternate user/assistant"
    await x.reply(to_json(error(text)), 500)


@fails("EndpointRefused")
async def no_credit(x: Exchange) -> None:
    await x.reply(to_json(error("Your credit balance is too low to access the API.")), 400)


@fails("EndpointRefused")
async def wrong_key_as_400(x: Exchange) -> None:
    await x.reply(to_json([{"error": {"code": 400, "message": "API key not valid."}}]), 400)


@fails("EndpointRefused")
async def insufficient_quota(x: Exchange) -> None:
    await x.reply(to_json(error("No quota.", "insufficient_quota", "insufficient_quota")), 429)


@fails("EndpointRefused")
async def html_with_502(x: Exchange) -> None:
    await x.reply(b"<html><h1>502 Bad Gateway</h1></html>", 502, "text/html")


@fails("EndpointRefused")
async def retry_after_in_seconds(x: Exchange) -> None:
    await x.reply(to_json(error("Rate limit reached")), 429, retry_after=str(RETRY_AFTER_S))


@fails("EndpointRefused")
async def retry_after_as_date(x: Exchange) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_S), usegmt=True)
    await x.reply(to_json(error("Rate limit reached")), 429, retry_after=then)


@fails("EndpointRefused")
async def retry_after_in_milliseconds(x: Exchange) -> None:
    await x.reply(
        to_json(error("Rate limit reached")), 429, retry_after_ms=str(RETRY_AFTER_S * 1000)
    )


# ---- interrupted answers ----


@interrupts("EndpointMalformed")
async def cuts_in_the_middle(x: Exchange) -> None:
    await begin(x)


@interrupts("EndpointUnreachable EndpointMalformed")
async def resets_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await reset_when_read(x)


@interrupts("EndpointMalformed")
async def ends_unfinished(x: Exchange) -> None:
    """The HTTP body is complete, but has no finish reason and no [DONE]."""
    await begin(x)
    await x.end()


@interrupts("EndpointMalformed")
async def closes_unfinished(x: Exchange) -> None:
    """The same, but the end of the connection ends the body."""
    await x.head()
    await x.send(role_event() + b"".join(map(text_event, TOKENS[:3])))


@interrupts("EndpointTimeout")
async def hangs_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.hang()


@interrupts("EndpointTimeout")
async def comments_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    async for _ in ticks():
        await x.send(b": keep-alive\n\n")


@interrupts("EndpointMalformed")
async def error_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    await x.send(event(error("CUDA out of memory")) + DONE)
    await x.end()


@interrupts("EndpointMalformed")
async def broken_json_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.send(b'data: {"choices": [{"delta":\n\n' + DONE)
    await x.end()


@interrupts("EndpointMalformed")
async def endless_line_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await a_line_without_end(x)


# ---- refused requests ----


LIMIT_TOKENS, REQUEST_TOKENS = 8192, 9001
_TOO_LONG = (
    f"This model's maximum context length is {LIMIT_TOKENS} tokens. However, "
    f"your messages resulted in {REQUEST_TOKENS} tokens. Please reduce the length of the messages."
)


def _refuses(name: str, status: int, body: object, kind: str = "RequestRefused") -> None:
    _add(name, respond_with(status, body), Ending.REQUEST_REFUSED, kind)


for _status in (400, 413, 422):
    _refuses(f"status_{_status}", _status, error(f"failed with {_status}", "invalid_request_error"))
_refuses(
    "overflow_openai",
    400,
    error(_TOO_LONG, "invalid_request_error", "context_length_exceeded"),
    "ContextExceeded",
)
_refuses(
    "overflow_vllm",
    400,
    {
        "object": "error",
        "message": f"This model's maximum context length is {LIMIT_TOKENS} tokens. However, you "
        f"requested {REQUEST_TOKENS} tokens (8500 in the messages, 501 in the completion). Please "
        "reduce the length of the messages or completion.",
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    },
    "ContextExceeded",
)
_refuses(
    "overflow_llama_cpp",
    400,
    {
        "error": {
            "code": 400,
            "message": f"request ({REQUEST_TOKENS} tokens) exceeds the available context size "
            f"({LIMIT_TOKENS} tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": REQUEST_TOKENS,
            "n_ctx": LIMIT_TOKENS,
        }
    },
    "ContextExceeded",
)
