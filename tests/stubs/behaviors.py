"""The behaviors, by name. Each says how it ends, so that tests can be made from the list."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol

import brotli  # type: ignore[import-untyped]

from tests.stubs.behavior import BEHAVIORS, Act, Animal, Ending
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
"""What the 429s ask for."""
MEBIBYTE = 1 << 20


def behaviors_with(ends: Ending) -> list[str]:
    """The names of all animals that end so."""
    return [name for name, animal in BEHAVIORS.items() if animal.ending is ends]


def _add(name: str, act: Act, ends: Ending, error: str = "", **more: Any) -> None:
    BEHAVIORS[name] = Animal(name=name, handler=act, ending=ends, error=error, **more)


def whole(**more: Any) -> Callable[[Act], Act]:
    """A way of streaming that a client has to bear; asked for no stream, it answers plainly."""

    def add(act: Act) -> Act:
        async def either(x: Exchange) -> None:
            if wants_stream(x):
                await act(x)
            else:
                await x.reply(to_json(completion("".join(x.stub.tokens))))

        _add(act.__name__, either, Ending.COMPLETE, **more)
        return act

    return add


def fails(error: str, **more: Any) -> Callable[[Act], Act]:
    """A failure before the first token."""

    def add(act: Act) -> Act:
        _add(act.__name__, act, Ending.NO_FIRST_TOKEN, error, **more)
        return act

    return add


def breaks(error: str, text: str = "".join(TOKENS[:3])) -> Callable[[Act], Act]:
    """A failure after the first three tokens, or after `text`."""

    def add(act: Act) -> Act:
        _add(act.__name__, act, Ending.INTERRUPTED, error, text=text)
        return act

    return add


def wants_stream(x: Exchange) -> bool:
    return bool(x.request.json.get("stream"))


def wants_usage(x: Exchange) -> bool:
    return bool((x.request.json.get("stream_options") or {}).get("include_usage"))


def letters(count: int) -> bytes:
    """A delta of so many letters, made faster than JSON's encoder would."""
    before, _, after = text_event("@").partition(b"@")
    return before + b"x" * count + after


async def send_stream(x: Exchange, *pieces: bytes, content_type: str = "text/event-stream") -> None:
    """A chunked stream of these pieces, well ended."""
    await x.open_stream(content_type)
    for piece in pieces:
        await x.send(piece)
    await x.end()


async def begin(x: Exchange, tokens: Iterable[str] = TOKENS[:3]) -> None:
    """A stream's headers, its role and some tokens."""
    await x.open_stream()
    await x.send(role_event())
    for token in tokens:
        await x.send(text_event(token))


async def reset_when_read(x: Exchange) -> None:
    """RST makes the kernel discard what the client has not read yet, so let it read."""
    await asyncio.sleep(3 * TICK_S)
    x.reset()


async def ticks() -> AsyncIterator[None]:
    while True:
        await asyncio.sleep(TICK_S)
        yield


# ---- those that answer ----


def streams(tokens_per_s: float | None = None) -> Act:
    """Answers well, at a pace; None is as fast as it goes."""

    async def act(x: Exchange) -> None:
        await answer(x, x.stub.tokens, tokens_per_s)

    return act


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
    """Says what the last message said, three characters at a time."""
    said = x.request.json["messages"][-1]["content"]
    await answer(x, [said[i : i + 3] for i in range(0, len(said), 3)])


_add("perfect", streams(), Ending.COMPLETE)
_add("slow", streams(20), Ending.COMPLETE)
_add("echoes", echoes, Ending.COMPLETE, text="")


@whole()
async def split_into_bytes(x: Exchange) -> None:
    await x.open_stream()
    for byte in stream_body():
        await x.send(bytes([byte]))
        await asyncio.sleep(0)
    await x.end()


@whole()
async def cr_lines(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"\n", b"\r"))


@whole()
async def crlf_lines(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"\n", b"\r\n"))


@whole()
async def crlf_split_between(x: Exchange) -> None:
    await x.open_stream()
    for line in stream_body().split(b"\n"):
        await x.send(line + b"\r")
        await asyncio.sleep(0)
        await x.send(b"\n")
    await x.end()


@whole()
async def byte_order_mark(x: Exchange) -> None:
    await send_stream(x, b"\xef\xbb\xbf" + stream_body())


