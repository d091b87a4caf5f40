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
from akash_gradio.gateway.failure_policy import Scope, Verdict, judge

CASES: list[tuple[EndpointError | RequestRefused, Verdict]] = [
    (RequestRefused("a", 400), Verdict(scope=Scope.REQUEST, fail_over=False)),
    (ContextExceeded("a", 400), Verdict(scope=Scope.REQUEST, fail_over=False)),
    (EndpointRefused("a", 401), Verdict(scope=Scope.ACCOUNT, breaker="down")),
    (EndpointRefused("a", 403), Verdict(scope=Scope.ACCOUNT, breaker="down")),
    (EndpointRefused("a", 404), Verdict(scope=Scope.MODEL, rest_s=60)),
    (EndpointRefused("a", 429), Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=1)),
    (
        EndpointRefused("a", 429, retry_after_s=7),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=7),
    ),
    (EndpointRefused("a", 500), Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error")),
    (
        EndpointRefused("a", 503, retry_after_s=7),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, rest_s=7, breaker="error"),
    ),
    (
        EndpointUnreachable("a", "refused"),
        Verdict(scope=Scope.NETWORK, repeat_here=True, breaker="down"),
    ),
    (
        EndpointTimeout("a", "idle", 30),
        Verdict(scope=Scope.NETWORK, repeat_here=True, breaker="down"),
    ),
    (
        EndpointMalformed("a", "json"),
        Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error"),
    ),
    (EndpointSilent("a"), Verdict(scope=Scope.ENDPOINT, repeat_here=True, breaker="error")),
]


@pytest.mark.parametrize(("error", "verdict"), CASES, ids=lambda value: str(value)[:60])
def test_each_failure_has_its_verdict(
    error: EndpointError | RequestRefused, verdict: Verdict
) -> None:
    assert judge(error, default_rest_s=1) == verdict
