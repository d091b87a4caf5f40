"""The transport over loopback sockets: what it sends, and that it releases connections."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointMalformed, EndpointTimeout, EndpointUnreachable
from akash_gradio.gateway.passthrough.http_client import ConnectionPool
from akash_gradio.gateway.passthrough.http_connection import MAX_HEAD_BYTES, UNREAD_BYTES, Origin
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.gateway.transport import UpstreamResponse

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
PROMPT_CLOSE_S = 0.2
LATE_S = 0.03

Script = Callable[["Server"], Coroutine[Any, Any, None]]


class Server:
    """A server that runs a script for each request.

    Attributes:
        heads: The heads of the requests, in lower case.
        connections: How many connections were accepted.
        open: How many of them are open now.
        requested: Set at each request.
        disconnected: Set when a connection ends.
    """

    def __init__(self, script: Script) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.open = 0
        self.requested, self.disconnected = asyncio.Event(), asyncio.Event()
        self._script = script
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head.lower())
                await reader.readexactly(_length(head))
                self.requested.set()
                await self._script(self)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.open -= 1
            self.disconnected.set()

    async def send(self, *data: bytes) -> None:
        for part in data:
            self.writer.write(part)
        await self.writer.drain()


def _length(head: str) -> int:
    lines = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
    return int(lines[0].split(":")[1]) if lines else 0


@asynccontextmanager
async def serve(
    script: Script, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, int]]:
    server = Server(script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


@asynccontextmanager
async def open_transport() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport()
    await transport.start([])
    try:
        yield transport
    finally:
        await transport.aclose()


def entry(port: int, **fields: Any) -> EndpointSettings:
    return EndpointSettings(name="a", url=f"http://127.0.0.1:{port}/v1", **fields)


async def post(transport: HttpTransport, to: EndpointSettings, **headers: str) -> UpstreamResponse:
    return await transport.open(
        to, "/chat/completions", b"{}", headers=headers, connect_timeout_s=2
    )


async def send_nothing(server: Server) -> None:
    await server.reader.read()


async def send_head_only(server: Server) -> None:
    await server.send(HEAD)


async def send_first_piece(server: Server) -> None:
    await server.send(HEAD, PIECE)


async def send_response(server: Server) -> None:
    await server.send(HEAD, PIECE, END)


async def send_endlessly(server: Server) -> None:
    await server.send(HEAD)
    while not server.writer.is_closing():
        await server.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def read(response: UpstreamResponse) -> bytes:
    return b"".join([part async for part in parts_of(response)])


async def parts_of(response: UpstreamResponse) -> AsyncIterator[bytes]:
    while part := await response.read():
        yield part


async def test_the_key_and_all_headers_are_sent_and_the_endpoints_override_the_models() -> None:
    secret = {"X-Both": SecretStr("entry"), "Content-Length": SecretStr("7")}
    async with serve(send_response) as (server, port), open_transport() as transport:
        to = entry(port, api_key=SecretStr("k"), custom_headers=secret)
        mine = {"x-both": "model", "X-Mine": "yes", "Authorization": "model", "Host": "else"}
        response = await post(transport, to, **mine)
        await read(response)
        await response.aclose()
    (head,) = server.heads
    assert "authorization: bearer k\r\n" in head
    assert "x-both: entry\r\n" in head
    assert "x-mine: yes\r\n" in head
    assert f"host: 127.0.0.1:{port}\r\n" in head
    assert "user-agent: akash-gradio/" in head
    assert "model" not in head
    assert "content-length: 2\r\n" in head


async def test_an_invalid_header_of_a_model_is_dropped() -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        response = await post(
            transport, entry(port), **{"X-Bad": "a\r\nX-More: b", "X Bad": "c", "É": "d"}
        )
        await response.aclose()
    assert "x-bad" not in server.heads[0]
    assert "x-more" not in server.heads[0]


async def test_a_connection_is_reused_after_its_response_was_read_to_the_end() -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        for _ in range(3):
            response = await post(transport, entry(port))
            assert await read(response) == b"hello"
            await response.aclose()
    assert (server.connections, len(server.heads)) == (1, 3)


async def test_connections_are_not_reused_if_the_entry_sends_connection_close() -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        to = entry(port, custom_headers={"Connection": SecretStr("close")})
        for _ in range(3):
            response = await post(transport, to)
            assert await read(response) == b"hello"
            await response.aclose()
    assert (server.connections, len(server.heads)) == (3, 3)
    assert "connection: close\r\n" in server.heads[0]


async def test_redirects_are_not_followed() -> None:
    async def redirect(server: Server) -> None:
        await server.send(b"HTTP/1.1 307 X\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n")

    async with serve(redirect) as (server, port), open_transport() as transport:
        response = await post(transport, entry(port))
        assert response.status == 307
        await response.aclose()
    assert len(server.heads) == 1


async def test_cookies_are_not_sent_back() -> None:
    async def set_cookie(server: Server) -> None:
        await server.send(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")

    async with serve(set_cookie) as (server, port), open_transport() as transport:
        for _ in range(2):
            await (await post(transport, entry(port))).aclose()
    assert "cookie" not in server.heads[1]


@pytest.mark.parametrize("script", [send_head_only, send_first_piece, send_endlessly])
async def test_closing_an_unfinished_response_closes_the_socket_at_once(script: Script) -> None:
    async with serve(script) as (server, port), open_transport() as transport:
        response = await post(transport, entry(port))
        if script is not send_head_only:
            await response.read()
        await response.aclose()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await server.disconnected.wait()


@pytest.mark.parametrize("script", [send_nothing, send_head_only])
async def test_cancelling_a_wait_closes_the_socket_at_once(script: Script) -> None:
    async with serve(script) as (server, port), open_transport() as transport:
        waiting = asyncio.create_task(read_whole(transport, entry(port)))
        await server.requested.wait()
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await server.disconnected.wait()


async def read_whole(transport: HttpTransport, to: EndpointSettings) -> bytes:
    response = await post(transport, to)
    try:
        return await read(response)
    finally:
        await response.aclose()


async def test_two_hundred_unfinished_responses_leave_no_connection_and_no_task() -> None:
    async with serve(send_first_piece) as (server, port), open_transport() as transport:
        before = asyncio.all_tasks()
        for number in range(200):
            response = await post(transport, entry(port))
            if number % 2:
                await response.read()
            await response.aclose()
        del response
        gc.collect()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            while server.open:
                server.disconnected.clear()
                await server.disconnected.wait()
        served = {task for task in asyncio.all_tasks() if "serve" in repr(task)}
        assert asyncio.all_tasks() - served <= before
        assert server.connections == 200


async def test_the_error_states_why_the_connection_failed() -> None:
    async with serve(send_response) as (_, port):
        pass
    async with open_transport() as transport:
        with pytest.raises(EndpointUnreachable) as refused:
            await post(transport, entry(port))
        with pytest.raises(EndpointUnreachable) as unnamed:
            await post(transport, EndpointSettings(name="a", url="http://nowhere.invalid/v1"))
    assert (refused.value.reason, unnamed.value.reason) == ("refused", "dns")
    assert refused.value.__context__ is None


async def test_a_server_without_tls_is_a_tls_error() -> None:
    async def send_smtp_greeting(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"220 mail.example ready\r\n")

    server = await asyncio.start_server(send_smtp_greeting, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_transport() as transport:
        with pytest.raises(EndpointUnreachable) as error:
            await post(transport, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1"))
    server.close()
    assert error.value.reason == "tls"


async def test_connecting_has_a_timeout() -> None:
    async def accept_and_hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    server = await asyncio.start_server(accept_and_hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    to = EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1")
    async with open_transport() as transport:
        with pytest.raises(EndpointTimeout) as error:
            await transport.open(to, "/x", None, headers={}, connect_timeout_s=0.05)
    server.close()
    assert (error.value.stage, error.value.after_s) == ("connect", 0.05)


async def test_a_body_that_is_cut_off_is_an_error() -> None:
    async def send_and_close(server: Server) -> None:
        await server.send(HEAD, PIECE)
        server.writer.close()

    async with serve(send_and_close) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        with pytest.raises(EndpointMalformed) as error:
            await read(response)
        await response.aclose()
    assert error.value.reason == "cut"


@pytest.mark.parametrize("late", [False, True])
async def test_a_body_with_an_invalid_chunk_is_an_error_for_early_and_late_readers(
    late: bool,
) -> None:
    go_on, left = asyncio.Event(), asyncio.Event()

    async def send_invalid_chunk(server: Server) -> None:
        await server.send(HEAD, PIECE)
        await go_on.wait()
        await server.send(b"no size\r\n")
        with suppress(ConnectionError):
            await server.reader.read()
        left.set()

    async with serve(send_invalid_chunk) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        assert await response.read() == b"hello"
        go_on.set()
        async with asyncio.timeout(20):
            if late:
                await left.wait()
            with pytest.raises(EndpointMalformed) as error:
                await response.read()
        await response.aclose()
    assert error.value.reason == "cut"


async def test_reading_resumes_after_too_many_small_pieces() -> None:
    lots, go_on = UNREAD_BYTES // 32 + 1, asyncio.Event()

    async def send_byte_by_byte(server: Server) -> None:
        await server.send(HEAD + b"1\r\nx\r\n" * lots)
        await go_on.wait()
        await server.send(b"1\r\ny\r\n" * 5)
        await server.reader.read()

    async with serve(send_byte_by_byte) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        async with asyncio.timeout(20):
            size = 0
            while size < lots:
                size += len(await response.read())
            go_on.set()
            while size < lots + 5:
                size += len(await response.read())
        await response.aclose()


async def test_a_body_is_decoded_and_a_false_encoding_is_an_error() -> None:
    def encoded(name: str, body: bytes) -> Script:
        async def script(server: Server) -> None:
            head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\ncontent-length: {len(body)}"
            await server.send(head.encode() + b"\r\n\r\n" + body)

        return script

    async with (
        serve(encoded("deflate", zlib.compress(b"hello"))) as (_, port),
        open_transport() as transport,
    ):
        response = await post(transport, entry(port))
        assert await read(response) == b"hello"
        await response.aclose()
    for name, magic in (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd")):
        async with (
            serve(encoded(name, magic + b"no such thing")) as (server, port),
            open_transport() as transport,
        ):
            with pytest.raises(EndpointMalformed) as error:
                await read_whole(transport, entry(port))
            async with asyncio.timeout(PROMPT_CLOSE_S):
                await transport.aclose()
                await server.disconnected.wait()
        assert error.value.reason == "encoding"


async def test_the_environments_proxy_is_not_used_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serve(send_response) as (server, port), open_transport() as transport:
        assert await read_whole(transport, entry(port)) == b"hello"
    assert len(server.heads) == 1


async def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        to = EndpointSettings(name="a", url="http://elsewhere.invalid/v1")
        assert await read_whole(transport, to) == b"hello"
    assert server.heads[0].startswith("post http://elsewhere.invalid/v1/chat/completions ")


async def test_the_login_to_a_proxy_is_sent_as_a_header_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        monkeypatch.setenv("http_proxy", f"http://ann:p%40ss@127.0.0.1:{port}")
        assert await read_whole(
            transport, EndpointSettings(name="a", url="http://elsewhere.invalid/v1")
        )
    assert "proxy-authorization: basic yw5uonbac3m=\r\n" in server.heads[0]
    assert "ann" not in server.heads[0]


async def test_reading_stops_while_the_body_is_not_consumed() -> None:
    most, sent, stuck = 256 * UNREAD_BYTES, 0, asyncio.Event()

    async def send_much(server: Server) -> None:
        nonlocal sent
        await server.send(HEAD)
        with suppress(TimeoutError):
            while sent < most:
                async with asyncio.timeout(0.5):
                    await server.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        stuck.set()

    async with serve(send_much) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        async with asyncio.timeout(20):
            await stuck.wait()
        await response.aclose()
    assert UNREAD_BYTES < sent < most


async def test_the_lag_counts_from_the_arrival_of_the_bytes() -> None:
    async with serve(send_response) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        while response.lag_s < LATE_S:
            pass  # the reader is busy
        assert await response.read() == b"hello"
        assert response.lag_s >= LATE_S
        await response.aclose()


class RecordingSink:
    """A sink that accepts a number of writes.

    Attributes:
        written: The data of the accepted writes.
        refused: The data of the refused writes.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.written: list[bytes] = []
        self.refused: list[bytes] = []
        self._limit = limit

    def try_write(self, data: bytes) -> bool:
        accepts = len(self.written) < self._limit
        (self.written if accepts else self.refused).append(data)
        return accepts


