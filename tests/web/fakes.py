"""A gateway that plays scripts, dependencies of the routes, an ASGI client, and every error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Scope

from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check.service import CheckService
from akash_gradio.compare.run_store import RunStore, open_run_store
from akash_gradio.compare.votes.store import VoteStore
from akash_gradio.domain import errors
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Turn
from akash_gradio.domain.events import Event, Finished, Started, TextDelta
from akash_gradio.domain.model import Problem, ServedModel
from akash_gradio.domain.ports import ChatGateway, EndpointState, EndpointStatus
from akash_gradio.domain.progress import Progress
from akash_gradio.domain.receipt import Attempt, Count, Receipt
from akash_gradio.files.reader import FileReader
from akash_gradio.http.locality import is_local_request
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.web.deps import (
    CatalogView,
    ChatDeps,
    CompareDeps,
    OperatorDeps,
    PageDeps,
    RunDeps,
    WebDeps,
)
from akash_gradio.web.notices import NoticeSource
from akash_gradio.web.routes import page_routes
from akash_gradio.work.pool import WorkPool
from tests.work.fakes import DirectWork

Step = Event | Exception | Callable[[], Awaitable[Any]]
"""A step of a script: an event to yield, an error to raise, or a callable to await."""
Script = Sequence[Step] | Callable[[ChatRequest], Iterable[Step]]


class FakeChatGateway:
    """Plays one script for each stream, the last one repeatedly, and records the requests."""

    def __init__(self, *scripts: Script, statuses: Sequence[EndpointStatus] = ()) -> None:
        self.scripts = list(scripts)
        self.statuses = tuple(statuses)
        self.opened: list[ChatRequest] = []
        self.closed: list[ChatRequest] = []

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        script = self.scripts[min(len(self.opened), len(self.scripts) - 1)]
        self.opened.append(request)
        try:
            for step in script(request) if callable(script) else script:
                if isinstance(step, Exception):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.closed.append(request)

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        return self.statuses


class Gate:
    """Blocks a script until it is opened; `reached` is set when the script waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._open.wait()

    def open(self) -> None:
        self._open.set()


class FakeSleep:
    """A sleep that lasts until `wake`, and records the requested durations."""

    def __init__(self) -> None:
        self.requested_s: list[float] = []
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.requested_s.append(seconds)
        self._wake.clear()
        self._asleep.set()
        await self._wake.wait()

    async def asleep(self) -> None:
        await self._asleep.wait()
        self._asleep.clear()

    def wake(self) -> None:
        self._wake.set()


async def no_sleep(_seconds: float) -> None:
    """A sleep that only yields to other tasks."""
    await asyncio.sleep(0)


