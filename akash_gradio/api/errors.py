"""Renders errors of `/v1` as OpenAI's clients expect them: a status and `{"error": {...}}`.

The status decides which exception OpenAI's SDKs raise; `type`, `code` and `param` are OpenAI's
fields. `TEXTS` is the only place with wording.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import AllEndpointsFailed, EndpointRefused, UserError
from akash_gradio.domain.failure_kinds import FailureKind

INVALID: Final = "invalid_request_error"
RATE_LIMIT: Final = "rate_limit_error"
RATE_LIMIT_CODE: Final = "rate_limit_exceeded"
QUOTA: Final = "insufficient_quota"
SERVER: Final = "server_error"


@dataclass(frozen=True, slots=True)
class ErrorText:
    """The wording of one error code, and its fields in OpenAI's shape.

    Attributes:
        message: Sentence for the client; `{name}` is replaced by the fact of that name.
        type: OpenAI's error type.
        code: OpenAI's error code, None where OpenAI has none.
        param: The field of the request that is wrong; may contain `{name}`.
        headers: Headers of the response, lower-case names; values may contain `{name}`.
        retry_after_s: Retry-After where the facts name no delay, in seconds.
    """

    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)
    retry_after_s: float | None = None


_KEY_HINT: Final = "Send it as Authorization: Bearer <key>."
_BEARER: Final = {"www-authenticate": "Bearer"}

TEXTS: Final[Mapping[str, ErrorText]] = {
    # Authentication
    "api_key_missing": ErrorText(
        f"No API key was provided. {_KEY_HINT}", code="invalid_api_key", headers=_BEARER
    ),
    "api_key_invalid": ErrorText(
        f"Incorrect API key provided. {_KEY_HINT}", code="invalid_api_key", headers=_BEARER
    ),
    "no_api_keys_configured": ErrorText(
        "No API keys are configured on this server (GATEWAY_API_KEYS). Without them /v1 answers "
        "only requests from the machine it runs on that come through no proxy, and none where "
        "the page is protected or published.",
        code="no_api_keys_configured",
    ),
    # Routing
    "not_found": ErrorText("There is nothing at {path}.", code="not_found"),
    "method_not_allowed": ErrorText("Use {allowed} for this path.", headers={"allow": "{allowed}"}),
    # Request bodies
    "request_too_large": ErrorText(
        "The body is larger than {limit_mib} MiB.", code="request_too_large"
    ),
    "body_too_slow": ErrorText("The body arrived too slowly.", code="request_timeout"),
    "bodies_full": ErrorText(
        "The server is receiving too many large requests.", SERVER, "overloaded"
    ),
    "body_lone_surrogate": ErrorText("The body contains half of a surrogate pair."),
    "body_not_utf8": ErrorText("The body is not UTF-8."),
    "body_nested_too_deeply": ErrorText("The body is nested too deeply."),
    "too_many_values": ErrorText("The body has more than {limit} JSON values."),
    "body_not_json": ErrorText("The body is not JSON, or contains a number that is too long."),
    "body_not_object": ErrorText("The body must be a JSON object."),
    "model_required": ErrorText(
        "`model` must be the name of a model; GET /v1/models lists them.", param="model"
    ),
    "messages_required": ErrorText(
        "`messages` must be a list with at least one message.", param="messages"
    ),
    "message_not_object": ErrorText(
        "Each of `messages` must be an object with a role and content.", param="messages"
    ),
    "stream_not_boolean": ErrorText("`stream` must be true or false.", param="stream"),
    "stream_options_not_object": ErrorText(
        "`stream_options` must be an object.", param="stream_options"
    ),
    "n_out_of_range": ErrorText("`n` must be a whole number from 1 to 128.", param="n"),
    # Models, and what the operator allows
    "unknown_model": ErrorText(
        "The model `{model:.200}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    ),
    "not_allowed": ErrorText(
        "This server does not allow this `{reason}`.", code="not_allowed", param="{reason}"
    ),
    "not_allowed.length": ErrorText(
        "A message can have at most {high:.0f} characters.", code="not_allowed", param="messages"
    ),
    "not_allowed.request_length": ErrorText(
        "A request can have at most {high:.0f} characters, with its system prompt, history and "
        "tools.",
        code="not_allowed",
        param="messages",
    ),
    "not_allowed.price": ErrorText(
        "This model has no price in the catalog, and this server limits its daily cost.",
        code="not_allowed",
        param="model",
    ),
    "parameter_not_allowed": ErrorText(
        "The parameter `{name:.100}` is not accepted by a server with limits.",
        code="unsupported_parameter",
        param="{name:.100}",
    ),
    "not_allowed.range": ErrorText(
        "`{reason}` must be from {low:g} to {high:g} on this server.",
        code="not_allowed",
        param="{reason}",
    ),
    # Limits
    "limit_reached.requests": ErrorText(
        "This API key can make {limit:.0f} requests per minute.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.messages": ErrorText(
        "Too many messages within a minute.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.tokens": ErrorText(
        "The daily token limit of this client is used up.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.cost": ErrorText(
        "The daily cost limit of this API key is used up.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.app_tokens": ErrorText(
        "The daily token limit of this server is used up.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.app_cost": ErrorText(
        "The daily cost limit of this server is used up.", RATE_LIMIT, RATE_LIMIT_CODE
    ),
    "limit_reached.reserved": ErrorText(
        "Running requests have reserved what remains of a daily limit.",
        RATE_LIMIT,
        RATE_LIMIT_CODE,
    ),
    "limit_reached.queue": ErrorText("The waiting queue is full.", RATE_LIMIT, RATE_LIMIT_CODE),
    # The gateway
    "request_refused": ErrorText("The endpoint refused the request with status {upstream_status}."),
    "request_refused.detail": ErrorText("{detail}"),
    "context_exceeded": ErrorText(
        "The messages are longer than the model's context.",
        code="context_length_exceeded",
        param="messages",
    ),
    "context_exceeded.detail": ErrorText(
        "{detail}", code="context_length_exceeded", param="messages"
    ),
    "no_endpoint.none_configured": ErrorText(
        "No endpoint is configured.", SERVER, "no_endpoint", "model"
    ),
    "no_endpoint.none_serves": ErrorText(
        "No endpoint currently serves this model.", SERVER, "no_endpoint", "model"
    ),
    "no_endpoint.drained": ErrorText(
        "All endpoints of this model are drained (weight 0).", SERVER, "no_endpoint", "model"
    ),
    "no_endpoint.starting": ErrorText(
        "The model is loading.", SERVER, "no_endpoint", "model", retry_after_s=5.0
    ),
    "no_endpoint.busy": ErrorText(
        "All endpoints of this model are at their maxConcurrency.",
        SERVER,
        "no_endpoint",
        "model",
        retry_after_s=1.0,
    ),
    "all_endpoints_failed.429": ErrorText(
        "No endpoint answered. Last error: {cause}",
        RATE_LIMIT,
        RATE_LIMIT_CODE,
        retry_after_s=1.0,
    ),
    "all_endpoints_failed.429.resting": ErrorText(
        "All endpoints of this model have requested a pause; retry after {wait_s} s. "
        "Last error: {cause}",
        RATE_LIMIT,
        RATE_LIMIT_CODE,
        retry_after_s=1.0,
    ),
    "all_endpoints_failed.quota": ErrorText(
        "No endpoint answered. Last error: {cause}",
        QUOTA,
        QUOTA,
        headers={"x-should-retry": "false"},  # OpenAI's SDKs would repeat a 429
    ),
    "all_endpoints_failed.502": ErrorText(
        "No endpoint answered. Last error: {cause}", SERVER, "no_answer"
    ),
    "all_endpoints_failed.503": ErrorText(
        "No endpoint answered. Last error: {cause}", SERVER, "no_answer", retry_after_s=1.0
    ),
    "all_endpoints_failed.503.resting": ErrorText(
        "All endpoints of this model have requested a pause; retry after {wait_s} s. "
        "Last error: {cause}",
        SERVER,
        "resting",
        retry_after_s=1.0,
    ),
    "all_endpoints_failed.504": ErrorText(
        "No endpoint answered. Last error: {cause}", SERVER, "timeout"
    ),
    "reply_interrupted": ErrorText(
        "The answer was interrupted: {cause}", SERVER, "reply_interrupted"
    ),
    "internal_error": ErrorText("The gateway failed.", SERVER),
}
"""The wording of every error, by its code and, after a dot, a variant; see `_variant`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse:
    """A rendered error.

    Attributes:
        status: HTTP status.
        body: The error object as JSON on one line.
        headers: Headers of the response, lower-case names.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)


def internal_error() -> UserError:
    """Return the error for a bug of the server, without any detail of it."""
    return UserError("internal_error", status=500)


def render_error(error: UserError) -> ErrorResponse:
    """Render an error in OpenAI's shape."""
    facts = dict(error.facts)
    cause = facts.get("cause")
    if isinstance(cause, UserError):
        facts["cause"] = _describe(cause)
    wait_s = facts.get("retry_after_s")
    facts["wait_s"] = math.ceil(wait_s) if isinstance(wait_s, int | float) else 1
    text = TEXTS.get(error.code + _variant(error)) or TEXTS.get(error.code)
    if text is None:
        text, error = TEXTS["internal_error"], internal_error()
    body = {
        "message": text.message.format(**facts),
        "type": text.type,
        "param": facts.get("param") or (text.param.format(**facts) if text.param else None),
        "code": _upstream_code(error, text) or text.code,
    }
    headers = {name: value.format(**facts) for name, value in text.headers.items()}
    if error.status in (429, 503):
        delays_s = (
            facts.get("retry_after_s"),
            getattr(cause, "retry_after_s", None),
            text.retry_after_s,
        )
        delay_s = next((delay for delay in delays_s if isinstance(delay, int | float)), None)
        if delay_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(delay_s)))
    return ErrorResponse(
        status=error.status,
        body=json.dumps({"error": body}, separators=(",", ":")).encode(),
        headers=headers,
    )