@whole()
async def comments_and_other_fields(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        await x.send(b": keep-alive\n\nevent: message\nid: 7\nretry: 100\n" + text_event(token))
    await x.send(finish_event() + DONE)
    await x.end()


@whole()
async def no_space_after_data(x: Exchange) -> None:
    await send_stream(x, stream_body().replace(b"data: ", b"data:"))


@whole()
async def data_over_several_lines(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        lines = json.dumps(chunk({"content": token}), indent=1).encode().split(b"\n")
        await x.send(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n")
    await x.send(finish_event() + DONE)
    await x.end()


@whole()
async def typed_as_plain_text(x: Exchange) -> None:
    await send_stream(x, stream_body(), content_type="text/plain")


@whole()
async def typed_as_json(x: Exchange) -> None:
    await send_stream(x, stream_body(), content_type="application/json")


@whole()
async def whole_json_for_a_stream(x: Exchange) -> None:
    await x.reply(to_json(completion()))


@whole()
async def whole_json_typed_as_stream(x: Exchange) -> None:
    await x.reply(to_json(completion()), content_type="text/event-stream")


@whole()
async def no_done(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(DONE))


@whole()
async def no_finish_reason(x: Exchange) -> None:
    await send_stream(x, role_event(), *map(text_event, TOKENS), DONE)


@whole()
async def no_blank_line_at_the_end(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(b"\n\n"))


@whole()
async def no_line_end_after_the_finish(x: Exchange) -> None:
    await send_stream(x, stream_body().removesuffix(DONE).removesuffix(b"\n\n"))


@whole()
async def closes_instead_of_counting(x: Exchange) -> None:
    """HTTP/1.0's way: the body ends where the connection does."""
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


def compressed(coding: str, make: Callable[[], _Compressor]) -> Act:
    """Compresses the stream, flushed after each token."""

    async def act(x: Exchange) -> None:
        compressor = make()
        await x.open_stream(content_encoding=coding)
        for part in (role_event(), *map(text_event, TOKENS), finish_event(), DONE):
            await x.send(compressor.compress(part) + compressor.flush())
        await x.send(compressor.finish())
        await x.end()

    act.__name__ = coding
    return act


whole()(compressed("gzip", lambda: _Zlib(31)))
whole()(compressed("deflate", lambda: _Zlib(15)))
whole()(compressed("br", _Brotli))


async def float_usage(x: Exchange) -> None:
    """As the guide's own example does."""
    usage = {"prompt_tokens": 13.0, "completion_tokens": 9.25, "total_tokens": 22.25}
    if wants_stream(x):
        await send_stream(x, stream_body().removesuffix(DONE), usage_event(usage), DONE)
    else:
        await x.reply(to_json({**completion(), "usage": usage}))


_add("float_usage", float_usage, Ending.COMPLETE)


@whole()
async def usage_on_every_chunk(x: Exchange) -> None:
    chunks = [event(chunk({"content": token}, usage=USAGE)) for token in TOKENS]
    await send_stream(x, *chunks, event(chunk({}, "stop", usage=USAGE)), DONE)


@whole()
async def null_deltas(x: Exchange) -> None:
    nothing = {"role": "assistant", "content": None, "tool_calls": None, "reasoning_content": None}
    empty = event(chunk(nothing, usage=None))
    no_delta = event({**chunk(None), "choices": [{"index": 0, "delta": None}]})
    await send_stream(x, empty, no_delta, *map(text_event, TOKENS), empty, finish_event(), DONE)


@whole()
async def no_choices_at_first(x: Exchange) -> None:
    no_key = event({"id": "chatcmpl-stub", "object": "chat.completion.chunk"})
    await send_stream(x, event(chunk(None, prompt_filter_results=[])), no_key, stream_body())


@whole()
async def finish_with_last_token(x: Exchange) -> None:
    last = event(chunk({"content": TOKENS[-1]}, "stop"))
    await send_stream(x, role_event(), *map(text_event, TOKENS[:-1]), last, DONE)


@whole()
async def late_single_chunk(x: Exchange) -> None:
    await x.open_stream()
    await asyncio.sleep(3 * TICK_S)
    await x.send(stream_body())
    await x.end()


def thinks(*deltas: dict[str, str]) -> Act:
    async def act(x: Exchange) -> None:
        parts = [event(chunk({"role": "assistant", **delta})) for delta in deltas]
        await send_stream(x, *parts, *map(text_event, TOKENS), finish_event(), DONE)

    return act


def _thinker(name: str, act: Act, **more: Any) -> None:
    act.__name__ = name
    whole(**({"reasoning": "".join(REASONING)} | more))(act)


_thinker("reasoning_content", thinks(*({"reasoning_content": t} for t in REASONING)))
_thinker("reasoning", thinks(*({"reasoning": t} for t in REASONING)))
_thinker(
    "think_tags_split",
    thinks(*({"content": t} for t in ("<th", "ink>", *REASONING, "</thi", "nk>"))),
)
_thinker(
    "think_end_alone",
    thinks(*({"content": t} for t in (*REASONING, "</th", "ink>"))),
    # By the time the tag comes its text has been shown; nobody can call it back.
    reasoning="",
    text="".join(REASONING) + TEXT,
)


@whole(text="x" * (MEBIBYTE // 2))
async def half_a_mebibyte_in_a_line(x: Exchange) -> None:
    await send_stream(x, role_event(), letters(MEBIBYTE // 2), finish_event(), DONE)


async def rejects_stream_options(x: Exchange) -> None:
    if "stream_options" in x.request.json:
        told = error("Unrecognized request argument: stream_options", "invalid_request_error")
        await x.reply(to_json(told), 400)
    else:
        await answer(x, x.stub.tokens)


_add("rejects_stream_options", rejects_stream_options, Ending.COMPLETE)


# ---- those that fail before their first token ----


@fails("EndpointUnreachable", listens=False)
async def closed_port(x: Exchange) -> None:
    """The port is closed."""


@fails("EndpointUnreachable", scheme="https")
async def plain_text_on_https(x: Exchange) -> None:
    """Never gets a request that it can read."""


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


@fails("EndpointSilent")
async def empty_answer(x: Exchange) -> None:
    if wants_stream(x):
        await send_stream(x, role_event(), finish_event(), usage_event(), DONE)
    else:
        await x.reply(to_json(completion("")))


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
async def false_gzip_encoding(x: Exchange) -> None:
    await x.open_stream(content_encoding="gzip")
    await x.send(stream_body())
    await x.end()


@fails("EndpointMalformed")
async def twenty_mebibytes_in_a_line(x: Exchange) -> None:
    await send_stream(x, role_event(), letters(20 * MEBIBYTE), finish_event(), DONE)


@fails("EndpointMalformed")
async def two_mebibytes_in_a_line(x: Exchange) -> None:
    await send_stream(x, role_event(), letters(2 * MEBIBYTE), finish_event(), DONE)


@fails("EndpointMalformed")
async def endless_line(x: Exchange) -> None:
    await x.open_stream()
    await a_line_without_end(x)


async def a_line_without_end(x: Exchange) -> None:
    await x.send(b'data: {"choices": [{"index": 0, "delta": {"content": "')
    while True:
        await x.send(b"x" * 65536)


def redirects(status: int) -> Act:
    """Points to the same stub under another host's name; nobody should arrive at `/stolen`."""

    async def act(x: Exchange) -> None:
        there = f"http://localhost:{x.stub.port}/stolen/v1/chat/completions"
        await x.reply(b"", status, location=there)

    return act


_add("redirects_307", redirects(307), Ending.NO_FIRST_TOKEN, "EndpointRefused")
_add("redirects_302", redirects(302), Ending.NO_FIRST_TOKEN, "EndpointRefused")


def respond_with(status: int, body: object, **headers: str) -> Act:
    async def act(x: Exchange) -> None:
        await x.reply(to_json(body), status, **headers)

    return act


for _status in (401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529):
    _act = respond_with(_status, error(f"told with {_status}"))
    _add(f"status_{_status}", _act, Ending.NO_FIRST_TOKEN, "EndpointRefused")


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


# ---- those that break off ----


@breaks("EndpointMalformed")
async def cuts_in_the_middle(x: Exchange) -> None:
    await begin(x)


@breaks("EndpointUnreachable EndpointMalformed")
async def resets_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await reset_when_read(x)


@breaks("EndpointMalformed")
async def ends_unfinished(x: Exchange) -> None:
    """A body that is whole for HTTP, without a finish reason or [DONE]."""
    await begin(x)
    await x.end()


@breaks("EndpointMalformed")
async def closes_unfinished(x: Exchange) -> None:
    """The same where the connection's end is the body's end."""
    await x.head()
    await x.send(role_event() + b"".join(map(text_event, TOKENS[:3])))


@breaks("EndpointTimeout")
async def hangs_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.hang()


@breaks("EndpointTimeout")
async def comments_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    async for _ in ticks():
        await x.send(b": keep-alive\n\n")


@breaks("EndpointMalformed")
async def error_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    await x.send(event(error("CUDA out of memory")) + DONE)
    await x.end()


@breaks("EndpointMalformed")
async def broken_json_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.send(b'data: {"choices": [{"delta":\n\n' + DONE)
    await x.end()


@breaks("EndpointMalformed")
async def endless_line_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await a_line_without_end(x)


# ---- those that refuse the request ----


LIMIT_TOKENS, ASKED_TOKENS = 8192, 9001
_LONG = (
    f"This model's maximum context length is {LIMIT_TOKENS} tokens. However, "
    f"your messages resulted in {ASKED_TOKENS} tokens. Please reduce the length of the messages."
)


def _refuses(name: str, status: int, body: object, kind: str = "RequestRefused") -> None:
    _add(name, respond_with(status, body), Ending.REQUEST_REFUSED, kind)


for _status in (400, 413, 422):
    _refuses(f"status_{_status}", _status, error(f"told with {_status}", "invalid_request_error"))
_refuses(
    "overflow_openai",
    400,
    error(_LONG, "invalid_request_error", "context_length_exceeded"),
    "ContextExceeded",
)
_refuses(
    "overflow_vllm",
    400,
    {
        "object": "error",
        "message": f"This model's maximum context length is {LIMIT_TOKENS} tokens. However, you "
        f"requested {ASKED_TOKENS} tokens (8500 in the messages, 501 in the completion). Please "
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
            "message": f"request ({ASKED_TOKENS} tokens) exceeds the available context size "
            f"({LIMIT_TOKENS} tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": ASKED_TOKENS,
            "n_ctx": LIMIT_TOKENS,
        }
    },
    "ContextExceeded",
)
