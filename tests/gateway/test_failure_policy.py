from __future__ import annotations

import pytest

from akash_gradio.domain.errors import (
    ContextExceeded,
    EndpointError,
    EndpointMalformed,
    EndpointRefused,
    EndpointSilent,
    EndpointTimeout,
    EndpointUnreachable,
    RequestRefused,
)
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.gateway.failure_policy import VERDICTS, Scope, Verdict, judge, may_do_better


def refused(kind: FailureKind, retry_after_s: float | None = None) -> EndpointRefused:
    return EndpointRefused("a", 429, kind=kind, retry_after_s=retry_after_s)


CASES: list[tuple[EndpointError | RequestRefused, Verdict]] = [
    # Without a classified response, by status.
    (RequestRefused("a", 400), Verdict(scope=Scope.REQUEST, fail_over=False)),
    (ContextExceeded("a", 400), Verdict(scope=Scope.REQUEST)),
    (EndpointRefused("a", 401), Verdict(scope=Scope.ACCOUNT, breaker="down")),
    (EndpointRefused("a", 402), Verdict(scope=Scope.ACCOUNT, breaker="down")),
    (EndpointRefused("a", 403), Verdict(scope=Scope.ENDPOINT, breaker="down")),
    (EndpointRefused("a", 404), Verdict(scope=Scope.MODEL, rest_s=60, breaker="down")),
    (EndpointRefused("a", 429), Verdict(scope=Scope.ENDPOINT, repeat_here=True)),
    (EndpointRefused("a", 500), Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error")),
    (EndpointRefused("a", 504), Verdict(scope=Scope.ENDPOINT, breaker="error")),
    # A delay that the endpoint named.
    (
        EndpointRefused("a", 429, retry_after_s=7),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=7),
    ),
    (
        refused(FailureKind.MODEL_RATE_LIMIT, 26),
        Verdict(scope=Scope.MODEL, repeat_here=True, rest_s=26),
    ),
    (
        EndpointRefused("a", 503, retry_after_s=7),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=7, breaker="error"),
    ),
    (
        refused(FailureKind.MODEL_MISSING, 7),
        Verdict(scope=Scope.MODEL, rest_s=60, breaker="down"),
    ),
    # Classified responses.
    (refused(FailureKind.QUOTA), Verdict(scope=Scope.ACCOUNT, breaker="down")),
    (refused(FailureKind.BUSY), Verdict(scope=Scope.ENDPOINT, repeat_here=True)),
    (
        refused(FailureKind.LOADING),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=5, breaker="down"),
    ),
    (RequestRefused("a", 403, kind=FailureKind.BLOCKED), Verdict(scope=Scope.REQUEST)),
    (RequestRefused("a", 500, kind=FailureKind.TEMPLATE), Verdict(scope=Scope.REQUEST)),
    # No response.
    (
        EndpointUnreachable("a", "refused"),
        Verdict(scope=Scope.NETWORK, repeat_here=True, breaker="down"),
    ),
    (EndpointTimeout("a", "connect", 5), Verdict(scope=Scope.NETWORK, breaker="down")),
    (EndpointTimeout("a", "first_token", 60), Verdict(scope=Scope.MODEL, breaker="down")),
    (EndpointTimeout("a", "idle", 30), Verdict(scope=Scope.MODEL, breaker="error")),
    (EndpointTimeout("a", "request", 300), Verdict(scope=Scope.REQUEST, fail_over=False)),
    (
        EndpointMalformed("a", "json"),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error"),
    ),
    (EndpointSilent("a"), Verdict(scope=Scope.MODEL, repeat_here=True, breaker="error")),
]


@pytest.mark.parametrize(("error", "verdict"), CASES, ids=lambda value: str(value)[:60])
def test_each_failure_has_its_verdict(
    error: EndpointError | RequestRefused, verdict: Verdict
) -> None:
    assert judge(error) == verdict


def test_every_kind_has_a_verdict() -> None:
    assert VERDICTS.keys() == set(FailureKind)


def test_a_failure_of_the_request_touches_nothing_else() -> None:
    for verdict in VERDICTS.values():
        if verdict.scope is Scope.REQUEST:
            assert (verdict.breaker, verdict.rest_s, verdict.repeat_here) == (None, None, False)


@pytest.mark.parametrize(
    ("limit", "requested", "token_limit", "better"),
    [
        (4096, 5000, 8192, True),
        (4096, 5000, 4096, False),
        (4096, None, 8192, True),
        (4096, None, 4096, False),
        (None, None, 4096, True),
        (4096, 5000, None, True),  # its context is unknown
    ],
)
def test_only_an_endpoint_with_more_room_may_do_better(
    limit: int | None, requested: int | None, token_limit: int | None, better: bool
) -> None:
    error = ContextExceeded("a", 400, limit_tokens=limit, requested_tokens=requested)
    assert may_do_better(error, token_limit) is better


def test_any_endpoint_may_do_better_after_another_failure() -> None:
    assert may_do_better(EndpointRefused("a", 500), 1)
