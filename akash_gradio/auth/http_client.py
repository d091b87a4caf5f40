"""The HTTP client that calls the provider of sign-in: few requests with small responses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

from akash_gradio.http.proxies import EnvironmentProxies

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 10.0
"""Timeout of a whole request, in seconds; a visitor waits in front of an empty tab."""
MAX_RESPONSE_BYTES: Final = 1_000_000


class Fetch(Protocol):
    """Sends one request and returns the status and the body of the response."""

    async def __call__(
        self, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """POST the form, or GET without one.

        Raises:
            OSError: No complete response was received.
        """
        ...


async def fetch(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None = None,
) -> tuple[int, bytes]:
    """Send one request, see `Fetch`. Redirects are not followed.

    Args:
        url: Where to send it.
        form: Fields to POST, None for GET.
        headers: Headers of the request.
        transport: Replaces the network, for tests.
    """
    import httpx

    tls = await asyncio.to_thread(_tls_context)
    body = b""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(
                verify=tls,
                transport=transport,
                timeout=TIMEOUT_S,
                proxy=EnvironmentProxies().for_url(url) or None,
                trust_env=False,
            ) as client,
            client.stream(
                "GET" if form is None else "POST", url, data=form, headers=headers
            ) as response,
        ):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    raise OSError("the response is too long")
    except (httpx.HTTPError, httpx.InvalidURL):
        failure = OSError("no response")
    else:
        return response.status_code, body
    raise failure  # outside the handler, so that the error holds no object of the request


@cache
def _tls_context() -> ssl.SSLContext:
    """Create the context once: it takes half a second of CPU time."""
    import httpx

    return httpx.create_ssl_context()
