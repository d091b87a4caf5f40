from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.domain.tokens import estimate_tokens, utf8_length


@given(st.text(st.characters()))
def test_any_text_has_a_length(text: str) -> None:
    assert utf8_length(text) >= len(text)


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (8, 2), (400, 100)])
def test_the_estimate_is_four_bytes_per_token_and_at_least_one(size: int, tokens: int) -> None:
    assert estimate_tokens(size) == tokens
