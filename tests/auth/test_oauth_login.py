"""Sign-in with Hugging Face, from the button to the page, with the attacks on the way."""

from __future__ import annotations

import logging
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.testclient import TestClient

from akash_gradio.auth.http_client import MAX_RESPONSE_BYTES
from akash_gradio.auth.oauth_login import COOKIE_MAX_AGE_S, AllowList, OAuthLogin
from akash_gradio.auth.openid_provider import Client, Provider
from akash_gradio.auth.session import (
    OAUTH_LIMIT,
    SIGN_IN_LIMIT,
    USER_SESSION_S,
    Session,
    SessionAuth,
)
from akash_gradio.auth.sign_in import SignIn
from akash_gradio.auth.signing import Signer
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.visitor import CURRENT_VISITOR
from akash_gradio.http.asgi import Receive, Scope, Send
from akash_gradio.web import texts
from akash_gradio.web.security import SecurityStack
from akash_gradio.web.sign_in_page import sign_in_html
from tests.auth.provider import CLIENT_ID, CLIENT_SECRET, METADATA, URL, FakeProvider
from tests.web.client import (
    BrowserResponse,
    RecordedRequests,
    client,
    page_table,
    security_stack,
)

PASSWORD = "host-only-7b2"
VARIABLES = {
    "SIGN_IN": "huggingface",
    "OAUTH_CLIENT_ID": CLIENT_ID,
    "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
    "OPENID_PROVIDER_URL": URL,
}


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


def stack_with(provider: FakeProvider, **variables: str) -> SecurityStack:
    return security_stack({**VARIABLES, **variables}, fetch=provider.fetch)


def start(browser: TestClient, query: str = "") -> str:
    response = browser.get(f"/page/sign-in/hub{query}")
    assert response.status_code == 303
    return response.headers["location"]


def state_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["state"][0]


def sign_in(browser: TestClient, provider: FakeProvider, query: str = "") -> BrowserResponse:
    return browser.get(provider.consent(start(browser, query)))


def refusal_page(browser: TestClient, response: BrowserResponse) -> str:
    """Return the page that a refusal redirects to, after checking that no session was opened."""
    assert response.status_code == 303
    assert "ag_session" not in response.headers["set-cookie"]
    assert browser.get("/").status_code == 303
    path = response.headers["location"].lstrip("./")
    return unescape(browser.get(f"/page/{path}").text)


def cookie_scope(cookie: str, scheme: str = "http") -> Scope:
    return {"headers": [(b"cookie", cookie.encode())], "scheme": scheme}


def test_a_visitor_signs_in_and_returns_to_the_requested_page(provider: FakeProvider) -> None:
    requests = RecordedRequests()
    visitor = client(requests=requests, stack=stack_with(provider))
    assert visitor.get("/?model=org/one").headers["location"].startswith("./page/sign-in?next=")
    form = visitor.get("/page/sign-in?next=%3Fmodel%3Dorg/one")
    assert 'href="../page/sign-in/hub?next=%3Fmodel%3Dorg/one"' in form.text
    assert texts.SIGN_IN["hub_everybody"] in unescape(form.text)
    assert 'type="password"' not in form.text
    response = sign_in(visitor, provider, "?next=%3Fmodel%3Dorg/one")
    assert (response.status_code, response.headers["location"]) == (303, "../../../?model=org/one")
    assert visitor.get("/").status_code == 200
    assert requests.paths == ["/"]


async def test_a_user_is_known_by_name_until_signing_out(provider: FakeProvider) -> None:
    stack = stack_with(provider)
    visitor = client(stack=stack)
    sign_in(visitor, provider)
    unread = cookie_scope(f"ag_session={visitor.cookies['ag_session']}")
    scope = await stack.sign_in.sessions.identify(unread)
    assert (stack.user(scope), stack.signed_in(scope), stack.is_operator(scope)) == (
        "Ann",
        True,
        False,
    )
    assert visitor.post("/page/sign-out").status_code == 303
    assert visitor.get("/").status_code == 303


