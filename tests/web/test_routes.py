from __future__ import annotations

import asyncio
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.catalog.thumbnails import Picture, Thumbnails
from akash_gradio.domain import errors
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.events import Finished, ReasoningDelta, TextDelta
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.domain.ports import EndpointState
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.domain.size_limits import CHAT_BODY_BYTES
from akash_gradio.markdown.renderer import render
from akash_gradio.web import texts
from akash_gradio.web.deps import WebDeps
from tests.web.client import page_table, security_stack
from tests.web.fakes import (
    STARTED,
    ClientRequest,
    FakeChatGateway,
    Gate,
    RecordedPage,
    endpoint_status,
    full_answer,
    make_deps,
    make_page,
    make_receipt,
    read_event,
    tasks_left,
)

CATALOG = Catalog(
    cards=(
        ModelCard(id="org/one", name="One", about_content="About **one**.", temperature=0.6),
        ModelCard(id="org/two", name="Two", available=True),
        ModelCard(id="org/off", name="Off", available=False),
    )
)
READY = (endpoint_status("org/one", "found/by-chance", "org/off"),)


@pytest.fixture
def gateway() -> FakeChatGateway:
    return FakeChatGateway(full_answer("Hello", " there"), statuses=READY)


@pytest.fixture
def deps(gateway: FakeChatGateway, tmp_path: Path) -> WebDeps:
    return make_deps(gateway, tmp_path, catalog=CATALOG, default_model="org/one")


@pytest.fixture
def client(deps: WebDeps) -> TestClient:
    return TestClient(make_page(deps))


def reply_request(text: str = "Hello", model: str = "org/one", **more: Any) -> dict[str, Any]:
    return {"model": model, "turns": [{"role": "user", "text": text}]} | more


def error_of(response: Any, status: int) -> dict[str, Any]:
    """Return the error of a response, which must have this status and a text."""
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert error["title"]
    assert error["hint"]
    return error


# ── boot and models ─────────────────────────────────────────────────────────


def test_boot_returns_the_texts_and_the_default_model(client: TestClient) -> None:
    boot = client.get("/page/boot").json()
    assert boot["strings"] == dict(texts.PAGE)
    assert boot["default_model"] == "org/one"
    assert boot["version"]


def test_the_shown_models_are_listed_with_their_cards(client: TestClient) -> None:
    view = client.get("/page/models").json()
    assert [model["id"] for model in view["models"]] == ["org/one", "found/by-chance", "org/two"]
    one, _found, two = view["models"]
    assert (one["name"], one["state"], one["can_chat"]) == ("One", "ready", True)
    assert (one["temperature"], one["top_p"]) == (0.6, None)
    assert "org/one" in one["html"]
    assert (two["state"], two["can_chat"]) == ("unserved", False)
    assert view["waking"] is False


