from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.api.errors import TEXTS, internal_error, render_error
from akash_gradio.domain.errors import (
    AllEndpointsFailed,
    ContextExceeded,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    LimitReached,
    NoEndpoint,
    NotAllowed,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
    UserError,
)
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.http.body import BodiesFull, BodyTooSlow

SOURCES = Path(__file__).resolve().parents[2] / "akash_gradio"
REFUSED, TIMEOUT = EndpointRefused("eu-1", 500), EndpointTimeout("eu-1", "idle", 30)
RATE_LIMITED = EndpointRefused("eu-1", 429, retry_after_s=7)
BAD_VALUE = RequestRefused("eu-1", 400, "no", upstream_code="invalid_value", param="temperature")
QUOTA = EndpointRefused("eu-1", 402, upstream_code="insufficient_quota", kind=FailureKind.QUOTA)
INVALID, SERVER, RATE_LIMIT = "invalid_request_error", "server_error", "rate_limit_error"


@pytest.mark.parametrize(
    ("error", "status", "type_", "code", "param", "retry_after"),
    [
        (RequestRefused("eu-1", 422), 422, INVALID, None, None, None),
        (BAD_VALUE, 400, INVALID, "invalid_value", "temperature", None),
        (RequestRefused("eu-1", 403, kind=FailureKind.BLOCKED), 403, INVALID, None, None, None),
        (RequestRefused("eu-1", 500, kind=FailureKind.TEMPLATE), 400, INVALID, None, None, None),
        (ContextExceeded("eu-1", 400, upstream_code="x", param="input"), 400, INVALID,
         "context_length_exceeded", "input", None),
        (AllEndpointsFailed("m", QUOTA), 429, "insufficient_quota", "insufficient_quota", None,
         None),
        (ContextExceeded("eu-1", 400), 400, INVALID, "context_length_exceeded", "messages", None),
        (ContextExceeded("eu-1", 500), 400, INVALID, "context_length_exceeded", "messages", None),
        (UnknownModel("m"), 404, INVALID, "model_not_found", "model", None),
        (NotAllowed("model"), 403, INVALID, "not_allowed", "model", None),
        (NotAllowed("length", high=9), 403, INVALID, "not_allowed", "messages", None),
        (NotAllowed("top_p", high=1), 403, INVALID, "not_allowed", "top_p", None),
        (LimitReached("tokens", retry_after_s=0.2), 429, RATE_LIMIT, "rate_limit_exceeded", None,
         "1"),
        (LimitReached("queue", retry_after_s=9.1), 429, RATE_LIMIT, "rate_limit_exceeded", None,
         "10"),
        (NoEndpoint("m", "drained"), 503, SERVER, "no_endpoint", "model", None),
        (NoEndpoint("m", "busy"), 503, SERVER, "no_endpoint", "model", "1"),
        (NoEndpoint("m", "starting"), 503, SERVER, "no_endpoint", "model", "5"),
        (AllEndpointsFailed("m", REFUSED), 502, SERVER, "no_answer", None, None),
        (AllEndpointsFailed("m", TIMEOUT), 504, SERVER, "timeout", None, None),
        (AllEndpointsFailed("m", REFUSED, resting=True, retry_after_s=3), 503, SERVER, "resting",
         None, "3"),
        (AllEndpointsFailed("m", RATE_LIMITED, resting=True, retry_after_s=2.5), 429, RATE_LIMIT,
         "rate_limit_exceeded", None, "3"),
        (AllEndpointsFailed("m", RATE_LIMITED), 429, RATE_LIMIT, "rate_limit_exceeded", None, "7"),
        (AllEndpointsFailed("m", RATE_LIMITED, retry_after_s=2), 429, RATE_LIMIT,
         "rate_limit_exceeded", None, "2"),
        (ReplyInterrupted("eu-1", TIMEOUT), 502, SERVER, "reply_interrupted", None, None),
        (internal_error(), 500, SERVER, None, None, None),
    ],
)  # fmt: skip
def test_every_error_has_openais_status_type_code_and_param(
    error: UserError, status: int, type_: str, code: str, param: str, retry_after: str
) -> None:
    response = render_error(error)
    body: dict[str, Any] = json.loads(response.body)["error"]
    assert response.status == status
    assert (body["type"], body["code"], body["param"]) == (type_, code, param)
    assert body["message"]
    assert response.headers.get("retry-after") == retry_after


def test_messages_contain_the_facts() -> None:
    def message(error: UserError) -> str:
        return str(json.loads(render_error(error).body)["error"]["message"])

    assert message(NotAllowed("top_p", low=0.5, high=1)) == (
        "`top_p` must be from 0.5 to 1 on this server."
    )
    assert message(NotAllowed("presence_penalty", low=-2, high=0)) == (
        "`presence_penalty` must be from -2 to 0 on this server."
    )
    assert message(RequestRefused("eu-1", 400, "bad {braces}")) == "bad {braces}"
    assert "`" + "x" * 200 + "`" in message(UnknownModel("x" * 999))
    unreachable = EndpointUnreachable("eu-1", "dns")
    assert "eu-1: unreachable (dns)" in message(AllEndpointsFailed("m", unreachable))
    for cause in (REFUSED, RATE_LIMITED):
        paused = message(AllEndpointsFailed("m", cause, resting=True, retry_after_s=2.5))
        assert paused.startswith(
            "All endpoints of this model have requested a pause; retry after 3 s. Last error: eu-1"
        )
    refused = EndpointRefused("eu-1", 500, detail="out of memory")
    assert message(ReplyInterrupted("eu-1", refused)).endswith("status 500: out of memory")


def test_an_error_without_a_text_is_an_internal_error() -> None:
    response = render_error(UserError("made_up", {"secret": "planted"}, 418))
    assert response == render_error(internal_error())


def test_every_code_that_the_api_raises_has_a_text_and_no_text_is_unused() -> None:
    folders = (SOURCES / "api", SOURCES / "auth", SOURCES / "quota")
    sources = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    raised = set(re.findall(r'\bUserError\(\s*"(\w+)"', sources))
    raised |= set(re.findall(r'UserError\("\w+" if \w+ else "(\w+)"', sources))
    inherited = {cls.code for cls in (UnknownModel, NotAllowed, RequestRefused, ContextExceeded)}
    inherited |= {cls.code for cls in (LimitReached, NoEndpoint, AllEndpointsFailed)}
    inherited |= {ReplyInterrupted.code, BodyTooSlow().code, BodiesFull().code}
    assert {code.partition(".")[0] for code in TEXTS} == raised | inherited
