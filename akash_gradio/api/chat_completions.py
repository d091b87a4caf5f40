"""`POST /v1/chat/completions`: forwards the gateway's bytes to the client."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, Protocol
from urllib.parse import quote

from akash_gradio.api.http_call import HttpCall
from akash_gradio.api.schemas import MAX_BODY_BYTES, parse_chat_request
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.domain.errors import UnknownModel, UserError
from akash_gradio.domain.events import Finished, Retrying, Started
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.size_limits import JSON_VALUES
from akash_gradio.domain.visitor import CURRENT_VISITOR, Visitor
from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from akash_gradio.http.body import BodyTooLarge, read_body
from akash_gradio.http.disconnect import cancel_on_connection_lost, cancel_on_disconnect
from akash_gradio.http.json_values import has_many_values, may_have_many_values
from akash_gradio.quota.limiter import RateLimit, RateLimiter
from akash_gradio.quota.parameters import check_parameters
from akash_gradio.work.pool import WorkFailed, WorkPool

DONE: Final = b"data: [DONE]\n\n"
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
_SAFE_IN_HEADER: Final = " :/@+,"


class PassthroughBackend(Protocol):
    """The source of answers: a `Gateway`, or a `QuotaGateway` in front of it."""

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...


async def complete(
    call: HttpCall,
    gateway: PassthroughBackend,
    auth: ApiKeyAuth,
    limiter: RateLimiter,
    work: WorkPool,
) -> None:
    """Respond to one chat completion request.

    Raises:
        UserError: The request is refused, or failed before its first token.
        ClientDisconnected: The client closed the connection before its body was complete.
    """
    client = auth.authenticate(call.scope)
    body = None if call.connection is None else call.connection.take_body()
    if body is None:
        body = await _read_body(call, client.name)
    if may_have_many_values(body):
        await _check_values(body, work)
    request = parse_chat_request(body, client.models)
    if not client.may_use(request.model):
        raise UnknownModel(request.model)
    if client.limited:
        check_parameters(request)
    if client.requests_per_minute is not None:
        await limiter.admit(RateLimit("requests", client.requests_per_minute), client.name)
    CURRENT_VISITOR.set(
        Visitor(
            id=f"key:{client.name}",
            tokens_per_day=client.tokens_per_day,
            cost_per_day=client.cost_per_day,
        )
    )
    connection = call.connection
    if connection is None:
        await cancel_on_disconnect(_forward(call, gateway, request), call.receive)
        return
    if request.stream:
        request = replace(request, sink=connection)
    await cancel_on_connection_lost(_forward(call, gateway, request), connection)


async def _check_values(body: bytes, work: WorkPool) -> None:
    """Refuse a body before a parser makes too many objects of it."""
    try:
        too_many = await work.run(has_many_values, body)
    except WorkFailed:
        too_many = True
    if too_many:
        raise UserError("too_many_values", {"limit": f"{JSON_VALUES:,}"}, 413)


async def _read_body(call: HttpCall, key_name: str) -> bytes:
    try:
        return await read_body(
            call.receive,
            limit_bytes=MAX_BODY_BYTES,
            content_length=call.header("content-length"),
            owner=f"key:{key_name}",
        )
    except BodyTooLarge as error:
        facts = {"limit_mib": error.limit // 1024 // 1024}
        raise UserError("request_too_large", facts, 413) from None


async def _forward(
    call: HttpCall, gateway: PassthroughBackend, request: PassthroughRequest
) -> None:
    """Forward the answer.

    The headers wait for the first bytes, so that a failure before them has its own status.
    """
    headers: dict[str, str] = {}
    attempts = 1
    try:
        async with aclosing(gateway.passthrough(request)) as items:
            async for item in items:
                if type(item) is bytes:
                    if call.started:
                        await call.send_chunk(item)
                    elif request.stream:
                        await call.start(200, STREAM_HEADERS | headers)
                        await call.send_chunk(item)
                    else:
                        await call.respond(item, headers=headers)
                elif isinstance(item, Started):
                    headers = _routing_headers(item, request.model, attempts)
                elif isinstance(item, Retrying):
                    attempts += 1
                elif isinstance(item, Finished) and request.stream:
                    await _finish_stream(call, request, item.receipt, headers)
    except UserError as error:
        if not call.started:
            raise
        await call.fail(error)


async def _finish_stream(
    call: HttpCall, request: PassthroughRequest, receipt: Receipt, headers: dict[str, str]
) -> None:
    if not call.started:
        await call.start(200, STREAM_HEADERS | headers)
    is_reported = receipt.tokens_out is not None and receipt.tokens_out.reported
    usage = _usage_event(receipt) if request.include_usage and not is_reported else b""
    await call.finish(usage + DONE)


def _routing_headers(started: Started, requested_model: str, attempts: int) -> dict[str, str]:
    headers = {
        "x-endpoint": _quote_header(started.endpoint),
        "x-attempts": str(attempts),
    }
    if started.model != requested_model:
        headers["x-fallback-model"] = _quote_header(started.model)
    return headers


@lru_cache(maxsize=256)
def _quote_header(name: str) -> str:
    return quote(name, safe=_SAFE_IN_HEADER)


def _usage_event(receipt: Receipt) -> bytes:
    """Return the requested usage where the endpoint reports none, marked as estimated."""
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
