"""Decides what a failed attempt means: whose fault it is, and what the gateway does about it.

The only module of the gateway that looks at the status of a failure. `gateway`, `endpoint` and
`breaker` follow the `Verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from akash_gradio.domain.errors import (
    EndpointError,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    RequestRefused,
)

MODEL_MISSING_S: Final = 60.0
"""How long a model isn't requested from an endpoint that doesn't have it."""


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
        rest_s: Seconds for which the scope gets no requests, None for no rest.
        breaker: How it counts: `down` (found it unusable; with `Scope.ACCOUNT` a single one
            opens the breaker), `error` (it works, but failed), or None (not at all: the
            response shows that the server works).
    """

    scope: Scope
    fail_over: bool = True
    repeat_here: bool = False
    rest_s: float | None = None
    breaker: Literal["down", "error"] | None = None


def judge(error: EndpointError | RequestRefused, *, default_rest_s: float) -> Verdict:
    """Return what a failed attempt means.

    Args:
        error: The failure.
        default_rest_s: How long to pause after a rate limit without a delay, in seconds.
    """
    if isinstance(error, RequestRefused):
        return Verdict(scope=Scope.REQUEST, fail_over=False)
    if isinstance(error, EndpointRefused):
        return _judge_status(error.upstream_status, error.retry_after_s, default_rest_s)
    if isinstance(error, EndpointUnreachable | EndpointTimeout):
        return Verdict(scope=Scope.NETWORK, repeat_here=True, breaker="down")
    return Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error")


def _judge_status(status: int, retry_after_s: float | None, default_rest_s: float) -> Verdict:
    if status in (401, 403):
        return Verdict(scope=Scope.ACCOUNT, rest_s=retry_after_s, breaker="down")
    if status == 404:
        return Verdict(scope=Scope.MODEL, rest_s=MODEL_MISSING_S)
    if status == 429:
        rest_s = default_rest_s if retry_after_s is None else retry_after_s
        return Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=rest_s)
    return Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=retry_after_s, breaker="error")
