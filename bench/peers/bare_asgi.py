"""The least that can be done over the client that our gateway uses: bare ASGI, no routing.

aiohttp is asked as the gateway asks it, so that the difference between the two is the
gateway's own work and nothing else.
"""

from __future__ import annotations

import argparse

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send


class PassThrough:
    """Asks `upstream` (a base URL ending in /v1) whatever it is asked."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._session = self._session or _session()
        answer = await self._session.post(
            self._url,
            data=await _body(receive),
            headers={"content-type": "application/json"},
            allow_redirects=False,
        )
        head = [(b"content-type", answer.headers["content-type"].encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        try:
            while packet := await answer.content.readany():
                await send({"type": "http.response.body", "body": packet, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            answer.release()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    asked = parser.parse_args()
    uvicorn.run(
        PassThrough(asked.upstream),
        port=asked.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
