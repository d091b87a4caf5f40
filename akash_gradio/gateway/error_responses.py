"""Parses error responses, in all the shapes that servers use.

OpenAI `{"error": {"message", "type", "code"}}`; TGI and LM Studio `{"error": "text"}`;
vLLM `{"object": "error", "message"}`; FastAPI `{"detail": …}`; Cloudflare
`{"errors": [{"message"}]}`; Google a list around the first; llama.cpp adds `n_ctx` and
`n_prompt_tokens`; proxies send plain text or HTML.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.domain.errors import (
    ContextExceeded,
    EndpointMalformed,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.domain.redaction import redact
from akash_gradio.gateway.surrogates import repair_surrogates

MAX_DETAIL_CHARACTERS: Final = 500
_MAX_BODY_CHARACTERS: Final = 65_536
_REQUEST_AT_FAULT: Final = frozenset({400, 413, 422})
_MAY_MEAN_TOO_LONG: Final = _REQUEST_AT_FAULT | {500}
_TOO_LONG_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "model_context_window_exceeded",
        "model_max_prompt_tokens_exceeded",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """A parsed error object.

    Attributes:
        detail: Its message, redacted, at most 500 characters.
        status: The HTTP status that it names, None when it names none.
        too_long: Whether the request exceeds the model's context.
        limit_tokens: Size of the context, None when not stated.
        requested_tokens: Size of the request, None when not stated.
    """

    detail: str = ""
    status: int | None = None
    too_long: bool = False
    limit_tokens: int | None = None
    requested_tokens: int | None = None


def error_from_response(
    alias: str, status: int, body: bytes, retry_after_s: float | None
) -> EndpointRefused | RequestRefused:
    """Return the error for an HTTP response other than success.

    Args:
        body: As much of it as was read, decompressed.
        retry_after_s: The delay from the response's headers.

    Returns:
        `ContextExceeded` for a request that exceeds the context, `RequestRefused` for another
        400, 413 or 422, `EndpointRefused` for any other status.
    """
    return _error_for_status(alias, status, parse_error_body(body), retry_after_s)


def error_from_body(
    alias: str, body: ErrorBody
) -> EndpointMalformed | EndpointRefused | RequestRefused:
    """Return the error for an error object in a response with status 200 or in a stream."""
    if body.status is not None:
        return _error_for_status(alias, body.status, body, None)
    if body.too_long:
        return _context_exceeded(alias, 400, body)
    return EndpointMalformed(alias, "error_body", body.detail)


def _error_for_status(
    alias: str, status: int, body: ErrorBody, retry_after_s: float | None
) -> EndpointRefused | RequestRefused:
    if body.too_long and status in _MAY_MEAN_TOO_LONG:
        return _context_exceeded(alias, status, body)
    if status in _REQUEST_AT_FAULT:
        return RequestRefused(alias, status, body.detail)
    return EndpointRefused(alias, status, retry_after_s=retry_after_s, detail=body.detail)


def _context_exceeded(alias: str, status: int, body: ErrorBody) -> ContextExceeded:
    return ContextExceeded(
        alias,
        status,
        body.detail,
        limit_tokens=body.limit_tokens,
        requested_tokens=body.requested_tokens,
    )


def parse_error_body(body: bytes) -> ErrorBody:
    """Parse the body of an error response: JSON or plain text; HTML has no message."""
    text = str(body[: 4 * _MAX_BODY_CHARACTERS], "utf-8", "replace").strip("\ufeff \t\r\n")
    if text.startswith("data:"):
        text = text[5:].lstrip()
    if text.startswith("<"):
        return ErrorBody()
    if text.startswith(("{", "[")):
        try:
            parsed = parse_error_object(json.loads(text))
        except (ValueError, RecursionError):
            return ErrorBody()
        return parsed or ErrorBody()
    return _error_body({}, {}, text)


def parse_error_object(value: object) -> ErrorBody | None:
    """Parse an error object; return None when the value isn't one."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict) and error:
        return _error_body(error, value, _message(error) or _message(value))
    if isinstance(error, str) and error:
        return _error_body(value, {}, error)
    errors = value.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {"message": errors[0]}
        return _error_body(first, value, _message(first))
    message = _message(value)
    if message or error or value.get("object") == "error":
        return _error_body(value, {}, message)
    return None


