"""What clients and proxies may do on the wire, for the page's server and for `serve --no-ui`."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from akash_gradio.auth.session import SIGN_IN_LIMIT
from akash_gradio.http.body import PROCESS_BODIES
from akash_gradio.http.server_protocol import ServerProtocol
from tests.edge.servers import KINDS, Kind, Server, chat_request, request, running

GET = request("GET", "/healthz")
HOST = "Host: 127.0.0.1\r\n"


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with running(request.param) as running_server:
        yield running_server


# ── what one request is ──────────────────────────────────────────────────────

POST = f"POST /healthz HTTP/1.1\r\n{HOST}"
REJECTED = {
    "obs-fold": f"GET /healthz HTTP/1.1\r\n{HOST}X-A: one\r\n two\r\n\r\n",
    "space before the colon": "GET /healthz HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "space before the first header": f"GET /healthz HTTP/1.1\r\n {HOST}\r\n",
    "two lengths": f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length list": f"{POST}Content-Length: 5, 5\r\n\r\nhello",
    "negative length": f"{POST}Content-Length: -5\r\n\r\nhello",
    "signed length": f"{POST}Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": f"{POST}Content-Length: 0x5\r\n\r\nhello",
    "length and chunks": f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": f"{POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": f"{POST}Transfer-Encoding: chunked\r\n\r\nxx\r\n",
    "huge chunk size": f"{POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "control character in a name": f"GET /healthz HTTP/1.1\r\n{HOST}X\x01: a\r\n\r\n",
    "NUL in a value": f"GET /healthz HTTP/1.1\r\n{HOST}X: a\x00b\r\n\r\n",
    "CR in a value": f"GET /healthz HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n",
    "unknown method": f"WHAT /healthz HTTP/1.1\r\n{HOST}\r\n",
    "unknown protocol": f"GET /healthz HTTP/3.7\r\n{HOST}\r\n",
    "space in the target": f"GET /health z HTTP/1.1\r\n{HOST}\r\n",
    "bytes of another protocol": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
}


@pytest.mark.parametrize("name", REJECTED)
async def test_an_ambiguous_request_is_rejected_and_nothing_follows_it(
    server: Server, name: str
) -> None:
    responses = await server.send(REJECTED[name].encode("latin-1") + GET)
    assert [r.status for r in responses] == [400]
    assert responses[0].headers["connection"] == "close"


TARGETS = {
    "/healthz": 200,
    "/healthz?x=%00": 200,
    "http://127.0.0.1/healthz": 200,
    "http://evil.example/healthz": 200,  # its own path is open; the host is not believed
    "/%68ealthz": 200,
    "//healthz": 404,
    "/./healthz": 404,
    "/x/../healthz": 404,
    "/healthz/": 404,
    "/HEALTHZ": 404,
    "/healthz%00": 404,
    "/healthz;x": 404,
    "/%2e/healthz": 404,
    "\\healthz": 400,
    "healthz": 400,
}


@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_is_one_path(server: Server, target: str) -> None:
    responses = await server.send(request("GET", target), count=1)
    assert [r.status for r in responses] == [TARGETS[target]]


@pytest.mark.parametrize("line", ["OPTIONS * HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1"])
async def test_other_forms_of_targets_reach_no_route(server: Server, line: str) -> None:
    responses = await server.send(f"{line}\r\n{HOST}\r\n".encode(), count=1)
    assert [r.status for r in responses if r.status < 400] == []


# ── hosts ────────────────────────────────────────────────────────────────────

HOSTS = {
    "": 421,
    "Host: evil.example\r\n": 421,
    "Host: 127.0.0.1\r\nHost: evil.example\r\n": 421,
    "Host: 127.0.0.1\r\nhost: 127.0.0.1\r\n": 421,
    "Host:\r\n": 421,
    "Host: 127.0.0.1, evil.example\r\n": 421,
    "Host: a@127.0.0.1\r\n": 421,
    "Host: 127.0.0.1.evil.example\r\n": 421,
    "X-Forwarded-Host: 127.0.0.1\r\nHost: evil.example\r\n": 421,
    "Host: 127.0.0.1:7860\r\n": 200,
    "host: LOCALHOST\r\n": 200,
    "Host: [::1]:80\r\n": 200,
}


@pytest.mark.parametrize("lines", HOSTS)
async def test_the_page_is_served_for_its_own_hosts(lines: str) -> None:
    async with running("page") as server:
        data = f"GET /page/boot HTTP/1.1\r\n{lines}\r\n".encode()
        responses = await server.send(data, count=1)
    assert [r.status for r in responses] == [HOSTS[lines]]


@pytest.mark.parametrize("lines", HOSTS)
async def test_without_keys_the_api_is_served_for_this_machine_alone(
    server: Server, lines: str
) -> None:
    data = f"GET /v1/models HTTP/1.1\r\n{lines}\r\n".encode()
    responses = await server.send(data, count=1)
    assert [r.status for r in responses] == [200 if HOSTS[lines] == 200 else 403]


# ── trailers ─────────────────────────────────────────────────────────────────


def with_trailers(head: str, body: bytes, *trailers: tuple[str, str]) -> bytes:
    """Return a chunked request that ends with trailers."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return (
        f"{head}{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
        + chunk
        + f"0\r\n{lines}\r\n".encode()
    )


