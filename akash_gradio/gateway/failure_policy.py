"""Decides what a failed attempt means: whose fault it is, and what the gateway does about it.

`failure_rules` turns an error response into a `FailureKind` when it is read; `judge` turns any
failure of an attempt into a `Verdict`. `gateway`, `endpoint` and `breaker` follow the verdict and
look at no status themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from akash_gradio.domain.errors import (
    ContextExceeded,
    EndpointError,
    EndpointRefused,
    EndpointSilent,
    EndpointTimeout,
    EndpointUnreachable,
    RequestRefused,
)
from akash_gradio.domain.failure_kinds import FailureKind

MODEL_MISSING_S: Final = 60.0
"""How long a model isn't requested from an endpoint that doesn't have it, or denies it."""
LOADING_S: Final = 5.0
"""When a server that is starting is called again, unless it says when."""


class Scope(StrEnum):
    """What a failure says something about, and so what rests after it."""

    REQUEST = "request"
    """This request only; other requests are not affected."""
    MODEL = "model"
    """This model at this endpoint; its other models are not affected."""
    ACCOUNT = "account"
    """The key or the credit: all models of the endpoint."""
    ENDPOINT = "endpoint"
    """The server."""
    NETWORK = "network"
    """The way to the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a failed attempt means.

    Attributes:
        scope: What is at fault.
        fail_over: Whether another endpoint may do better. If False, the request ends.
        repeat_here: Whether the request may be sent to the same endpoint again, after a pause.
        rest_s: Seconds for which the scope gets no requests, None when nothing is known. With
            `breaker` `down` an only endpoint is called nevertheless.
        breaker: How it counts: `down` (found it unusable; with `Scope.ACCOUNT` or `rest_s` the
            first one opens the breaker of the scope, otherwise several in a row do), `error` (it
            works, but failed) or None (not at all).
    """

    scope: Scope
    fail_over: bool = True
    repeat_here: bool = False
    rest_s: float | None = None
    breaker: Literal["down", "error"] | None = None


_OF_REQUEST: Final = Verdict(scope=Scope.REQUEST)
_OF_MODEL: Final = Verdict(scope=Scope.MODEL, rest_s=MODEL_MISSING_S, breaker="down")
_OF_ACCOUNT: Final = Verdict(scope=Scope.ACCOUNT, breaker="down")
_OF_ENDPOINT: Final = Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error")

VERDICTS: Final[dict[FailureKind, Verdict]] = {
    FailureKind.INVALID: replace(_OF_REQUEST, fail_over=False),
    FailureKind.TOO_LONG: _OF_REQUEST,  # see `may_do_better`
    FailureKind.MODERATED: _OF_REQUEST,
    FailureKind.BLOCKED: _OF_REQUEST,
    FailureKind.UNSUPPORTED: _OF_REQUEST,
    FailureKind.OVER_LIMIT: _OF_REQUEST,
    FailureKind.TEMPLATE: _OF_REQUEST,
    FailureKind.MODEL_MISSING: _OF_MODEL,
    FailureKind.MODEL_DENIED: _OF_MODEL,
    FailureKind.KEY: _OF_ACCOUNT,
    FailureKind.CREDIT: _OF_ACCOUNT,
    FailureKind.QUOTA: _OF_ACCOUNT,
    FailureKind.FORBIDDEN: Verdict(scope=Scope.ENDPOINT, breaker="down"),
    FailureKind.RATE_LIMIT: Verdict(scope=Scope.ENDPOINT, repeat_here=True),
    FailureKind.MODEL_RATE_LIMIT: Verdict(scope=Scope.MODEL, repeat_here=True),
    FailureKind.BUSY: Verdict(scope=Scope.ENDPOINT, repeat_here=True),
    FailureKind.WRONG_URL: Verdict(scope=Scope.ENDPOINT, breaker="down"),
    FailureKind.LOADING: Verdict(
        scope=Scope.ENDPOINT, repeat_here=True, rest_s=LOADING_S, breaker="down"
    ),
    FailureKind.TIMEOUT: replace(_OF_ENDPOINT, repeat_here=False),
    FailureKind.SERVER: _OF_ENDPOINT,
}
"""What each kind of error response means; a delay that the endpoint named replaces `rest_s`."""

TIMEOUTS: Final[dict[str, Verdict]] = {
    "connect": Verdict(scope=Scope.NETWORK, breaker="down"),
    "first_token": Verdict(scope=Scope.MODEL, breaker="down"),
    "idle": Verdict(scope=Scope.MODEL, breaker="error"),
    "request": Verdict(scope=Scope.REQUEST, fail_over=False),
}
"""What a timeout means, by its stage. None is repeated at the same endpoint."""


def judge(error: EndpointError | RequestRefused) -> Verdict:
    """Return what a failed attempt means."""
    if isinstance(error, RequestRefused | EndpointRefused):
        verdict = VERDICTS[error.kind]
        delay_s = error.retry_after_s if isinstance(error, EndpointRefused) else None
        if delay_s is None or verdict.scope is Scope.REQUEST or verdict is _OF_MODEL:
            return verdict
        return replace(verdict, rest_s=delay_s)
    if isinstance(error, EndpointTimeout):
        return TIMEOUTS.get(error.stage, TIMEOUTS["first_token"])
    if isinstance(error, EndpointUnreachable):
        return Verdict(scope=Scope.NETWORK, repeat_here=True, breaker="down")
    if isinstance(error, EndpointSilent):
        return replace(_OF_ENDPOINT, scope=Scope.MODEL)
    return _OF_ENDPOINT


def may_do_better(error: EndpointError | RequestRefused, token_limit: int | None) -> bool:
    """Return whether an endpoint with this context may answer what another one refused.

    Args:
        error: The refusal.
        token_limit: The context that the endpoint reports for the model, None when unknown.
    """
    if not isinstance(error, ContextExceeded) or token_limit is None:
        return True
    if error.requested_tokens is not None:
        return token_limit >= error.requested_tokens
    return error.limit_tokens is None or token_limit > error.limit_tokens
