"""What `create_app` builds, without serving it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from akash_gradio.app import App, Page, create_app
from akash_gradio.auth.session import Session
from akash_gradio.compare.run_store import open_run_store
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.errors import UserError
from akash_gradio.web.routes import boot_view
from tests.compare.fakes import FakeGateway, plan
from tests.stubs import StubThread
from tests.stubs.compliant import compliant

ROOT = Path(__file__).resolve().parents[1]
LOCAL: dict[str, Any] = {
    "type": "http",
    "client": ("127.0.0.1", 1234),
    "headers": [(b"host", b"localhost:7860")],
}
ONE_ENDPOINT = {"API_ENDPOINT": "https://one.example/v1", "API_KEY": "sk-planted"}


def build(**variables: str) -> tuple[App, Page]:
    app = create_app(read_settings({**ONE_ENDPOINT, **variables}, None))
    assert app.page is not None
    return app, app.page


def test_by_default_a_local_request_is_the_operators_and_may_use_the_api() -> None:
    app, page = build()
    assert page.deps.operator.is_operator(LOCAL)
    app.api.auth.authenticate(LOCAL)


@pytest.mark.parametrize(
    "variables",
    [
        {"TRUSTED_PROXIES": "1"},
        {"ALLOWED_ORIGINS": "https://page.example"},
        {"SPACE_ID": "me/demo"},
    ],
)
def test_behind_a_proxy_a_local_request_has_no_privileges(variables: dict[str, str]) -> None:
    app, page = build(**variables)
    assert not page.deps.operator.is_operator(LOCAL)
    with pytest.raises(UserError) as raised:
        app.api.auth.authenticate(LOCAL)
    assert raised.value.code == "no_api_keys_configured"


def test_the_operator_signs_in_checks_an_endpoint_and_signs_out() -> None:
    """As a browser does it from another machine, behind a proxy."""
    with StubThread(compliant()) as stub:
        endpoints = [{"name": "stub", "url": stub.url, "models": ["m"]}]
        app, _ = build(
            API_ENDPOINT="",
            ENDPOINTS=json.dumps(endpoints),
            ADMIN_PASSWORD="host-only-7b2",
            TRUSTED_PROXIES="1",
        )
        client = TestClient(app.asgi(), "https://page.example", follow_redirects=False)
        check = {"endpoint": "stub", "level": "quick"}

        assert client.get("/page/boot").json()["is_operator"] is False
        assert client.get("/page/check").status_code == 403
        assert client.post("/page/check/run", json=check).status_code == 403
        assert not stub.requests

        form = client.get("/page/sign-in?as=host")
        assert 'action="../page/sign-in?next=&amp;as=host"' in form.text
        wrong = client.post("/page/sign-in?as=host", data={"secret": "host-only-7b3"})
        assert wrong.status_code == 401
        right = client.post("/page/sign-in?as=host", data={"secret": "host-only-7b2"})
        assert (right.status_code, right.headers["location"]) == (303, "../")
        assert client.get("/page/boot").json()["is_operator"] is True
        listed = client.get("/page/check").json()["endpoints"]
        assert listed == [{"alias": "stub", "models": ["m"]}]
        assert '"kind":"end"' in client.post("/page/check/run", json=check).text
        assert stub.requests

        assert client.post("/page/sign-out").status_code == 303
        assert client.get("/page/check").status_code == 403


async def test_the_page_knows_who_signed_in() -> None:
    _, page = build(SIGN_IN="huggingface", OAUTH_CLIENT_ID="client-1")
    _, cookie = page.security.sign_in.sessions.cookie(LOCAL, Session(user="Ann"))
    scope = {**LOCAL, "headers": [(b"cookie", cookie.partition(";")[0].encode())]}
    sessions = page.security.sign_in.sessions
    views = [boot_view(page.deps, await sessions.identify(each)) for each in (LOCAL, scope)]
    assert [(v["signed_in"], v["user"]) for v in views] == [(False, ""), (True, "Ann")]


def test_visitors_may_replace_the_keys_of_active_endpoints_that_have_one() -> None:
    endpoints = """[{"name": "keyed", "url": "https://a.example", "apiKey": "k", "models": ["m"]},
        {"name": "open", "url": "https://b.example", "models": ["m"]},
        {"name": "drained", "url": "https://c.example", "apiKey": "k", "models": ["m"],
         "weight": 0}]"""
    _, page = build(API_ENDPOINT="", ENDPOINTS=endpoints, OWN_KEYS="keys")
    view = boot_view(page.deps, LOCAL)
    assert view["own_keys"] == {"mode": "keys", "endpoints": ["keyed"]}


async def test_runs_end_with_the_server(tmp_path: Path) -> None:
    never = asyncio.Event()
    gateway = FakeGateway(lambda _request: [never])
    app, page = build(API_ENDPOINT="", EMBEDDED="off")
    closing = page.deps.runs.runs._closing
    runs = open_run_store(tmp_path, gateway, lambda _model: None, closing)
    run_deps = replace(page.deps.runs, runs=runs)
    app = replace(app, page=replace(page, deps=replace(page.deps, runs=run_deps)))
    async with app.lifespan():
        run_id = await runs.start(plan(), "T")
        run = await runs.find(run_id)
        assert run is not None
        assert run.is_active
        assert not closing()
        page.security.running.closing = True
        assert closing()
    assert not run.is_active


def test_without_the_page_only_the_api_is_built() -> None:
    app = create_app(read_settings(ONE_ENDPOINT, None), page=False)
    api = app.asgi()

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await api(scope, receive, send)

    client = TestClient(asgi, "http://127.0.0.1", client=("127.0.0.1", 1234))
    assert app.page is None
    assert client.get("/page/boot").status_code == 404
    assert client.get("/v1/models").status_code == 200


WITHOUT_RUNTIME = """
import asyncio, sys
sys.modules["xllamacpp"] = None
from akash_gradio.app import create_app
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.progress import Stage
settings = read_settings({"EMBEDDED": "on", "CACHE_DIR": sys.argv[1]}, None)
app = create_app(settings, page=False)
async def main():
    async with app.lifespan():
        while app.embedded.progress.stage is not Stage.UNAVAILABLE:
            await asyncio.sleep(0.01)
asyncio.run(asyncio.wait_for(main(), 20))
print(app.embedded.progress.reason)
"""


def test_without_its_runtime_the_embedded_model_is_not_downloaded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RUNTIME, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "no_wheel\n"
    assert list(tmp_path.iterdir()) == []