def stepwise(count: int, last: bytes = END) -> tuple[Script, asyncio.Semaphore]:
    """Return a script that sends a packet each time that the semaphore is released."""
    steps = asyncio.Semaphore(0)

    async def script(server: Server) -> None:
        await server.send(HEAD)
        for _ in range(count):
            await steps.acquire()
            await server.send(PIECE)
        await steps.acquire()
        await server.send(last)

    return script, steps


class SteppingSink(RecordingSink):
    """A sink that lets the server send the next packet."""

    def __init__(self, steps: asyncio.Semaphore, limit: int = 1 << 30) -> None:
        super().__init__(limit)
        self._steps = steps

    def try_write(self, data: bytes) -> bool:
        self._steps.release()
        return super().try_write(data)


async def test_a_body_is_piped_until_its_end() -> None:
    script, steps = stepwise(3)
    async with serve(script) as (_, port), open_transport() as transport:
        response, sink = await post(transport, entry(port)), SteppingSink(steps)
        steps.release()
        await response.pipe_to(sink)
        assert sink.written == [b"hello"] * 3
        assert await response.read() == b""
        await response.aclose()


async def test_what_the_sink_refused_is_left_for_read() -> None:
    script, steps = stepwise(3)
    async with serve(script) as (_, port), open_transport() as transport:
        response, sink = await post(transport, entry(port)), SteppingSink(steps, limit=1)
        steps.release()
        await response.pipe_to(sink)
        assert (sink.written, sink.refused) == ([b"hello"], [b"hello"])
        steps.release()
        assert await read(response) == b"hellohello"
        await response.aclose()


