"""Parses the bodies of error responses, in all the shapes that servers use.

OpenAI `{"error": {"message", "type", "param", "code"}}`; TGI, Ollama and LM Studio `{"error":
"text"}`; vLLM `{"object": "error", "message"}`; FastAPI `{"detail": …}`; AWS `{"Message"}`;
Cloudflare `{"errors": [{"message"}]}`; Google a list around the first, with `details`; OpenRouter
`error.metadata.raw`; MiniMax `base_resp`; llama.cpp adds `n_ctx` and `n_prompt_tokens`; gateways
put the JSON of the server behind them into the message; proxies send plain text or HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from akash_gradio.domain.redaction import redact
from akash_gradio.gateway.context_lengths import parse_lengths, token_count
from akash_gradio.gateway.delays import MAX_DELAY_S, delay_from_resets, parse_duration
from akash_gradio.gateway.surrogates import repair_surrogates

MAX_DETAIL_CHARACTERS: Final = 500
_MAX_BODY_CHARACTERS: Final = 65_536
_MAX_DEPTH: Final = 8
_MAX_OBJECTS: Final = 100
_MAX_MESSAGES: Final = 8
_MAX_ITEMS: Final = 8
"""How much of an error object is read."""

_MESSAGES: Final = (
    "message",
    "msg",
    "error_description",
    "detail",
    "error_message",
    "errormessage",
    "status_msg",
    "faultstring",
    "description",
    "title",
)
"""Fields with a message, the best first; in lower case, as all names here."""
_CODES: Final = ("code", "error_code", "errorcode")
_TYPES: Final = (*_CODES, "type", "__type", "status", "error_type", "reason")
_STATUSES: Final = ("code", "status", "status_code", "statuscode", "http_code")
_INSIDE: Final = (
    "errors",
    "detail",
    "details",
    "message",
    "metadata",
    "raw",
    "innererror",
    "inner_error",
    "base_resp",
    "fault",
    "cause",
    "response",
    "body",
)
"""Fields that may hold a further error object. Others may hold the request, and aren't read."""
_DELAYS: Final = {
    "retrydelay": 1.0,
    "retry_delay": 1.0,
    "retry_after": 1.0,
    "retryafter": 1.0,
    "retry_after_s": 1.0,
    "retry_after_seconds": 1.0,
    "retry_after_ms": 0.001,
    "estimated_time": 1.0,  # Hugging Face: until the model is loaded
}
"""Fields with a delay, and the seconds of their unit."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z][\w.:-]{0,63}|\d{4,8}")
_PARAM: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,99}")
_VAGUE: Final = re.compile(
    r"(?:an? |the )?(?:(?:unknown|internal|upstream|provider|server|service|bad|invalid) )*"
    r"(?:returned )?(?:an )?(?:error|request|failed|failure)(?: occurred)?\W*",
    re.IGNORECASE,
)
"""Messages that say nothing; the one of the server behind is better."""
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """A parsed error object.

    Attributes:
        detail: Its message, redacted, at most 500 characters.
        status: The HTTP status that it names, None when it names none.
        code: Its error code, in the grammar of an identifier, "" when it has none.
        param: The argument that it names as the cause, "" when it names none.
        codes: Every code and type in it, in lower case.
        messages: Every message in it as received, the outermost first; they are not shown.
        is_html: Whether it is a page in HTML.
        too_long: Whether a message says that the request exceeds the model's context.
        limit_tokens: Size of the context, None when not stated.
        requested_tokens: Size of the request, None when not stated.
        retry_after_s: The delay in a field of it, None without one.
    """

    detail: str = ""
    status: int | None = None
    code: str = ""
    param: str = ""
    codes: frozenset[str] = frozenset()
    messages: tuple[str, ...] = ()
    is_html: bool = False
    too_long: bool = False
    limit_tokens: int | None = None
    requested_tokens: int | None = None
    retry_after_s: float | None = None


def parse_error_body(body: bytes) -> ErrorBody:
    """Parse the body of an error response: JSON or plain text; HTML has no message."""
    text = str(body[: 4 * _MAX_BODY_CHARACTERS], "utf-8", "replace").strip("\ufeff \t\r\n")
    if text.startswith("data:"):
        text = text[5:].lstrip()
    if text.startswith("<"):
        return ErrorBody(is_html=True)
    findings = _Findings()
    if text.startswith(("{", "[", '"')):
        try:
            findings.read(json.loads(text))
        except (ValueError, RecursionError):
            return ErrorBody()
    else:
        findings.read(text)
    return findings.body()


def parse_error_object(value: object) -> ErrorBody | None:
    """Parse an error object; return None for a value without a message and an error."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return None
    findings = _Findings()
    findings.read(value)
    if findings.messages or first.get("error") or first.get("object") == "error":
        return findings.body()
    return None


