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

from tests.stubs.animal import ZOO, Act, Animal, Ends
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import (
    DONE,
    TEXT,
    THOUGHTS,
    TOKENS,
    USAGE,
    chunk,
    completion,
    ending,
    error,
    event,
    opening,
    pack,
    says,
    story,
    usage_event,
)

TICK_S = 0.02
REST_S = 7
"""What the 429s ask for."""
MEBIBYTE = 1 << 20


def that(ends: Ends) -> list[str]:
    """The names of all animals that end so."""
    return [name for name, animal in ZOO.items() if animal.ends is ends]


def _add(name: str, act: Act, ends: Ends, error: str = "", **more: Any) -> None:
    ZOO[name] = Animal(name=name, act=act, ends=ends, error=error, **more)


def whole(**more: Any) -> Callable[[Act], Act]:
    """A way of streaming that a client has to bear; asked for no stream, it answers plainly."""

    def add(act: Act) -> Act:
        async def either(x: Exchange) -> None:
            if streamed(x):
                await act(x)
            else:
                await x.reply(pack(completion("".join(x.stub.tokens))))

        _add(act.__name__, either, Ends.WHOLE, **more)
        return act

    return add


def fails(error: str, **more: Any) -> Callable[[Act], Act]:
    """A failure before the first token."""

    def add(act: Act) -> Act:
        _add(act.__name__, act, Ends.NEVER_STARTS, error, **more)
        return act

    return add


def breaks(error: str, text: str = "".join(TOKENS[:3])) -> Callable[[Act], Act]:
    """A failure after the first three tokens, or after `text`."""

    def add(act: Act) -> Act:
        _add(act.__name__, act, Ends.BREAKS_OFF, error, text=text)
        return act

    return add


def streamed(x: Exchange) -> bool:
    return bool(x.seen.json.get("stream"))


def wants_usage(x: Exchange) -> bool:
    return bool((x.seen.json.get("stream_options") or {}).get("include_usage"))


def letters(count: int) -> bytes:
    """A delta of so many letters, made faster than JSON's encoder would."""
    before, _, after = says("@").partition(b"@")
    return before + b"x" * count + after


async def tell(x: Exchange, *pieces: bytes, content_type: str = "text/event-stream") -> None:
    """A chunked stream of these pieces, well ended."""
    await x.open_stream(content_type)
    for piece in pieces:
        await x.piece(piece)
    await x.end()


async def begin(x: Exchange, tokens: Iterable[str] = TOKENS[:3]) -> None:
    """A stream's headers, its role and some tokens."""
    await x.open_stream()
    await x.piece(opening())
    for token in tokens:
        await x.piece(says(token))


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
    if not streamed(x):
        await x.reply(pack(completion("".join(tokens))))
        return
    await x.open_stream()
    await x.piece(opening())
    for token in tokens:
        await asyncio.sleep(1 / tokens_per_s if tokens_per_s else 0)
        await x.piece(says(token))
    await x.piece(ending())
    if wants_usage(x):
        await x.piece(usage_event())
    await x.piece(DONE)
    await x.end()


async def echoes(x: Exchange) -> None:
    """Says what the last message said, three characters at a time."""
    said = x.seen.json["messages"][-1]["content"]
    await answer(x, [said[i : i + 3] for i in range(0, len(said), 3)])


_add("perfect", streams(), Ends.WHOLE)
_add("slow", streams(20), Ends.WHOLE)
_add("echoes", echoes, Ends.WHOLE, text="")


@whole()
async def split_into_bytes(x: Exchange) -> None:
    await x.open_stream()
    for byte in story():
        await x.piece(bytes([byte]))
        await asyncio.sleep(0)
    await x.end()


@whole()
async def cr_lines(x: Exchange) -> None:
    await tell(x, story().replace(b"\n", b"\r"))


@whole()
async def crlf_lines(x: Exchange) -> None:
    await tell(x, story().replace(b"\n", b"\r\n"))


