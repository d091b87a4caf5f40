from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from akash_gradio.http.body import LARGE_BYTES, SMALL_BYTES, Body, TooSlow
from akash_gradio.http.security_headers import KEPT_BYTES, _kept, page_policy
from akash_gradio.http.shutdown import Running, finish
from tests.web.client import PAGE, RecordedRequests, client, security_stack, small_app

OWN = ("http://page.example", "https://page.example", "http://page.example:80")
FOREIGN = (
    "http://evil.example",
    "http://page.example.evil.example",
    "http://page.example:8080",
    "https://page.example@evil.example",
    "null",
    "http://[bad",
    "file://",
)


@pytest.mark.parametrize("path", ["/", "/page/reply", "/v1/models", "/gradio_api/queue/join"])
@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_site_gets_nothing(origin: str, path: str) -> None:
    asked = RecordedRequests()
    response = client(asked).post(path, headers={"origin": origin})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "cross_site")
    assert asked.paths == []


def test_a_forged_forwarded_host_makes_no_foreign_page_ours() -> None:
    forged = {"origin": "http://evil.example", "x-forwarded-host": "evil.example"}
    assert client().get("/", headers=forged).status_code == 403


@pytest.mark.parametrize("origin", OWN)
def test_the_page_itself_is_let_in(origin: str) -> None:
    assert client().get("/", headers={"origin": origin}).status_code == 200


def test_a_site_that_the_host_names_is_let_in() -> None:
    allowed = client(ALLOWED_ORIGINS="https://friend.example")
    assert allowed.get("/", headers={"origin": "https://Friend.example"}).status_code == 200
    assert allowed.get("/", headers={"origin": "https://evil.example"}).status_code == 403


def test_every_answer_has_the_security_headers() -> None:
    for path in ("/", "/stream", "/drawing", "/other"):
        headers = client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "x-frame-options" not in headers
        assert "strict-transport-security" not in headers


def test_what_belongs_to_the_page_is_kept_by_no_cache() -> None:
    for path in ("/page/boot", "/page/sets/one"):
        assert client().get(path).headers["cache-control"] == "no-store"
    for path in ("/", "/page/assets/css/page.css", "/other"):
        assert "cache-control" not in client().get(path).headers


