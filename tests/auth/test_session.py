from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from akash_gradio.auth.session import SESSION_S, SIGN_IN_LIMIT, SessionAuth
from akash_gradio.auth.signed_out import SignedOut
from akash_gradio.auth.signing import Signer
from akash_gradio.domain.errors import LimitReached
from akash_gradio.http.asgi import Message, Scope
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.web import texts
from akash_gradio.web.security import SIGNED_OUT_FILE, SecurityStack
from tests.web.client import BrowserResponse, RecordedRequests, client, security_stack, wrap

TOKEN, PASSWORD = "let-me-in-9f3", "host-only-7b2"
GUESSES = 500
LOCKED = {"ACCESS_TOKEN": TOKEN, "ADMIN_PASSWORD": PASSWORD}
ATTEMPTS = SIGN_IN_LIMIT.limit


def sign_in(browser: TestClient, secret: str = TOKEN, **query: str) -> BrowserResponse:
    return browser.post("/page/sign-in", params=query, data={"secret": secret})


def cookie_scope(cookie: str) -> Scope:
    return {"headers": [(b"cookie", cookie.encode())]}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_token_the_page_is_open() -> None:
    assert client().get("/").status_code == 200


def test_a_visitor_without_a_session_gets_the_form_and_nothing_else() -> None:
    requests = RecordedRequests()
    visitor = client(LOCKED, requests=requests)
    page = visitor.get("/?model=org/one")
    assert page.status_code == 303
    assert page.headers["location"] == "./page/sign-in?next=%3Fmodel%3Dorg%2Fone"
    for method, path in (
        ("POST", "/page/reply"), ("GET", "/page/models"), ("GET", "/config"), ("POST", "/"),
        ("GET", "/gradio_api/info"), ("GET", "/gradio_api/startup-events"),
        ("GET", "/page/assets"), ("GET", "/page/sign-in/x"), ("GET", "/PAGE/assets/x"),
        ("GET", "/metricsx"), ("GET", "/healthz/x"), ("GET", "/v1x"), ("GET", "/theme.css"),
    ):  # fmt: skip
        assert visitor.request(method, path).status_code in (401, 404), path
    assert requests.paths == []


def test_the_form_is_shown_with_the_files_it_needs() -> None:
    visitor = client(LOCKED)
    form = visitor.get("/page/sign-in?next=%3Fmodel%3Dorg/one")
    assert texts.SIGN_IN["token"] in form.text
    assert 'action="../page/sign-in?next=%3Fmodel%3Dorg/one"' in form.text
    assert form.headers["cache-control"] == "no-store"
    assert visitor.get("/page/assets/css/page.css").status_code == 200


def test_the_token_opens_the_page_and_returns_to_the_requested_one() -> None:
    requests = RecordedRequests()
    visitor = client(LOCKED, requests=requests)
    response = sign_in(visitor, next="?model=org/one")
    assert (response.status_code, response.headers["location"]) == (303, "../?model=org/one")
    assert visitor.get("/").status_code == 200
    assert requests.paths == ["/"]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "javascript:alert(1)", "?a\r\nset-cookie: x"],
)
def test_sign_in_never_redirects_to_another_site(target: str) -> None:
    location = sign_in(client(LOCKED), next=target).headers["location"]
    assert location.startswith("../")
    assert location in ("../", "../?a%0D%0Aset-cookie:%20x")


def test_the_requested_page_is_remembered_across_wrong_attempts() -> None:
    query = {"next": "?view=compare&with=a&with=b"}
    visitor = client(LOCKED)
    for number in range(ATTEMPTS + 1):
        refused = sign_in(visitor, f"guess-{number}", **query)
        assert 'action="../page/sign-in?next=%3Fview%3Dcompare%26with%3Da%26with%3Db"' in (
            refused.text
        )
    assert refused.status_code == 429
    operator = sign_in(client(LOCKED), "wrong", **query, **{"as": "host"})
    assert "%26with%3Db&amp;as=host" in operator.text


@pytest.mark.parametrize(
    "secret", ["", "let-me-in", TOKEN + " ", TOKEN.upper(), "\udc80", "é" * 99]
)
def test_a_wrong_token_is_refused(secret: str) -> None:
    response = client(LOCKED).post(
        "/page/sign-in", data={"secret": secret.encode("utf-8", "replace")}
    )
    assert response.status_code == 401
    assert texts.SIGN_IN["wrong"] in response.text
    assert "ag_session" not in response.headers.get("set-cookie", "")


def test_the_session_cookie_works_in_a_frame_of_another_site() -> None:
    response = sign_in(client(LOCKED, tls=True))
    attributes = set(response.headers["set-cookie"].split("; ")[1:])
    assert {"HttpOnly", "SameSite=None", "Secure", "Partitioned", "Path=/"} <= attributes
    plain = sign_in(client(LOCKED)).headers["set-cookie"]
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain


