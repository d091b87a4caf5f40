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


def error_of(status: int, body: object, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response("a", status, raw, sent)


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
        ({"error": ["no"]}, "no"),
        ({"error": [{"message": "no"}]}, "no"),
        ({"errors": {"messages": ["no"]}}, "messages: no"),
        ({"Message": "no"}, "no"),
        ({"Error": {"Message": "no", "Code": "AccessDenied"}}, "no"),
        ({"msg": "no"}, "no"),
        ({"error": "invalid_token", "error_description": "no"}, "no"),
        ({"error": {"message": {"detail": [{"loc": ["body"], "msg": "no"}]}}}, "body: no"),
        ({"type": "about:blank", "title": "Conflict", "detail": "no"}, "no"),
        ({"base_resp": {"status_code": 2013, "status_msg": "no"}}, "no"),
        ({"fault": {"faultstring": "no", "detail": {"errorcode": "x"}}}, "no"),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "no"}}},
            "no",
        ),
        (
            {
                "error": {
                    "message": "Provider returned error",
                    "metadata": {"raw": '{"error":{"message":"no"}}', "provider_name": "p"},
                }
            },
            "no",
        ),
        ({"error": {"message": "useful", "metadata": {"raw": "no"}}}, "useful"),
        ({"error": {"message": '{\n "error": {"code": 503, "message": "no"}\n}\n'}}, "no"),
        ({"error": {"message": 'litellm.Error: X - {"error":{"message":"no"}}'}}, "no"),
        ({"error": {"message": 'bad arguments: {"name": 1}'}}, 'bad arguments: {"name": 1}'),
        ({"error": {"message": "Internal Server Error", "innererror": {"message": "no"}}}, "no"),
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


@pytest.mark.parametrize("status", [401, 402, 408, 409, 425, 429, 500, 503, 529, 302])
def test_with_other_statuses_the_endpoint_is_at_fault(status: int) -> None:
    assert isinstance(error_of(status, {"error": {"message": "no"}}), EndpointRefused)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_with_these_statuses_the_request_is_at_fault(status: int) -> None:
    error = error_of(status, {"error": {"message": "no"}})
    assert type(error) is RequestRefused
    assert (error.upstream_status, error.detail) == (status, "no")


def test_the_requested_delay_is_kept() -> None:
    error = error_of(429, b"", retry_after="2.5")
    assert isinstance(error, EndpointRefused)
    assert error.retry_after_s == 2.5


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        # Gemini
        (
            [
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [
                            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
                            {
                                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                                "retryDelay": "26s",
                            },
                        ],
                    }
                }
            ],
            26,
        ),
        # Groq, OpenAI
        ({"error": {"message": "Rate limit reached. Please try again in 1m12.5s."}}, 72.5),
        # Azure
        ({"error": {"message": "Please retry after 20 seconds.", "code": "429"}}, 20),
        ({"error": {"message": "no", "retry_after": 3}}, 3),
        ({"error": {"message": "no", "retry_after_ms": 1500}}, 1.5),
        ({"error": "loading", "estimated_time": 20.5}, 20.5),
        ({"error": {"message": "no", "retry_after": "soon"}}, None),
        ({"error": {"message": "no", "retry_after": -1}}, None),
        ({"error": {"message": "no", "retry_after": float("inf")}}, None),
        # Quoted words are the client's.
        ({"error": {"message": "No: 'try again in 50 s'"}}, None),
    ],
)
def test_a_delay_in_the_body_is_read(body: object, seconds: float | None) -> None:
    assert error_of(429, body).retry_after_s == seconds


def test_a_header_takes_precedence_over_the_body() -> None:
    body = {"error": {"message": "Please try again in 20s."}}
    assert error_of(429, body, retry_after="7").retry_after_s == 7