async def test_limits_are_counted_by_user_name(provider: FakeProvider) -> None:
    stack, visitor_ids = stack_with(provider, VISITOR_MESSAGES_PER_MINUTE="5"), list[str]()
    cookies = []
    for address in ("203.0.113.5", "198.51.100.7"):
        visitor = client(stack=stack, address=address)
        sign_in(visitor, provider)
        cookies.append(visitor.cookies["ag_session"])

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        visitor_ids.append(CURRENT_VISITOR.get().id)
        assert CURRENT_VISITOR.get().network == ""

    async def receive() -> dict[str, object]:
        raise AssertionError

    async def send(_message: object) -> None:
        raise AssertionError

    for cookie, address in zip(cookies, ("192.0.2.1", "192.0.2.2"), strict=True):
        headers = [(b"host", b"localhost"), (b"cookie", f"ag_session={cookie}".encode())]
        scope = {
            "headers": headers,
            "type": "http", "method": "GET", "path": "/", "query_string": b"",
            "client": (address, 1),
        }  # fmt: skip
        await stack.wrap(app, page_table())(scope, receive, send)
    assert len(visitor_ids) == 2
    assert len(set(visitor_ids)) == 1
    assert "Ann" not in visitor_ids[0]


@pytest.mark.parametrize(
    ("allowed", "account", "admitted"),
    [
        ({"ALLOWED_USERS": "ann, bob"}, {"preferred_username": "ANN"}, True),
        ({"ALLOWED_USERS": "@bob,https://hf.co/Ann/"}, {"preferred_username": "ann"}, True),
        ({"ALLOWED_USERS": "bob"}, {"preferred_username": "Ann"}, False),
        ({"ALLOWED_USERS": "ann"}, {"preferred_username": "ann2"}, False),
        ({"ALLOWED_USERS": ","}, {"preferred_username": "Ann"}, False),
        ({"ALLOWED_ORGS": "acme"}, {"orgs": [{"preferred_username": "ACME"}]}, True),
        ({"ALLOWED_ORGS": "acme"}, {"orgs": [{"preferred_username": "other"}]}, False),
        ({"ALLOWED_ORGS": "acme"}, {"orgs": None}, False),
        ({"ALLOWED_ORGS": ","}, {"orgs": [{"name": "acme"}]}, False),
        ({"ALLOWED_ORGS": "acme"}, {"preferred_username": "acme"}, False),
        ({"ALLOWED_USERS": "acme"}, {"orgs": [{"preferred_username": "acme"}]}, False),
        ({"ALLOWED_USERS": "bob", "ALLOWED_ORGS": "acme"},
         {"orgs": [{"preferred_username": "acme"}]}, True),
    ],
)  # fmt: skip
def test_only_the_listed_users_and_organizations_are_admitted(
    provider: FakeProvider, allowed: dict[str, str], account: dict[str, object], admitted: bool
) -> None:
    provider.account |= account
    visitor = client(stack=stack_with(provider, **allowed))
    response = sign_in(visitor, provider)
    if admitted:
        assert visitor.get("/").status_code == 200
    else:
        assert texts.SIGN_IN["hub_refused"] in refusal_page(visitor, response)
        assert texts.SIGN_IN["hub_named"] in unescape(visitor.get("/page/sign-in").text)


def test_an_allow_list_requires_sign_in_and_a_misspelled_setting_keeps_the_page_locked() -> None:
    variables = {"ALLOWED_USERS": "ann", "OAUTH_CLIENT_ID": CLIENT_ID}
    assert read_settings(variables, None).requires_sign_in
    assert not read_settings({**variables, "SIGN_IN": "Off"}, None).requires_sign_in
    wrong = read_settings({"SIGN_IN": "hugingface", "OAUTH_CLIENT_ID": CLIENT_ID}, None)
    assert wrong.requires_sign_in
    assert [problem.where for problem in wrong.problems] == ["SIGN_IN"]
    assert not read_settings({"OAUTH_CLIENT_ID": CLIENT_ID}, None).requires_sign_in


def test_without_an_oauth_app_the_page_stays_locked_and_explains_it() -> None:
    variables = {"SIGN_IN": "huggingface"}
    problems = read_settings(variables, None).problems
    assert [problem.where for problem in problems] == ["OAUTH_CLIENT_ID"]
    visitor = client(stack=security_stack(variables, problems=1))
    assert visitor.get("/").status_code == 303
    form = unescape(visitor.get("/page/sign-in").text)
    assert texts.SIGN_IN["hub_unset"] in form
    assert texts.SIGN_IN["nothing"] not in form
    assert visitor.get("/page/sign-in/hub").status_code == 404


