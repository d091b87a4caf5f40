"""Bytes to an endpoint and back. The one module that knows the HTTP client.

httpx speaks over aiohttp's connections (`httpx-aiohttp`), and its transport is called
directly: no redirects are followed and no cookies or logins are kept, so a key can't reach
another host, and no layer lies between a packet and its reader. See docs/routing.md for
what that saves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from akash_gradio import __version__
from akash_gradio.domain.errors import (
    AkashGradioError,
    EndpointError,
    EndpointGarbled,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    RequestRefused,
)
from akash_gradio.gateway.encoding import BrokenEncoding, Decode, decoder
from akash_gradio.gateway.redaction import SecretFilter, without_begun_secret

if TYPE_CHECKING:
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    from akash_gradio.endpoint_list import EndpointSettings

logger = logging.getLogger(__name__)

KEEP_IDLE_S: Final = 4.0
"""Below the 5 s after which uvicorn and Node drop an idle connection, so that a question
seldom meets one that is just being closed."""

OURS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding"})
"""Headers that no configuration may set."""


class Answer(Protocol):
    """An answer whose head has come. headers: by lower-case names."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Found by lower-case names."""
        ...

    def aiter_bytes(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, decoded. Raises EndpointUnreachable and EndpointGarbled."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body has not come to its end."""
        ...


class Transport(Protocol):
    """What the gateway needs of a network. Tests have fakes."""

    async def start(self) -> None:
        """Get ready, so that the first question needn't wait for it. May be left out."""
        ...

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> Answer:
        """POST body (GET when None) to the entry's URL and path; returns with the answer's head.

        headers: the model's own; the entry's win. Raises EndpointError.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def load_client() -> None:
    """Import the HTTP client now, where a later moment would be worse (0.2 s of CPU, once)."""
    import httpx
    import httpx_aiohttp

    _ = httpx, httpx_aiohttp


class HttpTransport:
    """The real one. Makes nothing before `start` or the first `open`; then lives on one loop."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, bool], AiohttpTransport] = {}
        """Proxy URL ("" for none), whether connections are used again → the transport."""
        self._tls: ssl.SSLContext | None = None
        self._proxies: dict[str, str] | None = None

    async def start(self) -> None:
        """Load the client and the certificates (half a second of CPU, once)."""
        self._through("", reuse=True)

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> Answer:
        """See `Transport.open`."""
        import httpx

        failure: EndpointError
        try:
            request = httpx.Request(
                "GET" if body is None else "POST",
                entry.url + path,
                headers=_wire_headers(entry, headers, body),
                content=body,
                # aiohttp's limit for all of connecting: name, socket and TLS.
                extensions={"timeout": {"pool": connect_timeout_s}},
            )
            transport = self._through(self._proxy_for(entry.url), reuse=not _closes(request))
            response = await transport.handle_async_request(request)
        except _client_errors() as error:
            failure = _opening_failure(entry.name, error, connect_timeout_s)
        else:
            logger.debug(
                "connection.opened", extra={"endpoint": entry.name, "status": response.status_code}
            )
            return await _answer(entry.name, response)
        raise failure

    async def aclose(self) -> None:
        """Close every connection; a later `open` would start anew."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()
        if transports:
            # Sockets are closed by callbacks of the loop's next turn.
            await asyncio.sleep(0)

    def _through(self, proxy: str, *, reuse: bool) -> AiohttpTransport:
        if (proxy, reuse) not in self._transports:
            import httpx
            from httpx_aiohttp import AiohttpTransport

            tls = self._tls = self._tls or httpx.create_ssl_context()
            self._transports[proxy, reuse] = AiohttpTransport(
                verify=tls,
                proxy=httpx.Proxy(proxy) if proxy else None,
                client=partial(_session, tls, reuse),
            )
        return self._transports[proxy, reuse]

    def _proxy_for(self, url: str) -> str:
        """The environment's proxy for this URL, "" for none. This machine needs none."""
        import urllib.request

        if self._proxies is None:
            self._proxies = urllib.request.getproxies()
        if not self._proxies:
            return ""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if _is_this_machine(host) or urllib.request.proxy_bypass(host):
            return ""
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _session(tls: ssl.SSLContext, reuse: bool) -> aiohttp.ClientSession:
    """No limit of connections (each endpoint has its own), no cookies, no proxies of its own:
    aiohttp would read ~/.netrc in a thread for each request.
    """
    import aiohttp

    if reuse:
        connector = aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=KEEP_IDLE_S)
    else:
        connector = aiohttp.TCPConnector(limit=0, ssl=tls, force_close=True)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def _closes(request: httpx.Request) -> bool:
    """Whether it says `Connection: close`, which aiohttp sends and doesn't obey by itself."""
    return "close" in request.headers.get("connection", "").lower()