def test_the_reset_of_a_rate_limit_is_the_last_resort() -> None:
    assert error_of(429, b"", x_ratelimit_reset_tokens="6m0s").retry_after_s == 360
    assert error_of(500, b"", x_ratelimit_reset_tokens="6m0s").retry_after_s is None


def test_words_of_the_client_in_a_failure_name_no_delay() -> None:
    assert error_of(500, {"error": "failed on: try again in 3000 s"}).retry_after_s is None


@pytest.mark.parametrize(
    ("error", "code", "param"),
    [
        ({"code": "invalid_value", "param": "temperature"}, "invalid_value", "temperature"),
        ({"code": None, "param": None}, "", ""),
        ({"code": 400, "param": "messages[0].content"}, "", "messages[0].content"),
        ({"code": "400"}, "", ""),
        ({"code": 1301}, "1301", ""),
        ({"type": "invalid_request_error"}, "", ""),
        ({"code": "has spaces and\nlines", "param": "<script>"}, "", ""),
        ({"code": ["x"], "param": {"a": 1}}, "", ""),
        ({"code": "x" * 65, "param": "x" * 101}, "", ""),
        ({"code": "sk-abcdef1234567890abcdef"}, "[removed]", ""),
    ],
)
def test_code_and_param_are_kept_if_they_are_identifiers(
    error: dict[str, object], code: str, param: str
) -> None:
    refusal = error_of(400, {"error": {"message": "no", **error}})
    assert (refusal.upstream_code, refusal.param) == (code, param)


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
    # SGLang
    (
        "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens).",
        (59862, 160062),
    ),
    # OpenAI
    (
        "Your input exceeds the context window of this model. Please adjust your input.",
        (None, None),
    ),
    # Azure
    (
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
        "509178 tokens. Please reduce the length of the messages.",
        (272000, 509178),
    ),
    # Anthropic
    (
        "input length and `max_tokens` exceed context limit: 195261 + 12288 > 204650, decrease "
        "input length or `max_tokens` and try again",
        (204650, 207549),
    ),
    # Groq, Cerebras
    ("Please reduce the length of the messages or completion.", (None, None)),
    (
        "Please reduce the length of the messages or completion. Current length is 42328 while "
        "limit is 40000",
        (40000, 42328),
    ),
    # DeepSeek
    (
        "This model's maximum context length is 65536 tokens. However, you requested 66343 tokens "
        "(62247 in the messages, 4096 in the completion). Please reduce the length of the messages "
        "or completion.",
        (65536, 66343),
    ),
    # Cohere
    (
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 6354. "
        "Try using a shorter prompt.",
        (4081, 6354),
    ),
    # Bedrock
    ("Input is too long for requested model.", (None, None)),
    (
        "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
        (None, None),
    ),
    # Fireworks
    ("The prompt is too long: 140000, model maximum context length: 131071", (131071, 140000)),
    # Ollama
    ("prompt too long; exceeded max context length by 40 tokens", (None, None)),
    ("the input length exceeds the context length", (None, None)),
    # Perplexity
    ("The total length of all messages is too long.", (None, None)),
    # Moonshot
    ("Your request exceeded model token limit: 262144 (requested: 270000)", (262144, 270000)),
    # MiniMax
    ("invalid params, context window exceeds limit (2013)", (None, None)),
    # GitHub
    ("Request body too large for gpt-4o model. Max size: 8000 tokens.", (8000, None)),
    ("prompt token count of 140000 exceeds the limit of 128000", (128000, 140000)),
    # LM Studio
    (
        "The number of tokens to keep from the initial prompt is greater than the context length. "
        "Try to load the model with a larger context length.",
        (None, None),
    ),
    # OpenRouter
    ("Input length 9000 exceeds the maximum allowed input length of 8192 tokens.", (8192, 9000)),
    # LiteLLM
    ("Input length (265330) exceeds model's maximum context length (262144).", (262144, 265330)),
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
        "Reached the limit: Limit 6000, Requested 7000 tokens per minute",
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
