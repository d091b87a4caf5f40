"""The real program: which paths it serves, and how it ends while it answers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import product
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from akash_gradio.http.shutdown import RunningRequests, wait_for_requests
from tests.browser.servers import QUICK_RETRIES, ROOT, App, running_app, wait_until
from tests.browser.upstreams import Gate, Upstream, answering_at_gate, open_upstreams

SECRET = "planted-in-the-environment-file"
PREFIXES = (
    "/", "/page/assets/", "/assets/", "/static/", "/svelte/", "/file=", "/page/thumbnail/",
    "/gradio_api/file=",
)  # fmt: skip
TRAVERSALS = ("", "../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "..\\" * 12, "%252e%252e%252f" * 12)


def chat_request(url: str, model: str) -> Request:
    body = {"model": model, "turns": [{"role": "user", "text": "Count"}]}
    headers = {"content-type": "application/json"}
    return Request(f"{url}/page/reply", json.dumps(body).encode(), headers)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Upstream]]:
    """The program in a folder with a secret in it, and its upstream."""
    folder = tmp_path_factory.mktemp("program")
    (folder / ".env").write_text(f"ACCESS_NOTE={SECRET}\n")
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        with running_app(
            folder, ENDPOINTS=upstreams.entries(), EMBEDDED="off", **QUICK_RETRIES
        ) as app:
            yield app, upstream


def test_no_path_leads_to_a_file_outside_the_assets(program: tuple[App, Upstream]) -> None:
    app, _ = program
    folder = app.log_file.parent
    files = (f"{folder}/.env", ".env", "/etc/passwd", str(ROOT / "app.py"))
    for prefix, traversal, file in product(PREFIXES, TRAVERSALS, files):
        target = file.lstrip("/") if traversal else file
        with closing(HTTPConnection(app.url.removeprefix("http://"), timeout=20)) as connection:
            connection.request("GET", f"{prefix}{traversal}{target}")
            response = connection.getresponse()
            body = response.read()
        assert response.status in (400, 403, 404), (prefix, traversal, file)
        assert not [s for s in (SECRET.encode(), b"root:", b"import ") if s in body]


def test_sigterm_lets_a_running_answer_finish_and_refuses_new_requests(
    program: tuple[App, Upstream],
) -> None:
    app, upstream = program
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, ["one "], ["two"]))
    with urlopen(chat_request(app.url, upstream.model), timeout=60) as response:
        events = response.readline()
        app.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status_of(app.url, upstream.model) == 503, 15, "new requests refused")
        gate.open()
        events += response.read()
    assert b'"type":"done"' in events
    assert b"two" in events
    assert app.process.wait(15) == 0
    assert "Traceback" not in app.log
    assert len(upstream.stub.chats) == 1


def status_of(url: str, model: str) -> int:
    """Return the status of a request for a model that doesn't exist, so it reaches no stub."""
    try:
        with urlopen(chat_request(url, f"no-{model}"), timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_shutdown_waits_for_running_requests() -> None:
    running, naps = RunningRequests(), 0
    request = running.track()
    request.__enter__()

    def sleep(_seconds: float) -> None:
        nonlocal naps
        naps += 1
        assert running.closing
        if naps == 3:
            request.__exit__(None, None, None)

    assert wait_for_requests(running, clock=lambda: 0.0, sleep=sleep) is True
    assert naps == 3


def test_shutdown_does_not_wait_longer_than_the_grace_period() -> None:
    running, now = RunningRequests(), 0.0

    def sleep(_seconds: float) -> None:
        nonlocal now
        now += 7.0

    with running.track():
        assert wait_for_requests(running, clock=lambda: now, sleep=sleep, grace_s=20.0) is False
    assert now == 21.0