class Clock:
    """A clock that advances only when it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def after(self, seconds: float) -> Callable[[], Awaitable[None]]:
        async def move() -> None:
            self.now_s += seconds

        return move


def chat_request(text: str = "Hello", *, model: str = "m") -> ChatRequest:
    turn = Turn(role=Role.USER, content=text)
    return ChatRequest(model=model, conversation=Conversation(turns=(turn,)))


def make_receipt(**changes: Any) -> Receipt:
    facts: dict[str, Any] = {
        "requested_model": "m",
        "answering_model": "m",
        "endpoint": "eu-1",
        "attempts": (
            Attempt(endpoint="eu-1", model="m", reason="weighted", outcome="ok", elapsed_ms=410.0),
        ),
        "first_token_s": 0.41,
        "total_s": 6.3,
        "tokens_in": Count(tokens=20, reported=True),
        "tokens_out": Count(tokens=512, reported=True),
        "tokens_per_s": 87.2,
        "sent": {"temperature": 0.6},
        "finish": "stop",
    }
    return Receipt(**(facts | changes))


STARTED = Started("eu-1", "m")


def full_answer(*texts: str) -> list[Step]:
    return [STARTED, *map(TextDelta, texts), Finished("stop", make_receipt())]


def with_receipt(error: errors.AkashGradioError, receipt: Receipt) -> errors.AkashGradioError:
    error.receipt = receipt
    return error


def error_classes(kind: type[errors.AkashGradioError]) -> set[type[errors.AkashGradioError]]:
    """Return the class and all its subclasses in the domain package."""
    classes = {kind}.union(*(error_classes(below) for below in kind.__subclasses__()))
    return {error for error in classes if error.__module__ == errors.__name__}


def every_error() -> list[errors.AkashGradioError]:
    """Return at least one error of each class, with and without optional facts."""
    failed: list[errors.EndpointError] = [
        errors.EndpointError("eu-1", "unknown fact"),
        *(
            errors.EndpointUnreachable("eu-1", reason)
            for reason in ("dns", "refused", "tls", "reset", "connect", "a new one")
        ),
        *(
            errors.EndpointTimeout("eu-1", stage, 20.0)
            for stage in ("connect", "first_token", "idle")
        ),
        *(
            errors.EndpointRefused("eu-1", status, detail="own words")
            for status in (401, 402, 403, 404, 429, 500, 503, 529)
        ),
        *(
            errors.EndpointMalformed("eu-1", what, "own words")
            for what in (
                "html", "json", "error_body", "too_long", "shape", "encoding", "cut", "a new one",
            )
        ),
        errors.EndpointSilent("eu-1"),
    ]  # fmt: skip
    return [
        errors.AkashGradioError(),
        errors.RequestRefused("eu-1", 400),
        errors.RequestRefused("eu-1", 422, "own words"),
        errors.ContextExceeded("eu-1", 400),
        errors.ContextExceeded("eu-1", 400, "own words", limit_tokens=8192, requested_tokens=9000),
        errors.ContextExceeded("eu-1", 400, limit_tokens=8192),
        errors.UnknownModel("m"),
        *(
            errors.NotAllowed(what, low=0, high=high)
            for what, high in (
                ("model", 0),
                ("length", 4000),
                ("request_length", 40_000),
                ("price", 0),
                ("own_key", 0),
                ("own_endpoint", 0),
                ("temperature", 1.5),
                ("a new one", 0),
            )
        ),
        *(
            errors.LimitReached(what, limit=most, retry_after_s=wait_s)
            for what, most, wait_s in (
                ("messages", 10, 12.4),
                ("tokens", 20_000, 4000),
                ("cost", 2, 4000),
                ("app_tokens", 0, 60_000),
                ("app_cost", 0, 60),
                ("reserved", 0, 10),
                ("queue", 0, 10),
                ("a new one", 0, 0.1),
            )
        ),
        *(
            errors.NoEndpoint("m", reason)
            for reason in ("none_configured", "none_serves", "drained", "busy", "a new one")
        ),
        *failed,
        *(errors.AllEndpointsFailed("m", cause) for cause in failed),
        errors.AllEndpointsFailed("m", failed[0], retry_after_s=12.4),
        errors.AllEndpointsFailed("m", failed[0], retry_after_s=0.2),
        errors.AllEndpointsFailed("m", failed[0], retry_after_s=12.4, resting=True),
        errors.EndpointTimeout("eu-1", "request", 3600),
        *(errors.ReplyInterrupted("eu-1", cause) for cause in failed),
    ]


def endpoint_status(
    *models: str, alias: str = "eu-1", state: EndpointState = EndpointState.READY, **more: Any
) -> EndpointStatus:
    facts: dict[str, Any] = {"weight": 1, "priority": 1}
    served = tuple(ServedModel(id=model) for model in models)
    return EndpointStatus(alias=alias, state=state, models=served, **(facts | more))


class RecordedPage:
    """Applies the events as the page's script does."""

    def __init__(self) -> None:
        self.text = {"answer": "", "reasoning": ""}
        self.blocks: dict[str, list[str]] = {"answer": [], "reasoning": []}
        self.events: list[dict[str, Any]] = []

    def take(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["type"] == "patch":
            blocks = self.blocks[event["part"]]
            assert event["keep"] <= len(blocks)
            blocks[event["keep"] :] = event["blocks"]
            self.text[event["part"]] += event["text"]
        elif event["type"] == "not_reasoning":
            self.text["reasoning"], self.blocks["reasoning"] = "", []

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def done(self) -> dict[str, Any]:
        assert self.types.count("done") == 1
        assert self.types[-1] == "done"
        return self.events[-1]


async def record_page(events: AsyncGenerator[dict[str, Any], None]) -> RecordedPage:
    page = RecordedPage()
    async with aclosing(events):
        async for event in events:
            page.take(event)
    return page


def make_deps(
    gateway: ChatGateway,
    pictures: Path,
    *,
    catalog: Catalog | None = None,
    thumbnails: Thumbnails | None = None,
    problems: tuple[Problem, ...] = (),
    progress: Callable[[], Progress | None] = lambda: None,
    default_model: str = "",
    votes: VoteStore | None = None,
    runs: RunStore | None = None,
    checks: CheckService | None = None,
    is_operator: Callable[[Scope], bool] = is_local_request,
    work: WorkPool | None = None,
    files: FileReader | None = None,
) -> WebDeps:
    """Return the dependencies of the page's routes, with defaults for what isn't given."""
    models = CatalogView(catalog=catalog or Catalog(), endpoints=gateway.endpoints)
    notices = NoticeSource(endpoints=gateway.endpoints, problems=problems, progress=progress)
    work = work or DirectWork()
    runs = runs or open_run_store(None, gateway, models.catalog.get)
    limiter = RateLimiter(LocalCounters())
    return WebDeps(
        page=PageDeps(
            models=models,
            thumbnails=thumbnails or Thumbnails(pictures),
            notices=notices,
            default_model=default_model,
        ),
        chat=ChatDeps(gateway=gateway, models=models, work=work),
        compare=CompareDeps(
            gateway=gateway, models=models, limiter=limiter, work=work, votes=votes
        ),
        runs=RunDeps(runs=runs, models=models, limiter=limiter, work=work, votes=votes),
        operator=OperatorDeps(endpoints=gateway.endpoints, checks=checks, is_operator=is_operator),
        files=files or FileReader(),
    )


def make_page(deps: WebDeps) -> Starlette:
    return Starlette(routes=page_routes(deps))


class ClientRequest:
    """One POST to an ASGI app by a client that can disconnect.

    Args:
        parts: The parts of the body; without any, the body never ends.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/",
        parts: Sequence[bytes] = (b"",),
        *,
        media_type: bytes = b"application/json",
    ) -> None:
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", media_type)],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        for left, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            more = {"body": part, "more_body": left > 0}
            self._to_app.put_nowait({"type": "http.request", **more})
        self.messages: list[Message] = []
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self.refuses_after: int | None = None

    async def run(self) -> None:
        """Run the request as a server does."""
        await self._app(self._scope, self._to_app.get, self._send)

    def disconnect(self) -> None:
        self._to_app.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: Message) -> None:
        if self.refuses_after is not None and len(self.messages) >= self.refuses_after:
            raise OSError("the client disconnected")
        self.messages.append(message)
        self._arrived.put_nowait(message)

    async def next_message(self) -> Message:
        return await self._arrived.get()

    @property
    def unread_parts(self) -> int:
        return self._to_app.qsize()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def bodies(self) -> list[bytes]:
        return [m["body"] for m in self.messages if m["type"] == "http.response.body"]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [read_event(body) for body in self.bodies if body]


def read_event(body: bytes) -> dict[str, Any]:
    assert body.startswith(b"data: ")
    assert body.endswith(b"\n\n")
    assert body.count(b"\n") == 2
    event: dict[str, Any] = json.loads(body[6:])
    return event


def tasks_left() -> set[asyncio.Task[Any]]:
    """Return the tasks that remain besides the test's own."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
