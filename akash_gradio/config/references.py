"""`"$NAME"` in the place of a secret: the environment variable NAME holds it."""

from __future__ import annotations

import re
from typing import Final

from akash_gradio.domain.model import Problem

_REFERENCE: Final = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)


def parse_reference(value: object) -> str | None:
    """The variable that a value names as `$NAME` or `${NAME}`; None when it names none."""
    match = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return (match[1] or match[2]) if match else None


def missing_variable(where: str, field: str, name: str) -> Problem:
    """That the variable a value names isn't set."""
    if name.isupper():
        hint = f"set the variable {name}"
        return Problem(where=where, field=field, value=f"${name}", hint=hint)
    # It may be a password that begins with $, and so it isn't told.
    hint = "a value that begins with $ names a variable, and none of that name is set"
    return Problem(where=where, field=field, value="", hint=hint)
