"""The OpenAI protocol's bytes, as the stubs send them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

TOKENS = ("Hel", "lo", ", Grüße", " 👩‍🚀", " \u2028", "\n\n```py\nx", " < 1\n```", " データ", ".")
TEXT = "".join(TOKENS)
REASONING = ("Let me ", "think ü")
DONE = b"data: [DONE]\n\n"
TEXT_IN_HALVES = (TOKENS[:4], TOKENS[4:])
USAGE = {"prompt_tokens": 13, "completion_tokens": len(TOKENS), "total_tokens": 13 + len(TOKENS)}


def to_json(value: object) -> bytes:
    """JSON in UTF-8, with every character as itself, so that splitting bytes splits characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chunk(
    delta: Mapping[str, Any] | None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    """One streamed chunk; `delta` None gives an empty list of choices."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp_stub",
        "choices": [] if delta is None else choices,
        **more,
    }


def event(value: object) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def text_event(text: str) -> bytes:
    return event(chunk({"content": text}))


def role_event() -> bytes:
    return event(chunk({"role": "assistant", "content": ""}))


def finish_event(reason: str = "stop") -> bytes:
    return event(chunk({}, reason))


def usage_event(usage: Mapping[str, Any] = USAGE) -> bytes:
    return event(chunk(None, usage=usage))


def stream_body(tokens: Iterable[str] = TOKENS) -> bytes:
    """A whole stream, as one value."""
    return b"".join([role_event(), *map(text_event, tokens), finish_event(), DONE])


def completion(text: str = TEXT, **more: Any) -> dict[str, Any]:
    """A whole answer, not streamed."""
    message = {"role": "assistant", "content": text, **more}
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp_stub",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def error(
    message: str, kind: str = "server_error", code: str | int | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def model_list(models: Iterable[str], context_length: int = 8192) -> dict[str, Any]:
    """`/v1/models` with the context under each of the names that servers use."""
    context = {"context_length": context_length, "max_model_len": context_length}
    entries = [
        {"id": m, "object": "model", "created": 1_700_000_000, "owned_by": "stub", **context}
        for m in models
    ]
    return {"object": "list", "data": entries}
