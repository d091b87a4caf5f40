"""Two replicas behind a real nginx, which share a real Redis."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, build_opener

import pytest
from playwright.sync_api import expect

from tests.browser.actions import answer_text, ask, open_chat
from tests.browser.conftest import NewVisitor
from tests.browser.nginx import running_nginx
from tests.browser.servers import QUICK_RETRIES, App, running_app, wait_until
from tests.browser.upstreams import Gate, answering, answering_at_gate, open_upstreams
from tests.quota.redis_server import RedisServer

pytestmark = pytest.mark.browser

VISITORS = 50


class Client(threading.Thread):
    """A visitor without a browser: keeps the cookie, sends a message and reads the answer."""

    def __init__(self, url: str, model: str, seen: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._url, self._model, self._seen = url, model, seen
        self.cookie = self.text = ""
        self.whole = False

    def run(self) -> None:
        opener = build_opener()
        with opener.open(f"{self._url}/page/boot", timeout=60) as boot:
            self.cookie = boot.headers["set-cookie"].partition(";")[0]
        turns = [{"role": "user", "text": "Count"}]
        body = json.dumps({"model": self._model, "turns": turns}).encode()
        headers = {"content-type": "application/json", "cookie": self.cookie}
        try:
            request = Request(f"{self._url}/page/reply", body, headers)
            with opener.open(request, timeout=60) as answer:
                for line in answer:
                    self._take(line)
        except OSError:
            pass

    def _take(self, line: bytes) -> None:
        if not line.startswith(b"data: "):
            return
        event = json.loads(line[6:])
        if event["type"] == "patch":
            if not self.text:
                self._seen()
            self.text += event["text"]
        self.whole = self.whole or (event["type"] == "done" and not event.get("error"))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def test_fifty_visitors_stream_while_one_replica_is_killed(
    tmp_path: Path, redis: RedisServer, visit: NewVisitor
) -> None:
    gate = Gate()
    with open_upstreams(single=2, pairs=0) as upstreams:
        crowd, own = upstreams.single
        crowd.stub.set_behavior(answering_at_gate(gate, ["one "], ["two ", "three"]))
        own.stub.set_behavior(answering("Hello ", "there"))
        options: dict[str, Any] = {
            "ENDPOINTS": upstreams.entries(), "EMBEDDED": "off", "REDIS_URL": redis.url,
            "TRUSTED_PROXIES": "1", **QUICK_RETRIES,
        }  # fmt: skip
        with (
            running_app(tmp_path / "a", **options) as a,
            running_app(tmp_path / "b", **options) as b,
            running_nginx(tmp_path, a, b) as url,
        ):
            page = open_chat(visit(App(a.process, url, a.log_file)), own.model)
            ask(page, "Hi")
            dead, alive = (a, b) if own.model in a.log else (b, a)

            begun = threading.Semaphore(0)
            clients = [Client(url, crowd.model, begun.release) for _ in range(VISITORS)]
            for client in clients:
                client.start()
            for _ in clients:
                assert begun.acquire(timeout=60)
            dead.end(signal.SIGKILL)
            gate.open()
            for client in clients:
                client.join(60)
            kept = [client for client in clients if client.whole]
            lost = [client for client in clients if not client.whole]
            assert len(kept) >= 10
            assert len(lost) >= 10  # the load was spread over both
            assert {client.text for client in kept} == {"one two three"}
            assert {client.text for client in lost} == {"one "}
            assert alive.answers()

            page.reload()
            open_chat(page, own.model)
            expect(answer_text(page)).to_have_text("Hello there")
            visit.allow("Failed to load resource|net::ERR")
            assert "Hello there" in (ask(page, "Again").text_content() or "")
            assert len(own.stub.chats) == 2


def test_replicas_share_limits_and_sessions_and_work_without_redis(
    tmp_path: Path, redis: RedisServer
) -> None:
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        upstream.stub.set_behavior(answering("Hello"))
        options: dict[str, Any] = {
            "ENDPOINTS": upstreams.entries(), "EMBEDDED": "off", "REDIS_URL": redis.url,
            "ACCESS_TOKEN": "let-me-in", "VISITOR_MESSAGES_PER_MINUTE": "2", **QUICK_RETRIES,
        }  # fmt: skip
        with (
            running_app(tmp_path / "a", **options) as a,
            running_app(tmp_path / "b", **options) as b,
        ):
            cookie = signed_in(a)
            assert "done" in reply_text(a, upstream.model, cookie)
            assert "done" in reply_text(b, upstream.model, cookie)
            for app in (a, b):
                assert "the limit is 2 per minute" in reply_text(app, upstream.model, cookie)
            assert len(upstream.stub.chats) == 2
            redis.kill()
            assert "Hello" in reply_text(a, upstream.model, cookie)
            wait_until(lambda: "redis.lost" in a.log, 10, "the loss in the log")
            assert "not shared right now" in got(a, "/page/models", cookie)
            redis.start()
            wait_until(lambda: "redis.reconnected" in a.log, 20, "Redis found again")
            assert "not shared right now" not in got(a, "/page/models", cookie)


def signed_in(app: App) -> str:
    """Return the cookies of the session and the visitor."""
    import http.client

    connection = http.client.HTTPConnection(app.url.removeprefix("http://"), timeout=30)
    form = {"content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/page/sign-in", "secret=let-me-in", form)
    answer = connection.getresponse()
    assert answer.status == 303
    session = (answer.headers["set-cookie"]).partition(";")[0]
    answer.read()
    connection.request("GET", "/", headers={"cookie": session})
    page = connection.getresponse()
    assert page.status == 200
    visitor = re.search(r"ag_visitor=[^;]+", page.headers["set-cookie"])
    assert visitor is not None
    connection.close()
    return f"{session}; {visitor[0]}"


def reply_text(app: App, model: str, cookie: str) -> str:
    """Return the events of one answer, or the error, as text."""
    body = json.dumps({"model": model, "turns": [{"role": "user", "text": "Hi"}]}).encode()
    headers = {"content-type": "application/json", "cookie": cookie}
    return _read(Request(f"{app.url}/page/reply", body, headers))


def got(app: App, path: str, cookie: str) -> str:
    """Return the response of a GET request."""
    return _read(Request(f"{app.url}{path}", headers={"cookie": cookie}))


def _read(request: Request) -> str:
    try:
        with build_opener().open(request, timeout=30) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return f"{error.code} {error.read().decode()}"
