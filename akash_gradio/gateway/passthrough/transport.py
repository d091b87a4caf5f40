"""The HTTP transport to endpoints, over aiohttp. The only module that uses the HTTP client.

httpx only reads the environment: certificates, and the parts of a proxy's address. Redirects
aren't followed, and no cookies or logins are kept, so that a key can't reach another host.
docs/routing.md compares the cost of a token with that of other gateways.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from akash_gradio import __version__
from akash_gradio.domain.errors import (
    EndpointError,
    EndpointMalformed,
    EndpointTimeout,
    EndpointUnreachable,
)
from akash_gradio.gateway.content_encoding import Decode, InvalidEncoding, make_decoder
from akash_gradio.gateway.passthrough.sink import Sink
from akash_gradio.gateway.public_addresses import AddressFilter
from akash_gradio.gateway.transport import UpstreamResponse

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.gateway.passthrough.aiohttp_fastpath import FastResponse

logger = logging.getLogger(__name__)

KEEPALIVE_S: Final = 4.0
"""Seconds that an idle connection is kept: below the 5 s of uvicorn and Node, so that a
request rarely uses a connection that the server is closing."""

UNREAD_BYTES: Final = 128 * 1024
"""Unread bytes of one response above which no more are read from its endpoint."""

DEFAULT_HEADERS: Final = {
    "user-agent": f"akash-gradio/{__version__}",
    "accept": "application/json, text/event-stream",
}
"""Headers of every request, unless the configuration overrides them."""

_CERTIFICATE_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
RESERVED_HEADERS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding"})
"""Headers that the configuration can't set."""


def load_http_client(*, skip_certificates: bool = False) -> None:
    """Import the HTTP client now, where a later moment would be worse (0.2 s of CPU, once).

    Args:
        skip_certificates: Keep aiohttp from loading its own certificates at import, 2 MB.
            Only for a process in which nothing else uses aiohttp: `HttpTransport` passes its
            own TLS context to each connection.
    """
    with _without_certificates() if skip_certificates else nullcontext():
        from akash_gradio.gateway.passthrough import aiohttp_fastpath

    _ = aiohttp_fastpath