def test_browsers_that_came_by_tls_keep_to_it() -> None:
    headers = client().get("/", headers={"x-forwarded-proto": "https"}).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_the_page_runs_its_own_scripts_and_no_others() -> None:
    response = client().get("/")
    assert response.text == PAGE
    policy = response.headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    inline = re.findall(r"<script(?: type=\S+)?>(.*?)</script>", PAGE, re.DOTALL)
    wanted = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in inline
    }
    assert len(wanted) == 2
    assert set(rules["script-src"].split()) == {"'self'", "'unsafe-eval'", *wanted}
    assert rules["frame-ancestors"] == "'self' https://huggingface.co"
    assert rules["object-src"] == "'none'"
    assert rules["default-src"] == "'self'"


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
def test_a_finished_page_goes_out_packed_with_a_policy_that_knows_its_scripts(
    accepted: str,
) -> None:
    more = b"<script>let more;</script>" + b"<p>words</p>" * 100
    behind = replace(security_stack(), finish=lambda html: html + more)
    response = client(behind=behind).get("/", headers={"accept-encoding": accepted})
    assert response.content == PAGE.encode() + more
    assert response.headers.get("content-encoding", "identity") == accepted
    sent = int(response.headers["content-length"])
    assert sent == len(response.content) if accepted == "identity" else sent < 500
    digest = base64.b64encode(hashlib.sha256(b"let more;").digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["content-security-policy"]


def test_the_host_says_who_may_frame_the_page() -> None:
    policy = client(FRAME_ANCESTORS="https://blog.example").get("/").headers
    assert "frame-ancestors 'self' https://blog.example" in policy["content-security-policy"]
    assert page_policy(b"", "").endswith(b"frame-ancestors 'self'")


def test_a_stream_asks_proxies_not_to_hold_it_back() -> None:
    response = client().get("/stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def pieces_of(path: str, method: str = "GET") -> list[bytes]:
    sent: list[bytes] = []

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def send(message: dict[str, object]) -> None:
        sent.append(bytes(message.get("body", b"")))  # type: ignore[arg-type]

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await security_stack().before(small_app(RecordedRequests()))(scope, receive, send)  # type: ignore[arg-type]
    return [body for body in sent if body]


async def test_a_stream_passes_piece_by_piece() -> None:
    assert await pieces_of("/stream") == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


@pytest.mark.parametrize("path", ["/page/sets/report", "/page/compare/report"])
async def test_a_report_is_not_held_until_it_is_whole_and_runs_nothing(path: str) -> None:
    assert await pieces_of(path, "POST") == [b"<p>0</p>", b"<p>1</p>", b"<p>2</p>"]
    policy = client().post(path).headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def test_few_pages_and_no_large_one_are_kept_for_their_policy() -> None:
    for number in range(20):
        page_policy(b"%d" % number, "")
    before = _kept.cache_info()
    page_policy(bytes(KEPT_BYTES), "")
    assert _kept.cache_info() == before
    assert before.currsize == before.maxsize == 4


def test_a_drawing_that_is_opened_by_itself_runs_nothing() -> None:
    assert "sandbox" in client().get("/drawing").headers["content-security-policy"]


def test_a_gigabyte_is_refused_by_what_it_announces() -> None:
    asked = RecordedRequests()
    gigabyte = {"content-length": str(10**9)}
    for path in ("/gradio_api/upload", "/page/reply", "/"):
        response = client(asked).post(path, headers=gigabyte)
        assert response.status_code == 413
        assert response.headers["connection"] == "close"
    assert asked.bodies == []


def test_what_the_page_never_asks_of_gradio_is_not_there() -> None:
    asked = RecordedRequests()
    visitor = client(asked)
    for method, path in (
        ("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://169.254.169.254/"), ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/heartbeat/x"), ("GET", "/gradio_api/dev/reload"),
        ("GET", "/gradio_api/startup-events"), ("GET", "/monitoring/summary"),
    ):  # fmt: skip
        assert visitor.request(method, path).status_code == 404, path
    assert asked.paths == []
    assert visitor.get("/gradio_api/info").status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/page/x", LARGE_BYTES), ("/other", SMALL_BYTES)])
def test_a_gigabyte_that_announces_nothing_is_cut_at_the_limit(path: str, limit: int) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while taken < 1_000:
            taken += 1
            yield bytes(1_000_000)

    asked = RecordedRequests()
    response = client(asked).post(path, content=endless())
    assert response.status_code == 413
    assert asked.bodies == []


async def test_a_body_that_stops_coming_is_given_up() -> None:
    async def never() -> dict[str, object]:
        raise TimeoutError

    with pytest.raises(TooSlow):
        await Body(never, 10).receive()


def test_what_is_small_enough_comes_whole() -> None:
    asked = RecordedRequests()
    assert client(asked).post("/other", content=bytes(SMALL_BYTES)).text == "read"
    assert asked.bodies == [SMALL_BYTES]


def test_v1_is_not_dressed() -> None:
    headers = client().get("/v1/models").headers
    assert "permissions-policy" not in headers


def test_nothing_new_begins_while_the_server_closes() -> None:
    asked, edge = RecordedRequests(), security_stack()
    visitor = client(asked, behind=edge)
    edge.running.closing = True
    response = visitor.post("/page/reply")
    assert (response.status_code, response.json()["error"]["retry"]) == (503, True)
    assert visitor.get("/page/boot").status_code == 200
    assert asked.paths == ["/page/boot"]


def test_a_server_that_is_told_to_end_waits_for_running_answers() -> None:
    running, naps = Running(), 0
    answer = running.answer()
    answer.__enter__()

    def nap(_seconds: float) -> None:
        nonlocal naps
        naps += 1
        assert running.closing
        if naps == 3:
            answer.__exit__(None, None, None)

    assert finish(running, clock=lambda: 0.0, sleep=nap) is True
    assert naps == 3


def test_a_server_that_is_told_to_end_cuts_what_takes_too_long() -> None:
    running, now = Running(), 0.0

    def nap(_seconds: float) -> None:
        nonlocal now
        now += 7.0

    with running.answer():
        assert finish(running, clock=lambda: now, sleep=nap, last_words_s=20.0) is False
    assert now == 21.0