async def test_nothing_is_piped_before_the_buffer_was_read() -> None:
    async with serve(send_response) as (_, port), open_transport() as transport:
        response, sink = await post(transport, entry(port)), RecordingSink()
        await response.pipe_to(sink)
        await response.pipe_to(sink)
        assert (sink.written, await response.read()) == ([], b"hello")
        await response.aclose()


async def test_a_cut_off_body_is_reported_by_the_read_after_pipe_to() -> None:
    script, steps = stepwise(1, last=b"5\r\nhe")

    async def send_and_cut(server: Server) -> None:
        await script(server)
        server.writer.close()

    async with serve(send_and_cut) as (_, port), open_transport() as transport:
        response, sink = await post(transport, entry(port)), SteppingSink(steps)
        steps.release()
        await response.pipe_to(sink)
        assert b"".join(sink.written) == b"hellohe"
        with pytest.raises(EndpointMalformed):
            await response.read()
        await response.aclose()


async def test_an_error_of_the_sink_is_raised_by_pipe_to() -> None:
    script, steps = stepwise(1)

    class BrokenSink:
        def try_write(self, data: bytes) -> bool:
            raise ZeroDivisionError

    async with serve(script) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        steps.release()
        with pytest.raises(ZeroDivisionError):
            await response.pipe_to(BrokenSink())
        await response.aclose()


