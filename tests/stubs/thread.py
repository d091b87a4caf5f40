"""A stub for synchronous tests: the same endpoint in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from tests.stubs.endpoint import RecordedRequest, StubEndpoint

T = TypeVar("T")


class StubThread:
    """Runs a `StubEndpoint` in a thread, as in `with StubThread("perfect") as stub:`."""

    def __init__(self, behavior: object = "perfect", **options: Any) -> None:
        self._behavior, self._options = behavior, options
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stub endpoint", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        if self._failure:
            raise self._failure

    @property
    def url(self) -> str:
        return self._stub.url

    @property
    def requests(self) -> list[RecordedRequest]:
        return list(self._stub.requests)

    @property
    def chats(self) -> list[RecordedRequest]:
        return [request for request in self.requests if request.method == "POST"]

    @property
    def open_connections(self) -> int:
        return self._stub.open_connections

    @property
    def max_connections(self) -> int:
        return self._stub.max_connections

    @property
    def closed_at(self) -> float | None:
        return self._stub.closed_at

    def set_behavior(self, behavior: object) -> None:
        self._stub.set_behavior(behavior)

    def wait_for_requests(self, count: int = 1, within_s: float = 5.0) -> None:
        self._run_in_loop(self._stub.wait_for_requests(count, within_s))

    def wait_for_disconnect(self, within_s: float = 0.2) -> float:
        return self._run_in_loop(self._stub.wait_for_disconnect(within_s))

    def wait_for_idle(self, within_s: float = 0.5) -> None:
        self._run_in_loop(self._stub.wait_for_idle(within_s))

    def listen(self) -> None:
        self._run_in_loop(self._stub.listen())

    def kill(self) -> None:
        async def kill() -> None:
            self._stub.kill()

        self._run_in_loop(kill())

    def _run_in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with StubEndpoint(self._behavior, **self._options) as self._stub:
            self._ready.set()
            await self._stopped.wait()