def test_a_forged_session_is_refused() -> None:
    stack = security_stack(LOCKED)
    visitor = client(stack=stack)
    sign_in(visitor)
    real = visitor.cookies["ag_session"]
    value, until, signature = real.split(".")
    forged = (
        f"{value}.{int(until) + 1}.{signature}", f"{value}x.{until}.{signature}",
        f"{value}.{until}.", f"..{signature}", "", "x", signature,
        f"aG9zdDo.{until}.{signature}",
        f"{value}.{until}.{hmac.new(b'', value.encode(), hashlib.sha256).hexdigest()}",
    )  # fmt: skip
    for cookie in forged:
        forger = client(stack=stack)
        forger.cookies.set("ag_session", cookie)
        assert forger.get("/").status_code == 303, cookie
    visitor.cookies.set("ag_session", real)
    assert visitor.get("/").status_code == 200


def test_a_visitors_cookie_is_no_session() -> None:
    visitor = client({**LOCKED, "VISITOR_MESSAGES_PER_MINUTE": "5"})
    visitor.get("/page/sign-in")
    visitor.cookies.set("ag_session", visitor.cookies["ag_visitor"])
    assert visitor.get("/").status_code == 303


async def test_a_session_expires_and_a_changed_token_ends_it() -> None:
    clock, signer = Clock(), Signer("the same")
    before = SessionAuth(signer, token="one", clock=clock)
    session = await before.try_secret("a", "one")
    assert session is not None
    _, cookie = before.cookie({"headers": [], "scheme": "http"}, session)
    scope = cookie_scope(cookie.partition(";")[0])
    after = SessionAuth(signer, token="two", clock=clock)
    assert before.admits(await before.identify(scope))
    assert not after.admits(await after.identify(scope))
    clock.now += SESSION_S + 1
    assert not before.admits(await before.identify(scope))


def copied_cookie(browser: TestClient, stack: SecurityStack) -> TestClient:
    """Return another browser with a copy of the session's cookie."""
    thief = client(stack=stack, address="192.0.2.99")
    thief.cookies.set("ag_session", browser.cookies["ag_session"])
    return thief


@pytest.mark.parametrize("secret", [TOKEN, PASSWORD])
def test_signing_out_ends_the_session_and_not_only_the_cookie(secret: str) -> None:
    stack = security_stack(LOCKED)
    visitor, other = client(stack=stack), client(stack=stack)
    sign_in(visitor, secret)
    sign_in(other, secret)
    thief = copied_cookie(visitor, stack)
    assert thief.get("/").status_code == 200
    assert visitor.post("/page/sign-out").status_code == 303
    assert thief.get("/").status_code == 303
    assert thief.get("/page/boot").status_code == 401
    assert other.get("/").status_code == 200  # another session of the same secret


def test_an_ended_session_stays_ended_after_a_restart(tmp_path: Path) -> None:
    variables = {**LOCKED, "DATA_DIR": str(tmp_path)}
    before, after = (security_stack(variables, signer=Signer("the same")) for _ in range(2))
    visitor = client(stack=before)
    sign_in(visitor)
    kept = copied_cookie(visitor, after)
    assert kept.get("/").status_code == 200
    visitor.post("/page/sign-out")
    assert kept.get("/").status_code == 303  # a second process with the same folder
    restarted = security_stack(variables, signer=Signer("the same"))
    thief = client(stack=restarted)
    thief.cookies.set("ag_session", kept.cookies["ag_session"])
    assert thief.get("/").status_code == 303
    (file,) = [path for path in tmp_path.iterdir() if path.name == SIGNED_OUT_FILE]
    assert file.stat().st_mode & 0o077 == 0


