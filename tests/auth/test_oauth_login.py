"""Sign-in with Hugging Face, from the button to the page, with the attacks on the way."""

from __future__ import annotations

import logging
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from akash_gradio.auth.http_client import LONGEST_BYTES
from akash_gradio.auth.oauth_login import LASTS_S, AllowList, OAuthLogin
from akash_gradio.auth.openid_provider import Client, Provider
from akash_gradio.auth.session import TRIES, USER_LASTS_S, Session, SessionAuth
from akash_gradio.auth.sign_in import SignIn
from akash_gradio.auth.signing import Signer
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.visitor import CURRENT_VISITOR
from akash_gradio.web import texts
from akash_gradio.web.security import SecurityStack
from akash_gradio.web.sign_in_page import sign_in_html
from tests.auth.provider import CLIENT_ID, CLIENT_SECRET, METADATA, URL, FakeHub
from tests.web.client import RecordedRequests, client, security_stack

ON = {
    "SIGN_IN": "huggingface",
    "OAUTH_CLIENT_ID": CLIENT_ID,
    "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
    "OPENID_PROVIDER_URL": URL,
}


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


def edge(hub: FakeHub, **variables: str) -> SecurityStack:
    return security_stack(ask=hub.fetch, **{**ON, **variables})


def begins(browser: Any, query: str = "") -> str:
    response = browser.get(f"/page/sign-in/hub{query}")
    assert response.status_code == 303
    return str(response.headers["location"])


def comes_in(browser: Any, hub: FakeHub, query: str = "") -> Any:
    return browser.get(hub.consent(begins(browser, query)))


def told(browser: Any, response: Any) -> str:
    """The page that a refusal leads to."""
    assert (response.status_code, "ag_session" in response.headers["set-cookie"]) == (303, False)
    assert browser.get("/").status_code == 303
    where = response.headers["location"].lstrip("./")
    return unescape(browser.get(f"/page/{where}").text)


def test_a_visitor_signs_in_and_is_led_back_to_where_they_were(hub: FakeHub) -> None:
    asked = RecordedRequests()
    visitor = client(asked, behind=edge(hub))
    assert visitor.get("/?model=org/one").headers["location"].startswith("./page/sign-in?next=")
    form = visitor.get("/page/sign-in?next=%3Fmodel%3Dorg/one")
    assert 'href="../page/sign-in/hub?next=%3Fmodel%3Dorg/one"' in form.text
    assert texts.SIGN_IN["hub_everybody"] in form.text
    assert 'type="password"' not in form.text
    response = comes_in(visitor, hub, "?next=%3Fmodel%3Dorg/one")
    assert (response.status_code, response.headers["location"]) == (303, "../../../?model=org/one")
    assert visitor.get("/").status_code == 200
    assert asked.paths == ["/"]


def test_who_signed_in_is_known_by_name_until_they_sign_out(hub: FakeHub) -> None:
    here = edge(hub)
    comes_in(visitor := client(behind=here), hub)
    scope = {"headers": [(b"cookie", f"ag_session={visitor.cookies['ag_session']}".encode())]}
    assert (here.user(scope), here.signed_in(scope), here.is_operator(scope)) == (
        "Ann",
        True,
        False,
    )
    assert visitor.post("/page/sign-out").status_code == 303
    assert visitor.get("/").status_code == 303


async def test_the_name_is_what_limits_are_counted_under(hub: FakeHub) -> None:
    here, seen = edge(hub, VISITOR_MESSAGES_PER_MINUTE="5"), list[str]()
    cookies = []
    for address in ("203.0.113.5", "198.51.100.7"):
        comes_in(visitor := client(behind=here, address=address), hub)
        cookies.append(visitor.cookies["ag_session"])

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(CURRENT_VISITOR.get().id)
        assert CURRENT_VISITOR.get().network == ""

    for cookie, address in zip(cookies, ("192.0.2.1", "192.0.2.2"), strict=True):
        scope = {
            "type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http",
            "headers": [(b"cookie", f"ag_session={cookie}".encode())], "client": (address, 1),
        }  # fmt: skip
        await here.before(app)(scope, None, None)  # type: ignore[arg-type]
    assert len(seen) == 2
    assert len(set(seen)) == 1
    assert "Ann" not in seen[0]


