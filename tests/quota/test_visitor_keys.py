"""Answers with visitors' own keys, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import AkashGradioError, AllEndpointsFailed, NotAllowed
from akash_gradio.domain.events import Event, Finished, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, OwnKey, Visitor
from akash_gradio.gateway.passthrough.http_connection import HttpConnection
from akash_gradio.gateway.public_addresses import is_public
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.request_limits import RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys
from tests.quota.fakes import FakeBackend
from tests.stubs import Exchange, StubEndpoint, settings_for
from tests.web.fakes import chat_request, full_answer

CALLS = 500
OPERATOR_KEY, OPERATOR_HEADER = "sk-operator-planted", "operator-header-planted"
CARD = ModelCard(id="m", name="M", custom_headers={"x-host": OPERATOR_HEADER})


@dataclass
class Server:
    """A quota gateway with two endpoints of the operator.

    Attributes:
        gateway: The quota gateway.
        backend: The operator's gateway, for requests without an own key.
        receipts: The receipts of answers with an own key.
    """

    gateway: QuotaGateway
    backend: FakeBackend
    receipts: list[Receipt]

    async def send(self, own_key: OwnKey, text: str = "Hello", visitor: str = "ann") -> list[Event]:
        """Send a request with a visitor's own key."""
        CURRENT_VISITOR.set(Visitor(id=visitor, own_key=own_key))
        async with aclosing(self.gateway.stream(chat_request(text))) as events:
            return [event async for event in events]


def server_with(
    one: StubEndpoint,
    two: StubEndpoint,
    mode: str,
    *,
    headers: Mapping[str, str] = EMPTY_MAPPING,
    entry: Mapping[str, object] = EMPTY_MAPPING,
    public_only: bool = False,
    **limits: Any,
) -> Server:
    """Return a server.

    Args:
        one: The first endpoint.
        two: The second endpoint.
        mode: `OWN_KEYS`.
        headers: Custom headers of both endpoints.
        entry: More fields of both endpoints.
        public_only: Whether visitors' URLs may lead to public addresses only.
        limits: Of `RequestLimits`.
    """
    entries = [
        {
            "url": stub.url,
            "name": name,
            "apiKey": OPERATOR_KEY,
            "models": ["m"],
            "customHeaders": dict(headers),
            **entry,
        }
        for stub, name in ((one, "one"), (two, "two"))
    ]
    settings = settings_for(*entries, OWN_KEYS=mode, FIRST_TOKEN_TIMEOUT=20)
    receipts: list[Receipt] = []
    allowed = is_public if public_only else (lambda _address: True)
    own_keys = VisitorKeys(settings, lambda _model: CARD, receipts.append, allowed)
    backend = FakeBackend(full_answer("from the operator"))
    gateway = QuotaGateway(backend, RequestLimits(**limits), LocalCounters(), own_keys=own_keys)
    return Server(gateway, backend, receipts)


def keys_at(stub: StubEndpoint) -> set[str]:
    return {request.headers.get("authorization", "") for request in stub.requests}


@pytest.mark.parametrize("mode", ["keys", "endpoints"])
async def test_five_hundred_interleaved_calls_never_mix_two_visitors_keys(mode: str) -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        server = server_with(one, two, mode)
        targets = ("one", "two") if mode == "keys" else (one.url, two.url)
        ann, ben = (
            OwnKey(key=f"sk-{n}", endpoint=a) for n, a in zip(("ann", "ben"), targets, strict=True)
        )
        slots = asyncio.Semaphore(20)

        async def call(number: int) -> None:
            async with slots:
                events = await server.send(
                    (ann, ben)[number % 2], visitor=("ann", "ben")[number % 2]
                )
                assert isinstance(events[-1], Finished)

        await asyncio.gather(*(asyncio.create_task(call(n)) for n in range(CALLS)))
        assert keys_at(one) == {"Bearer sk-ann"}
        assert keys_at(two) == {"Bearer sk-ben"}
        assert len(one.requests) == len(two.requests) == CALLS // 2
        assert server.backend.opened == []
        assert len(server.receipts) == CALLS


async def test_no_receipt_log_line_or_error_contains_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:
        stubs = [
            await stack.enter_async_context(StubEndpoint(b)) for b in ("perfect", "status_401")
        ]
        server = server_with(stubs[0], stubs[1], "keys")
        events = await server.send(OwnKey(key="sk-own-planted", endpoint="one"))
        with pytest.raises(AkashGradioError) as raised:
            await server.send(OwnKey(key="sk-own-planted", endpoint="two"))
        everything = repr((events, server.receipts, raised.value, vars(raised.value))) + caplog.text
        everything += "".join(repr(vars(record)) for record in caplog.records)
        assert "sk-own-planted" not in everything


