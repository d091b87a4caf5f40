from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.errors import (
    AkashGradioError,
    ContextExceeded,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.gateway.error_responses import error_from_response


def error_of(status: int, body: object) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response("a", status, raw, None)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"error": {"message": "no", "type": "t", "code": None}}, "no"),
        ({"error": "no", "error_type": "overloaded"}, "no"),
        ({"object": "error", "message": "no", "code": 500}, "no"),
        ({"error": {}, "message": "no"}, "no"),
        ({"error": True, "message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"detail": {"error": "no"}}, "no"),
        ({"detail": {"error": {"message": "no"}}}, "no"),
        ({"detail": {"message": "no"}}, "no"),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "required", "input": "private"}]},
            "body.messages.0: required",
        ),
        ({"success": False, "errors": [{"code": 7, "message": "no"}]}, "no"),
        ({"errors": ["no"]}, "no"),
        ([{"error": {"code": 503, "message": "no"}}], "no"),
        (b"Service Unavailable\n", "Service Unavailable"),
        (b'data: {"error":{"message":"no"}}\n\n', "no"),
        (b"\xef\xbb\xbf  no", "no"),
        (b"<!doctype html><title>502</title>", ""),
        (b"", ""),
        (b'{"error":', ""),
        (b"[" * 100_000, ""),
        ({"hello": 1}, ""),
        ({"error": {"message": 5}}, ""),
        ([], ""),
        (b'{"error":{"message":"\\ud83d"}}', "\ufffd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_parses_the_message_of_every_shape(body: object, detail: str) -> None:
    error = error_of(503, body)
    assert isinstance(error, EndpointRefused)
    assert (error.alias, error.upstream_status, error.detail) == ("a", 503, detail)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 425, 429, 500, 503, 529, 302])
def test_with_other_statuses_the_endpoint_is_at_fault(status: int) -> None:
    assert isinstance(error_of(status, {"error": {"message": "no"}}), EndpointRefused)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_with_these_statuses_the_request_is_at_fault(status: int) -> None:
    error = error_of(status, {"error": {"message": "no"}})
    assert type(error) is RequestRefused
    assert (error.upstream_status, error.detail) == (status, "no")


def test_the_requested_delay_is_kept() -> None:
    error = error_from_response("a", 429, b"", 2.5)
    assert isinstance(error, EndpointRefused)
    assert error.retry_after_s == 2.5


def test_the_message_is_redacted_and_truncated() -> None:
    error = error_of(401, {"error": {"message": "bad key sk-abcdef123456 " + "x " * 600}})
    assert "sk-" not in error.detail
    assert len(error.detail) == 500


OVERFLOWS = [
    (
        "This model's maximum context length is 4097 tokens. However, your messages resulted in "
        "5000 tokens. Please reduce the length of the messages.",
        (4097, 5000),
    ),
    (
        "This model's maximum context length is 16384 tokens. However, you requested 122946 "
        "tokens (112946 in the messages, 10000 in the completion).",
        (16384, 122946),
    ),
    (
        "This endpoint's maximum context length is 128,000 tokens. However, you requested about "
        "150,000 tokens (149,000 of text input).",
        (128000, 150000),
    ),
    (
        "This model's maximum context length is 4096 tokens. However, you requested 10 output "
        "tokens and your prompt contains at least 5000 input tokens, for a total of at least "
        "5010 tokens.",
        (4096, 5010),
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context "
        "length is 4096 tokens and your request has 20 input tokens (5000 > 4096 - 20).",
        (4096, 5020),
    ),
    (
        "You passed 5000 input tokens and requested 1 output tokens. However, the model's context "
        "length is only 4096 tokens, resulting in a maximum input length of 4095 tokens.",
        (4096, 5001),
    ),
    (
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        (4096, 5000),
    ),
    (
        "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
        (4096, 25938),
    ),
    (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        (4096, 5000),
    ),
    (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
        "requested a total of 5000 tokens: 4000 tokens from the input messages.",
        (4096, 5000),
    ),
    ("Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", (1024, 2000)),
    (
        "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1900 `inputs` tokens and 500 "
        "`max_new_tokens`",
        (2048, 2400),
    ),
    (
        "request (5000 tokens) exceeds the available context size (4096 tokens), try it",
        (4096, 5000),
    ),
    ("the request exceeds the available context size, try increasing it", (None, None)),
    (
        "Trying to keep the first 15857 tokens when context the overflows. However, the model is "
        "loaded with context length of only 4096 tokens, which is not enough.",
        (4096, 15857),
    ),
    (
        "The number of tokens to keep from the initial prompt is greater than the context length "
        "(n_keep: 13055>= n_ctx: 4096).",
        (4096, 13055),
    ),
    ("Context size has been exceeded.", (None, None)),
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length",
        (32768, 40000),
    ),
    ("prompt is too long: 210000 tokens > 200000 maximum", (200000, 210000)),
    (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        (1048576, 1200000),
    ),
    (
        "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        (131072, 140000),
    ),
    ("The prompt is too long: 5000, model maximum context length: 4096", (4096, 5000)),
    ("Input length 6491 exceeds context length 1500", (1500, 6491)),
]


@pytest.mark.parametrize(("message", "tokens"), OVERFLOWS)
def test_recognizes_the_messages_for_too_long(
    message: str, tokens: tuple[int | None, int | None]
) -> None:
    error = error_of(400, {"object": "error", "message": message})
    assert isinstance(error, ContextExceeded)
    assert (error.limit_tokens, error.requested_tokens) == tokens
    assert error.detail == message


def test_parses_the_counts_of_llama_cpp() -> None:
    error = error_of(
        400,
        {
            "error": {
                "code": 400,
                "message": "too big",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
    )
    assert isinstance(error, ContextExceeded)
    assert (error.limit_tokens, error.requested_tokens) == (4096, 5000)


def test_recognizes_the_code_for_too_long() -> None:
    error = error_of(400, {"error": {"message": "no", "code": "context_length_exceeded"}})
    assert isinstance(error, ContextExceeded)


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached: Limit 6000, Requested 7000 tokens per minute",
        "'name' is too long",
        "max_tokens must be at least 1",
        "you requested 5 tokens",
    ],
)
def test_other_messages_are_not_about_length(message: str) -> None:
    assert type(error_of(400, {"error": {"message": message}})) is RequestRefused


def test_a_rate_limit_is_never_taken_for_too_long() -> None:
    assert isinstance(error_of(429, {"error": {"message": OVERFLOWS[0][0]}}), EndpointRefused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "errors", "loc", "msg"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([400, 404, 429, 500]))
def test_any_json_gives_an_error_of_the_tree_that_can_be_printed(body: object, status: int) -> None:
    error = error_of(status, body)
    assert isinstance(error, AkashGradioError)
    str(error.facts["detail"]).encode()


@given(st.binary())
def test_any_bytes_give_an_error_of_the_tree(body: bytes) -> None:
    assert isinstance(error_of(500, body), AkashGradioError)
