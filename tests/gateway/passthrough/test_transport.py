"""The real transport over loopback sockets: what it sends, and that it lets go."""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointMalformed, EndpointTimeout, EndpointUnreachable
from akash_gradio.gateway.passthrough.transport import UNREAD_BYTES, HttpTransport
from akash_gradio.gateway.transport import UpstreamResponse

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
PROMPT_CLOSE_S = 0.2
LATE_S = 0.03

Script = Callable[["Peer"], Coroutine[Any, Any, None]]


class Peer:
    """The far end. heads: the requests' heads. open: connections now. left: set at each end."""

    def __init__(self, script: Script) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.open = 0
        self.asked, self.left = asyncio.Event(), asyncio.Event()
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
                self.asked.set()
                await self._script(self)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.open -= 1
            self.left.set()

    async def send(self, *data: bytes) -> None:
        for each in data:
            self.writer.write(each)
        await self.writer.drain()


def _length(head: str) -> int:
    lines = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
    return int(lines[0].split(":")[1]) if lines else 0


@asynccontextmanager
async def peer(
    script: Script, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Peer, int]]:
    far = Peer(script)
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield far, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    await made.start([])
    try:
        yield made
    finally:
        await made.aclose()


def entry(port: int, **more: Any) -> EndpointSettings:
    return EndpointSettings(name="a", url=f"http://127.0.0.1:{port}/v1", **more)


async def ask(made: HttpTransport, to: EndpointSettings, **headers: str) -> UpstreamResponse:
    return await made.open(to, "/chat/completions", b"{}", headers=headers, connect_timeout_s=2)


async def says_nothing(far: Peer) -> None:
    await far.reader.read()


async def sends_only_the_head(far: Peer) -> None:
    await far.send(HEAD)


async def begins(far: Peer) -> None:
    await far.send(HEAD, PIECE)


async def answers(far: Peer) -> None:
    await far.send(HEAD, PIECE, END)


async def floods(far: Peer) -> None:
    await far.send(HEAD)
    while not far.writer.is_closing():
        await far.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def read(answer: UpstreamResponse) -> bytes:
    return b"".join([part async for part in parts_of(answer)])


async def parts_of(answer: UpstreamResponse) -> AsyncIterator[bytes]:
    while part := await answer.read():
        yield part


async def test_sends_the_key_the_entrys_headers_and_the_models_but_the_entrys_win() -> None:
    secret = {"X-Both": SecretStr("entry"), "Content-Length": SecretStr("7")}
    async with peer(answers) as (far, port), transport() as made:
        to = entry(port, api_key=SecretStr("k"), custom_headers=secret)
        mine = {"x-both": "model", "X-Mine": "yes", "Authorization": "model", "Host": "else"}
        answer = await ask(made, to, **mine)
        await read(answer)
        await answer.aclose()
    (head,) = far.heads
    assert "authorization: bearer k\r\n" in head
    assert "x-both: entry\r\n" in head
    assert "x-mine: yes\r\n" in head
    assert f"host: 127.0.0.1:{port}\r\n" in head
    assert "user-agent: akash-gradio/" in head
    assert "model" not in head
    assert "content-length: 2\r\n" in head


async def test_drops_a_models_header_that_would_break_the_request() -> None:
    async with peer(answers) as (far, port), transport() as made:
        answer = await ask(made, entry(port), **{"X-Bad": "a\r\nX-More: b", "X Bad": "c", "É": "d"})
        await answer.aclose()
    assert "x-bad" not in far.heads[0]
    assert "x-more" not in far.heads[0]


async def test_uses_a_connection_again_when_its_answer_was_read_to_the_end() -> None:
    async with peer(answers) as (far, port), transport() as made:
        for _ in range(3):
            answer = await ask(made, entry(port))
            assert await read(answer) == b"hello"
            await answer.aclose()
    assert (far.connections, len(far.heads)) == (1, 3)


async def test_opens_a_new_connection_each_time_where_the_entry_asks_for_connection_close() -> None:
    async with peer(answers) as (far, port), transport() as made:
        to = entry(port, custom_headers={"Connection": SecretStr("close")})
        for _ in range(3):
            answer = await ask(made, to)
            assert await read(answer) == b"hello"
            await answer.aclose()
    assert (far.connections, len(far.heads)) == (3, 3)
    assert "connection: close\r\n" in far.heads[0]


async def test_does_not_follow_a_redirect() -> None:
    async def redirects(far: Peer) -> None:
        await far.send(b"HTTP/1.1 307 X\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n")

    async with peer(redirects) as (far, port), transport() as made:
        answer = await ask(made, entry(port))
        assert answer.status == 307
        await answer.aclose()
    assert len(far.heads) == 1


