from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from bench.client import Load, LoadResult, Target, run_load, start_upstream
from bench.programs import NoCompiler, program

TOKENS = 5


@pytest.fixture(scope="module")
def upstream() -> Iterator[Target]:
    try:
        program("load")
        running, port = start_upstream()
    except NoCompiler as error:
        pytest.skip(str(error))
    yield Target(port=port, headers={})
    running.stop()


def test_paced_streams_are_complete_in_order_and_without_lag(upstream: Target) -> None:
    result = run_load(upstream, Load(callers=4, seconds=0.4, tokens=TOKENS, rate=100.0))
    assert (result.failed, result.wrong, result.silent, result.first_failure) == (0, 0, 0, "")
    assert result.answers > 0
    assert result.lag_ms is not None
    assert result.lag_ms.p50 >= 0
    assert result.first_token_ms is not None


def test_streams_as_fast_as_possible_are_complete(upstream: Target) -> None:
    result = run_load(upstream, Load(callers=4, seconds=0.3, tokens=3000, rate=0.0))
    assert (result.failed, result.wrong, result.first_failure) == (0, 0, "")
    assert result.answers > 0


def test_whole_responses_are_complete(upstream: Target) -> None:
    result = run_load(upstream, Load(callers=4, seconds=0.2, warmup_s=0.1, tokens=TOKENS))
    assert (result.failed, result.wrong, result.first_failure) == (0, 0, "")
    assert result.answers > 0
    assert result.total_ms is not None
    assert result.total_ms.p50 <= result.total_ms.p99 <= result.total_ms.max


def test_usage_is_reported_if_requested(upstream: Target) -> None:
    message = {"role": "user", "content": f"tokens={TOKENS} rate=0 tag=3"}
    body = {"stream": True, "messages": [message]}
    url = f"http://127.0.0.1:{upstream.port}/v1/chat/completions"
    without = httpx.post(url, json=body).text
    requested = httpx.post(url, json={**body, "stream_options": {"include_usage": True}}).text
    assert "usage" not in without
    assert f'"completion_tokens":{TOKENS}' in requested
    assert requested.endswith("data: [DONE]\n\n")


def test_an_error_status_is_a_failure(upstream: Target) -> None:
    wrong_path = Target(port=upstream.port, path="/nowhere", headers={})
    result = run_load(wrong_path, Load(callers=1, seconds=0.1))
    assert result.failed > 0
    assert "404" in result.first_failure


@pytest.mark.parametrize(
    ("numbers", "end"),
    [
        ([0, 1, 3, 4], "[DONE]"),
        ([0, 1, 1, 2, 3, 4], "[DONE]"),
        ([0, 2, 1, 3, 4], "[DONE]"),
        ([0, 1, 2, 3], "[DONE]"),
        ([0, 1, 2, 3, 4], ""),
    ],
    ids=["missing", "twice", "swapped", "cut", "without end"],
)
@pytest.mark.usefixtures("upstream")
async def test_the_client_detects_wrong_answers(numbers: list[int], end: str) -> None:
    assert (await _result_of(numbers, end)).wrong > 0


@pytest.mark.usefixtures("upstream")
async def test_the_client_reads_tokens_cut_anywhere() -> None:
    assert (await _result_of([0, 1, 2, 3, 4], "[DONE]")).wrong == 0


async def _result_of(numbers: list[int], end: str) -> LoadResult:
    """Return the client's result for answers with these numbers, sent byte by byte."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            tag = (await reader.readexactly(length)).rpartition(b"tag=")[2].split(b'"')[0].decode()
            text = "".join(f"#{tag}.{number}@0000000000000001 " for number in numbers) + end
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for letter in text.encode():
                writer.write(b"1\r\n%c\r\n" % letter)
            writer.write(b"0\r\n\r\n")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        target = Target(port=server.sockets[0].getsockname()[1], headers={})
        load = Load(callers=1, seconds=0.1, tokens=TOKENS, rate=0.0)
        return await asyncio.to_thread(run_load, target, load)
