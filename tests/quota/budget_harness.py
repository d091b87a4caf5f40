"""Visitors that use every surface at once and leave at random moments, and what that costs.

`Ledger` counts what the endpoint really received and produced, by visitor. The application is the
whole one, on ASGI: `spend` returns the ledger, and `problems_of` compares it with the budgets.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from akash_gradio.app import create_app
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.gateway import QuotaGateway
from tests.stubs import Exchange, StubEndpoint, entry, settings_for, wire

LONGEST: Final = 30
"""`DEFAULT_MAX_TOKENS`."""
TOKEN_S: Final = 0.002
LONGEST_VISIT_S: Final = 300.0
PRICE: Final = 10.0
"""US dollars per million tokens, in and out."""
HOST: Final = b"127.0.0.1:7860"
_WHO: Final = re.compile(r"visitor-\d+")


@dataclass
class Ledger:
    """What the endpoint received and produced, in tokens.

    Attributes:
        tokens: By visitor and surface, `visitor-3` and `key-3`.
        largest: The largest single request.
        requests: Number of requests.
        held: What is still reserved after the last request.
            surfaces: Number of requests of visitors by surface and status.
    """

    tokens: Counter[str] = field(default_factory=Counter)
    largest: int = 0
    requests: int = 0
    held: float = 0.0
    surfaces: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All tokens."""
        return sum(self.tokens.values())


class Endpoint:
    """The behavior of the stub: it bills four bytes as a token, input and output alike."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self._ledger, self._random = ledger, random.Random(seed)

    async def __call__(self, x: Exchange) -> None:
        body, ledger = x.request.json, self._ledger
        texts = [str(message.get("content")) for message in body["messages"]]
        tokens_in = sum(round(len(text.encode()) / 4) + 4 for text in texts)
        found = _WHO.search(" ".join(texts))
        who = f"{body.get('user', '')}{found.group() if found else ''}"
        length, choices = self._random.randint(1, 2 * LONGEST), body.get("n") or 1
        length = choices * min(length, body.get("max_tokens") or length)
        ledger.tokens[who] += tokens_in
        ledger.requests += 1
        # A short token, one of four bytes, or five of them in an event.
        text, in_event = self._random.choice((("1", 1), (" abc", 1), (" abc" * 5, 5)))
        produced = 0
        try:
            if body.get("stream"):
                await x.open_stream()
                await x.send(wire.role_event())
            await asyncio.sleep(self._random.random() * 0.3)
            while produced < length:
                tokens = min(in_event, length - produced)
                produced += tokens
                ledger.tokens[who] += tokens
                if body.get("stream"):
                    await x.send(wire.text_event(text))
                await asyncio.sleep(TOKEN_S * tokens)
            usage = {"prompt_tokens": tokens_in, "completion_tokens": length}
            if body.get("stream"):
                await x.send(wire.finish_event() + wire.usage_event(usage) + wire.DONE)
                await x.end()
            else:
                body = {**wire.completion(text * length), "usage": usage}
                await x.reply(wire.to_json(body))
        finally:
            ledger.largest = max(ledger.largest, tokens_in + produced)


class Visitor:
    """A visitor with a cookie and an address, who is also an API client."""

    def __init__(self, app: Any, number: int, seed: int, words: int, ledger: Ledger) -> None:
        self._app, self._number, self._ledger = app, number, ledger
        self._words = words
        self._random = random.Random(seed)
        self._cookie = b""

    async def visit(self, requests: int) -> None:
        """Use random surfaces, several of them at the same time."""
        await self._get_cookie()
        surfaces = (
            self._chat, self._continue, self._lanes, self._run, self._stream, self._whole,
        )  # fmt: skip
        for _ in range(requests):
            chosen = self._random.choices(surfaces, k=2)
            await asyncio.gather(*(self._use(surface) for surface in chosen))

    async def _use(self, surface: Callable[[], Coroutine[Any, Any, int]]) -> None:
        status = await surface()
        self._ledger.surfaces[surface.__name__.strip("_"), status] += 1

    def _text(self) -> str:
        return f"visitor-{self._number} " + "word" * self._random.randint(1, self._words)

    async def _chat(self) -> int:
        body = {"model": "m", "turns": [{"role": "user", "text": self._text()}]}
        return await self.post("/page/reply", body)

    async def _continue(self) -> int:
        turns = [
            {"role": "user", "text": self._text()},
            {"role": "assistant", "text": "An answer that was"},
        ]
        return await self.post("/page/continue", {"model": "m", "turns": turns})

    async def _lanes(self) -> int:
        turns = [{"role": "user", "text": self._text()}]
        lanes = [{"letter": letter, "model": "m", "turns": turns} for letter in "ABC"]
        run = f"{self._random.getrandbits(96):024x}"
        return await self.post("/page/compare", {"run": run, "lanes": lanes})

    async def _run(self) -> int:
        prompts = "\n".join(json.dumps({"prompt": self._text()}) for _ in range(4))
        body = {"set": {"text": prompts, "name": "a.jsonl"}, "candidates": [{"model": "m"}]}
        return await self.post("/page/sets/start", body, leaves=False)

    async def _stream(self) -> int:
        return await self._completion(stream=True)

    async def _whole(self) -> int:
        return await self._completion(n=self._random.choice((1, 1, 2)))

    async def _completion(self, **fields: Any) -> int:
        messages = [{"role": "user", "content": self._text()}]
        body = {"model": "m", "messages": messages, "user": "key:", **fields}
        return await self.post("/v1/chat/completions", body)

    async def _get_cookie(self) -> None:
        head, _ = await self._request("GET", "/page/boot", b"", None)
        cookies = [value for name, value in head.get("headers", ()) if name == b"set-cookie"]
        self._cookie = cookies[0].partition(b";")[0] if cookies else b""

    async def post(self, path: str, body: object, *, leaves: bool = True) -> int:
        """Send a request, perhaps leave at a random moment, and return its status or 0."""
        leaves = leaves and self._random.random() < 0.6
        leave_s = self._random.random() * 0.2 if leaves else None
        head, _ = await self._request("POST", path, json.dumps(body).encode(), leave_s)
        return int(head.get("status", 0))

    async def _request(
        self, method: str, path: str, body: bytes, leave_s: float | None
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request; leave after `leave_s` seconds."""
        left, messages = asyncio.Event(), [{"type": "http.request", "body": body}]
        head: dict[str, Any] = {}
        content: list[bytes] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if left.is_set():
                raise OSError("the client left")
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                content.append(message.get("body", b""))

        timer = None
        if leave_s is not None:
            timer = asyncio.get_running_loop().call_later(leave_s, left.set)
        try:
            await self._app(self._scope(method, path), receive, send)
        except OSError:
            assert left.is_set()
        finally:
            if timer is not None:
                timer.cancel()
            left.set()
        return head, b"".join(content)

    def _scope(self, method: str, path: str) -> dict[str, Any]:
        number = self._number
        headers = [
            (b"host", HOST),
            (b"origin", b"http://" + HOST),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer key-{number}".encode()),
            (b"cookie", self._cookie),
        ]
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
            "scheme": "http", "headers": headers, "state": {},
            "client": (f"10.0.{number // 250}.{number % 250 + 1}", 40_000),
            "server": ("127.0.0.1", 7860),
        }  # fmt: skip


