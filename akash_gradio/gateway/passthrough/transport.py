"""Bytes to an endpoint and back. The one module that knows the HTTP client.

aiohttp speaks HTTP, and is given what httpx finds in the environment (certificates, the
parts of a proxy's address). No redirects are followed and no cookies or logins are kept, so
a key can't reach another host, and no layer lies between a packet and its reader. See
docs/routing.md for what that saves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from akash_gradio import __version__
from akash_gradio.domain.errors import (
    AkashGradioError,
    EndpointError,
    EndpointMalformed,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    RequestRefused,
)
from akash_gradio.domain.redaction import SecretFilter, redact_partial_secret
from akash_gradio.gateway.content_encoding import Decode, InvalidEncoding, make_decoder
from akash_gradio.gateway.public_addresses import AddressFilter

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.gateway.passthrough.aiohttp_fastpath import FastResponse

logger = logging.getLogger(__name__)

KEEP_IDLE_S: Final = 4.0
"""Below the 5 s after which uvicorn and Node drop an idle connection, so that a question
seldom meets one that is just being closed."""

UNREAD_BYTES: Final = 128 * 1024
"""Of one answer; while its reader is slower than its endpoint, no more is taken."""

ALWAYS: Final = {
    "user-agent": f"akash-gradio/{__version__}",
    "accept": "application/json, text/event-stream",
}
"""Sent with each request, unless the configuration says otherwise."""

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
OURS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding"})
"""Headers that no configuration may set."""


class UpstreamResponse(Protocol):
    """An answer whose head has come. headers: by lower-case names."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Found by lower-case names."""
        ...

    @property
    def lag_s(self) -> float:
        """Seconds since the newest bytes came; whoever reads may have had to wait for a turn."""
        ...

    async def read(self) -> bytes:
        """What has come of the body, decoded; b"" at its end, and only there.

        Raises EndpointUnreachable and EndpointMalformed.
        """
        ...

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """Give what comes to `take` right where it comes, so that no task need wake for it.

        Returns when `take` has said False, and `read` has what it did not take; or when there
        is an end or an error for `read` to tell.
        """
        ...

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body has not come to its end."""
        ...


class Transport(Protocol):
    """What the gateway needs of a network. Tests have fakes."""

    async def start(self, urls: Iterable[str]) -> None:
        """Get ready to ask these, so that the first question needn't wait. May be left out."""
        ...

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> UpstreamResponse:
        """POST body (GET when None) to the entry's URL and path; returns with the answer's head.

        headers: the model's own; the entry's win. Raises EndpointError.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def load_http_client(*, skip_certificates: bool = False) -> None:
    """Import the HTTP client now, where a later moment would be worse (0.2 s of CPU, once).

    alone: nobody else in this process uses it. Then it reads no certificates when it is
    imported, 2 MB of them: each connection over TLS is given ours.
    """
    with _no_certificates() if skip_certificates else nullcontext():
        from akash_gradio.gateway.passthrough import aiohttp_fastpath

    _ = aiohttp_fastpath


@contextmanager
def _no_certificates() -> Iterator[None]:
    """None is found meanwhile where OpenSSL looks for them: what is made so trusts nobody."""
    before = {name: os.environ.get(name) for name in _CERTIFICATES}
    os.environ.update(dict.fromkeys(_CERTIFICATES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


class HttpTransport:
    """The real one. Makes nothing before `start` or the first `open`; then lives on one loop.

    allowed: the addresses that may be connected to, None for all; with it no proxy is used.
    """

    def __init__(self, allowed: AddressFilter | None = None) -> None:
        self._allowed = allowed
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """Whether connections are used again → the session."""
        self._tls: ssl.SSLContext | None = None
        self._proxies: dict[str, str] | None = None

    async def start(self, urls: Iterable[str]) -> None:
        """Load the client and, where one is asked over TLS, the certificates (half a second
        of CPU, once).
        """
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
        url = entry.url + path
        try:
            self._check_literal(url)
            sent = _wire_headers(entry, headers, body)
            over_tls = url.startswith("https:")
            proxy, login = _proxy_parts(self._proxy_for(url))
            if not over_tls:
                sent |= login
            response: Any = await self._session(reuse=not _closes(sent)).request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers=sent,
                allow_redirects=False,
                timeout=_connecting(connect_timeout_s),
                ssl=self._tls_context() if over_tls else True,
                proxy=proxy,
                proxy_headers=login if over_tls else None,  # else the proxy sees the request's
            )
        except _client_errors() as error:
            failure = _opening_failure(entry.name, error, connect_timeout_s)
        else:
            logger.debug(
                "connection.opened", extra={"endpoint": entry.name, "status": response.status}
            )
            return await _answer(entry.name, response)
        raise failure

    async def aclose(self) -> None:
        """Close every connection; a later `open` would start anew."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        if sessions:
            # Sockets are closed by callbacks of the loop's next turn.
            await asyncio.sleep(0)

    def _session(self, *, reuse: bool) -> aiohttp.ClientSession:
        if reuse not in self._sessions:
            self._sessions[reuse] = _new_session(reuse, self._allowed)
        return self._sessions[reuse]

    def _check_literal(self, url: str) -> None:
        """aiohttp asks no resolver for an address that is written out.

        Raises OSError; ValueError where it is no address.
        """
        if self._allowed is None:
            return
        from yarl import URL

        host = URL(url).raw_host or ""  # as aiohttp has it: U+3002 is a dot by then
        written_out = ":" in host or host.replace(".", "").isdigit()
        if written_out and not self._allowed(host):
            raise OSError("this address may not be asked")

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import httpx

            self._tls = httpx.create_ssl_context()
        return self._tls

    def _proxy_for(self, url: str) -> str:
        """The environment's proxy for this URL, "" for none. This machine needs none."""
        import urllib.request

        if self._proxies is None:
            self._proxies = urllib.request.getproxies() if self._allowed is None else {}
        if not self._proxies:
            return ""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if _is_this_machine(host) or urllib.request.proxy_bypass(host):
            return ""
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        return proxy if "://" in proxy or not proxy else f"http://{proxy}"


