"""What real servers send, and whose fault it is. The shapes follow their documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.errors import AkashGradioError, EndpointRefused, RequestRefused
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.gateway.error_bodies import parse_error_object
from akash_gradio.gateway.error_responses import error_from_body, error_from_response
from akash_gradio.gateway.failure_policy import Scope, Verdict, judge

K = FailureKind


def openai(message: str, code: object = None, type: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def gemini(status: int, message: str, name: str, *details: dict[str, Any]) -> Any:
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return [{"error": error}]


CASES: list[tuple[str, int, object, FailureKind]] = [
    # The request.
    ("a wrong value", 400, openai("Invalid type for 'temperature'"), K.INVALID),
    ("an empty 400", 400, b"", K.INVALID),
    ("vLLM's validation", 400, {"object": "error", "message": "max_tokens: -1"}, K.INVALID),
    ("FastAPI's validation", 422, {"detail": [{"loc": ["body"], "msg": "required"}]}, K.INVALID),
    ("OpenAI's length", 400, openai("no", "context_length_exceeded"), K.TOO_LONG),
    ("SGLang's length", 400, {"message": "Input length 9 exceeds context length 8"}, K.TOO_LONG),
    ("llama.cpp's length as 500", 500, openai("the prompt exceeds the context size"), K.TOO_LONG),
    ("GitHub's length", 413, openai("too large", "tokens_limit_reached"), K.TOO_LONG),
    (
        "Azure's content filter",
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering the policy.",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        K.MODERATED,
    ),
    (
        "OpenRouter's moderation",
        403,
        {"error": {"code": 403, "message": "Your input was flagged", "metadata": {"reasons": []}}},
        K.MODERATED,
    ),
    ("DeepSeek's moderation", 400, openai("Content Exists Risk"), K.MODERATED),
    ("DashScope's moderation", 400, openai("no", "data_inspection_failed"), K.MODERATED),
    ("a legal reason", 451, b"", K.MODERATED),
    ("a firewall's page", 403, b"<html><title>Access denied</title></html>", K.BLOCKED),
    ("a firewall's 406", 406, b"<!DOCTYPE html><title>Not Acceptable</title>", K.BLOCKED),
    ("a firewall's text", 403, b"Forbidden", K.BLOCKED),
    ("a firewall without a body", 403, b"", K.BLOCKED),
    ("AWS API Gateway's 403", 403, {"message": "Forbidden"}, K.BLOCKED),
    ("nginx's body limit", 413, b"<html>413 Request Entity Too Large</html>", K.OVER_LIMIT),
    (
        "Groq's limit per minute",
        413,
        openai(
            "Request too large for model `m` in organization `o` on tokens per minute (TPM): "
            "Limit 6000, Requested 14810, please reduce your message size and try again.",
            "rate_limit_exceeded",
            "tokens",
        ),
        K.OVER_LIMIT,
    ),
    (
        "OpenAI's limit per minute",
        429,
        openai("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 99"),
        K.OVER_LIMIT,
    ),
    (
        "OpenRouter's credit for one request",
        402,
        openai(
            "This request requires more credits, or fewer max_tokens. You requested up to 99999 "
            "tokens, but can only afford 1200.",
            402,
        ),
        K.OVER_LIMIT,
    ),
    (
        "vLLM without tools",
        400,
        {"message": '"auto" tool choice requires --enable-auto-tool-choice and --x to be set'},
        K.UNSUPPORTED,
    ),
    ("a model without pictures", 400, openai("This model does not support images"), K.UNSUPPORTED),
    ("an unknown parameter", 400, openai("Unknown parameter: 'top_k'."), K.UNSUPPORTED),
    ("pydantic's extra", 422, {"detail": "Extra inputs are not permitted"}, K.UNSUPPORTED),
    ("OpenRouter's tools", 404, openai("No endpoints found that support tool use"), K.UNSUPPORTED),
    ("an argument of ours, as 500", 500, openai("stream_options is not iterable"), K.UNSUPPORTED),
    ("an argument of ours, as 501", 501, {"error": "include_usage"}, K.UNSUPPORTED),
    (
        "llama.cpp's template",
        500,
        openai("\n---\nError: Jinja Exception: Conversation roles must alternate", 500),
        K.TEMPLATE,
    ),
    ("a picture", 500, {"error": "Failed to load the image"}, K.TEMPLATE),
    ("a tool parser", 500, {"message": "Error in tool parser"}, K.TEMPLATE),
    # The model.
    (
        "OpenAI's model",
        404,
        openai("The model `m` does not exist", "model_not_found"),
        K.MODEL_MISSING,
    ),
    (
        "vLLM's model",
        404,
        {"object": "error", "message": "The model `m` does not exist."},
        K.MODEL_MISSING,
    ),
    ("Ollama's model", 404, openai('model "m" not found, try pulling it first'), K.MODEL_MISSING),
    ("LiteLLM's model", 400, openai("Invalid model name passed in model=m"), K.MODEL_MISSING),
    ("DeepSeek's model", 400, openai("Model Not Exist"), K.MODEL_MISSING),
    ("OpenRouter's model", 400, openai("a/b is not a valid model ID", 400), K.MODEL_MISSING),
    ("OpenRouter's endpoints", 404, openai("No endpoints found for a/b:free."), K.MODEL_MISSING),
    ("Anthropic's model", 404, openai("model: m", None, "not_found_error"), K.MODEL_MISSING),
    ("Azure's deployment", 404, openai("does not exist", "DeploymentNotFound"), K.MODEL_MISSING),
    ("a gone model", 410, openai("The model m has been deprecated"), K.MODEL_MISSING),
    (
        "OpenAI's project",
        403,
        openai("Project `p` does not have access to model `m`", "model_not_found"),
        K.MODEL_DENIED,
    ),
    (
        "Bedrock's model",
        403,
        {"Message": "You don't have access to the model with the specified model ID."},
        K.MODEL_DENIED,
    ),
    ("no access", 403, {"error": "no access to model m"}, K.MODEL_DENIED),
    (
        "LiteLLM's key",
        401,
        openai("key not allowed to access model. This key can only access models=['a']", "401"),
        K.MODEL_DENIED,
    ),
    (
        "OpenRouter's data policy",
        404,
        openai("No endpoints available matching your guardrail restrictions and data policy."),
        K.MODEL_DENIED,
    ),
    (
        "OpenAI's rate limit",
        429,
        openai(
            "Rate limit reached for gpt-4o in organization o on tokens per min (TPM)",
            "rate_limit_exceeded",
        ),
        K.MODEL_RATE_LIMIT,
    ),
    (
        "OpenRouter's provider",
        429,
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": "a/b:free is temporarily rate-limited upstream."},
            }
        },
        K.MODEL_RATE_LIMIT,
    ),
    # The key and the account.
    ("a wrong key", 401, openai("Incorrect API key provided: sk-x", "invalid_api_key"), K.KEY),
    ("an unknown 401", 401, b"no", K.KEY),
    (
        "Gemini's key",
        400,
        gemini(
            400,
            "API key not valid. Please pass a valid API key.",
            "INVALID_ARGUMENT",
            {"@type": "ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        K.KEY,
    ),
    ("an expired key", 400, openai("API key expired. Please renew the API key."), K.KEY),
    (
        "Anthropic's credit",
        400,
        openai("Your credit balance is too low to access the API."),
        K.CREDIT,
    ),
    ("DeepSeek's credit", 402, openai("Insufficient Balance"), K.CREDIT),
    ("an unknown 402", 402, b"", K.CREDIT),
    ("Zhipu's credit", 429, {"error": {"code": "1113", "message": "no"}}, K.CREDIT),
    ("OpenRouter's key limit", 403, openai("Key limit exceeded (total limit).", 403), K.CREDIT),
    ("LiteLLM's budget", 400, openai("Budget has been exceeded! Current cost: 1", "400"), K.CREDIT),
    ("OpenAI's quota", 429, openai("You exceeded your quota", "insufficient_quota"), K.QUOTA),
    ("a quota as 402", 402, openai("no", "insufficient_quota"), K.QUOTA),
    ("Moonshot's quota", 429, openai("no", None, "exceeded_current_quota_error"), K.QUOTA),
    ("Anthropic's permission", 403, openai("no permission", None, "permission_error"), K.FORBIDDEN),
    ("OpenAI's country", 403, openai("Country, region, or territory not supported"), K.FORBIDDEN),
    ("a rate limit", 429, b"", K.RATE_LIMIT),
    ("Bedrock's throttling", 400, {"__type": "ThrottlingException", "message": "x"}, K.RATE_LIMIT),
    ("a rate limit in HTML", 429, b"<html>429</html>", K.RATE_LIMIT),
    (
        "Gemini's rate limit",
        429,
        gemini(429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED"),
        K.RATE_LIMIT,
    ),
    # The endpoint.
    ("a page", 404, b"<html><title>404 Not Found</title></html>", K.WRONG_URL),
    ("FastAPI's 404", 404, {"detail": "Not Found"}, K.WRONG_URL),
    ("Go's 404", 404, b"404 page not found", K.WRONG_URL),
    ("OpenAI's path", 404, openai("Invalid URL (POST /v1/v1/chat/completions)"), K.WRONG_URL),
    ("llama.cpp's path", 404, openai("File Not Found", 404, "not_found_error"), K.WRONG_URL),
    ("an empty 404", 404, b"", K.WRONG_URL),
    ("a method", 405, {"detail": "Method Not Allowed"}, K.WRONG_URL),
    ("a redirect", 301, b"<html></html>", K.WRONG_URL),
    ("a limit of requests at once", 429, openai("Too many concurrent requests"), K.BUSY),
    ("TGI's queue", 503, {"error": "the queue is full"}, K.BUSY),
    ("llama.cpp's slots", 503, openai("no slot available", 503, "unavailable_error"), K.BUSY),
    ("llama.cpp's start", 503, openai("Loading model", 503, "unavailable_error"), K.LOADING),
    (
        "Hugging Face's start",
        503,
        {"error": "m is currently loading", "estimated_time": 20},
        K.LOADING,
    ),
    ("a gateway's timeout", 504, b"<html></html>", K.TIMEOUT),
    ("Cloudflare's timeout", 524, b"<html></html>", K.TIMEOUT),
    ("a proxy's page", 502, b"<html><title>502 Bad Gateway</title></html>", K.SERVER),
    ("an unknown 500", 500, {"detail": "Internal Server Error"}, K.SERVER),
    ("Anthropic's overload", 529, openai("Overloaded", None, "overloaded_error"), K.SERVER),
]


@pytest.mark.parametrize(
    ("status", "body", "kind"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_servers_send_is_classified(status: int, body: object, kind: FailureKind) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert error_from_response("a", status, raw).kind is kind


LURES = [
    "API key not valid",
    "Your credit balance is too low",
    "insufficient balance",
    "rate limit exceeded, try again in 3600 s",
    "no access to model m",
    "The model does not exist",
    "unauthorized",
    "stream loading",
]


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize("lure", LURES)
@pytest.mark.parametrize(
    "message",
    [
        "Invalid value for 'user': '{}'",
        'unknown role "{}" in message 1',
        "Unsupported `response_format`: `{}`",
        "Unsupported value in messages: {}",
        "1 validation error for ChatCompletionRequest\nuser\n  got {}",
    ],
)
def test_words_of_the_client_are_not_taken_for_the_servers(
    status: int, lure: str, message: str
) -> None:
    for body in (openai(message.format(lure)), {"detail": message.format(lure)}):
        verdict = judge(error_from_response("a", status, json.dumps(body).encode()))
        assert verdict.scope is Scope.REQUEST or status == 500
        assert verdict.rest_s is None
        assert verdict.breaker in (None, "error")


SURELY_OF_THE_REQUEST = [K.MODERATED, K.BLOCKED, K.TEMPLATE, K.TOO_LONG]


@pytest.mark.parametrize("case", [c for c in CASES if c[3] in SURELY_OF_THE_REQUEST], ids=str)
def test_a_failure_of_the_request_fails_over_and_touches_nothing_else(
    case: tuple[str, int, object, FailureKind],
) -> None:
    raw = case[2] if isinstance(case[2], bytes) else json.dumps(case[2]).encode()
    error = error_from_response("a", case[1], raw)
    assert isinstance(error, RequestRefused)
    assert judge(error) == Verdict(scope=Scope.REQUEST)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": "Unexpected endpoint or method. (POST /chat)"}, K.WRONG_URL, 404),
        ({"error": {"message": "no", "type": "rate_limit_error"}}, K.RATE_LIMIT, 429),
        ({"error": {"message": "no", "type": "authentication_error"}}, K.KEY, 401),
        ({"error": {"message": "Your credit balance is too low"}}, K.CREDIT, 402),
        ({"error": {"message": "flagged by moderation"}}, K.MODERATED, 400),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, K.CREDIT, 402),
    ],
)
def test_an_error_in_a_successful_response_is_classified_too(
    body: object, kind: FailureKind, status: int
) -> None:
    parsed = parse_error_object(body)
    assert parsed is not None
    error = error_from_body("a", parsed)
    assert isinstance(error, EndpointRefused | RequestRefused)
    assert (error.kind, error.upstream_status) == (kind, status)


NAMES = [
    *("error", "errors", "message", "detail", "details", "code", "type", "status", "param", "raw"),
    *("metadata", "retryDelay", "loc", "msg", "headers", "base_resp", "n_ctx", "Message"),
    "innererror",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"]),
    st.sampled_from(["application/json", "text/html", "7", "1m"]) | st.text(),
)


@given(st.integers(300, 999), JSON, HEADERS)
def test_any_status_body_and_header_gives_a_verdict(
    status: int, body: object, headers: dict[str, str]
) -> None:
    error = error_from_response("a", status, json.dumps(body).encode(), headers)
    assert isinstance(error, AkashGradioError)
    verdict = judge(error)
    assert verdict.rest_s is None or 0 <= verdict.rest_s <= 3600
    str(error.facts["detail"]).encode()


@given(st.integers(300, 999), st.binary() | st.text().map(str.encode))
def test_any_bytes_give_a_verdict(status: int, body: bytes) -> None:
    judge(error_from_response("a", status, body))


@given(JSON)
def test_any_json_in_a_successful_response_gives_a_verdict_or_is_no_error(value: object) -> None:
    parsed = parse_error_object(value)
    if parsed is not None:
        judge(error_from_body("a", parsed))
