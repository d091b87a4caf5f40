"""The guide's custom endpoint in Python. Start: API_KEY=secret python examples/custom_endpoint.py

Then tell the app: ENDPOINTS='[{"url": "http://127.0.0.1:3000", "apiKey": "secret"}]'
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


class Question(BaseModel):
    """What a client asks. A real server reads temperature, top_p, max_tokens … as well."""

    model: str
    messages: Annotated[list[dict[str, str]], Field(min_length=1)]
    stream: bool = False


async def answer(messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
    """Yield the answer in pieces. Your model goes here; this one repeats what was said."""
    last = messages[-1].get("content", "")
    for word in re.findall(r"\S+\s*|\s+", f"I am an echo. You said: {last}"):
        yield word
        await asyncio.sleep(0.02)


async def reply(question: Question) -> AsyncGenerator[str, None]:
    """The body, as events or whole. Starlette cancels it, and `answer`, when the client leaves."""
    kind = "chat.completion.chunk" if question.stream else "chat.completion"
    head = {"id": f"chatcmpl-{secrets.token_hex(8)}", "object": kind, "created": int(time.time())}

    def body(finish: str | None, usage: dict[str, int] | None, **said: Any) -> str:
        choices = [{"index": 0, **said, "finish_reason": finish}]
        return json.dumps({**head, "model": question.model, "choices": choices, "usage": usage})

    words = []
    async with aclosing(answer(question.messages)) as pieces:
        async for word in pieces:
            words.append(word)
            if question.stream:
                yield f"data: {body(None, None, delta={'content': word})}\n\n"
    heard, said = len(str(question.messages).split()), len(words)  # tokens, in a real one
    usage = {"prompt_tokens": heard, "completion_tokens": said, "total_tokens": heard + said}
    if question.stream:
        yield f"data: {body('stop', usage, delta={})}\n\ndata: [DONE]\n\n"
    else:
        yield body("stop", usage, message={"role": "assistant", "content": "".join(words)})


def build_app(api_key: str) -> FastAPI:
    """The server; every path asks for the key, every error has OpenAI's shape."""

    def check(request: Request) -> None:
        sent = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(sent, f"Bearer {api_key}".encode()):
            raise HTTPException(401, "wrong or missing API key")

    def explain(_: Request, error: Exception) -> JSONResponse:
        status, text = getattr(error, "status_code", 400), getattr(error, "detail", str(error))
        return JSONResponse({"error": {"message": text, "type": "invalid_request_error"}}, status)

    wrong: dict[Any, Any] = {HTTPException: explain, RequestValidationError: explain}
    app = FastAPI(dependencies=[Depends(check)], exception_handlers=wrong)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [MODEL]}

    @app.post("/v1/chat/completions")
    def chat(question: Question) -> StreamingResponse:
        if question.model != MODEL["id"]:
            raise HTTPException(404, f"there is no model {question.model!r}")
        kind = "text/event-stream" if question.stream else "application/json"
        return StreamingResponse(reply(question), media_type=kind)

    return app


if __name__ == "__main__":
    key = os.environ.get("API_KEY") or sys.exit("set API_KEY, as in API_KEY=secret")
    uvicorn.run(build_app(key), host="0.0.0.0", port=int(os.environ.get("PORT", "3000")))