@lru_cache(maxsize=8)
def _connecting(seconds: float) -> aiohttp.ClientTimeout:
    """aiohttp's limit for all of connecting (name, socket and TLS), and no other."""
    import aiohttp

    return aiohttp.ClientTimeout(connect=seconds)


def _new_session(reuse: bool, allowed: AddressFilter | None) -> aiohttp.ClientSession:
    """No limit of connections (each endpoint has its own), no cookies, no proxies of its own:
    aiohttp would read ~/.netrc in a thread for each request.
    """
    import aiohttp

    resolver = None if allowed is None else checked_resolver(allowed)
    from akash_gradio.gateway.passthrough.aiohttp_fastpath import FastConnector, FastResponse

    how: dict[str, Any] = {"keepalive_timeout": KEEP_IDLE_S} if reuse else {"force_close": True}
    return aiohttp.ClientSession(
        connector=FastConnector(limit=0, resolver=resolver, **how),
        response_class=FastResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=ALWAYS,
        auto_decompress=False,
        read_bufsize=UNREAD_BYTES // 2,
    )


def checked_resolver(
    allowed: AddressFilter, lookup: AbstractResolver | None = None
) -> AbstractResolver:
    """Finds nothing for a name when one of its addresses isn't allowed.

    lookup: who is asked for the addresses, the system when None. What it says is what is
    connected to: nobody is asked a second time.
    """
    from aiohttp import ThreadedResolver
    from aiohttp.abc import AbstractResolver as Base

    inner = lookup or ThreadedResolver()

    class Checked(Base):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
            found = await inner.resolve(host, port, family)
            if not all(allowed(one["host"]) for one in found):
                raise OSError("this address may not be asked")
            return found

        async def close(self) -> None:
            await inner.close()

    return Checked()


def _proxy_parts(proxy: str) -> tuple[str | None, dict[str, str]]:
    """A proxy's address without its login, and the login as the header that it becomes."""
    if not proxy:
        return None, {}
    import httpx

    parts = httpx.Proxy(proxy)
    if parts.auth is None:
        return proxy, {}
    login = b64encode(":".join(parts.auth).encode()).decode()
    return str(parts.url), {"proxy-authorization": f"Basic {login}"}


def _closes(headers: Mapping[str, str]) -> bool:
    """Whether it says `Connection: close`, which aiohttp sends and doesn't obey by itself."""
    return "close" in headers.get("connection", "").lower()