async def spend(
    folder: Path,
    *,
    visitors: int,
    requests: int,
    seed: int,
    words: int = 30,
    replicas: int = 1,
    **variables: object,
) -> Ledger:
    """Let visitors use the application, and return what it cost.

    Args:
        folder: For the catalog.
        visitors: Number of visitors at the same time.
        requests: How often each uses two surfaces.
        seed: Of every random decision.
        words: Longest message, in tokens.
        replicas: Number of applications, which visitors use in turn.
        variables: The budgets, and REDIS_URL with several replicas.
    """
    catalog = folder / "catalog.toml"
    catalog.write_text(
        '[[models]]\nid = "m"\nname = "M"\ndescription = "A model"\n'
        f"promptPrice = {PRICE}\ncompletionPrice = {PRICE}\n"
    )
    keys = [{"name": f"key-{n}", "key": f"key-{n}"} for n in range(visitors)]
    ledger = Ledger()
    async with StubEndpoint(Endpoint(ledger, seed)) as stub, AsyncExitStack() as stack:
        settings = settings_for(
            entry(stub),
            CATALOG_FILE=catalog,
            GATEWAY_API_KEYS=json.dumps(keys),
            FIRST_TOKEN_TIMEOUT=60,
            IDLE_TIMEOUT=60,
            SESSION_SECRET="the same at all replicas",
            DEFAULT_MAX_TOKENS=LONGEST,
            **variables,
        )
        apps = [create_app(settings, environment={}) for _ in range(replicas)]
        for app in apps:
            await stack.enter_async_context(app.lifespan())
        asgi_apps = [app.asgi() for app in apps]
        people = [
            Visitor(asgi_apps[n % replicas], n, seed * 1000 + n, words, ledger)
            for n in range(visitors)
        ]
        async with asyncio.timeout(LONGEST_VISIT_S):
            await asyncio.gather(*(visitor.visit(requests) for visitor in people))
        for app in apps:
            await app.page.deps.runs.runs.close()  # type: ignore[union-attr]
        await stub.wait_for_idle(within_s=60)
        ledger.held = sum(_held_tokens(app.backend) for app in apps)
    return ledger


def _held_tokens(backend: object) -> float:
    """Return what is still reserved in this process."""
    assert isinstance(backend, QuotaGateway)
    counters: Any = backend._admission._counters
    local: LocalCounters = getattr(counters, "_local", counters)
    return sum(budget.held for budget in local._budgets.values())


def problems_of(ledger: Ledger, *, share: int | None = None, total: int | None = None) -> list[str]:
    """List the budgets that were exceeded by more than one request.

    Args:
        ledger: What was used.
        share: Tokens of one visitor.
        total: Tokens of all visitors.
    """
    problems = []
    if share is not None:
        problems += [
            f"{who} used {tokens} of {share}"
            for who, tokens in ledger.tokens.items()
            if tokens > share + ledger.largest
        ]
    if total is not None and ledger.total > total + ledger.largest:
        problems.append(f"all used {ledger.total} of {total}")
    if ledger.held > 1e-6:
        problems.append(f"{ledger.held} are still reserved")
    return problems
