from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import replace

import pytest

from akash_gradio.http.asgi import Message, Scope
from akash_gradio.http.security_headers import MAX_CACHED_BYTES, _cached_policy, page_policy
from tests.web.client import PAGE, RecordedRequests, client, security_stack, wrap

OWN_ORIGINS = ("http://page.example", "https://page.example", "http://page.example:80")
OTHER_ORIGINS = (
    "http://evil.example",
    "http://page.example.evil.example",
    "http://page.example:8080",
    "https://page.example@evil.example",
    "null",
    "http://[bad",
    "file://",
)
LOCAL = {"host": "127.0.0.1:7860"}


@pytest.mark.parametrize("path", ["/", "/page/reply", "/v1/models", "/gradio_api/queue/join"])
@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_a_cross_site_request_is_refused(origin: str, path: str) -> None:
    requests = RecordedRequests()
    response = client(requests=requests).post(path, headers={"origin": origin})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "cross_site")
    assert requests.paths == []


def test_a_forged_forwarded_host_does_not_make_a_request_same_site() -> None:
    forged = {"origin": "http://evil.example", "x-forwarded-host": "evil.example"}
    assert client().get("/", headers=forged).status_code == 403


@pytest.mark.parametrize("origin", OWN_ORIGINS)
def test_a_request_of_the_page_itself_is_admitted(origin: str) -> None:
    assert client().get("/", headers={"origin": origin}).status_code == 200


def test_a_request_of_an_allowed_origin_is_admitted() -> None:
    allowed = client({"ALLOWED_ORIGINS": "https://friend.example"})
    assert allowed.get("/", headers={"origin": "https://Friend.example"}).status_code == 200
    assert allowed.get("/", headers={"origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/page/stream", "/page/drawing", "/static/other"])
def test_every_response_has_the_security_headers(path: str) -> None:
    headers = client().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "x-frame-options" not in headers
    assert "strict-transport-security" not in headers


def test_no_cache_stores_the_responses_of_the_pages_api() -> None:
    for path in ("/page/boot", "/page/sets/status"):
        assert client().get(path).headers["cache-control"] == "no-store"
    assert client().get("/").headers["cache-control"] == "private, no-cache"  # it sets a cookie
    for path in ("/page/assets/css/page.css", "/static/other"):
        assert "cache-control" not in client().get(path).headers


