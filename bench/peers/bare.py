"""The pass-through that everybody writes first: Starlette's StreamingResponse over httpx."""

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
    """An app that asks `upstream` (a base URL ending in /v1) whatever it is asked."""
    # As many connections as there are callers: httpx stops at a hundred by itself.
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def chat(request: Request) -> Response:
        question = client.build_request(
            "POST",
            f"{upstream}/chat/completions",
            content=await request.body(),
            headers={"content-type": "application/json"},
        )
        answer = await client.send(question, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            media_type=answer.headers["content-type"],
            background=BackgroundTask(answer.aclose),
        )

    return Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan
    )


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    asked = parser.parse_args()
    uvicorn.run(
        pass_through(asked.upstream), port=asked.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
