"""What went wrong, as OpenAI's clients know it: a status, and `{"error": {…}}`.

The status decides which exception their SDKs raise; `type` and `code` are OpenAI's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    ContextExceeded,
    EndpointError,
    EndpointRefused,
    EndpointTimeout,
    LimitReached,
    NoEndpoint,
    NotAllowed,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
)

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"
BUSY_S: Final = 1.0
STARTING_S: Final = 5.0
"""Seconds after which to ask again, where nobody has said it."""

NOBODY: Final[Mapping[str, str]] = {
    "none_configured": "no endpoint is configured",
    "none_serves": "no endpoint serves the model just now",
    "drained": "all endpoints of the model are drained (weight 0)",
    "starting": "the model is being loaded",
    "busy": "all endpoints of the model are at their maxConcurrency",
}

LIMITS: Final[Mapping[str, str]] = {
    "messages": "too many messages in a minute",
    "tokens": "this day's share of tokens is used up",
    "app_tokens": "this host's tokens of the day are used up",
    "app_cost": "this host has spent what it may spend in a day",
    "queue": "too many requests wait already",
}


@dataclass(kw_only=True, eq=False)
class Fault(Exception):
    """An answer that is none. message: a sentence for the caller, with nothing secret in it.

    retry_after_s: seconds after which to ask again. headers: more of them, lower-case names.
    """

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)

    def body(self) -> bytes:
        """The error object, as JSON on one line."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return json.dumps({"error": error}, separators=(",", ":")).encode()

    def all_headers(self) -> dict[str, str]:
        """Its own headers and Retry-After, in whole seconds."""
        if self.retry_after_s is None:
            return dict(self.headers)
        return {**self.headers, "retry-after": str(max(1, math.ceil(self.retry_after_s)))}


def fault_of(error: AkashGradioError) -> Fault:
    """The fault for whatever leaves the gateway."""
    if isinstance(error, ContextExceeded):
        return Fault(
            status=error.status,
            message=error.detail or "the messages are longer than the model's context",
            code="context_length_exceeded",
            param="messages",
        )
    if isinstance(error, RequestRefused):
        words = error.detail or "the endpoint found fault with the request"
        return Fault(status=error.status, message=words)
    if isinstance(error, UnknownModel):
        return no_such_model(error.model)
    if isinstance(error, NotAllowed):
        return _not_allowed(error)
    if isinstance(error, LimitReached):
        return _limit_reached(error)
    if isinstance(error, NoEndpoint):
        return _no_endpoint(error)
    if isinstance(error, AllEndpointsFailed):
        return _not_answered(error)
    if isinstance(error, ReplyInterrupted):
        words = f"the answer broke off: {_told(error.cause)}"
        return Fault(status=502, message=words, type=SERVER, code="reply_interrupted")
    return Fault(status=500, message="the gateway failed", type=SERVER)


def no_such_model(model: str) -> Fault:
    """404, in the words that OpenAI has for it."""
    return Fault(
        status=404,
        message=f"The model `{model[:200]}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def _not_allowed(error: NotAllowed) -> Fault:
    about = {"model": "model", "length": "messages"}.get(error.reason, error.reason)
    words = f"the host does not allow this `{about}`"
    if error.reason == "length":
        words = f"a message may have {error.high:.0f} characters"
    elif error.high:
        words = f"`{about}` must be from {error.low:g} to {error.high:g} here"
    return Fault(status=403, message=words, code="not_allowed", param=about)


def _limit_reached(error: LimitReached) -> Fault:
    return Fault(
        status=429,
        message=LIMITS.get(error.reason, "a limit of this host is reached"),
        type="rate_limit_error",
        code="rate_limit_exceeded",
        retry_after_s=error.retry_after_s,
    )


def _no_endpoint(error: NoEndpoint) -> Fault:
    waits = {"busy": BUSY_S, "starting": STARTING_S}
    return Fault(
        status=503,
        message=NOBODY.get(error.reason, "no endpoint can be asked just now"),
        type=SERVER,
        code="no_endpoint",
        param="model",
        retry_after_s=waits.get(error.reason),
    )


def _not_answered(error: AllEndpointsFailed) -> Fault:
    cause, wait_s = error.cause, error.retry_after_s
    words = f"no endpoint answered; the last one said: {_told(cause)}"
    if isinstance(cause, EndpointRefused) and cause.upstream_status == 429:
        wait_s = cause.retry_after_s if wait_s is None else wait_s
        return Fault(
            status=429,
            message=words,
            type="rate_limit_error",
            code="rate_limit_exceeded",
            retry_after_s=BUSY_S if wait_s is None else wait_s,
        )
    if error.resting:
        wait_s = BUSY_S if wait_s is None else wait_s
        words = f"all endpoints of the model rest after failing; the last one said: {_told(cause)}"
        return Fault(status=503, message=words, type=SERVER, code="resting", retry_after_s=wait_s)
    if isinstance(cause, EndpointTimeout):
        return Fault(status=504, message=words, type=SERVER, code="timeout")
    return Fault(status=502, message=words, type=SERVER, code="no_answer")


def _told(cause: EndpointError) -> str:
    """The fact, and the endpoint's own words where it had some."""
    detail = getattr(cause, "detail", "")
    return f"{cause}: {detail}" if detail else str(cause)