class _PlainAnswer:
    """A body as it comes."""

    def __init__(self, alias: str, response: FastResponse) -> None:
        self._alias, self._response = alias, response
        self._content: Any = response.content
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._handler = response.handler
        self._take = getattr(self._content, "take", self._content.readany)  # of an empty body
        self._pour = getattr(self._content, "pour", None)

    @property
    def lag_s(self) -> float:
        """See `UpstreamResponse.lag_s`."""
        return time.monotonic() - self._handler.heard_at

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        try:
            return await self._take()
        except _client_errors() as error:
            failure = _reading_failure(self._alias, error)
        raise failure

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """See `UpstreamResponse.pour`."""
        if self._pour is not None:
            await self._pour(take)

    async def aclose(self) -> None:
        """Closes the socket at once when the body has not come to its end."""
        self._response.release()
        await self._response.wait_for_close()


class _PackedAnswer(_PlainAnswer):
    """A body with a Content-Encoding."""

    def __init__(self, alias: str, response: FastResponse, decode: Decode) -> None:
        super().__init__(alias, response)
        self._decode = decode
        self._pieces: Iterator[bytes] = iter(())
        self._pour = None  # what comes is packed

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`. A packet may unpack to many pieces or none."""
        try:
            while (piece := next(self._pieces, b"")) == b"":
                packet = await super().read()
                if not packet:
                    return b""
                self._pieces = self._decode(packet)
        except InvalidEncoding:
            raise EndpointMalformed(self._alias, "encoding") from None
        return piece


async def _answer(alias: str, response: FastResponse) -> UpstreamResponse:
    try:
        decode = make_decoder(response.headers.get("content-encoding"))
    except InvalidEncoding:
        response.close()
        raise EndpointMalformed(alias, "encoding") from None
    return (
        _PlainAnswer(alias, response) if decode is None else _PackedAnswer(alias, response, decode)
    )


def _wire_headers(
    entry: EndpointSettings, of_model: Mapping[str, str], body: bytes | None
) -> dict[str, str]:
    """What is sent beside `ALWAYS`, each name once: over ours the model's, over them the
    endpoint's. Secrets become text here, and in `hide_secrets`.
    """
    # A stream that a server packs comes in lumps; a list of models may well be packed.
    headers = {"accept-encoding": "gzip, deflate, br" if body is None else "identity"}
    headers |= {name.lower(): value for name, value in of_model.items() if _fits(name, value)}
    if entry.api_key is not None:
        headers["authorization"] = f"Bearer {entry.api_key.get_secret_value()}"
    for name, secret in entry.custom_headers.items():
        if name.lower() not in OURS:
            headers[name.lower()] = secret.get_secret_value()
    if body is not None:
        headers["content-type"] = "application/json"
    return headers


def hide_secrets(
    error: AkashGradioError, entry: EndpointSettings, of_model: Mapping[str, str]
) -> None:
    """Take what was sent in headers out of the endpoint's own words: some repeat it there."""
    if not isinstance(error, EndpointRefused | EndpointMalformed | RequestRefused):
        return
    secrets = [secret.get_secret_value() for secret in entry.custom_headers.values()]
    if entry.api_key is not None:
        secrets.append(entry.api_key.get_secret_value())
    secrets += of_model.values()
    cleaned = SecretFilter(*secrets).redact(error.detail)
    error.detail = redact_partial_secret(cleaned, secrets)


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

    return (aiohttp.ClientError, OSError, ValueError)


def _opening_failure(alias: str, error: Exception, connect_timeout_s: float) -> EndpointError:
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
        return EndpointMalformed(alias, "cut")  # its message is the head, as far as it came
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError):
        return EndpointUnreachable(alias, "reset")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return EndpointUnreachable(alias, "connect")
    if isinstance(error, aiohttp.ClientResponseError):
        return EndpointMalformed(alias, "shape")
    return EndpointUnreachable(alias, "connect")


def _reading_failure(alias: str, error: Exception) -> EndpointError:
    import aiohttp

    if isinstance(error, aiohttp.ClientPayloadError):
        return EndpointMalformed(alias, "cut")
    return EndpointUnreachable(alias, "reset")