@contextmanager
def _without_certificates() -> Iterator[None]:
    """Let OpenSSL find no certificates: a context created within the block trusts none."""
    before = {name: os.environ.get(name) for name in _CERTIFICATE_VARIABLES}
    os.environ.update(dict.fromkeys(_CERTIFICATE_VARIABLES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


class HttpTransport:
    """The transport over aiohttp.

    Creates nothing before `start` or the first `open`; from then on it belongs to one loop.

    Args:
        allowed: Decides which addresses may be connected to, None for all. With it no proxy
            is used.
    """

    def __init__(self, allowed: AddressFilter | None = None) -> None:
        self._allowed = allowed
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """The sessions, by whether they reuse connections."""
        self._tls: ssl.SSLContext | None = None
        self._proxies: dict[str, str] | None = None

    async def start(self, urls: Iterable[str]) -> None:
        """Load the client and, for HTTPS URLs, the certificates (0.5 s of CPU, once)."""
        self._session(reuse=True)
        if any(url.startswith("https:") for url in urls):
            self._tls_context()

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> UpstreamResponse:
        """See `Transport.open`."""
        failure: EndpointError
        url = entry.address(path)
        try:
            self._check_literal_address(url)
            request_headers = _request_headers(entry, headers, body)
            over_tls = url.startswith("https:")
            proxy, proxy_login = _split_proxy(self._proxy_for(url))
            if not over_tls:
                request_headers |= proxy_login
            session = self._session(reuse=not _closes_connection(request_headers))
            response: Any = await session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers=request_headers,
                allow_redirects=False,
                timeout=_connect_timeout(connect_timeout_s),
                ssl=self._tls_context() if over_tls else True,
                proxy=proxy,
                # Without TLS the proxy reads the headers of the request itself.
                proxy_headers=proxy_login if over_tls else None,
            )
        except _client_errors() as error:
            failure = _open_error(entry.name, error, connect_timeout_s)
        else:
            logger.debug(
                "connection.opened", extra={"endpoint": entry.name, "status": response.status}
            )
            return _make_response(entry.name, response)
        raise failure

    async def aclose(self) -> None:
        """Close every connection; a later `open` starts anew."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        if sessions:
            # Sockets are closed by callbacks in the loop's next iteration.
            await asyncio.sleep(0)

    def _session(self, *, reuse: bool) -> aiohttp.ClientSession:
        if reuse not in self._sessions:
            self._sessions[reuse] = _new_session(reuse, self._allowed)
        return self._sessions[reuse]

    def _check_literal_address(self, url: str) -> None:
        """Check an address that is written out in the URL: aiohttp doesn't resolve these.

        Raises:
            OSError: The address is not allowed.
            ValueError: It is no address.
        """
        if self._allowed is None:
            return
        from yarl import URL

        host = URL(url).raw_host or ""  # as aiohttp reads it: it has converted U+3002 to a dot
        is_literal = ":" in host or host.replace(".", "").isdigit()
        if is_literal and not self._allowed(host):
            raise OSError("this address is not allowed")

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import httpx

            self._tls = httpx.create_ssl_context()
        return self._tls

    def _proxy_for(self, url: str) -> str:
        """Return the environment's proxy for this URL, "" for none or for this machine."""
        import urllib.request

        if self._proxies is None:
            self._proxies = urllib.request.getproxies() if self._allowed is None else {}
        if not self._proxies:
            return ""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if _is_loopback(host) or urllib.request.proxy_bypass(host):
            return ""
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        return proxy if "://" in proxy or not proxy else f"http://{proxy}"


@lru_cache(maxsize=8)
def _connect_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Return aiohttp's limit for connecting (name, socket and TLS), without any other limit."""
    import aiohttp

    return aiohttp.ClientTimeout(connect=seconds)


def _new_session(reuse: bool, allowed: AddressFilter | None) -> aiohttp.ClientSession:
    """Create a session without a connection limit (endpoints have their own) and cookies.

    Proxies are passed with each request: aiohttp would read ~/.netrc in a thread each time.
    """
    import aiohttp

    resolver = None if allowed is None else checked_resolver(allowed)
    from akash_gradio.gateway.passthrough.aiohttp_fastpath import FastConnector, FastResponse

    options: dict[str, Any] = {"keepalive_timeout": KEEPALIVE_S} if reuse else {"force_close": True}
    return aiohttp.ClientSession(
        connector=FastConnector(limit=0, resolver=resolver, **options),
        response_class=FastResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=DEFAULT_HEADERS,
        auto_decompress=False,
        read_bufsize=UNREAD_BYTES // 2,
    )


def checked_resolver(
    allowed: AddressFilter, lookup: AbstractResolver | None = None
) -> AbstractResolver:
    """Return a resolver that rejects a name if any of its addresses isn't allowed.

    Args:
        allowed: Decides which addresses may be connected to.
        lookup: The resolver behind it, the system's when None. The connection goes to the
            addresses that it returned: there is no second lookup.
    """
    from aiohttp import ThreadedResolver
    from aiohttp.abc import AbstractResolver as Base

    inner = lookup or ThreadedResolver()

    class CheckedResolver(Base):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
            addresses = await inner.resolve(host, port, family)
            if not all(allowed(address["host"]) for address in addresses):
                raise OSError("this address is not allowed")
            return addresses

        async def close(self) -> None:
            await inner.close()

    return CheckedResolver()


def _split_proxy(proxy: str) -> tuple[str | None, dict[str, str]]:
    """Return a proxy's address without its login, and the login as a header."""
    if not proxy:
        return None, {}
    import httpx

    parts = httpx.Proxy(proxy)
    if parts.auth is None:
        return proxy, {}
    login = b64encode(":".join(parts.auth).encode()).decode()
    return str(parts.url), {"proxy-authorization": f"Basic {login}"}


def _closes_connection(headers: Mapping[str, str]) -> bool:
    """Return whether a request has `Connection: close`; aiohttp sends it without obeying it."""
    return "close" in headers.get("connection", "").lower()


class _PlainResponse:
    """A response whose body isn't encoded."""

    def __init__(self, alias: str, response: FastResponse) -> None:
        self._alias, self._response = alias, response
        self._content: Any = response.content
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._handler = response.handler
        # An empty body is an object of aiohttp's own.
        self._read = getattr(self._content, "read_available", self._content.readany)
        self._pipe_to = getattr(self._content, "pipe_to", None)

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return time.monotonic() - self._handler.received_at

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        try:
            data: bytes = await self._read()
        except _client_errors() as error:
            failure = _read_error(self._alias, error)
        else:
            return data
        raise failure

    async def pipe_to(self, sink: Sink) -> None:
        """See `UpstreamResponse.pipe_to`."""
        if self._pipe_to is not None:
            await self._pipe_to(sink)

    async def aclose(self) -> None:
        """Close the socket at once if the body wasn't read to its end."""
        self._response.release()
        await self._response.wait_for_close()


class _EncodedResponse(_PlainResponse):
    """A response whose body has a Content-Encoding."""

    def __init__(self, alias: str, response: FastResponse, decode: Decode) -> None:
        super().__init__(alias, response)
        self._decode = decode
        self._pieces: Iterator[bytes] = iter(())
        self._pipe_to = None  # the bytes have to be decoded first

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`. A packet may decode to many pieces or none."""
        try:
            while (piece := next(self._pieces, b"")) == b"":
                packet = await super().read()
                if not packet:
                    return b""
                self._pieces = self._decode(packet)
        except InvalidEncoding:
            raise EndpointMalformed(self._alias, "encoding") from None
        return piece


def _make_response(alias: str, response: FastResponse) -> UpstreamResponse:
    try:
        decode = make_decoder(response.headers.get("content-encoding"))
    except InvalidEncoding:
        response.close()
        raise EndpointMalformed(alias, "encoding") from None
    if decode is None:
        return _PlainResponse(alias, response)
    return _EncodedResponse(alias, response, decode)


def _request_headers(
    entry: EndpointSettings, model_headers: Mapping[str, str], body: bytes | None
) -> dict[str, str]:
    """Return the headers beside `DEFAULT_HEADERS`, by lower-case names.

    The model's override ours, and the endpoint's override both. Secrets become text only
    here and in `request_secrets`.
    """
    # A compressed stream arrives in large pieces; a list of models can be compressed.
    headers = {"accept-encoding": "gzip, deflate, br" if body is None else "identity"}
    headers |= {
        name.lower(): value for name, value in model_headers.items() if _is_allowed(name, value)
    }
    if entry.api_key is not None:
        headers["authorization"] = f"Bearer {entry.api_key.get_secret_value()}"
    for name, secret in entry.custom_headers.items():
        if name.lower() not in RESERVED_HEADERS:
            headers[name.lower()] = secret.get_secret_value()
    if body is not None:
        headers["content-type"] = "application/json"
    return headers


def _is_allowed(name: str, value: str) -> bool:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return plain and name.lower() not in RESERVED_HEADERS and not set(value) & set("\r\n\0")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client_errors() -> tuple[type[Exception], ...]:
    """Return what the client raises when the network or the endpoint is at fault.

    ValueError: an unsupported kind of proxy, or an invalid address.
    """
    import aiohttp

    return (aiohttp.ClientError, OSError, ValueError)


def _open_error(alias: str, error: Exception, connect_timeout_s: float) -> EndpointError:
    import aiohttp

    if isinstance(error, aiohttp.ServerTimeoutError):
        return EndpointTimeout(alias, "connect", connect_timeout_s)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return EndpointUnreachable(alias, "dns")
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch | ssl.SSLError):
        return EndpointUnreachable(alias, "tls")
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        return EndpointUnreachable(alias, "refused" if refused else "connect")
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        return EndpointMalformed(alias, "cut")  # its message is the part of the head received
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError):
        return EndpointUnreachable(alias, "reset")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return EndpointUnreachable(alias, "connect")
    if isinstance(error, aiohttp.ClientResponseError):
        return EndpointMalformed(alias, "shape")
    return EndpointUnreachable(alias, "connect")


def _read_error(alias: str, error: Exception) -> EndpointError:
    import aiohttp

    if isinstance(error, aiohttp.ClientPayloadError):
        return EndpointMalformed(alias, "cut")
    return EndpointUnreachable(alias, "reset")
