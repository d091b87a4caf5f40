"""The bytes of the OpenAI protocol that the stubs send."""

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
    """Encode JSON as UTF-8 without escapes, so that splitting bytes can split characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def chunk(
    delta: Mapping[str, Any] | None, finish: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Return one streamed chunk; `delta` None gives an empty list of choices."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "system_fingerprint": "fp_stub",
        "choices": [] if delta is None else choices,
        **fields,
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
    """Return a complete stream as one value."""
    return b"".join([role_event(), *map(text_event, tokens), finish_event(), DONE])


def completion(text: str = TEXT, **fields: Any) -> dict[str, Any]:
    """Return the response to a request without `stream`."""
    message = {"role": "assistant", "content": text, **fields}
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
    """Return a `/v1/models` response, with the context under every name that servers use."""
    context = {"context_length": context_length, "max_model_len": context_length}
    entries = [
        {"id": m, "object": "model", "created": 1_700_000_000, "owned_by": "stub", **context}
        for m in models
    ]
    return {"object": "list", "data": entries}