async def test_no_http_client_outlives_its_answer() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        server = server_with(one, two, "keys")
        await server.send(OwnKey(key="sk-own", endpoint="one"))
        await one.wait_for_idle()
        gc.collect()
        connections = [o for o in gc.get_objects() if isinstance(o, HttpConnection)]
        assert not any(connection.usable for connection in connections)


async def test_the_operators_key_and_headers_are_never_sent_to_a_visitors_url() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as visitors_endpoint:
        server = server_with(one, one, "endpoints")
        await server.send(OwnKey(key="sk-own", endpoint=visitors_endpoint.url))
        (request,) = visitors_endpoint.requests
        assert OPERATOR_KEY not in repr(request.headers)
        assert OPERATOR_HEADER not in repr(request.headers)
        assert one.requests == []


async def test_a_made_up_key_uses_no_credential_of_the_operator() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        server = server_with(
            one, two, "keys", headers={"Authorization": f"Bearer {OPERATOR_HEADER}"}
        )
        await server.send(OwnKey(key="sk-made-up", endpoint="one"))
        (request,) = one.requests
        assert OPERATOR_HEADER not in repr(request.headers)
        assert keys_at(one) == {"Bearer sk-made-up"}


@pytest.mark.parametrize("mode", ["keys", "endpoints"])
@pytest.mark.parametrize("entry", [{"apiKey": None}, {"weight": 0}])
async def test_an_endpoint_without_a_key_or_weight_accepts_no_visitors_key(
    entry: dict[str, Any], mode: str
) -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        server = server_with(one, two, mode, entry=entry)
        with pytest.raises(NotAllowed, match="own_key"):
            await server.send(OwnKey(key="anything", endpoint="one"))
        assert one.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/v1", "https://localhost/v1", "https://169.254.169.254/latest",
        "https://[::1]/v1", "https://10.0.0.1", "https://2130706433/v1",
    ],
)  # fmt: skip
async def test_a_visitors_url_never_leads_to_a_private_address(address: str) -> None:
    async with StubEndpoint("perfect") as one:
        server = server_with(one, one, "endpoints", public_only=True)
        with pytest.raises(AllEndpointsFailed):
            await server.send(OwnKey(key="sk-own", endpoint=address))


@pytest.mark.parametrize(
    "address", ["http://8.8.8.8/v1", "ftp://h", "file:///etc/passwd", "https://u:p@h/v1", "", "x"]
)
async def test_a_url_other_than_https_is_refused(address: str) -> None:
    async with StubEndpoint("perfect") as one:
        server = server_with(one, one, "endpoints", public_only=True)
        with pytest.raises(NotAllowed, match="own_endpoint"):
            await server.send(OwnKey(key="sk-own", endpoint=address))


async def test_visitors_urls_are_accepted_only_if_the_operator_allows_them() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as visitors_endpoint:
        server = server_with(one, one, "keys")
        with pytest.raises(NotAllowed, match="own_key"):
            await server.send(OwnKey(key="sk-own", endpoint=visitors_endpoint.url))
        assert visitors_endpoint.requests == []


async def test_a_redirect_of_a_visitors_endpoint_is_not_followed() -> None:
    async with StubEndpoint("perfect") as inside, StubEndpoint("perfect") as visitors_endpoint:

        async def redirect(x: Exchange) -> None:
            location = f"location: {inside.url}/v1/chat/completions".encode()
            await x.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + location)
            await x.write(b"\r\ncontent-length: 0\r\n\r\n")

        visitors_endpoint.set_behavior(redirect)
        server = server_with(inside, inside, "endpoints")
        with pytest.raises(AkashGradioError):
            await server.send(OwnKey(key="sk-own", endpoint=visitors_endpoint.url))
        assert inside.requests == []


async def test_requests_with_an_own_key_use_no_budget_but_the_other_limits_apply() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        server = server_with(one, two, "keys", tokens_per_day=1, app_tokens_per_day=1)
        events = await server.send(OwnKey(key="sk-own", endpoint="one"))
        assert any(isinstance(event, TextDelta) for event in events)
        server = server_with(one, two, "keys", models=frozenset({"other"}))
        with pytest.raises(NotAllowed, match="model"):
            await server.send(OwnKey(key="sk-own", endpoint="one"))
