from __future__ import annotations

from collections.abc import Iterator

import pytest

from akash_gradio.domain import errors
from akash_gradio.domain.errors import (
    AkashGradioError,
    AllEndpointsFailed,
    ContextExceeded,
    EndpointRefused,
    EndpointSilent,
    EndpointTimeout,
    LimitReached,
    NotAllowed,
    RequestRefused,
    UserError,
)


def subclasses(kind: type[AkashGradioError]) -> Iterator[type[AkashGradioError]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from subclasses(subclass)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in subclasses(AkashGradioError)]
    assert len(set(codes)) == len(codes)
    assert all(code.isidentifier() and code.islower() for code in codes)


def test_the_tree_in_the_docstring_lists_every_error() -> None:
    lines = (errors.__doc__ or "").splitlines()
    listed = {line.partition("── ")[2].split()[0] for line in lines if "── " in line}
    assert listed == {kind.__name__ for kind in subclasses(AkashGradioError)}


def test_a_user_error_carries_its_code_facts_and_status() -> None:
    error = UserError("file_too_large", {"limit_mb": 8}, 413)
    assert (error.code, error.facts, error.status) == ("file_too_large", {"limit_mb": 8}, 413)


def test_the_facts_of_an_error_are_its_public_attributes() -> None:
    error = LimitReached("tokens", limit=20_000, retry_after_s=60.0)
    assert error.facts == {"reason": "tokens", "limit": 20_000, "retry_after_s": 60.0}
    assert NotAllowed("top_p", high=1.0).facts == {"reason": "top_p", "low": 0, "high": 1.0}


def test_the_facts_follow_a_detail_that_is_redacted_later() -> None:
    error = EndpointRefused("eu-1", 401, detail="key sk-1 is wrong")
    error.detail = "key [removed] is wrong"
    assert error.facts["detail"] == "key [removed] is wrong"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestRefused("eu-1", 422), 422),
        (ContextExceeded("eu-1", 500), 400),
        (AllEndpointsFailed("m", EndpointTimeout("eu-1", "idle", 5)), 504),
        (AllEndpointsFailed("m", EndpointSilent("eu-1")), 502),
        (AllEndpointsFailed("m", EndpointSilent("eu-1"), resting=True), 503),
        (AllEndpointsFailed("m", EndpointRefused("eu-1", 429), resting=True), 429),
    ],
    ids=str,
)
def test_an_error_states_the_status_of_its_response(error: AkashGradioError, status: int) -> None:
    assert error.status == status
