from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from akash_gradio.auth import session as entry_module
from akash_gradio.auth.session import TRIES, TRIES_WINDOW_S, SessionAuth
from akash_gradio.auth.signing import Signer
from akash_gradio.web import texts
from tests.web.client import RecordedRequests, client, security_stack, small_app

TOKEN, PASSWORD = "let-me-in-9f3", "host-only-7b2"
GUESSES = 500
CLOSED = {"ACCESS_TOKEN": TOKEN, "ADMIN_PASSWORD": PASSWORD}


def requires_sign_in(browser: Any, secret: str = TOKEN, **query: str) -> Any:
    return browser.post("/page/sign-in", params=query, data={"secret": secret})


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_page_without_a_token_is_open() -> None:
    assert client().get("/").status_code == 200


def test_a_stranger_is_led_to_the_form_and_gets_nothing_else() -> None:
    asked = RecordedRequests()
    stranger = client(asked, **CLOSED)
    page = stranger.get("/?model=org/one")
    assert page.status_code == 303
    assert page.headers["location"] == "./page/sign-in?next=%3Fmodel%3Dorg%2Fone"
    for method, path in (
        ("POST", "/page/reply"), ("GET", "/page/models"), ("GET", "/config"), ("POST", "/"),
        ("GET", "/gradio_api/info"), ("GET", "/gradio_api/startup-events"),
        ("GET", "/page/assets"), ("GET", "/page/sign-in/x"), ("GET", "/PAGE/assets/x"),
        ("GET", "/metricsx"), ("GET", "/healthz/x"), ("GET", "/v1x"),
    ):  # fmt: skip
        assert stranger.request(method, path).status_code in (401, 404), path
    assert asked.paths == []


def test_the_form_is_shown_with_what_it_needs() -> None:
    stranger = client(**CLOSED)
    form = stranger.get("/page/sign-in?next=%3Fmodel%3Dorg/one")
    assert texts.SIGN_IN["token"] in form.text
    assert 'action="../page/sign-in?next=%3Fmodel%3Dorg/one"' in form.text
    assert form.headers["cache-control"] == "no-store"
    assert stranger.get("/page/assets/css/page.css").status_code == 200


def test_the_token_opens_the_page_and_leads_back() -> None:
    asked = RecordedRequests()
    visitor = client(asked, **CLOSED)
    response = requires_sign_in(visitor, next="?model=org/one")
    assert (response.status_code, response.headers["location"]) == (303, "../?model=org/one")
    assert visitor.get("/").status_code == 200
    assert asked.paths == ["/"]


@pytest.mark.parametrize(
    "after",
    ["https://evil.example", "//evil.example", "javascript:alert(1)", "?a\r\nset-cookie: x"],
)
def test_the_way_back_leads_nowhere_else(after: str) -> None:
    location = requires_sign_in(client(**CLOSED), next=after).headers["location"]
    assert location.startswith("../")
    assert location in ("../", "../?a%0D%0Aset-cookie:%20x")


def test_a_wrong_try_forgets_not_where_the_visitor_was_going() -> None:
    going = {"next": "?view=compare&with=a&with=b"}
    visitor = client(behind=security_stack(**CLOSED))
    for number in range(TRIES + 1):
        refused = requires_sign_in(visitor, f"guess-{number}", **going)
        assert 'action="../page/sign-in?next=%3Fview%3Dcompare%26with%3Da%26with%3Db"' in (
            refused.text
        )
    assert refused.status_code == 429
    host = requires_sign_in(client(**CLOSED), "wrong", **going, **{"as": "host"})
    assert "%26with%3Db&amp;as=host" in host.text


@pytest.mark.parametrize("given", ["", "let-me-in", TOKEN + " ", TOKEN.upper(), "\udc80", "é" * 99])
def test_what_is_not_the_token_is_told_so(given: str) -> None:
    response = client(**CLOSED).post(
        "/page/sign-in", data={"secret": given.encode("utf-8", "replace")}
    )
    assert response.status_code == 401
    assert texts.SIGN_IN["wrong"] in response.text
    assert "set-cookie" not in response.headers