@pytest.mark.parametrize("state", ["", "x", "%C3%A9", "STATE-OF-ANOTHER"])
def test_a_wrong_state_is_refused_without_a_request_to_the_provider(
    provider: FakeProvider, state: str
) -> None:
    visitor = client(stack=stack_with(provider))
    code = parse_qs(urlsplit(provider.consent(start(visitor))).query)["code"][0]
    response = visitor.get(f"/page/sign-in/hub/back?code={code}&state={state}")
    assert texts.SIGN_IN["hub_stale"] in refusal_page(visitor, response)
    assert "/oauth/token" not in provider.requested_paths


def test_a_link_from_an_attackers_sign_in_signs_no_victim_in(provider: FakeProvider) -> None:
    stack = stack_with(provider)
    attackers_link = provider.consent(start(client(stack=stack)))
    victim = client(stack=stack)
    start(victim)  # the victim has a cookie too
    for _ in range(2):
        response = victim.get(attackers_link)
        assert texts.SIGN_IN["hub_stale"] in refusal_page(victim, response)


def test_a_state_can_be_used_once(provider: FakeProvider) -> None:
    stack = stack_with(provider)
    visitor = client(stack=stack)
    callback = provider.consent(start(visitor))
    cookie = visitor.cookies["ag_hub"]
    assert visitor.get(callback).headers["location"] == "../../../"
    visitor.post("/page/sign-out")
    assert texts.SIGN_IN["hub_stale"] in refusal_page(visitor, visitor.get(callback))
    thief = client(stack=stack)
    thief.cookies.set("ag_hub", cookie)  # even with the cookie: the provider accepts a code once
    assert texts.SIGN_IN["hub_stale"] in refusal_page(thief, thief.get(callback))


def test_guessed_codes_are_refused_and_limited(provider: FakeProvider) -> None:
    guesser = client(stack=stack_with(provider))
    for number in range(OAUTH_LIMIT.limit + 3):
        state = state_of(start(guesser))
        response = guesser.get(f"/page/sign-in/hub/back?code=guess-{number}&state={state}")
        assert response.status_code == 303
    assert texts.SIGN_IN["hub_often"] in refusal_page(guesser, response)
    assert provider.requested_paths.count("/oauth/token") == OAUTH_LIMIT.limit


def test_an_account_does_not_allow_endless_guesses_of_the_password(provider: FakeProvider) -> None:
    guesser = client(stack=stack_with(provider, ADMIN_PASSWORD=PASSWORD))
    for number in range(SIGN_IN_LIMIT.limit):
        assert "ag_session" in sign_in(guesser, provider).headers["set-cookie"]
        response = guesser.post("/page/sign-in", data={"secret": f"guess-{number}"})
        assert response.status_code == 401
    assert guesser.post("/page/sign-in", data={"secret": PASSWORD}).status_code == 429


def test_refused_codes_do_not_lock_the_operator_out(provider: FakeProvider) -> None:
    operator = client(stack=stack_with(provider, ADMIN_PASSWORD=PASSWORD))
    for number in range(OAUTH_LIMIT.limit):
        operator.get(f"/page/sign-in/hub/back?code=x{number}&state={state_of(start(operator))}")
    assert operator.post("/page/sign-in", data={"secret": PASSWORD}).status_code == 303


def test_a_code_is_useless_without_its_verifier(provider: FakeProvider) -> None:
    stack = stack_with(provider)
    callback = provider.consent(start(client(stack=stack)))
    stolen_code = parse_qs(urlsplit(callback).query)["code"][0]
    thief = client(stack=stack)
    state = state_of(start(thief))
    response = thief.get(f"/page/sign-in/hub/back?code={stolen_code}&state={state}")
    assert texts.SIGN_IN["hub_stale"] in refusal_page(thief, response)