async def test_a_folder_that_is_not_writable_prevents_no_sign_out(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    signed_out = SignedOut(RateLimiter(LocalCounters()), 60.0, blocked / "sessions")
    await signed_out.add("one")
    assert await signed_out.contains("one")
    assert not await signed_out.contains("two")


async def test_ended_sessions_are_forgotten_when_they_would_have_expired(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "sessions"
    await SignedOut(RateLimiter(LocalCounters()), 60.0, file, clock).add("one")
    clock.now += 61
    later = SignedOut(RateLimiter(LocalCounters()), 60.0, file, clock)
    assert not await later.contains("one")
    file.write_bytes(b"\xff broken\nno-time\n")
    assert not await later.contains("no-time")


async def test_the_operators_password_is_separate_from_the_token() -> None:
    stack = security_stack(LOCKED)
    visitor, operator = client(stack=stack), client(stack=stack)
    sign_in(visitor)
    unread = cookie_scope(f"ag_session={visitor.cookies['ag_session']}")
    scope = await stack.sign_in.sessions.identify(unread)
    assert (stack.signed_in(scope), stack.is_operator(scope)) == (True, False)
    sign_in(operator, PASSWORD)
    unread = cookie_scope(f"ag_session={operator.cookies['ag_session']}")
    scope = await stack.sign_in.sessions.identify(unread)
    assert stack.is_operator(scope)
    assert operator.get("/").status_code == 200
    assert texts.SIGN_IN["password_hint"] in client(stack=stack).get("/page/sign-in?as=host").text


def test_without_a_password_no_visitor_is_the_operator() -> None:
    visitor = client({"ACCESS_TOKEN": TOKEN})
    assert sign_in(visitor, "").status_code == 401
    assert texts.SIGN_IN["password_hint"] not in visitor.get("/page/sign-in?as=host").text


def test_signing_out_ends_the_session() -> None:
    visitor = client(LOCKED)
    sign_in(visitor)
    assert visitor.post("/page/sign-out").status_code == 303
    assert visitor.get("/").status_code == 303


def test_another_site_can_not_sign_a_visitor_in() -> None:
    response = client(LOCKED).post(
        "/page/sign-in", data={"secret": TOKEN}, headers={"origin": "https://evil.example"}
    )
    assert response.status_code == 403


async def test_a_hundred_thousand_wrong_tokens_are_ten_attempts() -> None:
    clock = Clock()
    sessions = SessionAuth(Signer(), token=TOKEN, clock=clock)
    attempts = 0
    for number in range(100_000):
        try:
            assert await sessions.try_secret("network", f"guess-{number}") is None
            attempts += 1
        except LimitReached:
            pass
    assert attempts == ATTEMPTS
    assert await sessions.wait_s("network") > 0
    clock.now += SIGN_IN_LIMIT.window_s + 1
    assert await sessions.wait_s("network") == 0.0


def test_the_token_does_not_allow_endless_guesses_of_the_password() -> None:
    guesser = client(LOCKED, address="198.51.100.7")
    for number in range(ATTEMPTS):
        assert sign_in(guesser).status_code == 303
        assert sign_in(guesser, f"guess-{number}").status_code == 401
    assert sign_in(guesser, PASSWORD).status_code == 429


@pytest.mark.parametrize(
    ("variables", "secret"), [(LOCKED, PASSWORD), ({"ACCESS_TOKEN": TOKEN}, TOKEN)]
)
def test_the_right_secret_resets_the_wrong_attempts(
    variables: Mapping[str, str], secret: str
) -> None:
    visitor = client(variables)
    for _ in range(3):
        statuses = {sign_in(visitor, "wrong").status_code for _ in range(ATTEMPTS - 1)}
        assert statuses == {401}
        assert sign_in(visitor, secret).status_code == 303


def sign_in_scope(address: str = "198.51.100.7") -> Scope:
    return {
        "type": "http", "method": "POST", "path": "/page/sign-in",
        "headers": [(b"host", b"localhost")],
        "query_string": b"", "scheme": "http", "client": (address, 1),
    }  # fmt: skip


async def test_a_form_that_stops_coming_is_no_attempt() -> None:
    stack, statuses = security_stack(LOCKED), list[int]()
    app = wrap(stack)

    async def receive() -> Message:
        raise TimeoutError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for _ in range(ATTEMPTS):
        await app(sign_in_scope(), receive, send)
    assert statuses == [408] * ATTEMPTS
    assert sign_in(client(stack=stack, address="198.51.100.7")).status_code == 303


async def test_five_hundred_guesses_at_once_are_ten_attempts() -> None:
    app, statuses = wrap(security_stack(LOCKED)), list[int]()
    all_waiting = asyncio.Barrier(GUESSES)

    async def guess(number: int) -> None:
        async def receive() -> Message:
            await all_waiting.wait()  # each passed the first check before any body was read
            return {"type": "http.request", "body": f"secret=guess-{number}".encode()}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(sign_in_scope(), receive, send)

    async with asyncio.TaskGroup() as group:
        for number in range(GUESSES):
            group.create_task(guess(number))
    assert (statuses.count(401), statuses.count(429)) == (ATTEMPTS, GUESSES - ATTEMPTS)


def test_after_too_many_guesses_even_the_right_token_is_refused() -> None:
    stack = security_stack(LOCKED)
    guesser = client(stack=stack, address="198.51.100.7")
    statuses = [sign_in(guesser, f"guess-{number}").status_code for number in range(ATTEMPTS)]
    assert statuses == [401] * ATTEMPTS
    refused = sign_in(guesser)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 200
    assert sign_in(client(stack=stack, address="192.0.2.1")).status_code == 303


def test_a_forged_forwarded_address_allows_no_more_guesses() -> None:
    guesser = client(LOCKED, address="198.51.100.7")
    for number in range(ATTEMPTS):
        forged = {"x-forwarded-for": f"10.0.0.{number}"}
        guesser.post("/page/sign-in", data={"secret": "x"}, headers=forged)
    assert sign_in(guesser).status_code == 429


def test_a_form_that_is_too_long_is_refused() -> None:
    assert sign_in(client(LOCKED), "x" * 10_000).status_code == 401


def test_gradio_may_check_that_its_server_has_started() -> None:
    here = client(LOCKED, address="127.0.0.1")
    local = {"host": "127.0.0.1:7860"}
    assert here.get("/gradio_api/startup-events", headers=local).status_code == 200
    through_proxy = {**local, "x-forwarded-for": "203.0.113.5"}
    assert here.get("/gradio_api/startup-events", headers=through_proxy).status_code == 401
    assert here.get("/gradio_api/info").status_code == 401
