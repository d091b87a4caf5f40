"""What takes CPU time runs in a worker, and ends when its client disconnects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from akash_gradio.files.reader import Document, FileReader
from tests.web.fakes import ClientRequest, FakeChatGateway, full_answer, make_deps, make_page
from tests.work.fakes import DirectWork

LONG = "- a\n" * 30_000


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


CHAT = {"model": "m", "turns": [{"role": "user", "text": LONG}]}
ANSWERED = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": LONG}]
LANE = {"model": "m", "turns": []}
RUN = {"set": {"text": LONG}, "candidates": [{"model": "m"}]}


class BlockedWork(DirectWork):
    """Never finishes a job, and records which were submitted and which cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted = asyncio.Event()
        self.cancelled = 0

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> NoReturn:
        """See `WorkPool.run`."""
        self.submitted.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/page/reply", CHAT),
        ("/page/continue", {"model": "m", "turns": ANSWERED}),
        ("/page/render", {"texts": ["a"]}),
        ("/page/compare", {"run": "r" * 16, "lanes": [{**CHAT, "letter": "A"}]}),
        ("/page/compare/diff", {"a": "a", "b": "b"}),
        ("/page/compare/report", {"lanes": [LANE], "form": "html", "votes": [LONG]}),
        ("/page/compare/ranking", {"votes": []}),
        ("/page/compare/export/csv", {"votes": []}),
        ("/page/sets/validate", {"text": "a"}),
        ("/page/sets/forecast", RUN),
        ("/page/sets/start", RUN),
    ],
)
async def test_work_of_a_client_that_left_is_cancelled(
    path: str, body: object, tmp_path: Path
) -> None:
    work = BlockedWork()
    page = make_page(make_deps(FakeChatGateway(full_answer("a")), tmp_path, work=work))
    request = ClientRequest(page, path, [encoded(body)])
    running = asyncio.create_task(request.run())
    await asyncio.wait_for(work.submitted.wait(), 5)
    request.disconnect()
    await asyncio.wait_for(running, 5)
    assert work.cancelled == 1
    assert request.messages == []


class BlockedReader(FileReader):
    """Never finishes a file."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = asyncio.Event()
        self.cancelled = False

    async def read_pdf(self, content: bytes) -> Document:
        self.reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


async def test_a_file_of_a_client_that_left_is_not_read_further(tmp_path: Path) -> None:
    reader = BlockedReader()
    deps = make_deps(FakeChatGateway(full_answer("a")), tmp_path, files=reader)
    request = ClientRequest(
        make_page(deps), "/page/file/pdf", [b"%PDF"], media_type=b"application/octet-stream"
    )
    running = asyncio.create_task(request.run())
    await asyncio.wait_for(reader.reading.wait(), 5)
    request.disconnect()
    await asyncio.wait_for(running, 5)
    assert reader.cancelled
