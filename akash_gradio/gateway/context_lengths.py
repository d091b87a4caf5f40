"""Reads the vendors' sentences for "the request is longer than the context".

A match of a pattern in `_LIMITS` means by itself that the request is too long; a group is a
number of tokens. Collected from documentation and issue trackers: OpenAI, Azure, vLLM, SGLang,
TGI, llama.cpp, Ollama, LM Studio, Mistral, Gemini, Groq, xAI, DeepSeek, Anthropic, Cohere,
Together, Fireworks, Bedrock, OpenRouter, Cerebras, Perplexity, Moonshot, MiniMax, GitHub Models.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"(\d[\d,]{0,14})"
_MAX_CHARACTERS: Final = 2_000
"""How much of a message is searched."""
_MAX_TOKENS: Final = 1 << 53


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(p.replace("#", _NUMBER), re.IGNORECASE) for p in patterns)


_LIMITS: Final = _patterns(
    r"context length (?:is |of )?(?:only )?(?:of )?\(?#",
    r"maximum context length:? #",
    r"available context size \(#",
    r"maximum model length of #",
    r"maximum prompt length is #",
    r"# maximum context length",
    r"context window (?:of|is) (?:only )?#",
    r"must have less than # tokens",
    r"`max_new_tokens` must be <= #",
    r"tokens > # maximum",
    r"maximum number of (?:input )?tokens allowed \(?#",
    r"n_ctx: #",
    r"exceed context limit: \d+ \+ \d+ > #",  # Anthropic: input and max_tokens together
    r"maximum allowed (?:input )?length (?:of |\()#",
    r"(?:cannot|must not|can't) exceed # ?(?:tokens|- received)",  # Cohere
    r"tokens exceed the (?:configured |model'?s )?limit of #",  # Azure
    r"current length is \d+ while limit is #",  # Cerebras
    r"exceeded model token limit: #",  # Moonshot
    r"prompt token count of \d+ exceeds the limit of #",  # GitHub Copilot
    r"too large for \S{1,80} model\. max size: # tokens",  # GitHub Models
    r"prompt length \(?\d+\)? exceeds (?:the )?(?:maximum )?(?:context )?(?:length|window) \(?#",
    r"exceeds? (?:the )?(?:\w{1,20}'?s )?(?:max(?:imum)? |available )?context "
    r"(?:length|size|window)",
    r"context (?:length|size|window) (?:has been |was |is )?exceed(?:ed|s limit)",
    r"longer than the (?:model'?s )?context",
    r"greater than the context (?:length|size|window)",
    r"exceeded (?:the )?(?:max(?:imum)? )?context (?:length|size|window)",
    r"reduce the length of the (?:messages|prompt|input)",
    r"\b(?:input|prompt) is too long\b",
    r"\bprompt too long\b",
    r"\binput too long\b",
    r"total length of all messages is too long",  # Perplexity
    r"too many (?:input|total) (?:text )?tokens",
    r"too many tokens: .{0,80}cannot exceed #",
)
_REQUESTED: Final = _patterns(
    r"total of (?:at least )?# ",
    r"requested (?:about )?# tokens",
    r"resulted in # tokens",
    r"too large: #\..{0,120}your request has # input tokens",
    r"passed # input tokens and requested # output tokens",
    r"given: # `inputs` tokens and # `max_new_tokens`",
    r"given: #",
    r"request \(# tokens",
    r"input \(# tokens",
    r"input length \(# tokens",
    r"prompt \((?:total )?length #",
    r"contains (?:at least )?# (?:input )?tokens",
    r"input length \(?#",
    r"token count (?:of |\()#",
    r"first # tokens",
    r"n_keep: #",
    r"request contains # tokens",
    r"too long: #",
    r"context limit: # \+ # >",
    r"- received #",
    r"current length is #",
    r"\(requested: #\)",
    r"prompt length \(?#",
)


def parse_lengths(text: str) -> tuple[bool, int | None, int | None]:
    """Return whether a message means "too long", the limit, and the requested tokens."""
    text = text[:_MAX_CHARACTERS]
    matches = [match for pattern in _LIMITS if (match := pattern.search(text))]
    if not matches:
        return False, None, None
    limit = next((_sum(match) for match in matches if match.groups()), None)
    requested = next(
        (_sum(match) for pattern in _REQUESTED if (match := pattern.search(text))), None
    )
    return True, limit, requested


def token_count(value: object) -> int | None:
    """Return a JSON value as a number of tokens, None when it isn't one."""
    return value if type(value) is int and 0 < value < _MAX_TOKENS else None


def _sum(match: re.Match[str]) -> int:
    return sum(int(number.replace(",", "")) for number in match.groups())
