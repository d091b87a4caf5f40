"""Turns error responses into the errors of the tree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import (
    ContextExceeded,
    EndpointMalformed,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.gateway.delays import delay_from_headers, delay_from_resets, delay_from_text
from akash_gradio.gateway.error_bodies import ErrorBody, parse_error_body
from akash_gradio.gateway.failure_policy import VERDICTS, Scope
from akash_gradio.gateway.failure_rules import STATUS_OF_KIND, STATUS_OF_TYPE, classify, unquoted

_DELAYED: Final = frozenset({429, 503, 529})
"""Statuses whose messages may name a delay: a client can't cause others to repeat its words."""


def error_from_response(
    alias: str,
    status: int,
    body: bytes,
    headers: Mapping[str, str] = EMPTY_MAPPING,
) -> EndpointRefused | RequestRefused:
    """Return the error for an HTTP response other than success.

    Args:
        alias: The endpoint's public name.
        status: The HTTP status.
        body: As much of it as was read, decompressed.
        headers: The response's headers, by lower-case names.

    Returns:
        `ContextExceeded` for a request that exceeds the context, `RequestRefused` for another
        failure of the request, `EndpointRefused` for any other; see `failure_rules`.
    """
    parsed = parse_error_body(body)
    return _error(alias, status, parsed, _delay(status, parsed, headers))


def error_from_body(
    alias: str, body: ErrorBody
) -> EndpointMalformed | EndpointRefused | RequestRefused:
    """Return the error for an error object in a response with status 200 or in a stream."""
    status = body.status or next((STATUS_OF_TYPE[c] for c in body.codes if c in STATUS_OF_TYPE), 0)
    if not status:
        kind = _classify(400, body)
        if kind in (FailureKind.INVALID, FailureKind.BLOCKED):
            return EndpointMalformed(alias, "error_body", body.detail)
        status = STATUS_OF_KIND.get(kind, 400)
    return _error(alias, status, body, _delay(status, body, EMPTY_MAPPING))


def _error(
    alias: str, status: int, body: ErrorBody, retry_after_s: float | None
) -> EndpointRefused | RequestRefused:
    kind = _classify(status, body)
    if kind is FailureKind.TOO_LONG:
        return ContextExceeded(
            alias,
            status,
            body.detail,
            upstream_code=body.code,
            param=body.param,
            limit_tokens=body.limit_tokens,
            requested_tokens=body.requested_tokens,
        )
    if VERDICTS[kind].scope is Scope.REQUEST:
        return RequestRefused(
            alias, status, body.detail, upstream_code=body.code, param=body.param, kind=kind
        )
    return EndpointRefused(
        alias,
        status,
        retry_after_s=retry_after_s,
        detail=body.detail,
        upstream_code=body.code,
        kind=kind,
    )


def _classify(status: int, body: ErrorBody) -> FailureKind:
    return classify(
        status,
        messages=body.messages,
        codes=body.codes,
        is_html=body.is_html,
        too_long=body.too_long,
    )


def _delay(status: int, body: ErrorBody, headers: Mapping[str, str]) -> float | None:
    """Return the delay that the endpoint asks for: of a header, a field, or a message."""
    now = datetime.now(UTC)
    delay_s = delay_from_headers(headers, now=now)
    if delay_s is not None or status not in _DELAYED:
        return delay_s
    if body.retry_after_s is not None:
        return body.retry_after_s
    in_text = (delay_from_text(unquoted(message)) for message in body.messages)
    delay_s = next((seconds for seconds in in_text if seconds is not None), None)
    return delay_from_resets(headers, now=now) if delay_s is None and status == 429 else delay_s
