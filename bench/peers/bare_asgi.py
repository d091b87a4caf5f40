"""The least that can be done over the client that our gateway uses: bare ASGI, no routing.

httpx's transport over aiohttp is called directly, as the gateway does, so that the
difference between the two is the gateway's own work and nothing else.
"""

from __future__ import annotations

import argparse

import aiohttp
import httpx
import uvicorn
from httpx_aiohttp import AiohttpTransport
from starlette.types import Receive, Scope, Send


class PassThrough:
    """Asks `upstream` (a base URL ending in /v1) whatever it is asked."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._transport = AiohttpTransport(client=_session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        question = httpx.Request(
            "POST",
            self._url,
            content=await _body(receive),
            headers={"content-type": "application/json"},
        )
        answer = await self._transport.handle_async_request(question)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        head = [(b"content-type", answer.headers["content-type"].encode())]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": head})
        try:
            async for packet in answer.stream:
                await send({"type": "http.response.body", "body": packet, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


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