async def test_the_next_response_of_the_connection_is_not_piped() -> None:
    async def respond_twice(server: Server) -> None:
        script, steps = stepwise(1)
        steps.release()
        steps.release()
        await script(server)

    async with serve(respond_twice) as (server, port), open_transport() as transport:
        first, sink = await post(transport, entry(port)), RecordingSink()
        await first.pipe_to(sink)
        assert await read(first) + b"".join(sink.written) == b"hello"
        await first.aclose()
        before = list(sink.written)
        second = await post(transport, entry(port))
        assert await read(second) == b"hello"
        await second.aclose()
    assert (server.connections, sink.written) == (1, before)


async def test_cancelling_pipe_to_closes_the_connection() -> None:
    async with serve(send_first_piece) as (server, port), open_transport() as transport:
        response = await post(transport, entry(port))
        assert await response.read() == b"hello"
        piping = asyncio.create_task(response.pipe_to(RecordingSink()))
        await asyncio.sleep(0)
        piping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await piping
        await response.aclose()
        async with asyncio.timeout(20):
            await server.disconnected.wait()


@pytest.mark.parametrize("script", [send_first_piece, send_endlessly])
async def test_a_tls_connection_is_closed_at_once_too(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with serve(script, context) as (server, port), open_transport() as transport:
        response = await post(
            transport, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1")
        )
        await response.read()
        await response.aclose()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await server.disconnected.wait()


async def test_an_untrusted_certificate_is_a_tls_error(tmp_path: Path) -> None:
    async with (
        serve(send_response, _certificate(tmp_path)) as (_, port),
        open_transport() as transport,
    ):
        with pytest.raises(EndpointUnreachable) as error:
            await post(transport, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1"))
    assert error.value.reason == "tls"


def _certificate(folder: Path) -> ssl.SSLContext:
    """Return a server context with a new certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, cert = folder / "key.pem", folder / "cert.pem"
    arguments = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key} -out {cert}"
    )
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *arguments.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def test_a_kept_connection_that_the_server_closed_costs_no_request() -> None:
    async def close_at_the_second(server: Server) -> None:
        if len(server.heads) == 2:
            server.writer.close()
            raise ConnectionResetError
        await server.send(WHOLE)

    async with serve(close_at_the_second) as (server, port), open_transport() as transport:
        assert await read_whole(transport, entry(port)) == b"hello"
        assert await read_whole(transport, entry(port)) == b"hello"
    assert (server.connections, len(server.heads)) == (2, 3)


async def test_a_new_connection_that_is_closed_is_not_tried_again() -> None:
    async def close(server: Server) -> None:
        server.writer.close()
        raise ConnectionResetError

    async with serve(close) as (server, port), open_transport() as transport:
        with pytest.raises(EndpointUnreachable) as error:
            await post(transport, entry(port))
    assert error.value.reason == "reset"
    assert server.connections == 1


async def test_a_kept_connection_that_ends_within_a_head_is_not_tried_again() -> None:
    async def script(server: Server) -> None:
        if len(server.heads) == 1:
            await server.send(WHOLE)
        else:
            await server.send(b"HTTP/1.1 200")
            server.writer.close()
            raise ConnectionResetError

    async with serve(script) as (server, port), open_transport() as transport:
        await read_whole(transport, entry(port))
        with pytest.raises(EndpointMalformed) as error:
            await post(transport, entry(port))
    assert error.value.reason == "cut"
    assert (server.connections, len(server.heads)) == (1, 2)


def in_parts(*parts: bytes) -> Script:
    async def script(server: Server) -> None:
        for part in parts:
            await server.send(part)
            await asyncio.sleep(0.001)

    return script


FRAMINGS = {
    "length": WHOLE,
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunks": HEAD + b"2;ext=1\r\nhe\r\n3\r\nllo\r\n0\r\nx-trailer: 1\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
    "spaces": b"HTTP/1.1 200\r\nContent-Length:5  \r\n\r\nhello",
}


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_every_framing_is_read_however_it_is_cut(framing: str) -> None:
    data = FRAMINGS[framing]
    expected = b"" if framing == "empty" else b"hello"
    cuts = [data[:position] for position in range(1, len(data))]
    scripts = iter([in_parts(data[: len(c)], data[len(c) :]) for c in cuts])

    async def script(server: Server) -> None:
        await next(scripts)(server)

    async with serve(script) as (server, port), open_transport() as transport:
        for _ in cuts:
            response = await post(transport, entry(port))
            assert await read(response) == expected
            assert "x-trailer" not in response.headers
            assert "link" not in response.headers
            await response.aclose()
    assert server.connections == 1


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async def script(server: Server) -> None:
        await server.send(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
        server.writer.close()
        raise ConnectionResetError

    async with serve(script) as (server, port), open_transport() as transport:
        for _ in range(2):
            assert await read_whole(transport, entry(port)) == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize("length", [10_000, 60_000])
async def test_long_headers_are_read(length: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * length
    whole = in_parts(head, b"\r\ncontent-length: 5\r\n\r\nhello")
    async with serve(whole) as (_, port), open_transport() as transport:
        response = await post(transport, entry(port))
        assert len(response.headers["x-long"]) == length
        assert await read(response) == b"hello"
        await response.aclose()


@pytest.mark.parametrize("line", [b"x-long: " + b"a" * 1000, b"x: y\r\n" * 100])
async def test_a_head_without_end_is_an_error(line: bytes) -> None:
    async def script(server: Server) -> None:
        await server.send(b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError):
            for _ in range(4 * MAX_HEAD_BYTES // len(line)):
                await server.send(line)

    async with serve(script) as (server, port), open_transport() as transport:
        with pytest.raises(EndpointMalformed):
            await post(transport, entry(port))
        async with asyncio.timeout(20):
            await server.disconnected.wait()


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\n\r\n", b"\0", WHOLE])
async def test_a_connection_with_bytes_behind_a_response_is_not_used_again(extra: bytes) -> None:
    async def script(server: Server) -> None:
        await server.send(WHOLE + extra)

    async with serve(script) as (server, port), open_transport() as transport:
        for _ in range(2):
            assert await read_whole(transport, entry(port)) == b"hello"
    assert server.connections == 2


async def test_bytes_that_were_not_requested_close_an_idle_connection() -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        await read_whole(transport, entry(port))
        await server.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        async with asyncio.timeout(20):
            await server.disconnected.wait()
        assert await read_whole(transport, entry(port)) == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize(
    "head", [b"SMTP ready\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n"
             b"connection: upgrade\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"]
)  # fmt: skip
async def test_what_is_not_http_is_an_error(head: bytes) -> None:
    async with serve(in_parts(head)) as (_, port), open_transport() as transport:
        with pytest.raises(EndpointMalformed):
            await post(transport, entry(port))


async def test_a_response_before_the_whole_request_was_sent_is_read() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_transport() as transport:
        body = b"x" * (32 << 20)
        response = await transport.open(
            entry(port), "/chat/completions", body, headers={}, connect_timeout_s=2
        )
        assert (response.status, await read(response)) == (413, b"no")
        await response.aclose()
        assert not transport._pool._idle
    server.close()


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with serve(send_response) as (server, port), open_transport() as transport:
        await read_whole(transport, entry(port))
        assert server.open == 1
        async with asyncio.timeout(60):
            await server.disconnected.wait()


async def test_many_requests_at_once_look_a_name_up_once() -> None:
    lookups = 0

    async def look_up(host: str, port: int) -> Any:
        nonlocal lookups
        lookups += 1
        await asyncio.sleep(0.01)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    pool = ConnectionPool(ssl.create_default_context, look_up=look_up)
    head = b"GET / HTTP/1.1\r\nhost: named\r\n\r\n"
    origin = Origin("named", server.sockets[0].getsockname()[1], tls=False)
    requests = (pool.request(origin, head, b"", alias="a", connect_timeout_s=20) for _ in range(20))
    for response in await asyncio.gather(*requests):
        assert await read(response) == b"hello"
    pool.aclose()
    server.close()
    assert lookups == 1
