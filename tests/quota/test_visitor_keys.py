"""Visitors' own keys, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from akash_gradio.domain.errors import AkashGradioError, AllEndpointsFailed, NotAllowed
from akash_gradio.domain.events import Finished, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, OwnKey, Visitor
from akash_gradio.gateway.public_addresses import is_public
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.request_limits import RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys
from tests.stubs import Exchange, StubEndpoint, settings_for
from tests.web.fakes import FakeChatGateway, chat_request, full_answer

CALLS = 500
HOST_KEY, HOST_HEADER = "sk-host-planted", "host-header-planted"
CARD = ModelCard(id="m", name="M", custom_headers={"x-host": HOST_HEADER})


@dataclass
class Rooms:
    """Two endpoints of the host, and the guard before them."""

    one: StubEndpoint
    two: StubEndpoint
    guard: QuotaGateway
    shared: FakeChatGateway
    receipts: list[Receipt]

    async def say(self, own: OwnKey, text: str = "Hello", visitor: str = "ann") -> list[Any]:
        CURRENT_VISITOR.set(Visitor(id=visitor, own_key=own))
        async with aclosing(self.guard.stream(chat_request(text))) as events:
            return [event async for event in events]


def rooms(one: StubEndpoint, two: StubEndpoint, mode: str, **limits: Any) -> Rooms:
    more = {"customHeaders": limits.pop("headers", {}), **limits.pop("entry", {})}
    entries = [
        {**entry_of(stub, name), "apiKey": HOST_KEY, "models": ["m"], **more}
        for stub, name in ((one, "one"), (two, "two"))
    ]
    settings = settings_for(*entries, OWN_KEYS=mode, FIRST_TOKEN_TIMEOUT=20)
    receipts: list[Receipt] = []
    allowed = is_public if limits.pop("public", False) else (lambda _address: True)
    own_keys = VisitorKeys(settings, lambda _model: CARD, receipts.append, allowed)
    shared = FakeChatGateway(full_answer("from the host"))
    guard = QuotaGateway(shared, RequestLimits(**limits), LocalCounters(), own_keys=own_keys)  # type: ignore[arg-type]
    return Rooms(one, two, guard, shared, receipts)


def entry_of(stub: StubEndpoint, name: str) -> dict[str, Any]:
    return {"url": stub.url, "name": name}


def keys_at(stub: StubEndpoint) -> set[str]:
    return {seen.headers.get("authorization", "") for seen in stub.requests}


@pytest.mark.parametrize("mode", ["keys", "endpoints"])
async def test_five_hundred_interleaved_calls_mix_no_two_visitors_keys(mode: str) -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        house = rooms(one, two, mode)
        aims = ("one", "two") if mode == "keys" else (one.url, two.url)
        ann, ben = (
            OwnKey(key=f"sk-{n}", endpoint=a) for n, a in zip(("ann", "ben"), aims, strict=True)
        )
        room = asyncio.Semaphore(20)

        async def call(number: int) -> None:
            async with room:
                heard = await house.say((ann, ben)[number % 2], visitor=("ann", "ben")[number % 2])
                assert isinstance(heard[-1], Finished)

        await asyncio.gather(*(asyncio.create_task(call(n)) for n in range(CALLS)))
        assert keys_at(one) == {"Bearer sk-ann"}
        assert keys_at(two) == {"Bearer sk-ben"}
        assert len(one.requests) == len(two.requests) == CALLS // 2
        assert house.shared.opened == []
        assert len(house.receipts) == CALLS


async def test_a_key_is_in_no_receipt_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:
        stubs = [
            await stack.enter_async_context(StubEndpoint(b)) for b in ("perfect", "status_401")
        ]
        house = rooms(stubs[0], stubs[1], "keys")
        heard = await house.say(OwnKey(key="sk-own-planted", endpoint="one"))
        with pytest.raises(AkashGradioError) as failed:
            await house.say(OwnKey(key="sk-own-planted", endpoint="two"))
        everything = repr((heard, house.receipts, failed.value, vars(failed.value))) + caplog.text
        everything += "".join(repr(vars(record)) for record in caplog.records)
        assert "sk-own-planted" not in everything


async def test_no_client_outlives_its_answer() -> None:
    import aiohttp

    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        house = rooms(one, two, "keys")
        await house.say(OwnKey(key="sk-own", endpoint="one"))
        await one.wait_for_idle()
        gc.collect()
        left = [o for o in gc.get_objects() if isinstance(o, aiohttp.ClientSession)]
        assert all(session.closed for session in left)


async def test_the_hosts_key_and_headers_never_go_to_a_visitors_address() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as theirs:
        house = rooms(one, one, "endpoints")
        await house.say(OwnKey(key="sk-own", endpoint=theirs.url))
        (seen,) = theirs.requests
        assert HOST_KEY not in repr(seen.headers)
        assert HOST_HEADER not in repr(seen.headers)
        assert one.requests == []


async def test_a_made_up_key_spends_no_credential_of_the_hosts() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        house = rooms(one, two, "keys", headers={"Authorization": f"Bearer {HOST_HEADER}"})
        await house.say(OwnKey(key="sk-made-up", endpoint="one"))
        (seen,) = one.requests
        assert HOST_HEADER not in repr(seen.headers)
        assert keys_at(one) == {"Bearer sk-made-up"}


@pytest.mark.parametrize("mode", ["keys", "endpoints"])
@pytest.mark.parametrize("entry", [{"apiKey": None}, {"weight": 0}])
async def test_what_takes_any_key_or_is_drained_takes_no_visitors_key(
    entry: dict[str, Any], mode: str
) -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        house = rooms(one, two, mode, entry=entry)
        with pytest.raises(NotAllowed, match="own_key"):
            await house.say(OwnKey(key="anything", endpoint="one"))
        assert one.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/v1", "https://localhost/v1", "https://169.254.169.254/latest",
        "https://[::1]/v1", "https://10.0.0.1", "https://2130706433/v1",
    ],
)  # fmt: skip
async def test_a_visitors_address_leads_to_the_public_internet_or_nowhere(address: str) -> None:
    async with StubEndpoint("perfect") as one:
        house = rooms(one, one, "endpoints", public=True)
        with pytest.raises(AllEndpointsFailed):
            await house.say(OwnKey(key="sk-own", endpoint=address))


@pytest.mark.parametrize(
    "address", ["http://8.8.8.8/v1", "ftp://h", "file:///etc/passwd", "https://u:p@h/v1", "", "x"]
)
async def test_what_is_no_https_address_is_refused(address: str) -> None:
    async with StubEndpoint("perfect") as one:
        house = rooms(one, one, "endpoints", public=True)
        with pytest.raises(NotAllowed, match="own_endpoint"):
            await house.say(OwnKey(key="sk-own", endpoint=address))


async def test_addresses_of_visitors_are_taken_only_where_the_host_says_so() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as theirs:
        house = rooms(one, one, "keys")
        with pytest.raises(NotAllowed, match="own_key"):
            await house.say(OwnKey(key="sk-own", endpoint=theirs.url))
        assert theirs.requests == []


async def test_a_redirect_of_a_visitors_endpoint_is_not_followed() -> None:
    async with StubEndpoint("perfect") as inside, StubEndpoint("perfect") as theirs:

        async def redirects(x: Exchange) -> None:
            where = f"location: {inside.url}/v1/chat/completions".encode()
            await x.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + where)
            await x.write(b"\r\ncontent-length: 0\r\n\r\n")

        theirs.set_behavior(redirects)
        house = rooms(inside, inside, "endpoints")
        with pytest.raises(AkashGradioError):
            await house.say(OwnKey(key="sk-own", endpoint=theirs.url))
        assert inside.requests == []


async def test_who_pays_uses_none_of_the_hosts_tokens_but_keeps_to_the_limits() -> None:
    async with StubEndpoint("perfect") as one, StubEndpoint("perfect") as two:
        house = rooms(one, two, "keys", tokens_per_day=1, app_tokens_per_day=1)
        house.guard._counters.add("app-tokens", 5, 4e9)
        house.guard._counters.add("tokens:ann", 5, 4e9)
        heard = await house.say(OwnKey(key="sk-own", endpoint="one"))
        assert any(isinstance(event, TextDelta) for event in heard)
        house = rooms(one, two, "keys", models=frozenset({"other"}))
        with pytest.raises(NotAllowed, match="model"):
            await house.say(OwnKey(key="sk-own", endpoint="one"))
