"""A small HTTP/1.1 client over asyncio and httptools' parser, for direct connections.

It does what a gateway needs and no more: POST and GET, a whole body, kept connections, TLS. What
it leaves out (proxies, redirects, cookies, HTTP/2) costs a general client most of its time. A
body can be piped: written to a sink in the callback that receives it, so that no task wakes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohappyeyeballs

from akash_gradio.domain.errors import EndpointError, EndpointTimeout, EndpointUnreachable
from akash_gradio.gateway.passthrough.http_connection import HttpConnection, HttpResponse, Origin
from akash_gradio.gateway.public_addresses import AddressFilter

KEEPALIVE_S: Final = 4.0
"""Seconds that an idle connection is kept: below the 5 s of uvicorn and Node, so that a
request rarely uses a connection that the server is closing."""
LOOKUP_S: Final = 10.0
"""Seconds that the addresses of a name are used again."""
EYEBALLS_DELAY_S: Final = 0.25
"""Seconds after which the next address is tried too. Source: RFC 8305, 8."""


class ConnectionPool:
    """Connections to endpoints: those in use, and those that can be used again.

    Args:
        tls_context: Returns the context of TLS connections.
        allowed: Decides which addresses may be connected to, None for all.
        look_up: Returns the addresses of a host and a port, as `getaddrinfo` does.
    """

    def __init__(
        self,
        tls_context: Callable[[], ssl.SSLContext],
        allowed: AddressFilter | None = None,
        look_up: Callable[[str, int], Awaitable[Sequence[Any]]] | None = None,
    ) -> None:
        self._tls_context, self._allowed = tls_context, allowed
        self._look_up = look_up or _look_up
        self._open: set[HttpConnection] = set()
        self._idle: dict[Origin, list[HttpConnection]] = {}
        self._lookups: dict[Origin, tuple[asyncio.Future[Any], float]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def request(
        self,
        origin: Origin,
        head: bytes,
        body: bytes,
        *,
        alias: str,
        connect_timeout_s: float,
        keep: bool = True,
    ) -> HttpResponse:
        """Send a request, and wait for the head of its response.

        A request that found a kept connection closed, without a byte of a response, is sent
        once more over a new one: the server closed it while the request was on its way.

        Args:
            origin: Where to connect to.
            head: The head of the request, with the length of the body.
            body: The body.
            alias: The endpoint, for error messages.
            connect_timeout_s: Limit for name resolution, TCP and TLS together.
            keep: Whether the connection may be used before and after.

        Raises:
            EndpointError: No response was received.
        """
        connection = self._take_idle(origin) if keep else None
        while True:
            kept = connection is not None
            if connection is None:
                connection = await self._connect(origin, alias, connect_timeout_s, keep=keep)
            response = connection.send(alias, head, body)
            try:
                await response.wait_for_head()
            except EndpointError:
                connection.abort()
                if not (kept and response.unanswered):
                    raise
            except BaseException:
                connection.abort()
                raise
            else:
                return response
            connection = None

    def aclose(self) -> None:
        """Close every connection, and cancel what waits for one: a retry would open the next."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for lookup, _ in self._lookups.values():
            lookup.cancel()
        self._lookups.clear()
        self._idle.clear()
        for connection in tuple(self._open):
            connection.cancel()

    def keep(self, connection: HttpConnection) -> None:
        """Keep an idle connection for the next request."""
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(KEEPALIVE_S, self._sweep, connection.loop)

    def forget(self, connection: HttpConnection) -> None:
        """Remove a closed connection."""
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)

    def _take_idle(self, origin: Origin) -> HttpConnection | None:
        """Return the connection used last, if it is not too old."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.usable:
                continue
            if connection.loop.time() - connection.idle_since <= KEEPALIVE_S:
                return connection
            connection.close()
        return None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections that are idle for too long."""
        self._sweeping = None
        oldest = loop.time() - KEEPALIVE_S
        for origin, idle in list(self._idle.items()):
            for connection in [c for c in idle if c.idle_since <= oldest]:
                idle.remove(connection)
                connection.close()
            if not idle:
                del self._idle[origin]
        if self._idle:
            self._sweeping = loop.call_later(KEEPALIVE_S / 2, self._sweep, loop)

    async def _connect(
        self, origin: Origin, alias: str, timeout_s: float, *, keep: bool
    ) -> HttpConnection:
        failure: EndpointError
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await self._open_connection(origin, keep=keep)
        except TimeoutError:
            expired = limit.expired()
            failure = (
                EndpointTimeout(alias, "connect", timeout_s)
                if expired
                else EndpointUnreachable(alias, "connect")
            )
        except socket.gaierror:
            failure = EndpointUnreachable(alias, "dns")
        except ssl.SSLError:
            failure = EndpointUnreachable(alias, "tls")
        except ConnectionRefusedError:
            failure = EndpointUnreachable(alias, "refused")
        except (OSError, ValueError):  # ValueError: a name that can't be one
            failure = EndpointUnreachable(alias, "connect")
        raise failure

    async def _open_connection(self, origin: Origin, *, keep: bool) -> HttpConnection:
        loop = asyncio.get_running_loop()
        addresses = await self._resolve(origin)
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=EYEBALLS_DELAY_S, interleave=1, loop=loop
        )
        try:
            _, connection = await loop.create_connection(
                lambda: HttpConnection(self, origin, keep=keep),
                sock=sock,
                ssl=self._tls_context() if origin.tls else None,
                server_hostname=origin.host if origin.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        self._open.add(connection)
        return connection

    async def _resolve(self, origin: Origin) -> Sequence[Any]:
        """Return the addresses of a host, as `getaddrinfo` does; many callers share one lookup.

        The connection goes to the addresses that were checked: there is no second lookup.

        Raises:
            OSError: There is none, or one of them isn't allowed.
        """
        addresses = await self._addresses(origin)
        allowed = self._allowed
        if allowed is not None and not all(allowed(address[4][0]) for address in addresses):
            raise OSError("this address is not allowed")
        return addresses

    async def _addresses(self, origin: Origin) -> Sequence[Any]:
        try:
            address = ipaddress.ip_address(origin.host)
        except ValueError:
            pass
        else:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            place = (origin.host, origin.port, *((0, 0) if address.version == 6 else ()))
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]
        loop = asyncio.get_running_loop()
        lookup, until = self._lookups.get(origin, (None, 0.0))
        failed = lookup is not None and lookup.done() and lookup.exception() is not None
        if lookup is None or failed or loop.time() > until:
            lookup = asyncio.ensure_future(self._look_up(origin.host, origin.port))
            self._lookups[origin] = lookup, loop.time() + LOOKUP_S
        return list(await asyncio.shield(lookup))


async def _look_up(host: str, port: int) -> Sequence[Any]:
    return await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
