"""An OpenAI-compatible endpoint, explained in docs/model-integration.md.

Start it: API_KEY=secret python examples/custom_endpoint.py

Then configure the app: ENDPOINTS='[{"url": "http://127.0.0.1:3000", "apiKey": "secret"}]'
FastAPI and uvicorn come with gradio. PORT is respected. Put your own model in `answer`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

MODEL = {"id": "my-custom-model", "object": "model", "created": 1_700_000_000, "owned_by": "me"}


class CompletionRequest(BaseModel):
    """A request. A real server reads temperature, top_p, max_tokens and more."""

    model: str
    messages: Annotated[list[dict[str, str]], Field(min_length=1)]
    stream: bool = False


async def answer(messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
    """Yield the answer in pieces. Replace this with your model; it repeats the last message."""
    last = messages[-1].get("content", "")
    for word in re.findall(r"\S+\s*|\s+", f"I am an echo. You said: {last}"):
        yield word
        await asyncio.sleep(0.02)


async def response_body(request: CompletionRequest) -> AsyncGenerator[str, None]:
    """Yield the response body. Starlette cancels this, and so `answer`, on a disconnect."""
    kind = "chat.completion.chunk" if request.stream else "chat.completion"
    head = {"id": f"chatcmpl-{secrets.token_hex(8)}", "object": kind, "created": int(time.time())}

    def serialize(finish: str | None, usage: dict[str, int] | None, **content: Any) -> str:
        choices = [{"index": 0, **content, "finish_reason": finish}]
        return json.dumps({**head, "model": request.model, "choices": choices, "usage": usage})

    words = []
    async with aclosing(answer(request.messages)) as pieces:
        async for word in pieces:
            words.append(word)
            if request.stream:
                yield f"data: {serialize(None, None, delta={'content': word})}\n\n"
    prompt, completion = len(str(request.messages).split()), len(words)  # a real one: tokens
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if request.stream:
        yield f"data: {serialize('stop', usage, delta={})}\n\ndata: [DONE]\n\n"
    else:
        yield serialize("stop", usage, message={"role": "assistant", "content": "".join(words)})


def build_app(api_key: str) -> FastAPI:
    """Build the server: every path requires the key, every error has OpenAI's shape."""

    def check_key(request: Request) -> None:
        received = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(received, f"Bearer {api_key}".encode()):
            raise HTTPException(401, "wrong or missing API key")

    def to_openai(_: Request, error: Exception) -> JSONResponse:
        status, text = getattr(error, "status_code", 400), getattr(error, "detail", str(error))
        return JSONResponse({"error": {"message": text, "type": "invalid_request_error"}}, status)

    handlers: dict[Any, Any] = {HTTPException: to_openai, RequestValidationError: to_openai}
    app = FastAPI(dependencies=[Depends(check_key)], exception_handlers=handlers)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [MODEL]}

    @app.post("/v1/chat/completions")
    def chat(request: CompletionRequest) -> StreamingResponse:
        if request.model != MODEL["id"]:
            raise HTTPException(404, f"there is no model {request.model!r}")
        kind = "text/event-stream" if request.stream else "application/json"
        return StreamingResponse(response_body(request), media_type=kind)

    return app


if __name__ == "__main__":
    key = os.environ.get("API_KEY") or sys.exit("set API_KEY, as in API_KEY=secret")
    uvicorn.run(build_app(key), host="0.0.0.0", port=int(os.environ.get("PORT", "3000")))