def _lower(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an object with its names in lower case; the first of equal names wins."""
    fields: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(name, str):
            fields.setdefault(name.lower(), item)
    return fields


@dataclass(slots=True)
class _Findings:
    """What was found in an error object so far."""

    messages: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """The messages without those that only hold a further error object."""
    codes: set[str] = field(default_factory=set)
    code: str = ""
    param: str = ""
    status: int | None = None
    limit_tokens: int | None = None
    requested_tokens: int | None = None
    retry_after_s: float | None = None
    objects: int = 0

    def read(self, value: object, depth: int = 0) -> None:
        """Read an error object, a list of them, or a message."""
        self.objects += 1
        if depth > _MAX_DEPTH or self.objects > _MAX_OBJECTS:
            return
        if isinstance(value, str):
            self._read_message(value, depth)
        elif isinstance(value, list):
            self._read_list(value[:_MAX_ITEMS], depth)
        elif isinstance(value, dict):
            self._read_object(_lower(value), depth)

    def body(self) -> ErrorBody:
        """Return what was found."""
        best = next((text for text in self.shown if not _VAGUE.fullmatch(text)), None)
        detail = best or next(iter(self.shown), "")
        lengths = (parse_lengths(message) for message in self.messages)
        too_long = next((found for found in lengths if found[0]), (False, None, None))
        return ErrorBody(
            # A key that is cut at the end of the longer text is not in the shorter one.
            detail=redact(detail[: 4 * MAX_DETAIL_CHARACTERS]).strip()[:MAX_DETAIL_CHARACTERS],
            status=self.status,
            code=self.code,
            param=self.param,
            codes=frozenset(self.codes),
            messages=tuple(self.messages),
            too_long=too_long[0],
            limit_tokens=self.limit_tokens or too_long[1],
            requested_tokens=self.requested_tokens or too_long[2],
            retry_after_s=self.retry_after_s,
        )

    def _read_message(self, text: str, depth: int) -> None:
        text = repair_surrogates(text[:_MAX_BODY_CHARACTERS]).strip()
        if not text or len(self.messages) == _MAX_MESSAGES:
            return
        self.messages.append(text)
        shown = len(self.shown)
        inner = _error_within(text)
        if inner is not None:
            self.read(inner, depth + 1)
        if len(self.shown) == shown:
            self.shown.append(text)

    def _read_list(self, items: list[Any], depth: int) -> None:
        validation = [text for item in items if (text := _validation_message(item))]
        if validation:
            self._read_message("; ".join(validation), depth)
            return
        for item in items:
            self.read(item, depth + 1)

    def _read_object(self, fields: Mapping[str, Any], depth: int) -> None:
        self._read_facts(fields)
        error, message = fields.get("error"), _first_text(fields)
        if _is_text(error) and message and _IDENTIFIER.fullmatch(error):
            self._read_code(error)  # OAuth: a code and its description
        elif error:
            self.read(error, depth + 1)
        if message:
            self._read_message(message, depth)
        for name in _INSIDE:
            inner = fields.get(name)
            if name == "base_resp" and isinstance(inner, dict) and not inner.get("status_code"):
                continue  # MiniMax: success
            if isinstance(inner, dict | list) or (name == "raw" and _is_text(inner)):
                self.read(inner, depth + 1)
        if not self.messages and depth:
            self._read_field_messages(fields, depth)

    def _read_field_messages(self, fields: Mapping[str, Any], depth: int) -> None:
        """Read what some frameworks send: the name of a field with a list of messages."""
        for name, texts in list(fields.items())[:_MAX_ITEMS]:
            if isinstance(texts, list) and texts and _is_text(texts[0]):
                self._read_message(f"{name[:40]}: {texts[0]}", depth)

    def _read_facts(self, fields: Mapping[str, Any]) -> None:
        self.status = self.status or _status(fields)
        self.limit_tokens = self.limit_tokens or token_count(fields.get("n_ctx"))
        requested = token_count(fields.get("n_prompt_tokens"))
        self.requested_tokens = self.requested_tokens or requested
        for name in _TYPES:
            value = fields.get(name)
            if _is_text(value):
                self.codes.add(value[:64].lower())
        for name in _CODES:
            self._read_code(fields.get(name))
        param = fields.get("param")
        if not self.param and isinstance(param, str) and _PARAM.fullmatch(param):
            self.param = redact(param)
        if self.retry_after_s is None:
            self.retry_after_s = _delay(fields)

    def _read_code(self, value: object) -> None:
        """Keep a code that says more than a status."""
        if type(value) is int:
            value = str(value)
        if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
            return
        self.codes.add(value.lower())
        self.code = self.code or redact(value)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _first_text(fields: Mapping[str, Any]) -> str:
    return next((text for name in _MESSAGES if _is_text(text := fields.get(name))), "")


def _error_within(text: str) -> object:
    """Return the error object that a message holds, None when it holds none."""
    start = min((i for i in (text.find("{"), text.find("[{")) if i >= 0), default=-1)
    if start < 0:
        return None
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return None
    names = _lower(first).keys() & {"error", "errors", "message", "msg", "detail", "fault"}
    return value if names else None


def _validation_message(item: object) -> str:
    """Return field and message of a FastAPI error; its `input` may hold the prompt."""
    if not isinstance(item, dict):
        return ""
    path, message = item.get("loc"), item.get("msg")
    if not isinstance(path, list) or not _is_text(message):
        return ""
    return f"{'.'.join(str(part) for part in path[:8] if isinstance(part, str | int))}: {message}"


def _status(fields: Mapping[str, Any]) -> int | None:
    for name in _STATUSES:
        value = fields.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return None


def _delay(fields: Mapping[str, Any]) -> float | None:
    """Return the delay in a field, in seconds."""
    for name, unit_s in _DELAYS.items():
        value = fields.get(name)
        if isinstance(value, str) and not value.strip().isdigit():
            delay_s = parse_duration(value)
        else:
            delay_s = _number(value, unit_s)
        if delay_s is not None:
            return delay_s
    headers = fields.get("headers")
    if not isinstance(headers, dict):
        return None
    texts = {name: str(value)[:40] for name, value in list(_lower(headers).items())[:20]}
    return delay_from_resets(texts, now=datetime.now(UTC))


def _number(value: object, unit_s: float) -> float | None:
    if isinstance(value, str) and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(MAX_DELAY_S, value * unit_s) if 0 <= value < 1e12 else None
