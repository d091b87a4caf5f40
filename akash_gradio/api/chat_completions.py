"""`POST /v1/chat/completions`: the gateway's bytes become the caller's."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, Protocol
from urllib.parse import quote

from akash_gradio.api.errors import fault_of, no_such_model
from akash_gradio.api.http_call import Call
from akash_gradio.api.schemas import read_body, read_question
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.events import Finished, Retrying, Started
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from akash_gradio.http.disconnect import cancel_on_connection_lost, cancel_on_disconnect

DONE: Final = b"data: [DONE]\n\n"
STREAM: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
SAFE_IN_A_HEADER: Final = " :/@+,"


class PassthroughBackend(Protocol):
    """What the answers come from: a `Gateway`."""

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...


async def complete(call: Call, gateway: PassthroughBackend, auth: ApiKeyAuth) -> None:
    """Answer one question. Raises Fault before the first token, LeftEarly."""
    caller = auth.admit(call.scope)
    asked = read_question(
        await read_body(call.receive, call.header("content-length")), caller.models
    )
    if not caller.may_use(asked.model):
        raise no_such_model(asked.model)
    caller.spend()
    CURRENT_VISITOR.set(Visitor(id=f"key:{caller.name}"))
    connection = call.connection
    if connection is None:
        await cancel_on_disconnect(_pass_on(call, gateway, asked), call.receive)
        return
    if asked.stream:
        asked = replace(asked, sink=connection)
    await cancel_on_connection_lost(_pass_on(call, gateway, asked), connection)


async def _pass_on(call: Call, gateway: PassthroughBackend, asked: PassthroughRequest) -> None:
    """The headers wait for the first bytes, so that a failure before them has its own status."""
    head: dict[str, str] = {}
    attempts = 1
    try:
        async with aclosing(gateway.passthrough(asked)) as said:
            async for item in said:
                if type(item) is bytes:
                    if call.begun:
                        await call.more(item)
                    elif asked.stream:
                        await call.begin(200, STREAM | head)
                        await call.more(item)
                    else:
                        await call.reply(item, headers=head)
                elif isinstance(item, Started):
                    head = _head(item, asked.model, attempts)
                elif isinstance(item, Retrying):
                    attempts += 1
                elif isinstance(item, Finished) and asked.stream:
                    await _end(call, asked, item.receipt, head)
    except AkashGradioError as error:
        fault = fault_of(error)
        if not call.begun:
            raise fault from None
        await call.fail(fault)


async def _end(
    call: Call, asked: PassthroughRequest, receipt: Receipt, head: dict[str, str]
) -> None:
    if not call.begun:
        await call.begin(200, STREAM | head)
    reported = receipt.tokens_out is not None and receipt.tokens_out.reported
    owed = asked.include_usage and not reported
    await call.end((_usage_event(receipt) if owed else b"") + DONE)


def _head(started: Started, asked_model: str, attempts: int) -> dict[str, str]:
    head = {
        "x-endpoint": _in_a_header(started.endpoint),
        "x-attempts": str(attempts),
    }
    if started.model != asked_model:
        head["x-fallback-model"] = _in_a_header(started.model)
    return head


@lru_cache(maxsize=256)
def _in_a_header(name: str) -> str:
    return quote(name, safe=SAFE_IN_A_HEADER)


def _usage_event(receipt: Receipt) -> bytes:
    """The usage that was asked for where the endpoint doesn't report it; marked as estimated."""
    tokens_in = receipt.tokens_in.tokens if receipt.tokens_in else 0
    tokens_out = receipt.tokens_out.tokens if receipt.tokens_out else 0
    usage: dict[str, Any] = {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "estimated": True,
    }
    chunk = {
        "id": receipt.upstream_id,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": receipt.answering_model,
        "choices": [],
        "usage": usage,
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