def _variant(error: UserError) -> str:
    """Return what to append to the code, for an error whose wording depends on its facts."""
    facts = error.facts
    if error.code in ("request_refused", "context_exceeded"):
        return ".detail" if facts["detail"] else ""
    if error.code in ("limit_reached", "no_endpoint"):
        return f".{facts['reason']}"
    if error.code == "not_allowed":
        reason = f".{facts['reason']}"
        if error.code + reason in TEXTS:
            return reason
        return ".range" if facts["low"] or facts["high"] else ""
    if isinstance(error, AllEndpointsFailed):
        if _is_quota(error.cause):
            return ".quota"
        return f".{error.status}.resting" if error.resting else f".{error.status}"
    return ""


def _upstream_code(error: UserError, text: ErrorText) -> object:
    """Return the endpoint's own code where it tells the client what to do, "" otherwise."""
    if isinstance(error, AllEndpointsFailed):
        return getattr(error.cause, "upstream_code", "") if _is_quota(error.cause) else ""
    return "" if text.code else error.facts.get("upstream_code", "")


def _is_quota(cause: object) -> bool:
    return isinstance(cause, EndpointRefused) and cause.kind is FailureKind.QUOTA


def _describe(cause: UserError) -> str:
    """Return a failure in a phrase, with the endpoint's own message where it sent one."""
    detail = cause.facts.get("detail")
    return f"{cause}: {detail}" if detail else str(cause)