def test_the_session_cookie_works_in_a_frame_of_another_site() -> None:
    response = requires_sign_in(client(**CLOSED, tls=True))
    attributes = set(response.headers["set-cookie"].split("; ")[1:])
    assert {"HttpOnly", "SameSite=None", "Secure", "Partitioned", "Path=/"} <= attributes
    plain = requires_sign_in(client(**CLOSED)).headers["set-cookie"]
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain


def test_a_session_that_somebody_made_up_opens_nothing() -> None:
    edge = security_stack(**CLOSED)
    requires_sign_in(visitor := client(behind=edge))
    real = visitor.cookies["ag_session"]
    value, until, mark = real.split(".")
    forged = (
        f"{value}.{int(until) + 1}.{mark}", f"{value}x.{until}.{mark}", f"{value}.{until}.",
        f"..{mark}", "", "x", mark, f"aG9zdDo.{until}.{mark}",
        f"{value}.{until}.{hmac.new(b'', value.encode(), hashlib.sha256).hexdigest()}",
    )  # fmt: skip
    for cookie in forged:
        stranger = client(behind=edge)
        stranger.cookies.set("ag_session", cookie)
        assert stranger.get("/").status_code == 303, cookie
    visitor.cookies.set("ag_session", real)
    assert visitor.get("/").status_code == 200


def test_a_visitor_cookie_is_no_session() -> None:
    edge = security_stack(**CLOSED, VISITOR_MESSAGES_PER_MINUTE="5")
    stranger = client(behind=edge)
    stranger.get("/page/sign-in")
    known = stranger.cookies["ag_visitor"]
    stranger.cookies.set("ag_session", known)
    assert stranger.get("/").status_code == 303


def test_a_changed_token_ends_the_sessions_and_a_session_ends_by_itself() -> None:
    clock, signer = Clock(), Signer("the same")
    before = SessionAuth(signer, token="one", clock=clock)
    session = before.try_secret("a", "one")
    assert session is not None
    _, cookie = before.cookie({"headers": [], "scheme": "http"}, session)
    scope = {"headers": [(b"cookie", cookie.partition(";")[0].encode())]}
    assert before.lets_in(scope)
    assert not SessionAuth(signer, token="two", clock=clock).lets_in(scope)
    clock.now += entry_module.LASTS_S + 1
    assert not before.lets_in(scope)


def test_the_hosts_password_is_apart_from_the_token() -> None:
    edge = security_stack(**CLOSED)
    scope: dict[str, Any] = {"headers": []}
    requires_sign_in(visitor := client(behind=edge))
    scope["headers"] = [(b"cookie", f"ag_session={visitor.cookies['ag_session']}".encode())]
    assert (edge.signed_in(scope), edge.is_operator(scope)) == (True, False)
    requires_sign_in(host := client(behind=edge), PASSWORD)
    scope["headers"] = [(b"cookie", f"ag_session={host.cookies['ag_session']}".encode())]
    assert edge.is_operator(scope)
    assert host.get("/").status_code == 200
    assert texts.SIGN_IN["password_hint"] in client(behind=edge).get("/page/sign-in?as=host").text


def test_without_a_password_nobody_is_the_host() -> None:
    edge = security_stack(ACCESS_TOKEN=TOKEN)
    assert requires_sign_in(client(behind=edge), "").status_code == 401
    assert (
        texts.SIGN_IN["password_hint"] not in client(behind=edge).get("/page/sign-in?as=host").text
    )


def test_signing_out_ends_it() -> None:
    visitor = client(**CLOSED)
    requires_sign_in(visitor)
    assert visitor.post("/page/sign-out").status_code == 303
    assert visitor.get("/").status_code == 303


def test_another_site_can_not_sign_a_visitor_in() -> None:
    response = client(**CLOSED).post(
        "/page/sign-in", data={"secret": TOKEN}, headers={"origin": "https://evil.example"}
    )
    assert response.status_code == 403