@pytest.mark.parametrize(
    ("allowed", "account", "comes"),
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
def test_only_the_users_and_organizations_that_were_named_come_in(
    hub: FakeHub, allowed: dict[str, str], account: dict[str, Any], comes: bool
) -> None:
    hub.account |= account
    visitor = client(behind=edge(hub, **allowed))
    response = comes_in(visitor, hub)
    if comes:
        assert visitor.get("/").status_code == 200
    else:
        assert texts.SIGN_IN["hub_refused"] in told(visitor, response)
        assert texts.SIGN_IN["hub_named"] in visitor.get("/page/sign-in").text


def test_a_list_of_names_asks_for_names_by_itself_and_a_misspelt_switch_opens_nothing() -> None:
    asks = {"ALLOWED_USERS": "ann", "OAUTH_CLIENT_ID": CLIENT_ID}
    assert read_settings(asks, None).requires_sign_in
    assert not read_settings({**asks, "SIGN_IN": "Off"}, None).requires_sign_in
    wrong = read_settings({"SIGN_IN": "hugingface", "OAUTH_CLIENT_ID": CLIENT_ID}, None)
    assert wrong.requires_sign_in
    assert [problem.where for problem in wrong.problems] == ["SIGN_IN"]
    assert not read_settings({"OAUTH_CLIENT_ID": CLIENT_ID}, None).requires_sign_in


def test_without_an_app_to_sign_in_with_the_page_stays_closed_and_says_why() -> None:
    settings = read_settings({"SIGN_IN": "huggingface"}, None)
    assert [problem.where for problem in settings.problems] == ["OAUTH_CLIENT_ID"]
    stranger = client(behind=security_stack(problems=1, SIGN_IN="huggingface"))
    assert stranger.get("/").status_code == 303
    form = unescape(stranger.get("/page/sign-in").text)
    assert texts.SIGN_IN["hub_unset"] in form
    assert texts.SIGN_IN["nothing"] not in form
    assert stranger.get("/page/sign-in/hub").status_code == 404


@pytest.mark.parametrize("state", ["", "x", "%C3%A9", "STATE-OF-ANOTHER"])
def test_another_state_opens_nothing_and_asks_nobody(hub: FakeHub, state: str) -> None:
    visitor = client(behind=edge(hub))
    code = parse_qs(urlsplit(hub.consent(begins(visitor))).query)["code"][0]
    response = visitor.get(f"/page/sign-in/hub/back?code={code}&state={state}")
    assert texts.SIGN_IN["hub_stale"] in told(visitor, response)
    assert "/oauth/token" not in hub.asked


def test_a_link_that_an_attacker_began_signs_nobody_in(hub: FakeHub) -> None:
    here = edge(hub)
    attackers_link = hub.consent(begins(client(behind=here)))
    victim = client(behind=here)
    begins(victim)  # has a cookie of their own
    assert texts.SIGN_IN["hub_stale"] in told(victim, victim.get(attackers_link))
    assert texts.SIGN_IN["hub_stale"] in told(victim, victim.get(attackers_link))


def test_a_state_serves_once(hub: FakeHub) -> None:
    here = edge(hub)
    visitor = client(behind=here)
    back = hub.consent(begins(visitor))
    kept = visitor.cookies["ag_hub"]
    assert visitor.get(back).headers["location"] == "../../../"
    visitor.post("/page/sign-out")
    assert texts.SIGN_IN["hub_stale"] in told(visitor, visitor.get(back))
    thief = client(behind=here)
    thief.cookies.set("ag_hub", kept)  # even with the cookie: the provider takes a code once
    assert texts.SIGN_IN["hub_stale"] in told(thief, thief.get(back))


def test_a_code_that_was_made_up_opens_nothing_and_is_not_tried_without_end(hub: FakeHub) -> None:
    guesser = client(behind=edge(hub))
    for number in range(TRIES + 3):
        state = parse_qs(urlsplit(begins(guesser)).query)["state"][0]
        response = guesser.get(f"/page/sign-in/hub/back?code=guess-{number}&state={state}")
        assert response.status_code == 303
    assert texts.SIGN_IN["hub_often"] in told(guesser, response)
    assert hub.asked.count("/oauth/token") == TRIES


def test_a_code_without_its_verifier_is_of_no_use(hub: FakeHub) -> None:
    here = edge(hub)
    stolen = parse_qs(urlsplit(hub.consent(begins(client(behind=here)))).query)["code"][0]
    thief = client(behind=here)
    state = parse_qs(urlsplit(begins(thief)).query)["state"][0]
    response = thief.get(f"/page/sign-in/hub/back?code={stolen}&state={state}")
    assert texts.SIGN_IN["hub_stale"] in told(thief, response)


def test_what_began_too_long_ago_is_begun_anew(hub: FakeHub) -> None:
    now, here = [1_000_000.0], edge(hub)
    provider = Provider(URL, Client(id=CLIENT_ID, secret=CLIENT_SECRET), hub.fetch)
    entry, visitors = here.sign_in.entry, here.visitors
    later = OAuthLogin(provider, AllowList(), entry, Signer(), visitors, clock=lambda: now[0])
    visitor = client(behind=replace(here, sign_in=SignIn(entry, visitors, sign_in_html, later)))
    back = hub.consent(begins(visitor))
    now[0] += LASTS_S + 1
    assert texts.SIGN_IN["hub_stale"] in told(visitor, visitor.get(back))


def test_a_visitor_who_refuses_is_told_so(hub: FakeHub) -> None:
    visitor = client(behind=edge(hub))
    state = parse_qs(urlsplit(begins(visitor)).query)["state"][0]
    response = visitor.get(f"/page/sign-in/hub/back?error=access_denied&state={state}")
    assert texts.SIGN_IN["hub_denied"] in told(visitor, response)


def test_a_wrong_secret_is_the_hosts_to_mend(hub: FakeHub) -> None:
    visitor = client(behind=edge(hub, OAUTH_CLIENT_SECRET="another"))
    assert texts.SIGN_IN["hub_secret"] in told(visitor, comes_in(visitor, hub))


@pytest.mark.parametrize(
    "instead",
    [
        PlainTextResponse("no", 503),
        PlainTextResponse("<html>"),
        JSONResponse([]),
        RedirectResponse(f"{URL}/elsewhere"),
        JSONResponse({**METADATA, "more": "x" * LONGEST_BYTES}),
    ],
    ids=["down", "html", "a list", "led elsewhere", "without end"],
)
def test_a_provider_that_is_down_lets_nobody_in_and_is_asked_again_later(
    hub: FakeHub, instead: Response
) -> None:
    hub.instead = instead
    visitor = client(behind=edge(hub))
    assert texts.SIGN_IN["hub_down"] in told(visitor, visitor.get("/page/sign-in/hub"))
    hub.instead = None
    back = hub.consent(begins(visitor))
    hub.instead = instead
    assert texts.SIGN_IN["hub_down"] in told(visitor, visitor.get(back))
    assert "/elsewhere" not in hub.asked
    hub.instead = None
    assert comes_in(visitor, hub).headers["location"] == "../../../"


@pytest.mark.parametrize(
    "account",
    [{"preferred_username": ""}, {"preferred_username": None}, {"preferred_username": "a:b"},
     {"preferred_username": "x" * 101}, {"preferred_username": "a\nb"}, {"orgs": "acme"}],
)  # fmt: skip
def test_an_account_that_is_none_comes_in_nowhere(hub: FakeHub, account: dict[str, Any]) -> None:
    hub.account |= account
    visitor = client(behind=edge(hub))
    assert texts.SIGN_IN["hub_down"] in told(visitor, comes_in(visitor, hub))


def test_a_secret_is_not_sent_in_the_clear_because_the_provider_says_so(hub: FakeHub) -> None:
    hub.metadata["token_endpoint"] = "http://hub.example/oauth/token"
    visitor = client(behind=edge(hub))
    assert texts.SIGN_IN["hub_down"] in told(visitor, visitor.get("/page/sign-in/hub"))


@pytest.mark.parametrize("after", ["https://evil.example", "//evil.example", "?a\r\nx-evil: 1"])
def test_the_way_back_leads_nowhere_else(hub: FakeHub, after: str) -> None:
    visitor = client(behind=edge(hub))
    begun = "/page/sign-in/hub"
    hub.instead = PlainTextResponse("no", 503)
    refused = told(visitor, visitor.get(begun, params={"next": after}))
    assert 'href="../page/sign-in/hub?next="' in refused or "next=%3Fa%250D%250Ax-evil" in refused
    hub.instead = None
    location = visitor.get(begun, params={"next": after}).headers["location"]
    ended = visitor.get(hub.consent(location)).headers
    assert ended["location"] in ("../../../", "../../../?a%0D%0Ax-evil:%201")
    assert "x-evil" not in ended


def test_who_is_refused_is_led_back_to_where_they_were_once_they_come_in(hub: FakeHub) -> None:
    visitor, link = client(behind=edge(hub)), 'href="../page/sign-in/hub?next=%3Fmodel%3Dorg/one"'
    going = "?next=%3Fmodel%3Dorg/one"
    hub.instead = PlainTextResponse("no", 503)
    assert link in told(visitor, visitor.get(f"/page/sign-in/hub{going}"))
    hub.instead = None
    state = parse_qs(urlsplit(begins(visitor, going)).query)["state"][0]
    denied = visitor.get(f"/page/sign-in/hub/back?error=access_denied&state={state}")
    assert link in told(visitor, denied)
    assert comes_in(visitor, hub, going).headers["location"] == "../../../?model=org/one"


@pytest.mark.parametrize(
    ("asked_as", "comes_back_to"),
    [("me-demo.hf.space", "me-demo.hf.space"), ("evil.example", "me-demo.hf.space"),
     ("own.example", "own.example")],
)  # fmt: skip
def test_on_a_space_the_way_back_is_the_spaces_own_address(
    hub: FakeHub, asked_as: str, comes_back_to: str
) -> None:
    visitor = client(behind=edge(hub, SPACE_HOST="me-demo.hf.space,own.example"))
    response = visitor.get("/page/sign-in/hub", headers={"host": asked_as})
    hub.consent(response.headers["location"])
    assert hub.redirect_uri() == f"https://{comes_back_to}/page/sign-in/hub/back"


@pytest.mark.parametrize(
    "host", ["a@evil.example", "evil.example/x", "a b", "x" * 9 + "\u00e9", ""]
)
def test_a_host_that_is_none_is_sent_nowhere(hub: FakeHub, host: str) -> None:
    visitor = client(behind=edge(hub))
    response = visitor.get("/page/sign-in/hub", headers={"host": host.encode("latin-1")})
    assert response.headers["location"] == "../sign-in?fault=hub_stale"


def test_both_cookies_work_in_a_tab_that_another_site_opened(hub: FakeHub) -> None:
    visitor = client(behind=edge(hub), tls=True)
    began = visitor.get("/page/sign-in/hub")
    ended = visitor.get(hub.consent(began.headers["location"]))
    for line in (began.headers["set-cookie"], *ended.headers.get_list("set-cookie")):
        attributes = {"HttpOnly", "SameSite=None", "Secure", "Partitioned", "Path=/"}
        assert attributes <= set(line.split("; ")), line
    assert f"Max-Age={USER_LASTS_S}" in ended.headers.get_list("set-cookie")[0]


def test_a_changed_circle_ends_the_sessions_that_it_opened() -> None:
    signer, scope = Signer("the same"), {"headers": [], "scheme": "http"}
    before = SessionAuth(signer, circle=AllowList(users=frozenset({"ann"})).print)
    _, cookie = before.cookie(scope, Session(user="Ann"))
    scope = {"headers": [(b"cookie", cookie.partition(";")[0].encode())]}  # type: ignore[dict-item]
    assert before.lets_in(scope)
    assert not SessionAuth(signer, circle=AllowList(users=frozenset({"bob"})).print).lets_in(scope)
    assert not SessionAuth(signer, circle=AllowList(orgs=frozenset({"ann"})).print).lets_in(scope)


def test_the_token_still_opens_beside_it(hub: FakeHub) -> None:
    visitor = client(behind=edge(hub, ACCESS_TOKEN="let-me-in-9f3"))
    form = visitor.get("/page/sign-in").text
    assert texts.SIGN_IN["hub"] in form
    assert texts.SIGN_IN["token"] in form
    assert visitor.post("/page/sign-in", data={"secret": "let-me-in-9f3"}).status_code == 303
    assert visitor.get("/").status_code == 200


def test_a_link_can_not_make_the_form_say_what_it_likes(hub: FakeHub) -> None:
    form = client(behind=edge(hub)).get("/page/sign-in?fault=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "alert" not in form.text


def test_neither_secret_nor_token_nor_name_is_logged(
    hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        comes_in(client(behind=edge(hub)), hub)
        comes_in(client(behind=edge(hub, ALLOWED_USERS="bob")), hub)
    for record in caplog.records:
        if record.name.startswith("akash_gradio"):
            said = str(record.__dict__)
            assert not [s for s in (CLIENT_SECRET, "planted", "Ann", "code-") if s in said]
    outcomes = [getattr(record, "outcome", "") for record in caplog.records]
    assert "hub_refused" in outcomes
