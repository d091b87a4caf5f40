"""Parses `"$NAME"`, which refers to the environment variable NAME in place of a secret."""

from __future__ import annotations

import re
from typing import Final

from akash_gradio.config import messages
from akash_gradio.domain.model import Problem

_REFERENCE: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)


def parse_reference(value: object) -> str | None:
    """Return NAME for a value `$NAME` or `${NAME}`, None for any other value."""
    match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return (match[1] or match[2]) if match else None


def missing_variable(where: str, field: str, name: str) -> Problem:
    """Return the problem of a value that refers to a variable that is not set.

    Args:
        where: The variable or file, and the entry, that contains the value.
        field: The field that contains the value.
        name: The variable that the value refers to.
    """
    if name.isupper():
        hint = messages.SET_VARIABLE.format(name=name)
        return Problem(where=where, field=field, value=f"${name}", hint=hint)
    # The value may be a password that begins with $, so it is not shown.
    return Problem(where=where, field=field, hint=messages.UNSET_REFERENCE)