def test_over_tls_browsers_must_keep_using_it() -> None:
    headers = client().get("/", headers={"x-forwarded-proto": "https"}).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_the_page_runs_its_own_scripts_and_no_others() -> None:
    response = client().get("/")
    assert response.text == PAGE
    policy = response.headers["content-security-policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    inline = re.findall(r"<script(?: type=\S+)?>(.*?)</script>", PAGE, re.DOTALL)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in inline
    }
    assert len(hashes) == 2
    assert set(directives["script-src"].split()) == {"'self'", "'unsafe-eval'", *hashes}
    assert directives["frame-ancestors"] == "'self' https://huggingface.co"
    assert directives["object-src"] == "'none'"
    assert directives["default-src"] == "'self'"


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
def test_a_transformed_page_is_compressed_with_a_policy_for_all_its_scripts(accepted: str) -> None:
    added = b"<script>let more;</script>" + b"<p>words</p>" * 100
    stack = replace(security_stack(), transform_html=lambda html: html + added)
    response = client(stack=stack).get("/", headers={"accept-encoding": accepted})
    assert response.content == PAGE.encode() + added
    assert response.headers.get("content-encoding", "identity") == accepted
    sent = int(response.headers["content-length"])
    assert sent == len(response.content) if accepted == "identity" else sent < 500
    digest = base64.b64encode(hashlib.sha256(b"let more;").digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["content-security-policy"]


def test_the_operator_chooses_which_sites_may_frame_the_page() -> None:
    headers = client({"FRAME_ANCESTORS": "https://blog.example"}).get("/").headers
    assert "frame-ancestors 'self' https://blog.example" in headers["content-security-policy"]
    assert page_policy(b"", "").endswith(b"frame-ancestors 'self'")


def test_proxies_must_not_buffer_a_stream() -> None:
    response = client().get("/page/stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def chunks_of(path: str, method: str = "GET") -> list[bytes]:
    chunks: list[bytes] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: Message) -> None:
        chunks.append(bytes(message.get("body", b"")))

    scope: Scope = {
        "type": "http", "method": method, "path": path, "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    await wrap(security_stack())(scope, receive, send)
    return [chunk for chunk in chunks if chunk]


async def test_a_stream_is_sent_chunk_by_chunk() -> None:
    assert await chunks_of("/page/stream") == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


@pytest.mark.parametrize("path", ["/page/sets/report", "/page/compare/report"])
async def test_a_report_is_sent_chunk_by_chunk_and_runs_no_script(path: str) -> None:
    assert await chunks_of(path, "POST") == [b"<p>0</p>", b"<p>1</p>", b"<p>2</p>"]
    policy = client().post(path).headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def test_the_cache_of_policies_holds_few_and_small_pages() -> None:
    for number in range(20):
        page_policy(b"%d" % number, "")
    before = _cached_policy.cache_info()
    page_policy(bytes(MAX_CACHED_BYTES), "")
    assert _cached_policy.cache_info() == before
    assert before.currsize == before.maxsize == 4


def test_a_drawing_runs_no_script() -> None:
    assert "sandbox" in client().get("/page/drawing").headers["content-security-policy"]


def test_paths_of_gradio_that_the_page_does_not_use_are_not_found() -> None:
    requests = RecordedRequests()
    visitor = client(requests=requests)
    for method, path in (
        ("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://169.254.169.254/"), ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/heartbeat/x"), ("GET", "/gradio_api/dev/reload"),
        ("GET", "/gradio_api/startup-events"), ("GET", "/monitoring/summary"),
        ("GET", "/config"), ("GET", "/config/"), ("GET", "/pwa_icon/512"), ("GET", "/token"),
        ("POST", "/login"), ("GET", "/logout"), ("GET", "/svelte/x"), ("GET", "/x"),
    ):  # fmt: skip
        assert visitor.request(method, path).status_code == 404, path
    assert requests.paths == []


def test_paths_that_a_browser_requests_are_open() -> None:
    for path in (
        "/", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon",
        "/gradio_api/info", "/assets/index.js", "/static/fonts/x.woff2", "/page/boot",
    ):  # fmt: skip
        assert client().get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("client_address", "server_address", "headers", "status"),
    [
        ("127.0.0.1", "127.0.0.1", LOCAL, 200),
        ("192.168.1.5", "192.168.1.5", {"host": "192.168.1.5:7860"}, 200),
        ("203.0.113.5", "192.168.1.5", {"host": "192.168.1.5:7860"}, 404),
        ("127.0.0.1", "127.0.0.1", {**LOCAL, "x-forwarded-for": "203.0.113.5"}, 404),
    ],
)
async def test_only_gradio_itself_may_check_that_its_server_has_started(
    client_address: str, server_address: str, headers: dict[str, str], status: int
) -> None:
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/gradio_api/startup-events",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": b"",
        "client": (client_address, 50_000),
        "server": (server_address, 7860),
    }
    await wrap(security_stack())(scope, receive, send)
    assert statuses[0] == status


def test_responses_of_the_api_get_no_security_headers() -> None:
    headers = client().get("/v1/models").headers
    assert "permissions-policy" not in headers


def test_during_shutdown_new_requests_are_refused() -> None:
    requests, stack = RecordedRequests(), security_stack()
    visitor = client(requests=requests, stack=stack)
    stack.running.closing = True
    response = visitor.post("/page/reply")
    assert (response.status_code, response.json()["error"]["retry"]) == (503, True)
    assert visitor.get("/page/boot").status_code == 200
    assert requests.paths == ["/page/boot"]
