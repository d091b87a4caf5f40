"""The usual pass-through: Starlette's StreamingResponse over httpx."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def pass_through(upstream: str) -> Starlette:
    """Return an app that forwards requests to `upstream`, a base URL that ends in /v1."""
    # One connection for each caller: the default limit of httpx is a hundred.
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def chat(request: Request) -> Response:
        upstream_request = client.build_request(
            "POST",
            f"{upstream}/chat/completions",
            content=await request.body(),
            headers={"content-type": "application/json"},
        )
        response = await client.send(upstream_request, stream=True)
        return StreamingResponse(
            response.aiter_raw(),
            status_code=response.status_code,
            media_type=response.headers["content-type"],
            background=BackgroundTask(response.aclose),
        )

    return Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan
    )


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    uvicorn.run(
        pass_through(options.upstream), port=options.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