def _message(source: dict[str, Any]) -> str:
    """Return the message of an error object, "" when it has none."""
    for name in ("message", "detail", "msg", "error_description"):
        value = source.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list):
            return "; ".join(filter(None, map(_validation_message, value[:8])))
        if isinstance(value, dict):
            inner = value.get("error", value)
            message = inner if isinstance(inner, str) else _inner_message(inner)
            if message:
                return message
    return ""


def _inner_message(value: object) -> str:
    message = value.get("message", value.get("msg")) if isinstance(value, dict) else value
    return message if isinstance(message, str) else ""


def _validation_message(item: object) -> str:
    """Return field and message of a FastAPI error; its `input` may hold the prompt."""
    message = _inner_message(item)
    field = item.get("loc") if isinstance(item, dict) else None
    if not isinstance(field, list) or not message:
        return message
    return f"{'.'.join(str(part) for part in field[:8] if isinstance(part, str | int))}: {message}"


def _error_body(source: dict[str, Any], outer: dict[str, Any], message: str) -> ErrorBody:
    text = repair_surrogates(message[:_MAX_BODY_CHARACTERS])
    codes = (source.get("code"), source.get("type"))
    too_long_by_code = any(isinstance(code, str) and code in _TOO_LONG_CODES for code in codes)
    too_long_by_text, limit_tokens, requested_tokens = _parse_lengths(text)
    return ErrorBody(
        detail=redact(text).strip()[:MAX_DETAIL_CHARACTERS],
        status=_status(source) or _status(outer),
        too_long=too_long_by_code or too_long_by_text,
        limit_tokens=_token_count(source.get("n_ctx")) or limit_tokens,
        requested_tokens=_token_count(source.get("n_prompt_tokens")) or requested_tokens,
    )


def _status(source: dict[str, Any]) -> int | None:
    for name in ("code", "status", "status_code", "statusCode"):
        value = source.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return None


def _token_count(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 53 else None


# The messages of OpenAI, vLLM, SGLang, TGI, llama.cpp, LM Studio, Mistral, Gemini and xAI,
# as their issue trackers quote them. A group is a number of tokens; a match of a pattern in
# `_LIMITS` means by itself that the request is too long.
_LIMITS: Final = tuple(
    re.compile(pattern.replace("#", r"(\d[\d,]{0,14})"), re.IGNORECASE)
    for pattern in (
        r"context length (?:is |of )?(?:only )?(?:of )?\(?#",
        r"maximum context length:? #",
        r"available context size \(#",
        r"maximum model length of #",
        r"maximum prompt length is #",
        r"# maximum context length",
        r"context window (?:of|is) (?:only )?#",
        r"must have less than # tokens",
        r"`max_new_tokens` must be <= #",
        r"tokens > # maximum",
        r"maximum number of tokens allowed \(#",
        r"n_ctx: #",
        r"exceeds? (?:the )?(?:model'?s )?(?:maximum |available )?context (?:length|size|window)",
        r"context (?:length|size|window) (?:has been |was )?exceeded",
        r"reduce the length of the (?:messages|prompt|input)",
    )
)
_REQUESTED: Final = tuple(
    re.compile(pattern.replace("#", r"(\d[\d,]{0,14})"), re.IGNORECASE)
    for pattern in (
        r"total of (?:at least )?# ",
        r"requested (?:about )?# tokens",
        r"resulted in # tokens",
        r"too large: #\..{0,120}your request has # input tokens",
        r"passed # input tokens and requested # output tokens",
        r"given: # `inputs` tokens and # `max_new_tokens`",
        r"given: #",
        r"request \(# tokens",
        r"input \(# tokens",
        r"prompt \((?:total )?length #",
        r"contains (?:at least )?# (?:input )?tokens",
        r"input length #",
        r"token count \(#",
        r"first # tokens",
        r"n_keep: #",
        r"request contains # tokens",
        r"too long: #",
    )
)
_MAX_MESSAGE_CHARACTERS: Final = 2000
"""How much of a message is searched for lengths."""


def _parse_lengths(text: str) -> tuple[bool, int | None, int | None]:
    """Return whether the message means "too long", the limit, and the requested tokens."""
    text = text[:_MAX_MESSAGE_CHARACTERS]
    matches = [match for pattern in _LIMITS if (match := pattern.search(text))]
    if not matches:
        return False, None, None
    limit = next((_sum(match) for match in matches if match.groups()), None)
    requested = next(
        (_sum(match) for pattern in _REQUESTED if (match := pattern.search(text))), None
    )
    return True, limit, requested


def _sum(match: re.Match[str]) -> int:
    return sum(int(number.replace(",", "")) for number in match.groups())
