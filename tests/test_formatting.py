"""The table of formatted values, which the page's script is tested against too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from akash_gradio import formatting

CASES: Final = Path(__file__).with_name("formatting_cases.json")
FORMATTERS: Final[dict[str, Callable[[Any], str]]] = {
    "seconds": formatting.format_seconds,
    "duration": formatting.format_duration,
    "cost": formatting.format_cost,
    "estimated_cost": partial(formatting.format_cost, estimated=True),
    "speed": formatting.format_speed,
    "estimated_speed": partial(formatting.format_speed, estimated=True),
    "tokens": formatting.format_tokens,
    "estimated_tokens": partial(formatting.format_tokens, estimated=True),
    "context_length": formatting.format_context_length,
}


def cases() -> Iterator[Any]:
    for kind, table in json.loads(CASES.read_text(encoding="utf-8")).items():
        for value, text in table:
            yield pytest.param(kind, value, text, id=f"{kind} {value}")


@pytest.mark.parametrize(("kind", "value", "text"), list(cases()))
def test_a_value_is_formatted_as_in_the_table(kind: str, value: float | None, text: str) -> None:
    assert FORMATTERS[kind](value) == text


def test_every_formatter_is_in_the_table() -> None:
    public = {
        name.removeprefix("format_") for name in vars(formatting) if name.startswith("format_")
    }
    assert public == {kind.removeprefix("estimated_") for kind in FORMATTERS}
    assert FORMATTERS.keys() == json.loads(CASES.read_text(encoding="utf-8")).keys()
