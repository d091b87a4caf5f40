"""The settings as keyword arguments of the Python API."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from akash_gradio.config.settings import variables
from akash_gradio.domain.model import Problem

NOT_KEYWORDS: Final = frozenset(
    {"ENDPOINTS", "API_ENDPOINT", "API_KEY", "SPACE_ID", "SPACE_HOST", "SPACES_ZERO_GPU"}
)
"""Set by the environment or by other arguments."""


class UnknownSetting(TypeError):
    """A keyword isn't a setting."""


def keyword_names() -> dict[str, str]:
    """Map each keyword to its field: the variable in lower case, without `GRADIO_` or `APP_`."""
    return {
        keyword_of(variable): field
        for field, variable in variables().items()
        if variable not in NOT_KEYWORDS
    }


def keyword_of(variable: str) -> str:
    """Return the keyword for an environment variable."""
    return variable.lower().removeprefix("gradio_").removeprefix("app_")


def to_fields(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by field, as `read_settings` takes them. None leaves a setting unset.

    Raises:
        UnknownSetting: A keyword isn't a setting.
    """
    names = keyword_names()
    fields = {}
    for keyword, value in keywords.items():
        if keyword not in names:
            close = difflib.get_close_matches(keyword, names, n=1)
            hint = f"did you mean {close[0]}?" if close else "see docs/configuration.md"
            raise UnknownSetting(f"{keyword} is not an argument; {hint}")
        if value is not None:
            fields[names[keyword]] = _as_text(value)
    return fields


def keyword_problem(problem: Problem, keywords: Mapping[str, Any]) -> str | None:
    """Return a problem as a message about a keyword, None if it is about something else."""
    keyword = keyword_of(problem.where.partition("[")[0])
    if keyword not in keywords:
        return None
    shown = f" = {keywords[keyword]!r:.60}" if problem.value else ""
    hint = problem.hint.partition("; using the default")[0].partition("; the value is ignored")[0]
    return f"{keyword}{shown}: {hint}"


def _as_text(value: Any) -> Any:
    """Return what an environment variable would hold, so that both are validated alike."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(item, str) for item in value
    ):
        return ",".join(value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value)
    return str(value) if isinstance(value, int | float) else value