def test_a_sign_in_that_took_too_long_is_refused(provider: FakeProvider) -> None:
    now, stack = [1_000_000.0], stack_with(provider)
    openid = Provider(URL, Client(id=CLIENT_ID, secret=CLIENT_SECRET), provider.fetch)
    sessions, visitors = stack.sign_in.sessions, stack.visitors
    login = OAuthLogin(openid, AllowList(), sessions, Signer(), visitors, clock=lambda: now[0])
    sign_in = SignIn(sessions, visitors, sign_in_html, login)
    visitor = client(stack=replace(stack, sign_in=sign_in))
    callback = provider.consent(start(visitor))
    now[0] += COOKIE_MAX_AGE_S + 1
    assert texts.SIGN_IN["hub_stale"] in refusal_page(visitor, visitor.get(callback))


def test_a_visitor_who_denies_consent_sees_that(provider: FakeProvider) -> None:
    visitor = client(stack=stack_with(provider))
    state = state_of(start(visitor))
    response = visitor.get(f"/page/sign-in/hub/back?error=access_denied&state={state}")
    assert texts.SIGN_IN["hub_denied"] in refusal_page(visitor, response)


def test_a_wrong_client_secret_is_reported_as_the_operators_problem(
    provider: FakeProvider,
) -> None:
    visitor = client(stack=stack_with(provider, OAUTH_CLIENT_SECRET="another"))
    assert texts.SIGN_IN["hub_secret"] in refusal_page(visitor, sign_in(visitor, provider))


@pytest.mark.parametrize(
    "override",
    [
        PlainTextResponse("no", 503),
        PlainTextResponse("<html>"),
        JSONResponse([]),
        RedirectResponse(f"{URL}/elsewhere"),
        JSONResponse({**METADATA, "more": "x" * MAX_RESPONSE_BYTES}),
    ],
    ids=["down", "html", "list", "redirect", "too long"],
)
def test_while_the_provider_is_down_no_visitor_is_admitted(
    provider: FakeProvider, override: Response
) -> None:
    provider.override = override
    visitor = client(stack=stack_with(provider))
    response = visitor.get("/page/sign-in/hub")
    assert texts.SIGN_IN["hub_down"] in refusal_page(visitor, response)
    provider.override = None
    callback = provider.consent(start(visitor))
    provider.override = override
    assert texts.SIGN_IN["hub_down"] in refusal_page(visitor, visitor.get(callback))
    assert "/elsewhere" not in provider.requested_paths
    provider.override = None
    assert sign_in(visitor, provider).headers["location"] == "../../../"


@pytest.mark.parametrize(
    "account",
    [{"preferred_username": ""}, {"preferred_username": None}, {"preferred_username": "a:b"},
     {"preferred_username": "x" * 101}, {"preferred_username": "a\nb"}, {"orgs": "acme"}],
)  # fmt: skip
def test_a_malformed_account_is_refused(provider: FakeProvider, account: dict[str, object]) -> None:
    provider.account |= account
    visitor = client(stack=stack_with(provider))
    assert texts.SIGN_IN["hub_down"] in refusal_page(visitor, sign_in(visitor, provider))


def test_the_client_secret_is_not_sent_without_tls(provider: FakeProvider) -> None:
    provider.metadata["token_endpoint"] = "http://hub.example/oauth/token"
    visitor = client(stack=stack_with(provider))
    response = visitor.get("/page/sign-in/hub")
    assert texts.SIGN_IN["hub_down"] in refusal_page(visitor, response)


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "?a\r\nx-evil: 1"])
def test_sign_in_never_redirects_to_another_site(provider: FakeProvider, target: str) -> None:
    visitor = client(stack=stack_with(provider))
    path = "/page/sign-in/hub"
    provider.override = PlainTextResponse("no", 503)
    page = refusal_page(visitor, visitor.get(path, params={"next": target}))
    assert 'href="../page/sign-in/hub?next="' in page or "next=%3Fa%250D%250Ax-evil" in page
    provider.override = None
    location = visitor.get(path, params={"next": target}).headers["location"]
    headers = visitor.get(provider.consent(location)).headers
    assert headers["location"] in ("../../../", "../../../?a%0D%0Ax-evil:%201")
    assert "x-evil" not in headers


def test_the_requested_page_is_remembered_across_a_failed_sign_in(provider: FakeProvider) -> None:
    visitor = client(stack=stack_with(provider))
    link, query = 'href="../page/sign-in/hub?next=%3Fmodel%3Dorg/one"', "?next=%3Fmodel%3Dorg/one"
    provider.override = PlainTextResponse("no", 503)
    assert link in refusal_page(visitor, visitor.get(f"/page/sign-in/hub{query}"))
    provider.override = None
    state = state_of(start(visitor, query))
    denied = visitor.get(f"/page/sign-in/hub/back?error=access_denied&state={state}")
    assert link in refusal_page(visitor, denied)
    response = sign_in(visitor, provider, query)
    assert response.headers["location"] == "../../../?model=org/one"