class _HttpAnswer:
    def __init__(self, alias: str, response: httpx.Response, decode: Decode | None) -> None:
        self._alias, self._response, self._decode = alias, response, decode
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def aiter_bytes(self) -> AsyncGenerator[bytes, None]:
        """aiohttp's packets. They come from a generator of their own, closed with this one."""
        import httpx

        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        packets = stream.__aiter__()
        failure: EndpointError
        try:
            async for packet in packets:
                if self._decode is None:
                    yield packet
                else:
                    for piece in self._decode(packet):
                        yield piece
            return
        except BrokenEncoding:
            failure = EndpointGarbled(self._alias, "encoding")
        except _client_errors() as error:
            failure = _reading_failure(self._alias, error)
        finally:
            if isinstance(packets, AsyncGenerator):
                await packets.aclose()
        raise failure

    async def aclose(self) -> None:
        """Closes the socket at once when the body has not come to its end."""
        await self._response.aclose()


async def _answer(alias: str, response: httpx.Response) -> Answer:
    try:
        return _HttpAnswer(alias, response, decoder(response.headers.get("content-encoding")))
    except BrokenEncoding:
        await response.aclose()
        raise EndpointGarbled(alias, "encoding") from None


def _wire_headers(
    entry: EndpointSettings, of_model: Mapping[str, str], body: bytes | None
) -> list[tuple[bytes, bytes]]:
    """What is sent, each name once: ours, over them the model's, over them the endpoint's.

    Secrets become text here, and in `hide_secrets`.
    """
    headers = {
        "user-agent": f"akash-gradio/{__version__}",
        "accept": "application/json, text/event-stream",
        # A stream that a server packs comes in lumps; a list of models may well be packed.
        "accept-encoding": "gzip, deflate, br" if body is None else "identity",
    }
    headers |= {name.lower(): value for name, value in of_model.items() if _fits(name, value)}
    if entry.api_key is not None:
        headers["authorization"] = f"Bearer {entry.api_key.get_secret_value()}"
    for name, secret in entry.custom_headers.items():
        if name.lower() not in OURS:
            headers[name.lower()] = secret.get_secret_value()
    if body is not None:
        headers["content-type"] = "application/json"
    return [(name.encode("ascii"), value.encode()) for name, value in headers.items()]


def hide_secrets(
    error: AkashGradioError, entry: EndpointSettings, of_model: Mapping[str, str]
) -> None:
    """Take what was sent in headers out of the endpoint's own words: some repeat it there."""
    if not isinstance(error, EndpointRefused | EndpointGarbled | RequestRefused):
        return
    secrets = [secret.get_secret_value() for secret in entry.custom_headers.values()]
    if entry.api_key is not None:
        secrets.append(entry.api_key.get_secret_value())
    secrets += of_model.values()
    cleaned = SecretFilter(*secrets).clean(error.detail)
    error.detail = without_begun_secret(cleaned, secrets)


def _fits(name: str, value: str) -> bool:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return plain and name.lower() not in OURS and not set(value) & set("\r\n\0")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client_errors() -> tuple[type[Exception], ...]:
    """Whatever the client raises when the network or the endpoint is at fault.

    ValueError: a proxy of a kind that aiohttp can't speak, an address that is none.
    """
    import aiohttp
    import httpx

    return (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError)


def _opening_failure(alias: str, error: Exception, connect_timeout_s: float) -> EndpointError:
    """Told by aiohttp's error, which is more exact than httpx's around it."""
    import aiohttp

    cause = _aiohttp_error(error)
    if isinstance(cause, aiohttp.ServerTimeoutError):
        return EndpointTimeout(alias, "connect", connect_timeout_s)
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return EndpointUnreachable(alias, "dns")
    if isinstance(cause, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch | ssl.SSLError):
        return EndpointUnreachable(alias, "tls")
    if isinstance(cause, aiohttp.ClientConnectorError):
        refused = isinstance(cause.os_error, ConnectionRefusedError)
        return EndpointUnreachable(alias, "refused" if refused else "connect")
    if isinstance(cause, aiohttp.ServerDisconnectedError) and not isinstance(cause.message, str):
        return EndpointGarbled(alias, "cut")  # its message is the head, as far as it came
    if isinstance(cause, aiohttp.ClientConnectionError | ConnectionError):
        return EndpointUnreachable(alias, "reset")
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return EndpointUnreachable(alias, "connect")
    if isinstance(cause, aiohttp.ClientResponseError):
        return EndpointGarbled(alias, "shape")
    return EndpointUnreachable(alias, "connect")


def _reading_failure(alias: str, error: Exception) -> EndpointError:
    import aiohttp

    if isinstance(_aiohttp_error(error), aiohttp.ClientPayloadError):
        return EndpointGarbled(alias, "cut")
    return EndpointUnreachable(alias, "reset")


def _aiohttp_error(error: Exception) -> BaseException:
    """aiohttp's own, where httpx's is around it; else the error itself."""
    import aiohttp

    inner = error.__cause__
    wrapped = isinstance(inner, aiohttp.ClientError) and not isinstance(error, aiohttp.ClientError)
    return inner if wrapped and inner is not None else error
