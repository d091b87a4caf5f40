from __future__ import annotations

import pytest

from akash_gradio.catalog.context_claims import contradictions


@pytest.mark.parametrize(
    ("text", "limit", "claims"),
    [
        ("It has a 128K context.", 131_072, ()),
        ("It has a 128K context.", 128_000, ()),
        ("It has a 128K context.", 32_768, ("128K context",)),
        ("a context window of 8,192 tokens", 8192, ()),
        ("a context window of 8,192 tokens", 4096, ("context window of 8,192",)),
        ("a context length: 1M", 1_048_576, ()),
        ("200K-token context", 200_000, ()),
        ("32k tokens of context", 131_072, ("32k tokens of context",)),
        ("trained on 15T tokens, 70B parameters", 8192, ()),
        ("answers in a context of 3 languages", 8192, ()),
    ],
)
def test_a_context_that_contradicts_the_token_limit_is_reported(
    text: str, limit: int, claims: tuple[str, ...]
) -> None:
    assert contradictions(text, limit) == claims
