"""How a mistake in the configuration is told: what stood there, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

_LONGEST_SHOWN: Final = 12
"""Characters. Keys are longer, or mix letters and digits; mistyped settings are neither."""
_MIXED_ENOUGH: Final = 8


def shown(value: object) -> str:
    """value as a person may see it: "" in the place of whatever could be a key."""
    if isinstance(value, str):
        return repr(value) if _harmless(value) else ""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= _LONGEST_SHOWN else "a long number"
    return kind(value)


def kind(value: object) -> str:
    """What a JSON value is, in plain words."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return shown(value)
    return "a text" if isinstance(value, str) else "a number"


def _harmless(text: str) -> bool:
    if len(text) > _LONGEST_SHOWN or not text.isprintable():
        return False
    mixed = re.search(r"[A-Za-z]", text) and re.search(r"[0-9]", text)
    return not (mixed and len(text) >= _MIXED_ENOUGH)


def expected(info: FieldInfo) -> str:
    """What to write into this field, from its type and limits: `write a whole number from 0 to 20`.

    "" for a type that takes any text, where only a check of its own can fail.
    """
    types, limits = _opened(info.annotation, info.metadata)
    if bool in types:
        return "write true or false"
    if int in types:
        return f"write a whole number{_range(limits)}"
    if float in types:
        return f"write a number{_range(limits)}"
    for chosen in types:
        if isinstance(chosen, type) and issubclass(chosen, Enum):
            return f"write {_either([str(member.value) for member in chosen])}"
    for chosen in types:
        origin = get_origin(chosen)
        if origin is dict:
            return 'write an object of texts: {"name": "text"}'
        if origin is tuple:
            return 'write a list of texts: ["text"]'
    return f"write a text{_length(limits)}" if {str, SecretStr} & set(types) else ""


def as_written(value: object) -> str:
    """A default as one would write it into `.env`; "" for none."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _opened(annotation: Any, metadata: list[Any]) -> tuple[list[Any], list[Any]]:
    """The types of a union without None, and the limits wherever they stand."""
    types: list[Any] = []
    limits = list(_flat(metadata))
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        types, deeper = _opened(inner, more)
        return types, [*limits, *deeper]
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            if part is not NoneType:
                found, deeper = _opened(part, [])
                types += found
                limits += deeper
        return types, limits
    return [annotation], limits


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else [item]


def _range(limits: list[Any]) -> str:
    low, above, high = (_limit(limits, name) for name in ("ge", "gt", "le"))
    if low is not None and high is not None:
        return f" from {low} to {high}"
    parts = [
        f" of {low} or more" if low is not None else "",
        f" above {above}" if above is not None else "",
        f" and up to {high}" if high is not None else "",
    ]
    return "".join(parts)


def _length(limits: list[Any]) -> str:
    most = _limit(limits, "max_length")
    return f" of 1 to {most} characters" if most is not None else ""


def _limit(limits: list[Any], name: str) -> Any:
    return next((getattr(item, name) for item in limits if hasattr(item, name)), None)


def _either(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]
