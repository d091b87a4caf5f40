"""What an endpoint says when it says no, in all the shapes that servers use.

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
from akash_gradio.gateway.surrogates import mended

DETAIL_CHARACTERS: Final = 500
_READ_CHARACTERS: Final = 65_536
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
class Fault:
    """An error object, read. detail: scrubbed, at most 500 characters.

    status: the HTTP status it names, None when it names none. too_long: the request is
    past the model's context, of limit_tokens, with requested_tokens; None where not said.
    """

    detail: str = ""
    status: int | None = None
    too_long: bool = False
    limit_tokens: int | None = None
    requested_tokens: int | None = None


def error_from_response(
    alias: str, status: int, body: bytes, retry_after_s: float | None
) -> EndpointRefused | RequestRefused:
    """The error for an HTTP answer that is no success.

    `ContextExceeded` for a request past the context, `RequestRefused` for another 400, 413
    or 422, `EndpointRefused` for any other status. body: as much as was read, decompressed.
    retry_after_s: seconds from the answer's headers.
    """
    return _refused(alias, status, read_fault(body), retry_after_s)


def fault_error(alias: str, fault: Fault) -> EndpointMalformed | EndpointRefused | RequestRefused:
    """The error for an error object that came with status 200 or inside a stream."""
    if fault.status is not None:
        return _refused(alias, fault.status, fault, None)
    if fault.too_long:
        return _too_long(alias, 400, fault)
    return EndpointMalformed(alias, "error_body", fault.detail)


def _refused(
    alias: str, status: int, fault: Fault, retry_after_s: float | None
) -> EndpointRefused | RequestRefused:
    if fault.too_long and status in _MAY_MEAN_TOO_LONG:
        return _too_long(alias, status, fault)
    if status in _REQUEST_AT_FAULT:
        return RequestRefused(alias, status, fault.detail)
    return EndpointRefused(alias, status, retry_after_s=retry_after_s, detail=fault.detail)


def _too_long(alias: str, status: int, fault: Fault) -> ContextExceeded:
    return ContextExceeded(
        alias,
        status,
        fault.detail,
        limit_tokens=fault.limit_tokens,
        requested_tokens=fault.requested_tokens,
    )


def read_fault(body: bytes) -> Fault:
    """What an error body says: JSON, plain text, or nothing (HTML)."""
    text = str(body[: 4 * _READ_CHARACTERS], "utf-8", "replace").strip("\ufeff \t\r\n")
    if text.startswith("data:"):
        text = text[5:].lstrip()
    if text.startswith("<"):
        return Fault()
    if text.startswith(("{", "[")):
        try:
            fault = fault_in(json.loads(text))
        except (ValueError, RecursionError):
            return Fault()
        return fault or Fault()
    return _fault({}, {}, text)


def fault_in(value: object) -> Fault | None:
    """What an error object says; None when the value is no error object."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict) and error:
        return _fault(error, value, _words(error) or _words(value))
    if isinstance(error, str) and error:
        return _fault(value, {}, error)
    errors = value.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {"message": errors[0]}
        return _fault(first, value, _words(first))
    words = _words(value)
    if words or error or value.get("object") == "error":
        return _fault(value, {}, words)
    return None


def _words(source: dict[str, Any]) -> str:
    """The sentence of an error object, "" when it has none."""
    for name in ("message", "detail", "msg", "error_description"):
        value = source.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list):
            return "; ".join(filter(None, map(_complaint, value[:8])))
        if isinstance(value, dict):
            inner = value.get("error", value)
            found = inner if isinstance(inner, str) else _sentence(inner)
            if found:
                return found
    return ""


def _sentence(value: object) -> str:
    words = value.get("message", value.get("msg")) if isinstance(value, dict) else value
    return words if isinstance(words, str) else ""


def _complaint(item: object) -> str:
    """One of FastAPI's: where and what. Its `input` may be the visitor's text and stays out."""
    words = _sentence(item)
    place = item.get("loc") if isinstance(item, dict) else None
    if not isinstance(place, list) or not words:
        return words
    return f"{'.'.join(str(p) for p in place[:8] if isinstance(p, str | int))}: {words}"


def _fault(source: dict[str, Any], around: dict[str, Any], text: str) -> Fault:
    text = mended(text[:_READ_CHARACTERS])
    limit, asked = _token_count(source.get("n_ctx")), _token_count(source.get("n_prompt_tokens"))
    codes = (source.get("code"), source.get("type"))
    by_code = any(isinstance(code, str) and code in _TOO_LONG_CODES for code in codes)
    said, said_limit, said_asked = _read_lengths(text)
    return Fault(
        detail=redact(text).strip()[:DETAIL_CHARACTERS],
        status=_status(source) or _status(around),
        too_long=by_code or said,
        limit_tokens=limit or said_limit,
        requested_tokens=asked or said_asked,
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


# The sentences of OpenAI, vLLM, SGLang, TGI, llama.cpp, LM Studio, Mistral, Gemini and xAI,
# as their issue trackers quote them. A group is a number of tokens; a pattern of `_LIMITS`
# that matches says by itself that the request is too long.
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
_ASKED: Final = tuple(
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
_SENTENCE_CHARACTERS: Final = 2000


def _read_lengths(text: str) -> tuple[bool, int | None, int | None]:
    """Whether the text says "too long"; the limit and what was asked, in tokens."""
    text = text[:_SENTENCE_CHARACTERS]
    matches = [match for pattern in _LIMITS if (match := pattern.search(text))]
    if not matches:
        return False, None, None
    limit = next((_sum(match) for match in matches if match.groups()), None)
    asked = next((_sum(match) for pattern in _ASKED if (match := pattern.search(text))), None)
    return True, limit, asked


def _sum(match: re.Match[str]) -> int:
    return sum(int(number.replace(",", "")) for number in match.groups())