def test_an_unchanged_model_list_is_not_sent_again(
    client: TestClient, gateway: FakeChatGateway
) -> None:
    first = client.get("/page/models")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get("/page/models", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert client.get("/page/models", headers={"if-none-match": '"x"'}).status_code == 200
    gateway.statuses = (endpoint_status("org/one", state=EndpointState.DOWN),)
    changed = client.get("/page/models", headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_loading_of_the_embedded_model_is_reported(tmp_path: Path) -> None:
    stages = iter([Stage.FETCHING, Stage.FETCHING, Stage.READY, Stage.READY])
    deps = make_deps(FakeChatGateway(), tmp_path, progress=lambda: Progress(stage=next(stages)))
    client = TestClient(make_page(deps))
    assert client.get("/page/models").json()["waking"] is True
    assert client.get("/page/models").json()["waking"] is False


def test_configuration_problems_are_shown(tmp_path: Path) -> None:
    problem = Problem(where="ENDPOINTS[1]", field="url", value="<b>x</b>", hint="write https://…")
    client = TestClient(make_page(make_deps(FakeChatGateway(), tmp_path, problems=(problem,))))
    (notice,) = client.get("/page/models").json()["notices"]
    assert "ENDPOINTS[1]" in notice
    assert "<b>x</b>" not in notice


def test_two_hundred_models_are_listed(tmp_path: Path) -> None:
    gateway = FakeChatGateway(statuses=(endpoint_status(*(f"org/m{n}" for n in range(200))),))
    view = TestClient(make_page(make_deps(gateway, tmp_path))).get("/page/models").json()
    assert len(view["models"]) == 200


# ── a model's panel ─────────────────────────────────────────────────────────


def test_a_panel_shows_the_catalog_entry(client: TestClient) -> None:
    html = client.get("/page/panel", params={"model": "org/one"}).json()["html"]
    assert "About <strong>one</strong>." in html
    assert "eu-1" in html


@pytest.mark.parametrize(
    "query", ["?model=no/such", "", "?model=", "?model=org/off", "?model=%00", "?model=%ff%fe"]
)
def test_the_panel_of_an_unknown_model_is_an_error(client: TestClient, query: str) -> None:
    assert "is not available here" in error_of(client.get(f"/page/panel{query}"), 404)["title"]


def test_a_long_id_is_cut_in_the_error(client: TestClient) -> None:
    error = error_of(client.get("/page/panel", params={"model": "m" * 10_000}), 404)
    assert len(error["title"]) < 400


def test_braces_in_an_id_are_not_placeholders(client: TestClient) -> None:
    error = error_of(client.get("/page/panel", params={"model": "{0.__class__}"}), 404)
    assert "{0.__class__}" in error["title"]


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.items: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.items.append((tag, dict(attrs)))


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</article><svg onload=alert(1)>",
    "{{ 7*7 }}{% for x in y %}${alert(1)}",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_html_in_the_configuration_is_shown_as_text(text: str, tmp_path: Path) -> None:
    facts: dict[str, Any] = dict.fromkeys(
        ("name", "description", "about_content", "info_content", "parameters", "architecture"),
        f"[x](javascript:alert(1)) {text}",
    )
    card = ModelCard(id=text, available=True, starters=(text,), **facts)
    statuses = (endpoint_status(text, f"found{text}", alias=f"eu{text}"),)
    deps = make_deps(FakeChatGateway(statuses=statuses), tmp_path, catalog=Catalog(cards=(card,)))
    client = TestClient(make_page(deps))
    cards = client.get("/page/models").json()["models"]
    panels = [
        client.get(f"/page/panel?model={quote(card['id'], safe='')}").json()["html"]
        for card in cards
    ]
    assert len(cards) == 2
    for html in (*(card["html"] for card in cards), *panels):
        assert_harmless(html)
        assert "7*7" in html or "7*7" not in text


def assert_harmless(html: str) -> None:
    for tag, attributes in Tags(html).items:
        assert tag not in ("script", "iframe", "style", "object", "form", "base"), html
        assert not [name for name in attributes if name.startswith("on")], html
        for name in ("href", "src"):
            address = attributes.get(name) or "https:"
            assert address.startswith(("https:", "http:", "mailto:", "./?", "page/", "#")), address
        if tag == "img":
            assert (attributes["src"] or "").startswith("page/thumbnail/")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://",
        " javascript:alert(1)",
        "data:text/html,x",
        "http://a.example",
        'https://a.example/"onclick="x',
        "//a.example",
    ],
)
def test_only_a_plain_https_address_becomes_a_deploy_button(address: str, tmp_path: Path) -> None:
    entries = [
        {"id": "org/bad", "available": True, "deployUrl": address},
        {"id": "org/good", "available": True, "deployUrl": "https://console.akash.network/x?a=b"},
    ]
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(entries))
    catalog = read_catalog(file)
    client = TestClient(make_page(make_deps(FakeChatGateway(), tmp_path, catalog=catalog)))
    good = client.get("/page/panel?model=org/good").json()["html"]
    assert "https://console.akash.network/x?a=b" in good
    bad = client.get("/page/panel?model=org/bad")
    if bad.status_code == 200:
        assert_harmless(bad.json()["html"])
        assert "javascript:" not in bad.text.lower()


# ── pictures ────────────────────────────────────────────────────────────────


def test_a_model_has_a_picture_for_each_theme(client: TestClient) -> None:
    light, dark = (client.get(f"/page/thumbnail/{t}?model=org/one") for t in ("light", "dark"))
    for picture in (light, dark):
        assert picture.headers["content-type"] == "image/png"
        assert picture.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in picture.headers["content-security-policy"]
    assert light.content != dark.content


@pytest.mark.parametrize(
    "model",
    ["", "no/such", "m" * 10_000, "../../../etc/passwd", "..%2f..%2fmodels.toml", "\0", "org/off"],
    ids=lambda model: repr(model[:12]),
)
def test_an_unknown_model_has_no_picture(client: TestClient, model: str) -> None:
    for theme in ("light", "dark"):
        assert error_of(client.get(f"/page/thumbnail/{theme}", params={"model": model}), 404)