async def test_a_key_in_a_trailer_is_no_key(server: Server) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
    async with running(server.kind, GATEWAY_API_KEYS="key-of-ann-123") as locked:
        trailer = ("Authorization", "Bearer key-of-ann-123")
        for cut in (False, True):
            data = with_trailers(head, body, trailer)
            pieces = [data[:-60], data[-60:]] if cut else [data]
            (response,) = await locked.send(pieces, pause_s=0.05, count=1)
            assert response.status == 401
        assert not locked.stub.chats


async def test_a_forwarded_address_in_a_trailer_does_not_reset_the_throttle() -> None:
    form = urlencode({"secret": "wrong"}).encode()
    head = "POST /page/sign-in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    async with running("page", ACCESS_TOKEN="let-me-in-9f3", TRUSTED_PROXIES="1") as server:
        found = []
        for number in range(SIGN_IN_LIMIT.limit + 3):
            trailer = ("X-Forwarded-For", f"203.0.113.{number}")
            found += await server.send(with_trailers(head, form, trailer), count=1)
    assert [r.status for r in found] == [401] * SIGN_IN_LIMIT.limit + [429] * 3


async def test_a_host_in_a_trailer_is_no_host() -> None:
    async with running("page") as server:
        data = with_trailers("GET /page/boot HTTP/1.1\r\n", b"", ("Host", "127.0.0.1"))
        (response,) = await server.send(data.replace(HOST.encode(), b"", 1), count=1)
    assert response.status == 421


# ── pipelining, in every cut ─────────────────────────────────────────────────

TWO = {
    "two small ones": GET + request("GET", "/v1/models"),
    "an answer and a head": chat_request() + GET,
    "two answers": chat_request("one") + chat_request("two"),
    "with a body in chunks": with_trailers("POST /nothing HTTP/1.1\r\n", b"hello", ("A", "b"))
    + GET,
}


@pytest.mark.parametrize("name", TWO)
async def test_two_requests_have_two_responses_however_they_are_cut(
    server: Server, name: str
) -> None:
    data = TWO[name]
    expected = [r.status for r in await server.send(data, count=2)]
    assert len(expected) == 2
    limit = asyncio.Semaphore(20)

    async def cut_at(*offsets: int) -> list[int]:
        ends = [*offsets, len(data)]
        starts = [0, *offsets]
        async with limit:
            pieces = [data[a:b] for a, b in zip(starts, ends, strict=True)]
            return [r.status for r in await server.send(pieces, pause_s=0.002, count=2)]

    cuts = [(n,) for n in range(1, len(data))] + [(n, n + 1) for n in range(1, len(data) - 1, 7)]
    for found in await asyncio.gather(*(cut_at(*offsets) for offsets in cuts)):
        assert found == expected