async def test_sends_no_cookie_back() -> None:
    async def bakes(far: Peer) -> None:
        await far.send(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")

    async with peer(bakes) as (far, port), transport() as made:
        for _ in range(2):
            await (await ask(made, entry(port))).aclose()
    assert "cookie" not in far.heads[1]


@pytest.mark.parametrize("script", [sends_only_the_head, begins, floods])
async def test_an_answer_closed_early_closes_the_socket_at_once(script: Script) -> None:
    async with peer(script) as (far, port), transport() as made:
        answer = await ask(made, entry(port))
        if script is not sends_only_the_head:
            await answer.read()
        await answer.aclose()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await far.left.wait()


@pytest.mark.parametrize("script", [says_nothing, sends_only_the_head])
async def test_a_cancelled_wait_closes_the_socket_at_once(script: Script) -> None:
    async with peer(script) as (far, port), transport() as made:
        waiting = asyncio.create_task(whole(made, entry(port)))
        await far.asked.wait()
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await far.left.wait()


async def whole(made: HttpTransport, to: EndpointSettings) -> bytes:
    answer = await ask(made, to)
    try:
        return await read(answer)
    finally:
        await answer.aclose()


async def test_two_hundred_closed_early_leave_no_connection_and_no_task() -> None:
    async with peer(begins) as (far, port), transport() as made:
        before = asyncio.all_tasks()
        for number in range(200):
            answer = await ask(made, entry(port))
            if number % 2:
                await answer.read()
            await answer.aclose()
        del answer
        gc.collect()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            while far.open:
                far.left.clear()
                await far.left.wait()
        served = {task for task in asyncio.all_tasks() if "serve" in repr(task)}
        assert asyncio.all_tasks() - served <= before
        assert far.connections == 200


async def test_says_what_kept_it_from_connecting() -> None:
    async with peer(answers) as (_, port):
        pass
    async with transport() as made:
        with pytest.raises(EndpointUnreachable) as refused:
            await ask(made, entry(port))
        with pytest.raises(EndpointUnreachable) as unnamed:
            await ask(made, EndpointSettings(name="a", url="http://nowhere.invalid/v1"))
    assert (refused.value.reason, unnamed.value.reason) == ("refused", "dns")
    assert refused.value.__context__ is None


async def test_says_that_tls_is_wrong_where_none_is_spoken() -> None:
    async def greets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n")

    server = await asyncio.start_server(greets, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with transport() as made:
        with pytest.raises(EndpointUnreachable) as error:
            await ask(made, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1"))
    server.close()
    assert error.value.reason == "tls"


async def test_gives_up_connecting_in_time() -> None:
    async def accepts_and_is_silent(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await writer.wait_closed()

    server = await asyncio.start_server(accepts_and_is_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    to = EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1")
    async with transport() as made:
        with pytest.raises(EndpointTimeout) as error:
            await made.open(to, "/x", None, headers={}, connect_timeout_s=0.05)
    server.close()
    assert (error.value.stage, error.value.after_s) == ("connect", 0.05)


async def test_tells_a_cut_body_from_a_whole_one() -> None:
    async def cuts(far: Peer) -> None:
        await far.send(HEAD, PIECE)
        far.writer.close()

    async with peer(cuts) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        with pytest.raises(EndpointMalformed) as error:
            await read(answer)
        await answer.aclose()
    assert error.value.reason == "cut"


@pytest.mark.parametrize("late", [False, True])
async def test_a_body_that_goes_on_as_no_http_is_cut_whoever_waits_for_it(late: bool) -> None:
    go_on, left = asyncio.Event(), asyncio.Event()

    async def babbles(far: Peer) -> None:
        await far.send(HEAD, PIECE)
        await go_on.wait()
        await far.send(b"no size\r\n")
        with suppress(ConnectionError):
            await far.reader.read()
        left.set()

    async with peer(babbles) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        assert await answer.read() == b"hello"
        go_on.set()
        async with asyncio.timeout(20):
            if late:
                await left.wait()
            with pytest.raises(EndpointMalformed) as error:
                await answer.read()
        await answer.aclose()
    assert error.value.reason == "cut"


async def test_reads_on_after_small_pieces_were_too_many_to_hold() -> None:
    lots, go_on = UNREAD_BYTES // 32 + 1, asyncio.Event()

    async def dribbles(far: Peer) -> None:
        await far.send(HEAD + b"1\r\nx\r\n" * lots)
        await go_on.wait()
        await far.send(b"1\r\ny\r\n" * 5)
        await far.reader.read()

    async with peer(dribbles) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        content = answer._content  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            while content.total_bytes < lots:  # noqa: ASYNC110 - the client tells nobody
                await asyncio.sleep(0.01)  # real: the far side writes
            size = 0
            while size < lots:
                size += len(await answer.read())
            go_on.set()
            while size < lots + 5:
                size += len(await answer.read())
        await answer.aclose()


async def test_unpacks_a_body_and_refuses_an_unknown_packing() -> None:
    def packed(name: str, body: bytes) -> Script:
        async def script(far: Peer) -> None:
            head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\ncontent-length: {len(body)}"
            await far.send(head.encode() + b"\r\n\r\n" + body)

        return script

    async with peer(packed("deflate", zlib.compress(b"hello"))) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        assert await read(answer) == b"hello"
        await answer.aclose()
    for name in ("gzip", "zstd"):
        async with peer(packed(name, b"no such thing")) as (far, port), transport() as made:
            with pytest.raises(EndpointMalformed) as error:
                await whole(made, entry(port))
            async with asyncio.timeout(PROMPT_CLOSE_S):
                await made.aclose()
                await far.left.wait()
        assert error.value.reason == "encoding"


async def test_leaves_this_machine_out_of_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with peer(answers) as (far, port), transport() as made:
        assert await whole(made, entry(port)) == b"hello"
    assert len(far.heads) == 1


async def test_goes_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(answers) as (far, port), transport() as made:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        to = EndpointSettings(name="a", url="http://elsewhere.invalid/v1")
        assert await whole(made, to) == b"hello"
    assert far.heads[0].startswith("post http://elsewhere.invalid/v1/chat/completions ")


async def test_logs_in_to_a_proxy_without_telling_its_address_the_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with peer(answers) as (far, port), transport() as made:
        monkeypatch.setenv("http_proxy", f"http://ann:p%40ss@127.0.0.1:{port}")
        assert await whole(made, EndpointSettings(name="a", url="http://elsewhere.invalid/v1"))
    assert "proxy-authorization: basic yw5uonbac3m=\r\n" in far.heads[0]
    assert "ann" not in far.heads[0]


async def test_stops_reading_while_nobody_takes_what_came() -> None:
    most, sent, stuck = 256 * UNREAD_BYTES, 0, asyncio.Event()

    async def pours(far: Peer) -> None:
        nonlocal sent
        await far.send(HEAD)
        with suppress(TimeoutError):
            while sent < most:
                async with asyncio.timeout(0.5):
                    await far.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        stuck.set()

    async with peer(pours) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        async with asyncio.timeout(20):
            await stuck.wait()
        await answer.aclose()
    assert UNREAD_BYTES < sent < most


async def test_says_how_long_ago_the_bytes_came() -> None:
    async with peer(answers) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        while answer.lag_s < LATE_S:
            pass  # whoever is to read it has other things to do
        assert await answer.read() == b"hello"
        assert answer.lag_s >= LATE_S
        await answer.aclose()


async def test_bytes_grow_no_younger_by_being_read() -> None:
    async with peer(answers) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        assert await answer.read()
        handler = answer._handler  # type: ignore[attr-defined]
        came = handler.received_at
        handler.resume_reading()  # what the client does in each read
        handler.data_received(b"")  # and when it goes on after a pause
        assert handler.received_at == came
        await answer.aclose()


class Taker:
    """Takes parts of a body as far as it wants. taken: them; refused: those that it left."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.taken: list[bytes] = []
        self.refused: list[bytes] = []
        self._most = most

    def try_write(self, data: bytes) -> bool:
        wants = len(self.taken) < self._most
        (self.taken if wants else self.refused).append(data)
        return wants


def in_pieces(count: int, last: bytes = END) -> tuple[Script, asyncio.Semaphore]:
    """A body that comes in so many packets, each when it is let."""
    lets = asyncio.Semaphore(0)

    async def script(far: Peer) -> None:
        await far.send(HEAD)
        for _ in range(count):
            await lets.acquire()
            await far.send(PIECE)
        await lets.acquire()
        await far.send(last)

    return script, lets


class Steps(Taker):
    """Lets the next packet come when it has one."""

    def __init__(self, lets: asyncio.Semaphore, most: int = 1 << 30) -> None:
        super().__init__(most)
        self._lets = lets

    def try_write(self, data: bytes) -> bool:
        self._lets.release()
        return super().try_write(data)


async def test_pours_what_comes_and_wakes_only_for_the_end() -> None:
    script, lets = in_pieces(3)
    async with peer(script) as (_, port), transport() as made:
        answer, take = await ask(made, entry(port)), Steps(lets)
        lets.release()
        await answer.pipe_to(take)
        assert take.taken == [b"hello"] * 3
        assert await answer.read() == b""
        await answer.aclose()


async def test_what_was_not_taken_is_there_to_be_read() -> None:
    script, lets = in_pieces(3)
    async with peer(script) as (_, port), transport() as made:
        answer, take = await ask(made, entry(port)), Steps(lets, most=1)
        lets.release()
        await answer.pipe_to(take)
        assert (take.taken, take.refused) == ([b"hello"], [b"hello"])
        lets.release()
        assert await read(answer) == b"hellohello"
        await answer.aclose()


async def test_pours_nothing_before_what_lies_there_was_read() -> None:
    async with peer(answers) as (_, port), transport() as made:
        answer, take = await ask(made, entry(port)), Taker()
        await answer.pipe_to(take)
        await answer.pipe_to(take)
        assert (take.taken, await answer.read()) == ([], b"hello")
        await answer.aclose()


async def test_a_cut_while_it_pours_is_told_by_the_next_read() -> None:
    script, lets = in_pieces(1, last=b"5\r\nhe")

    async def breaks_off(far: Peer) -> None:
        await script(far)
        far.writer.close()

    async with peer(breaks_off) as (_, port), transport() as made:
        answer, take = await ask(made, entry(port)), Steps(lets)
        lets.release()
        await answer.pipe_to(take)
        assert b"".join(take.taken) == b"hellohe"
        with pytest.raises(EndpointMalformed):
            await answer.read()
        await answer.aclose()


async def test_a_mistake_of_the_taker_comes_out() -> None:
    script, lets = in_pieces(1)

    class BrokenSink:
        def try_write(self, data: bytes) -> bool:
            raise ZeroDivisionError

    async with peer(script) as (_, port), transport() as made:
        answer = await ask(made, entry(port))
        lets.release()
        with pytest.raises(ZeroDivisionError):
            await answer.pipe_to(BrokenSink())
        await answer.aclose()


async def test_the_next_answer_over_the_connection_is_not_poured() -> None:
    async def twice(far: Peer) -> None:
        script, lets = in_pieces(1)
        lets.release()
        lets.release()
        await script(far)

    async with peer(twice) as (far, port), transport() as made:
        first, take = await ask(made, entry(port)), Taker()
        await first.pipe_to(take)
        assert await read(first) + b"".join(take.taken) == b"hello"
        await first.aclose()
        before = list(take.taken)
        second = await ask(made, entry(port))
        assert await read(second) == b"hello"
        await second.aclose()
    assert (far.connections, take.taken) == (1, before)


async def test_who_leaves_while_it_pours_closes_the_connection() -> None:
    async with peer(begins) as (far, port), transport() as made:
        answer = await ask(made, entry(port))
        assert await answer.read() == b"hello"
        pouring = asyncio.create_task(answer.pipe_to(Taker()))
        await asyncio.sleep(0)
        pouring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pouring
        await answer.aclose()
        async with asyncio.timeout(20):
            await far.left.wait()


@pytest.mark.parametrize("script", [begins, floods])
async def test_closes_a_tls_connection_at_once_too(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_side = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with peer(script, server_side) as (far, port), transport() as made:
        answer = await ask(made, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1"))
        await answer.read()
        await answer.aclose()
        async with asyncio.timeout(PROMPT_CLOSE_S):
            await far.left.wait()


async def test_says_that_tls_is_wrong_when_nobody_vouches_for_the_certificate(
    tmp_path: Path,
) -> None:
    async with peer(answers, _certificate(tmp_path)) as (_, port), transport() as made:
        with pytest.raises(EndpointUnreachable) as error:
            await ask(made, EndpointSettings(name="a", url=f"https://127.0.0.1:{port}/v1"))
    assert error.value.reason == "tls"


def _certificate(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS for 127.0.0.1, with a certificate made just now."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, cert = folder / "key.pem", folder / "cert.pem"
    asked = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key} -out {cert}"
    )
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *asked.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


ALONE = """
import certifi, os, ssl
os.environ["SSL_CERT_FILE"] = certifi.where()
os.environ.pop("SSL_CERT_DIR", "")
from akash_gradio.gateway.passthrough.transport import HttpTransport, load_http_client
load_http_client(skip_certificates=True)
from aiohttp.connector import _SSL_CONTEXT_VERIFIED as theirs
ours = HttpTransport()._tls_context()
print(len(theirs.get_ca_certs()), theirs.verify_mode == ssl.CERT_REQUIRED)
print(len(ours.get_ca_certs()) > 50, ours.verify_mode == ssl.CERT_REQUIRED)
print(os.environ["SSL_CERT_FILE"] == certifi.where(), "SSL_CERT_DIR" in os.environ)
"""


def test_a_client_that_is_loaded_alone_trusts_nobody_but_by_our_certificates() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "True", "True", "True", "True", "False"], done.stderr
