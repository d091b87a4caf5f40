from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointUnreachable
from akash_gradio.gateway.passthrough.http_client import ConnectionPool
from akash_gradio.gateway.passthrough.http_connection import Origin
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.gateway.public_addresses import is_public
from tests.stubs import StubEndpoint, entry, settings_for

PRIVATE = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
    "2001:0:7f00:1::", "2001:db8::1", "localhost", "", "2130706433", "0x7f000001", "127.1",
)  # fmt: skip


def configured(stub: StubEndpoint) -> EndpointSettings:
    (only,) = settings_for(entry(stub)).endpoints
    return only


@pytest.mark.parametrize("address", PRIVATE)
def test_other_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def pool(*results: list[str]) -> tuple[ConnectionPool, list[str]]:
    """Return a pool whose lookups give these addresses in turn, and the names looked up."""
    names: list[str] = []

    async def look_up(host: str, port: int) -> list[Any]:
        names.append(host)
        addresses = results[len(names) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    return ConnectionPool(ssl.create_default_context, is_public, look_up), names


async def request(pool: ConnectionPool) -> None:
    origin = Origin("evil.example", 443, tls=False)
    await pool.request(origin, b"GET / HTTP/1.1\r\n\r\n", b"", alias="a", connect_timeout_s=0.01)


async def test_a_name_with_a_private_address_is_refused() -> None:
    tested, names = pool(["192.88.99.1", "10.0.0.1"])
    with pytest.raises(EndpointUnreachable):
        await request(tested)
    assert names == ["evil.example"]


async def test_only_the_addresses_that_were_checked_are_connected_to() -> None:
    async with StubEndpoint("perfect") as stub:
        tested, names = pool(["8.8.8.8"], ["127.0.0.1"])
        addresses = await tested._resolve(Origin("rebinds.example", 443, tls=False))
        assert [address[4][0] for address in addresses] == ["8.8.8.8"]
        tested._lookups.clear()
        with pytest.raises(OSError, match="not allowed"):
            await tested._resolve(Origin("rebinds.example", 443, tls=False))
        assert len(names) == 2
        assert stub.max_connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]",
        "127\u30020.0.1", "127\uff0e0\uff0e0\uff0e1", "\uff11\uff12\uff17.0.0.1", "a\u200d.b",
    ],
)  # fmt: skip
async def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    async with StubEndpoint("perfect") as stub:
        url = stub.url.replace("127.0.0.1", host)
        transport = HttpTransport(is_public)
        endpoint = configured(stub).model_copy(update={"url": f"{url}/v1"})
        try:
            with pytest.raises(EndpointUnreachable):
                await transport.open(endpoint, "/models", None, headers={}, connect_timeout_s=5)
        finally:
            await transport.aclose()
        assert stub.requests == []
        assert stub.max_connections == 0


async def test_without_a_filter_loopback_is_connected_to() -> None:
    async with StubEndpoint("perfect") as stub:
        transport = HttpTransport()
        response = await transport.open(
            configured(stub), "/models", None, headers={}, connect_timeout_s=5
        )
        await response.aclose()
        await transport.aclose()
        assert len(stub.requests) == 1
