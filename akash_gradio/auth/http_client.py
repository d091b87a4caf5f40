"""Few requests and small answers: how the provider of sign-in is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import httpx

ANSWER_S: Final = 10.0
"""For all of it: name, connection, TLS and the answer; a visitor looks at an empty tab."""
LONGEST_BYTES: Final = 1_000_000


class Fetch(Protocol):
    """One request and its whole answer, status and body."""

    async def __call__(
        self, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """POST the form, GET without one. Raises OSError when no whole answer came."""
        ...


async def fetch(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None = None,
) -> tuple[int, bytes]:
    """See `Fetch`. No redirect is followed. transport: for tests, the network when None."""
    import httpx

    tls = await asyncio.to_thread(_tls)
    body = b""
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            httpx.AsyncClient(verify=tls, transport=transport, timeout=ANSWER_S) as client,
            client.stream("GET" if form is None else "POST", url, data=form, headers=headers) as it,
        ):
            async for piece in it.aiter_bytes():
                body += piece
                if len(body) > LONGEST_BYTES:
                    raise OSError("the answer is too long")
    except (httpx.HTTPError, httpx.InvalidURL):
        failure = OSError("no answer")
    else:
        return it.status_code, body
    raise failure  # outside, so that nothing of the request hangs on it


@cache
def _tls() -> ssl.SSLContext:
    """Half a second of CPU, once."""
    import httpx

    return httpx.create_ssl_context()
