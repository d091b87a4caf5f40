"""What `app.py` puts together, without serving it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from akash_gradio.api.errors import Fault
from akash_gradio.auth.session import Session
from akash_gradio.compare.run_store import RunStore
from akash_gradio.config.settings import read_settings
from akash_gradio.web.routes import boot_view, page_routes
from app import Parts, assemble
from tests.compare.fakes import Answering, plan
from tests.stubs import StubThread
from tests.stubs.compliant import compliant

AT_HOME: dict[str, Any] = {
    "type": "http",
    "client": ("127.0.0.1", 1234),
    "headers": [(b"host", b"localhost:7860")],
}
ONE = {"API_ENDPOINT": "https://one.example/v1", "API_KEY": "sk-planted"}


def parts(**variables: str) -> Parts:
    return assemble(read_settings({**ONE, **variables}, None))


def test_with_nothing_set_who_sits_at_this_machine_is_the_host_and_may_ask() -> None:
    made = parts()
    assert made.house.is_operator(AT_HOME)
    made.service.api.auth.admit(AT_HOME)


@pytest.mark.parametrize(
    "variables",
    [
        {"TRUSTED_PROXIES": "1"},
        {"ALLOWED_ORIGINS": "https://page.example"},
        {"SPACE_ID": "me/demo"},
    ],
)
def test_behind_a_proxy_coming_from_this_machine_makes_nobody_the_host(
    variables: dict[str, str],
) -> None:
    made = parts(**variables)
    assert not made.house.is_operator(AT_HOME)
    with pytest.raises(Fault) as raised:
        made.service.api.auth.admit(AT_HOME)
    assert raised.value.code == "no_api_keys_configured"


def test_the_host_signs_in_and_checks_an_endpoint_until_signing_out() -> None:
    """The whole way, as a browser goes it from elsewhere, behind a proxy."""
    with StubThread(compliant()) as stub:
        entry = {"name": "stub", "url": stub.url, "models": ["m"]}
        given = {"ADMIN_PASSWORD": "host-only-7b2", "TRUSTED_PROXIES": "1"}
        made = assemble(read_settings({"ENDPOINTS": json.dumps([entry]), **given}, None))
        page = made.front.before(Starlette(routes=page_routes(made.house, made.runs)))
        host = TestClient(page, "https://page.example", follow_redirects=False)
        asked = {"endpoint": "stub", "level": "quick"}

        assert host.get("/page/boot").json()["host"] is False
        assert host.get("/page/check").status_code == 403
        assert host.post("/page/check/run", json=asked).status_code == 403
        assert not stub.requests

        form = host.get("/page/sign-in?as=host")
        assert 'action="../page/sign-in?next=&amp;as=host"' in form.text
        wrong = host.post("/page/sign-in?as=host", data={"secret": "host-only-7b3"})
        assert wrong.status_code == 401
        right = host.post("/page/sign-in?as=host", data={"secret": "host-only-7b2"})
        assert (right.status_code, right.headers["location"]) == (303, "../")
        assert host.get("/page/boot").json()["host"] is True
        assert host.get("/page/check").json()["endpoints"] == [{"alias": "stub", "models": ["m"]}]
        told = host.post("/page/check/run", json=asked).text
        assert '"kind":"end"' in told
        assert stub.requests

        assert host.post("/page/sign-out").status_code == 303
        assert host.get("/page/check").status_code == 403


def test_the_page_is_told_who_signed_in() -> None:
    made = parts(SIGN_IN="huggingface", OAUTH_CLIENT_ID="client-1")
    _, cookie = made.front.sign_in.entry.cookie(AT_HOME, Session(user="Ann"))
    scope = {**AT_HOME, "headers": [(b"cookie", cookie.partition(";")[0].encode())]}
    told = [boot_view(made.house, each) for each in (AT_HOME, scope)]
    assert [(one["signed_in"], one["user"]) for one in told] == [(False, ""), (True, "Ann")]


def test_only_endpoints_with_a_key_of_the_hosts_are_offered_for_visitors_keys() -> None:
    listed = """[{"name": "keyed", "url": "https://a.example", "apiKey": "k", "models": ["m"]},
        {"name": "open", "url": "https://b.example", "models": ["m"]},
        {"name": "drained", "url": "https://c.example", "apiKey": "k", "models": ["m"],
         "weight": 0}]"""
    made = assemble(read_settings({"ENDPOINTS": listed, "OWN_KEYS": "keys"}, None))
    assert boot_view(made.house, AT_HOME)["own_keys"] == {"mode": "keys", "endpoints": ["keyed"]}


async def test_runs_end_with_the_server(tmp_path: Path) -> None:
    never = asyncio.Event()
    answering = Answering(lambda _request: [never])
    made = assemble(read_settings({"EMBEDDED": "off"}, env_file=None))
    runs = RunStore(tmp_path, answering, lambda _model: None, made.house.closing)
    async with Parts(made.house, made.service, made.front, runs).open(object()):
        run_id = await runs.start(plan(), "T")
        found = await runs.find(run_id)
        assert found is not None
        assert found.is_active
        assert not made.house.closing()
        made.front.running.closing = True
        assert made.house.closing()
    assert not found.is_active