def test_pictures_of_unknown_models_take_no_memory(
    gateway: FakeChatGateway, tmp_path: Path
) -> None:
    drawn = []

    class Counting(Thumbnails):
        def picture(self, card: ModelCard, *, dark: bool) -> Picture:
            drawn.append(card.id)
            return super().picture(card, dark=dark)

    deps = make_deps(gateway, tmp_path, catalog=CATALOG, thumbnails=Counting(tmp_path))
    client = TestClient(make_page(deps))
    for model in ("invented-1", "invented-2", "org/one"):
        client.get("/page/thumbnail/light", params={"model": model})
    assert drawn == ["org/one"]


# ── answers ─────────────────────────────────────────────────────────────────


def test_an_answer_is_streamed(client: TestClient, gateway: FakeChatGateway) -> None:
    response = client.post("/page/reply", json=reply_request())
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    page = RecordedPage()
    for line in response.content.split(b"\n\n")[:-1]:
        page.take(read_event(line + b"\n\n"))
    assert page.types[0] == "started"
    assert page.text["answer"] == "Hello there"
    assert page.done["receipt"]["line"][0] == "eu-1"
    assert gateway.closed == gateway.opened


def test_an_unknown_model_is_reported_as_the_end_of_the_answer(tmp_path: Path) -> None:
    client = TestClient(
        make_page(make_deps(FakeChatGateway([errors.UnknownModel("no/such")]), tmp_path))
    )
    response = client.post("/page/reply", json=reply_request(model="no/such"))
    assert (
        "The model “no/such” is not available here."
        in read_event(response.content)["error"].values()
    )


@pytest.mark.parametrize("path", ["reply", "render"])
@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000], ids=lambda b: str(b[:4]))
def test_an_invalid_body_is_rejected(client: TestClient, path: str, body: bytes) -> None:
    response = client.post(
        f"/page/{path}", content=body, headers={"content-type": "application/json"}
    )
    error_of(response, 400)


