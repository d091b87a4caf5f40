"""The HTTP transport to endpoints: direct connections by `http_client`, proxies by httpx.

Redirects aren't followed, and no cookies or logins are kept, so that a key can't reach another
host. docs/routing.md has the cost of a token.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from akash_gradio import __version__
from akash_gradio.domain.errors import EndpointMalformed, EndpointUnreachable
from akash_gradio.gateway.content_encoding import Decode, InvalidEncoding, make_decoder
from akash_gradio.gateway.passthrough.http_client import ConnectionPool
from akash_gradio.gateway.passthrough.http_connection import Origin
from akash_gradio.gateway.passthrough.sink import Sink
from akash_gradio.gateway.public_addresses import AddressFilter
from akash_gradio.gateway.transport import UpstreamResponse
from akash_gradio.http.proxies import EnvironmentProxies

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.gateway.passthrough.proxy_client import ProxyClient

logger = logging.getLogger(__name__)

DEFAULT_HEADERS: Final = {
    "user-agent": f"akash-gradio/{__version__}",
    "accept": "application/json, text/event-stream",
}
"""Headers of every request, unless the configuration overrides them."""
RESERVED_HEADERS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding"})
"""Headers that the configuration can't set."""
MAX_CACHED_HEADS: Final = 256
_SAFE_IN_TARGET: Final = "/%:@!$&'()*+,;=-._~?"
"""Characters of a request target that aren't encoded: RFC 3986's, and what is encoded already."""


class HttpTransport:
    """The transport over HTTP.

    Creates nothing before `start` or the first `open`; from then on it belongs to one loop.

    Args:
        allowed: Decides which addresses may be connected to, None for all. With it no proxy
            is used.
    """

    def __init__(self, allowed: AddressFilter | None = None) -> None:
        self._allowed = allowed
        self._tls: ssl.SSLContext | None = None
        self._proxies: EnvironmentProxies | None = None
        self._pool = ConnectionPool(self._tls_context, allowed)
        self._proxy_client: ProxyClient | None = None
        self._heads: dict[tuple[int, str], tuple[EndpointSettings, bytes]] = {}
        """Heads of POST requests up to the length, by the endpoint's identity and URL."""

    async def start(self, urls: Iterable[str]) -> None:
        """Load, for HTTPS URLs, the certificates (0.3 s of CPU, once)."""
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
        url = entry.address(path)
        proxy = self._proxy_for(url)
        response: UpstreamResponse
        try:
            if proxy:
                response = await self._through_proxy().request(
                    proxy,
                    url,
                    DEFAULT_HEADERS | _request_headers(entry, headers, body),
                    body,
                    alias=entry.name,
                    connect_timeout_s=connect_timeout_s,
                )
            else:
                origin, _, _ = _target(url)
                head = self._head(entry, url, headers, body)
                response = await self._pool.request(
                    origin,
                    head,
                    body or b"",
                    alias=entry.name,
                    connect_timeout_s=connect_timeout_s,
                    keep=b"\r\nconnection: close\r\n" not in head,
                )
        except ValueError:  # an address or a header that can't be sent
            raise EndpointUnreachable(entry.name, "connect") from None
        logger.debug("connection.opened", extra={"endpoint": entry.name, "status": response.status})
        return await _decoded(entry.name, response)

    async def aclose(self) -> None:
        """Close every connection; a later `open` starts anew."""
        self._pool.aclose()
        proxy_client, self._proxy_client = self._proxy_client, None
        if proxy_client is not None:
            await proxy_client.aclose()
        # Sockets are closed by callbacks in the loop's next iteration.
        await asyncio.sleep(0)

    def _head(
        self,
        entry: EndpointSettings,
        url: str,
        model_headers: Mapping[str, str],
        body: bytes | None,
    ) -> bytes:
        """Return the head of a request; most differ from the one before in the length only."""
        if body is None:
            return _encode_head("GET", url, _request_headers(entry, model_headers, body)) + b"\r\n"
        if model_headers:
            head = _encode_head("POST", url, _request_headers(entry, model_headers, body))
        else:
            key = (id(entry), url)
            known, head = self._heads.get(key, (None, b""))
            if known is not entry:  # an object that is gone may have had the same identity
                if len(self._heads) >= MAX_CACHED_HEADS:
                    self._heads.clear()
                head = _encode_head("POST", url, _request_headers(entry, model_headers, body))
                self._heads[key] = entry, head
        return b"%bcontent-length: %d\r\n\r\n" % (head, len(body))

    def _through_proxy(self) -> ProxyClient:
        if self._proxy_client is None:
            from akash_gradio.gateway.passthrough.proxy_client import ProxyClient

            self._proxy_client = ProxyClient(self._tls_context)
        return self._proxy_client

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import httpx

            # It reads the environment: OpenSSL's variables, otherwise certifi.
            self._tls = httpx.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _proxy_for(self, url: str) -> str:
        """Return the environment's proxy for this URL, "" for none or for this machine."""
        if self._allowed is not None:
            return ""
        if self._proxies is None:
            self._proxies = EnvironmentProxies()
        return self._proxies.for_url(url)