async def test_many_pipelined_requests_are_answered_in_order(server: Server) -> None:
    paths = ["/healthz", "/v1/models", "/nothing"] * 20
    data = b"".join(request("GET", path) for path in paths)
    responses = await server.send(data, count=60)
    assert len(responses) >= 16  # the client sends the others again
    assert [r.status for r in responses] == ([200, 200, 404] * 20)[: len(responses)]
    if len(responses) < 60:
        assert responses[-1].headers["connection"] == "close"


# ── slow heads and bodies ────────────────────────────────────────────────────


class QuickTimeoutProtocol(ServerProtocol):
    __slots__ = ()
    head_timeout_s = 0.3


async def closes(
    server: Server, data: bytes, *, every_s: float = 0.05, within_s: float = 15
) -> bool:
    """Return whether the server closes a connection that goes on byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        async with asyncio.timeout(within_s):
            while not reader.at_eof():
                writer.write(b"a")
                try:
                    async with asyncio.timeout(every_s):
                        await reader.read(1000)
                except TimeoutError:
                    continue
            return True
    except (TimeoutError, ConnectionError) as error:
        return isinstance(error, ConnectionError)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("data", [b"", b"GET /he", b"GET / HTTP/1.1\r\nX: "], ids=repr)
async def test_a_head_that_never_ends_is_given_up(data: bytes) -> None:
    async with running("page", protocol=QuickTimeoutProtocol) as server:
        assert await closes(server, data)


@pytest.mark.parametrize(
    "rest",
    [b"X: " + b"a" * 200_000, b"X: a\r\n" * 40_000, b"a" * 200_000],
    ids=["a long value", "many headers", "a long name"],
)
async def test_a_head_has_a_longest_size(server: Server, rest: bytes) -> None:
    data = f"GET /healthz HTTP/1.1\r\n{HOST}".encode()
    responses = await server.send([data, rest], count=1)
    assert [r.status for r in responses if r.status not in (400, 431)] == []


@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\nX: " + b"a" * 5_000_000,
        b"0\r\n" + b"X: a\r\n" * 500_000,
        b"1;" + b"a" * 5_000_000,
        b"1;a=b\r\nx\r\n" * 500_000,
    ],
    ids=["a long trailer", "many trailers", "a long extension", "many extensions"],
)
async def test_what_belongs_to_no_body_is_not_collected(server: Server, rest: bytes) -> None:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    pieces = [head.encode(), *(rest[n : n + 65_536] for n in range(0, len(rest), 65_536))]
    tracemalloc.start()
    try:
        await server.send(pieces, count=0)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


async def test_unfinished_bodies_are_bounded_and_freed_without_the_garbage_collector() -> None:
    """80 connections, each with 8 MB of a chat that never ends."""
    head = (
        f"POST /page/reply HTTP/1.1\r\n{HOST}Content-Type: application/json\r\n"
        "Content-Length: 15000000\r\n\r\n"
    )
    async with running("page") as server:
        tracemalloc.start()
        gc.collect()
        gc.disable()
        try:
            before = tracemalloc.get_traced_memory()[0]
            connections = []
            for _ in range(80):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                connections.append((reader, writer))
                writer.write(head.encode() + b" " * 8_000_000)
                try:
                    async with asyncio.timeout(5):
                        await writer.drain()
                except (TimeoutError, ConnectionError):
                    pass
                assert PROCESS_BODIES.held_bytes <= PROCESS_BODIES.total_bytes
            (answer,) = await server.send(request("GET", "/page/boot"), count=1)
            assert answer.status == 200
            for _, writer in connections:
                writer.transport.abort()
            connections.clear()
            del reader, writer
            for _ in range(100):
                if not PROCESS_BODIES.held_bytes:
                    break
                await asyncio.sleep(0.05)
            assert PROCESS_BODIES.held_bytes == 0
            assert tracemalloc.get_traced_memory()[0] - before < 10_000_000
        finally:
            gc.enable()
            tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_client_sees_why_its_body_was_refused(kind: Kind) -> None:
    async with running(kind) as server:
        head = f"POST /v1/chat/completions HTTP/1.1\r\n{HOST}Content-Length: 999999999\r\n\r\n"
        (response,) = await server.send(head.encode() + b" " * 1_000_000, count=1)
        assert response.status == 413
