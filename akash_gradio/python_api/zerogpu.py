"""How long a function under `@spaces.GPU` is allowed to run, from the requested tokens."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any


def gpu_duration(
    tokens_per_second: float, *, start_s: float = 10.0, max_tokens: int = 1024
) -> Callable[..., int]:
    """Return a duration for `@spaces.GPU(duration=…)`: the visitor's quota is billed by it.

    Args:
        tokens_per_second: How fast the model answers.
        start_s: Seconds until the first token.
        max_tokens: The longest answer where a request sets no `max_tokens`.

    Returns:
        A function of the model function's own arguments that returns seconds.
    """
    default = max_tokens

    def duration(*_args: Any, max_tokens: int | None = None, **_parameters: Any) -> int:
        return ceil(start_s + (max_tokens or default) / tokens_per_second)

    return duration