@lru_cache(maxsize=MAX_CACHED_HEADS)
def _target(url: str) -> tuple[Origin, str, str]:
    """Return where a URL leads, the value of `Host` and the target of the request line.

    Raises:
        ValueError: The host is no host name.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()  # raises UnicodeError
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    name = f"[{host}]" if ":" in host else host
    target = quote(parts.path or "/", _SAFE_IN_TARGET)
    if parts.query:
        target += "?" + quote(parts.query, _SAFE_IN_TARGET)
    is_default = port == (443 if tls else 80)
    return Origin(host, port, tls), name if is_default else f"{name}:{port}", target


def _encode_head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """Return the request line and the header lines.

    Raises:
        ValueError: A header contains a line end.
    """
    _, host, target = _target(url)
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    for name, value in {**DEFAULT_HEADERS, **headers}.items():
        if set(value) & set("\r\n\0"):
            raise ValueError(name)
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, ""]).encode()


class _DecodedResponse:
    """A response whose body has a Content-Encoding."""

    def __init__(self, alias: str, response: UpstreamResponse, decode: Decode) -> None:
        self.status, self.headers = response.status, response.headers
        self._alias, self._response, self._decode = alias, response, decode
        self._pieces: Iterator[bytes] = iter(())

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return self._response.lag_s

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`. A packet may decode to many pieces or none."""
        try:
            piece = next(self._pieces, b"")
            if piece:
                await asyncio.sleep(0)  # others may run between the pieces of one packet
            while not piece:
                packet = await self._response.read()
                if not packet:
                    return b""
                self._pieces = self._decode(packet)
                piece = next(self._pieces, b"")
        except InvalidEncoding:
            raise EndpointMalformed(self._alias, "encoding") from None
        return piece

    async def pipe_to(self, sink: Sink) -> None:
        """Return at once: the bytes have to be decoded first."""

    async def aclose(self) -> None:
        """See `UpstreamResponse.aclose`."""
        await self._response.aclose()


async def _decoded(alias: str, response: UpstreamResponse) -> UpstreamResponse:
    encoding = response.headers.get("content-encoding")
    if encoding is None:
        return response
    try:
        decode = make_decoder(encoding)
    except InvalidEncoding:
        await response.aclose()
        raise EndpointMalformed(alias, "encoding") from None
    return response if decode is None else _DecodedResponse(alias, response, decode)


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
    if "close" in headers.get("connection", "").lower():
        headers["connection"] = "close"
    return headers


def _is_allowed(name: str, value: str) -> bool:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return plain and name.lower() not in RESERVED_HEADERS and not set(value) & set("\r\n\0")
