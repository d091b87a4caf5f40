"""Reports settings whose optional dependency is not installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from akash_gradio.config import messages
from akash_gradio.config.settings import Settings
from akash_gradio.domain.model import Problem


def is_installed(module: str) -> bool:
    """Return whether a top-level module could be imported."""
    return find_spec(module) is not None


def missing_extras(
    settings: Settings, is_installed: Callable[[str], bool] = is_installed
) -> tuple[Problem, ...]:
    """Return a problem for each setting whose extra is not installed."""
    needs = [
        (
            settings.redis_url,
            "REDIS_URL",
            "redis",
            "redis",
            "each replica has its own limits and sessions",
        ),
        (settings.database_url, "DATABASE_URL", "psycopg", "postgres", "no vote is stored"),
    ]
    return tuple(
        Problem(
            where=variable,
            hint=messages.MISSING_EXTRA.format(extra=extra, consequence=consequence),
        )
        for value, variable, module, extra, consequence in needs
        if value is not None and not is_installed(module)
    )