@pytest.mark.parametrize(
    ("requested_host", "callback_host"),
    [("me-demo.hf.space", "me-demo.hf.space"), ("evil.example", "me-demo.hf.space"),
     ("own.example", "own.example")],
)  # fmt: skip
def test_on_a_space_the_callback_is_the_spaces_own_address(
    provider: FakeProvider, requested_host: str, callback_host: str
) -> None:
    visitor = client(stack=stack_with(provider, SPACE_HOST="me-demo.hf.space,own.example"))
    response = visitor.get("/page/sign-in/hub", headers={"host": requested_host})
    provider.consent(response.headers["location"])
    assert provider.redirect_uri() == f"https://{callback_host}/page/sign-in/hub/back"


@pytest.mark.parametrize(
    "host", ["a@evil.example", "evil.example/x", "a b", "x" * 9 + "\u00e9", ""]
)
def test_a_malformed_host_is_refused(provider: FakeProvider, host: str) -> None:
    visitor = client(stack=stack_with(provider))
    response = visitor.get("/page/sign-in/hub", headers=[(b"host", host.encode("latin-1"))])
    assert (response.status_code, response.json()["error"]["code"]) == (421, "host_not_allowed")


def test_both_cookies_work_in_a_tab_opened_by_another_site(provider: FakeProvider) -> None:
    visitor = client(stack=stack_with(provider), tls=True)
    started = visitor.get("/page/sign-in/hub")
    finished = visitor.get(provider.consent(started.headers["location"]))
    for line in (started.headers["set-cookie"], *finished.headers.get_list("set-cookie")):
        attributes = {"HttpOnly", "SameSite=None", "Secure", "Partitioned", "Path=/"}
        assert attributes <= set(line.split("; ")), line
    assert f"Max-Age={USER_SESSION_S}" in finished.headers.get_list("set-cookie")[0]


async def test_a_changed_allow_list_ends_the_sessions_that_it_opened() -> None:
    signer = Signer("the same")

    def sessions(allow_list: AllowList) -> SessionAuth:
        return SessionAuth(signer, allow_list=allow_list.fingerprint)

    async def admitted(allow_list: AllowList) -> bool:
        auth = sessions(allow_list)
        return auth.admits(await auth.identify(scope))

    before = sessions(AllowList(users=frozenset({"ann"})))
    _, cookie = before.cookie({"headers": [], "scheme": "http"}, Session(user="Ann"))
    scope = cookie_scope(cookie.partition(";")[0])
    assert await admitted(AllowList(users=frozenset({"ann"})))
    assert not await admitted(AllowList(users=frozenset({"bob"})))
    assert not await admitted(AllowList(orgs=frozenset({"ann"})))


def test_the_access_token_works_beside_sign_in(provider: FakeProvider) -> None:
    visitor = client(stack=stack_with(provider, ACCESS_TOKEN="let-me-in-9f3"))
    form = visitor.get("/page/sign-in").text
    assert texts.SIGN_IN["hub"] in form
    assert texts.SIGN_IN["token"] in form
    assert visitor.post("/page/sign-in", data={"secret": "let-me-in-9f3"}).status_code == 303
    assert visitor.get("/").status_code == 200


def test_the_query_can_not_put_text_on_the_form(provider: FakeProvider) -> None:
    visitor = client(stack=stack_with(provider))
    form = visitor.get("/page/sign-in?fault=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "alert" not in form.text


def test_no_secret_token_or_name_is_logged(
    provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        sign_in(client(stack=stack_with(provider)), provider)
        sign_in(client(stack=stack_with(provider, ALLOWED_USERS="bob")), provider)
    for record in caplog.records:
        if record.name.startswith("akash_gradio"):
            line = str(record.__dict__)
            assert not [s for s in (CLIENT_SECRET, "planted", "Ann", "code-") if s in line]
    outcomes = [getattr(record, "outcome", "") for record in caplog.records]
    assert "hub_refused" in outcomes
