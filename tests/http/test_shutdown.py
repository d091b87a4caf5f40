"""The real program, as a stranger finds it, and told to end while it answers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import product
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.browser.servers import QUICK_RETRIES, ROOT, App, running_app, wait_until
from tests.browser.upstreams import Gate, Upstream, answering_at_gate, open_upstreams

SECRET = "planted-in-the-environment-file"
ROOTS = (
    "/", "/page/assets/", "/assets/", "/static/", "/svelte/", "/file=", "/page/thumbnail/",
    "/gradio_api/file=",
)  # fmt: skip
UPS = ("", "../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "..\\" * 12, "%252e%252e%252f" * 12)


def asking(url: str, model: str) -> Request:
    body = {"model": model, "turns": [{"role": "user", "text": "Count"}]}
    kind = {"content-type": "application/json"}
    return Request(f"{url}/page/reply", json.dumps(body).encode(), kind)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, Upstream]]:
    """In a folder with a secret in it."""
    folder = tmp_path_factory.mktemp("program")
    (folder / ".env").write_text(f"ACCESS_NOTE={SECRET}\n")
    with open_upstreams(single=1, pairs=0) as upstreams:
        (upstream,) = upstreams.single
        with running_app(
            folder, ENDPOINTS=upstreams.entries(), EMBEDDED="off", **QUICK_RETRIES
        ) as app:
            yield app, upstream


def test_no_address_leads_to_a_file_of_the_machine(program: tuple[App, Upstream]) -> None:
    app, _ = program
    folder = app.log_file.parent
    aims = (f"{folder}/.env", ".env", "/etc/passwd", str(ROOT / "app.py"))
    connection = HTTPConnection(app.url.removeprefix("http://"), timeout=20)
    for root, up, aim in product(ROOTS, UPS, aims):
        connection.request("GET", f"{root}{up}{aim.lstrip('/') if up else aim}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (400, 403, 404), (root, up, aim)
        assert not [s for s in (SECRET.encode(), b"root:", b"import ") if s in body]
    connection.close()


def test_sigterm_lets_a_running_answer_finish_and_begins_nothing_new(
    program: tuple[App, Upstream],
) -> None:
    app, upstream = program
    gate = Gate()
    upstream.stub.set_behavior(answering_at_gate(gate, ["one "], ["two"]))
    with urlopen(asking(app.url, upstream.model), timeout=60) as answer:
        told = answer.readline()
        app.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status(app.url, upstream.model) == 503, 15, "new questions refused")
        gate.open()
        told += answer.read()
    assert b'"type":"done"' in told
    assert b"two" in told
    assert app.process.wait(15) == 0
    assert "Traceback" not in app.log
    assert len(upstream.stub.chats) == 1


def status(url: str, model: str) -> int:
    """Of a question that nobody may begin to answer any more; it never reaches the stub."""
    try:
        with urlopen(asking(url, f"no-{model}"), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
