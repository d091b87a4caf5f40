"""The parameters of `/v1` that a client with limits may send: an allow list.

A parameter that isn't known here may cost more than is counted (`n_cmpl`, `best_of`, `min_tokens`,
`ignore_eos`, `service_tier`, `web_search_options`) or name another model (`models`, `route`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from akash_gradio.domain.errors import UserError
from akash_gradio.gateway import PassthroughRequest

ALLOWED_PARAMETERS: Final = frozenset(
    {
        "model", "messages", "stream", "stream_options", "n", "user",
        # Lengths, see `request_limits.MAX_TOKENS_NAMES`
        "max_tokens", "max_completion_tokens", "n_predict",
        # Sampling
        "temperature", "top_p", "top_k", "min_p", "seed", "stop", "presence_penalty",
        "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs",
        "reasoning_effort", "verbosity",
        # Tools and formats, which count as input
        "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
        "response_format", "chat_template_kwargs",
        # Labels
        "metadata", "prompt_cache_key", "safety_identifier",
    }
)  # fmt: skip
ALLOWED_STREAM_OPTIONS: Final = frozenset(
    {"include_usage", "include_obfuscation", "continuous_usage_stats"}
)
ALLOWED_PARTS: Final = frozenset({"text", "image_url", "refusal"})
"""Types of parts of a message. Audio, videos and files can't be counted before they are sent."""


def check_parameters(request: PassthroughRequest) -> None:
    """Check that a request has no parameter but those of the allow list.

    Raises:
        UserError: `parameter_not_allowed` with the name of the first one, status 400.
    """
    body = request.body
    _check(body, ALLOWED_PARAMETERS, "")
    options = body.get("stream_options")
    if isinstance(options, dict):
        _check(options, ALLOWED_STREAM_OPTIONS, "stream_options.")
    for message in body["messages"]:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if not isinstance(kind, str) or kind not in ALLOWED_PARTS:
                raise _error(f"messages.content.type={kind}")


def _check(values: Mapping[str, Any], allowed: frozenset[str], prefix: str) -> None:
    if not allowed.issuperset(values):
        raise _error(prefix + next(name for name in values if name not in allowed))


def _error(name: str) -> UserError:
    return UserError("parameter_not_allowed", {"name": name}, 400)