@whole()
async def crlf_split_between(x: Exchange) -> None:
    await x.open_stream()
    for line in story().split(b"\n"):
        await x.piece(line + b"\r")
        await asyncio.sleep(0)
        await x.piece(b"\n")
    await x.end()


@whole()
async def byte_order_mark(x: Exchange) -> None:
    await tell(x, b"\xef\xbb\xbf" + story())


@whole()
async def comments_and_other_fields(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        await x.piece(b": keep-alive\n\nevent: message\nid: 7\nretry: 100\n" + says(token))
    await x.piece(ending() + DONE)
    await x.end()


@whole()
async def no_space_after_data(x: Exchange) -> None:
    await tell(x, story().replace(b"data: ", b"data:"))


@whole()
async def data_over_several_lines(x: Exchange) -> None:
    await x.open_stream()
    for token in TOKENS:
        lines = json.dumps(chunk({"content": token}), indent=1).encode().split(b"\n")
        await x.piece(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n")
    await x.piece(ending() + DONE)
    await x.end()


@whole()
async def typed_as_plain_text(x: Exchange) -> None:
    await tell(x, story(), content_type="text/plain")


@whole()
async def typed_as_json(x: Exchange) -> None:
    await tell(x, story(), content_type="application/json")


@whole()
async def whole_json_for_a_stream(x: Exchange) -> None:
    await x.reply(pack(completion()))


@whole()
async def whole_json_typed_as_stream(x: Exchange) -> None:
    await x.reply(pack(completion()), content_type="text/event-stream")


@whole()
async def no_done(x: Exchange) -> None:
    await tell(x, story().removesuffix(DONE))


@whole()
async def no_finish_reason(x: Exchange) -> None:
    await tell(x, opening(), *map(says, TOKENS), DONE)


@whole()
async def no_blank_line_at_the_end(x: Exchange) -> None:
    await tell(x, story().removesuffix(b"\n\n"))


@whole()
async def no_line_end_after_the_finish(x: Exchange) -> None:
    await tell(x, story().removesuffix(DONE).removesuffix(b"\n\n"))


@whole()
async def closes_instead_of_counting(x: Exchange) -> None:
    """HTTP/1.0's way: the body ends where the connection does."""
    await x.head()
    await x.piece(story())


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
        for part in (opening(), *map(says, TOKENS), ending(), DONE):
            await x.piece(compressor.compress(part) + compressor.flush())
        await x.piece(compressor.finish())
        await x.end()

    act.__name__ = coding
    return act


whole()(compressed("gzip", lambda: _Zlib(31)))
whole()(compressed("deflate", lambda: _Zlib(15)))
whole()(compressed("br", _Brotli))


async def float_usage(x: Exchange) -> None:
    """As the guide's own example does."""
    usage = {"prompt_tokens": 13.0, "completion_tokens": 9.25, "total_tokens": 22.25}
    if streamed(x):
        await tell(x, story().removesuffix(DONE), usage_event(usage), DONE)
    else:
        await x.reply(pack({**completion(), "usage": usage}))


_add("float_usage", float_usage, Ends.WHOLE)


@whole()
async def usage_on_every_chunk(x: Exchange) -> None:
    chunks = [event(chunk({"content": token}, usage=USAGE)) for token in TOKENS]
    await tell(x, *chunks, event(chunk({}, "stop", usage=USAGE)), DONE)


@whole()
async def null_deltas(x: Exchange) -> None:
    nothing = {"role": "assistant", "content": None, "tool_calls": None, "reasoning_content": None}
    empty = event(chunk(nothing, usage=None))
    no_delta = event({**chunk(None), "choices": [{"index": 0, "delta": None}]})
    await tell(x, empty, no_delta, *map(says, TOKENS), empty, ending(), DONE)


@whole()
async def no_choices_at_first(x: Exchange) -> None:
    no_key = event({"id": "chatcmpl-stub", "object": "chat.completion.chunk"})
    await tell(x, event(chunk(None, prompt_filter_results=[])), no_key, story())


@whole()
async def finish_on_the_last_word(x: Exchange) -> None:
    last = event(chunk({"content": TOKENS[-1]}, "stop"))
    await tell(x, opening(), *map(says, TOKENS[:-1]), last, DONE)


@whole()
async def one_late_lump(x: Exchange) -> None:
    await x.open_stream()
    await asyncio.sleep(3 * TICK_S)
    await x.piece(story())
    await x.end()


def thinks(*deltas: dict[str, str]) -> Act:
    async def act(x: Exchange) -> None:
        parts = [event(chunk({"role": "assistant", **delta})) for delta in deltas]
        await tell(x, *parts, *map(says, TOKENS), ending(), DONE)

    return act


def _thinker(name: str, act: Act, **more: Any) -> None:
    act.__name__ = name
    whole(**({"thoughts": "".join(THOUGHTS)} | more))(act)


_thinker("reasoning_content", thinks(*({"reasoning_content": t} for t in THOUGHTS)))
_thinker("reasoning", thinks(*({"reasoning": t} for t in THOUGHTS)))
_thinker(
    "think_tags_split",
    thinks(*({"content": t} for t in ("<th", "ink>", *THOUGHTS, "</thi", "nk>"))),
)
_thinker(
    "think_end_alone",
    thinks(*({"content": t} for t in (*THOUGHTS, "</th", "ink>"))),
    # By the time the tag comes its text has been shown; nobody can call it back.
    thoughts="",
    text="".join(THOUGHTS) + TEXT,
)


@whole(text="x" * (MEBIBYTE // 2))
async def half_a_mebibyte_in_a_line(x: Exchange) -> None:
    await tell(x, opening(), letters(MEBIBYTE // 2), ending(), DONE)


async def rejects_stream_options(x: Exchange) -> None:
    if "stream_options" in x.seen.json:
        told = error("Unrecognized request argument: stream_options", "invalid_request_error")
        await x.reply(pack(told), 400)
    else:
        await answer(x, x.stub.tokens)


_add("rejects_stream_options", rejects_stream_options, Ends.WHOLE)


# ---- those that fail before their first token ----


@fails("EndpointUnreachable", listens=False)
async def refuses(x: Exchange) -> None:
    """The port is closed."""


@fails("EndpointUnreachable", scheme="https")
async def speaks_no_tls(x: Exchange) -> None:
    """Never gets a request that it can read."""


@fails("EndpointUnreachable")
async def resets_at_once(x: Exchange) -> None:
    x.reset()


@fails("EndpointUnreachable")
async def closes_at_once(x: Exchange) -> None:
    pass


@fails("EndpointTimeout")
async def hangs_before_headers(x: Exchange) -> None:
    await x.for_ever()


@fails("EndpointTimeout")
async def hangs_after_headers(x: Exchange) -> None:
    await x.open_stream()
    await x.for_ever()


@fails("EndpointTimeout")
async def hangs_after_role(x: Exchange) -> None:
    await begin(x, ())
    await x.for_ever()


@fails("EndpointTimeout")
async def headers_drop_by_drop(x: Exchange) -> None:
    await x.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    async for _ in ticks():
        await x.write(b"z")


@fails("EndpointTimeout")
async def comments_for_ever(x: Exchange) -> None:
    await x.open_stream()
    async for _ in ticks():
        await x.piece(b": keep-alive\n\n")


@fails("EndpointTimeout")
async def empty_deltas_for_ever(x: Exchange) -> None:
    await begin(x, ())
    async for _ in ticks():
        await x.piece(says(""))


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
async def speaks_no_http(x: Exchange) -> None:
    await x.write(b"SSH-2.0-OpenSSH_9.2\r\n")


@fails("EndpointMalformed")
async def shorter_than_promised(x: Exchange) -> None:
    body = pack(completion())
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
    await tell(x, DONE)


@fails("EndpointSilent")
async def ends_without_a_word(x: Exchange) -> None:
    if streamed(x):
        await tell(x, opening(), ending(), usage_event(), DONE)
    else:
        await x.reply(pack(completion("")))


@fails("EndpointMalformed")
async def error_object_with_200(x: Exchange) -> None:
    await x.reply(pack(error("The model is overloaded")))


@fails("EndpointMalformed")
async def error_as_first_event(x: Exchange) -> None:
    await tell(x, event(error("CUDA out of memory")), DONE)


@fails("EndpointMalformed")
async def error_as_a_string(x: Exchange) -> None:
    await tell(x, event({"error": "overloaded"}), DONE)


@fails("EndpointMalformed")
async def broken_json(x: Exchange) -> None:
    await tell(x, b'data: {"choices": [{"delta": {"content": "Hel\n\n', DONE)


@fails("EndpointMalformed")
async def json_of_another_shape(x: Exchange) -> None:
    if streamed(x):
        await tell(x, event([1, 2, 3]), DONE)
    else:
        await x.reply(b"[1, 2, 3]")


@fails("EndpointMalformed")
async def lies_about_gzip(x: Exchange) -> None:
    await x.open_stream(content_encoding="gzip")
    await x.piece(story())
    await x.end()


@fails("EndpointMalformed")
async def twenty_mebibytes_in_a_line(x: Exchange) -> None:
    await tell(x, opening(), letters(20 * MEBIBYTE), ending(), DONE)


@fails("EndpointMalformed")
async def two_mebibytes_in_a_line(x: Exchange) -> None:
    await tell(x, opening(), letters(2 * MEBIBYTE), ending(), DONE)


@fails("EndpointMalformed")
async def endless_line(x: Exchange) -> None:
    await x.open_stream()
    await a_line_without_end(x)


async def a_line_without_end(x: Exchange) -> None:
    await x.piece(b'data: {"choices": [{"index": 0, "delta": {"content": "')
    while True:
        await x.piece(b"x" * 65536)


def redirects(status: int) -> Act:
    """Points to the same stub under another host's name; nobody should arrive at `/stolen`."""

    async def act(x: Exchange) -> None:
        there = f"http://localhost:{x.stub.port}/stolen/v1/chat/completions"
        await x.reply(b"", status, location=there)

    return act


_add("redirects_307", redirects(307), Ends.NEVER_STARTS, "EndpointRefused")
_add("redirects_302", redirects(302), Ends.NEVER_STARTS, "EndpointRefused")


def answers(status: int, body: object, **headers: str) -> Act:
    async def act(x: Exchange) -> None:
        await x.reply(pack(body), status, **headers)

    return act


for _status in (401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529):
    _act = answers(_status, error(f"told with {_status}"))
    _add(f"status_{_status}", _act, Ends.NEVER_STARTS, "EndpointRefused")


@fails("EndpointRefused")
async def html_with_502(x: Exchange) -> None:
    await x.reply(b"<html><h1>502 Bad Gateway</h1></html>", 502, "text/html")


@fails("EndpointRefused")
async def rests_by_seconds(x: Exchange) -> None:
    await x.reply(pack(error("Rate limit reached")), 429, retry_after=str(REST_S))


@fails("EndpointRefused")
async def rests_by_date(x: Exchange) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=REST_S), usegmt=True)
    await x.reply(pack(error("Rate limit reached")), 429, retry_after=then)


@fails("EndpointRefused")
async def rests_by_milliseconds(x: Exchange) -> None:
    await x.reply(pack(error("Rate limit reached")), 429, retry_after_ms=str(REST_S * 1000))


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
    await x.piece(opening() + b"".join(map(says, TOKENS[:3])))


@breaks("EndpointTimeout")
async def hangs_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.for_ever()


@breaks("EndpointTimeout")
async def comments_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    async for _ in ticks():
        await x.piece(b": keep-alive\n\n")


@breaks("EndpointMalformed")
async def error_after_the_first_token(x: Exchange) -> None:
    await begin(x)
    await x.piece(event(error("CUDA out of memory")) + DONE)
    await x.end()


@breaks("EndpointMalformed")
async def broken_json_in_the_middle(x: Exchange) -> None:
    await begin(x)
    await x.piece(b'data: {"choices": [{"delta":\n\n' + DONE)
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
    _add(name, answers(status, body), Ends.REFUSES, kind)


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