@pytest.mark.parametrize("path", ["reply", "render"])
def test_a_form_of_another_website_is_rejected(client: TestClient, path: str) -> None:
    error_of(
        client.post(f"/page/{path}", content=b"{}", headers={"content-type": "text/plain"}), 415
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_cross_site_request_is_rejected(
    client: TestClient, gateway: FakeChatGateway, site: str
) -> None:
    headers = {"sec-fetch-site": site}
    error_of(client.post("/page/reply", json=reply_request("x"), headers=headers), 403)
    assert not gateway.opened


def test_a_request_from_an_allowed_origin_is_accepted(
    deps: WebDeps, gateway: FakeChatGateway
) -> None:
    invited = TestClient(
        security_stack({"ALLOWED_ORIGINS": "https://friend.example"}).wrap(
            make_page(deps), page_table()
        )
    )
    headers = {"sec-fetch-site": "cross-site", "origin": "https://friend.example"}
    assert invited.post("/page/reply", json=reply_request("x"), headers=headers).status_code == 200
    assert len(gateway.opened) == 1
    for origin in ("https://evil.example", ""):
        headers["origin"] = origin
        assert (
            invited.post("/page/reply", json=reply_request("x"), headers=headers).status_code == 403
        )
    assert len(gateway.opened) == 1


def test_a_hidden_model_gets_no_request(tmp_path: Path) -> None:
    hidden = ModelCard(id="kept/back", name="Kept back", available=False)
    gateway = FakeChatGateway([errors.UnknownModel("never requested")])
    client = TestClient(make_page(make_deps(gateway, tmp_path, catalog=Catalog(cards=(hidden,)))))
    error_of(client.post("/page/reply", json=reply_request(model="kept/back")), 404)
    assert not gateway.opened


def test_the_error_of_a_long_message_contains_its_size(
    client: TestClient, gateway: FakeChatGateway
) -> None:
    error = error_of(client.post("/page/reply", json=reply_request("x" * 2_000_000)), 413)
    assert "2.0 MB" in error["title"]
    assert "1.0 MB" in error["title"]
    assert not gateway.opened


@pytest.mark.parametrize("path", ["reply", "render"])
async def test_a_body_over_the_limit_is_not_read_to_its_end(deps: WebDeps, path: str) -> None:
    parts = [b"x" * (CHAT_BODY_BYTES // 4)] * 100
    request = ClientRequest(make_page(deps), f"/page/{path}", parts)
    await request.run()
    assert request.status == 413
    assert f"{CHAT_BODY_BYTES / 1e6:.1f} MB" in json.loads(request.bodies[0])["error"]["title"]
    assert request.unread_parts == 95


async def test_a_disconnect_ends_a_silent_answer_at_once(tmp_path: Path) -> None:
    gate = Gate()
    gateway = FakeChatGateway([STARTED, gate], statuses=READY)
    request = ClientRequest(
        make_page(make_deps(gateway, tmp_path)),
        "/page/reply",
        [json.dumps(reply_request()).encode()],
    )
    running = asyncio.ensure_future(request.run())
    await gate.reached.wait()
    request.disconnect()
    await running
    assert len(gateway.closed) == 1
    assert not tasks_left()


async def test_a_disconnect_while_the_body_is_sent_leaves_nothing(deps: WebDeps) -> None:
    request = ClientRequest(make_page(deps), "/page/reply", ())
    request.disconnect()
    await request.run()
    assert request.messages == []
    assert not tasks_left()


async def test_twenty_concurrent_visitors_receive_only_their_own_answers(tmp_path: Path) -> None:
    visitors = 20
    together = asyncio.Barrier(visitors)

    def echo(request: ChatRequest) -> list[Any]:
        prompt = request.conversation.turns[-1].content
        steps: list[Any] = [STARTED, ReasoningDelta(f"think {prompt}\n\n")]
        for word in (request.conversation.system, *prompt.split()):
            steps += [together.wait, TextDelta(f"{word} ")]
        return [*steps, Finished("stop", make_receipt(upstream_id=f"id-{prompt}"))]

    gateway = FakeChatGateway(echo, statuses=READY)
    app = make_page(make_deps(gateway, tmp_path, catalog=CATALOG))
    secrets = [f"secret-{number:02}-end" for number in range(visitors)]
    requests = [
        ClientRequest(
            app,
            "/page/reply",
            [
                json.dumps(
                    reply_request(f"{s} **{s}** `{s}`", settings={"system": f"sys-{s}"})
                ).encode()
            ],
        )
        for s in secrets
    ]
    await asyncio.gather(*(request.run() for request in requests))
    for secret, request in zip(secrets, requests, strict=True):
        page = RecordedPage()
        for event in request.events:
            page.take(event)
        assert page.text["answer"] == f"sys-{secret} {secret} **{secret}** `{secret}` "
        assert tuple(page.blocks["answer"]) == render(page.text["answer"])
        assert page.done["receipt"]
        everything = b"".join(request.bodies).decode()
        assert secret in everything
        assert not [other for other in secrets if other != secret and other in everything]
    assert len(gateway.closed) == visitors
    assert not tasks_left()


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
@pytest.mark.parametrize("path", ["boot", "models"])
def test_boot_and_models_are_compressed(client: TestClient, path: str, accepted: str) -> None:
    response = client.get(f"/page/{path}", headers={"accept-encoding": accepted})
    assert response.headers.get("content-encoding", "identity") == accepted
    assert response.json() == client.get(f"/page/{path}").json()
    if tag := response.headers.get("etag"):
        again = {"accept-encoding": accepted, "if-none-match": tag}
        assert client.get(f"/page/{path}", headers=again).status_code == 304


# ── drawing, assets, methods ────────────────────────────────────────────────


def test_stored_texts_are_rendered_as_before(client: TestClient) -> None:
    texts = ["**a**\nb", "", "```\nx\n```", "<script>"]
    blocks = client.post("/page/render", json={"texts": texts}).json()["blocks"]
    assert [tuple(drawn) for drawn in blocks] == [render(text) for text in texts]


def test_the_pages_files_are_served(client: TestClient) -> None:
    for path, kind in (("js/app.js", "javascript"), ("css/page.css", "text/css")):
        response = client.get(f"/page/assets/{path}")
        assert response.status_code == 200
        assert kind in response.headers["content-type"]
    for path in ("nothing.js", "../pyproject.toml", "%2e%2e/pyproject.toml", "..%2fREADME.md"):
        assert client.get(f"/page/assets/{path}").status_code == 404
    with TestClient(client.app, root_path="/chat") as below:  # a proxy took the path away
        assert below.get("/page/assets/js/app.js").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "boot"),
        ("POST", "models"),
        ("DELETE", "panel"),
        ("PUT", "thumbnail/light"),
        ("GET", "reply"),
        ("GET", "render"),
        ("POST", "assets/js/app.js"),
    ],
)
def test_other_methods_are_rejected(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, f"/page/{path}").status_code == 405