def test_a_hundred_thousand_wrong_tokens_are_no_hundred_thousand_tries() -> None:
    clock = Clock()
    entry = SessionAuth(Signer(), token=TOKEN, clock=clock)
    tried = 0
    for number in range(100_000):
        if entry.throttle.wait_s("198.51.100.7") == 0.0:
            tried += 1
            assert entry.try_secret("198.51.100.7", f"guess-{number}") is None
    assert tried == TRIES
    clock.now += TRIES_WINDOW_S + 1
    assert entry.throttle.wait_s("198.51.100.7") == 0.0


def test_who_knows_the_token_can_not_guess_the_password_without_end() -> None:
    edge = security_stack(**CLOSED)
    guesser = client(behind=edge, address="198.51.100.7")
    for number in range(TRIES):
        assert requires_sign_in(guesser).status_code == 303
        assert requires_sign_in(guesser, f"guess-{number}").status_code == 401
    assert requires_sign_in(guesser, PASSWORD).status_code == 429


def test_the_right_secret_forgets_the_wrong_tries() -> None:
    for variables, secret in ((CLOSED, PASSWORD), ({"ACCESS_TOKEN": TOKEN}, TOKEN)):
        visitor = client(**variables)
        for _ in range(3):
            statuses = {requires_sign_in(visitor, "wrong").status_code for _ in range(TRIES - 1)}
            assert statuses == {401}
            assert requires_sign_in(visitor, secret).status_code == 303


async def test_five_hundred_guesses_at_once_are_no_five_hundred_tries() -> None:
    app, statuses = security_stack(**CLOSED).before(small_app(RecordedRequests())), list[int]()
    all_here = asyncio.Barrier(GUESSES)

    async def guess(number: int) -> None:
        async def receive() -> dict[str, object]:
            await all_here.wait()  # each was let in to the form before any was read
            return {"type": "http.request", "body": f"secret=guess-{number}".encode()}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http", "method": "POST", "path": "/page/sign-in", "headers": [],
            "query_string": b"", "scheme": "http", "client": ("198.51.100.7", 1),
        }  # fmt: skip
        await app(scope, receive, send)  # type: ignore[arg-type]

    async with asyncio.TaskGroup() as group:
        for number in range(GUESSES):
            group.create_task(guess(number))
    assert (statuses.count(401), statuses.count(429)) == (TRIES, GUESSES - TRIES)


def test_who_guesses_too_often_is_turned_away_even_with_the_right_token() -> None:
    edge = security_stack(**CLOSED)
    guesser = client(behind=edge, address="198.51.100.7")
    statuses = [requires_sign_in(guesser, f"guess-{n}").status_code for n in range(TRIES)]
    assert statuses == [401] * TRIES
    refused = requires_sign_in(guesser)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 200
    assert requires_sign_in(client(behind=edge, address="192.0.2.1")).status_code == 303


def test_a_forged_forwarded_address_buys_no_more_guesses() -> None:
    edge = security_stack(**CLOSED)
    guesser = client(behind=edge, address="198.51.100.7")
    for number in range(TRIES):
        forged = {"x-forwarded-for": f"10.0.0.{number}"}
        guesser.post("/page/sign-in", data={"secret": "x"}, headers=forged)
    assert requires_sign_in(guesser).status_code == 429


def test_a_form_without_end_is_no_form() -> None:
    assert requires_sign_in(client(**CLOSED), "x" * 10_000).status_code == 401


def test_gradio_may_ask_itself_whether_it_has_started() -> None:
    asked = RecordedRequests()
    here = client(asked, address="127.0.0.1", **CLOSED)
    assert here.get("/gradio_api/startup-events").status_code == 200
    through_proxy = {"x-forwarded-for": "203.0.113.5"}
    assert here.get("/gradio_api/startup-events", headers=through_proxy).status_code == 401
    assert here.get("/gradio_api/info").status_code == 401
