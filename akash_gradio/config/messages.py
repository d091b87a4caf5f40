"""The texts of all problems in the configuration: what is wrong, and how to fix it.

A hint completes "ENDPOINTS[2], url …", so most begin with "must".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

# Any value
REQUIRED: Final = "is required"
INVALID: Final = "is invalid"
NOT_ASCII: Final = "must consist of ASCII letters, digits and punctuation, without spaces"
NAME_TAKEN: Final = "must be unique; another entry has this name"
NO_SUCH_USER: Final = "must be a full path: there is no user with the name after the ~"
SET_VARIABLE: Final = "set the variable {name}"
UNSET_REFERENCE: Final = "begins with $ and so refers to a variable, which is not set"
USING_DEFAULT: Final = "{hint}; using the default, {default}"
IGNORED: Final = "{hint}; the value is ignored"

# .env
UNREADABLE_ENV_FILE: Final = "must be UTF-8 text that this process may read"
NOT_A_VARIABLE: Final = "line {line} must be NAME=value: check its quotes, or start it with #"

# ENDPOINTS and the short form
IGNORED_WITH_ENDPOINTS: Final = "is ignored because ENDPOINTS is set; unset one of them"
UNREADABLE_FILE: Final = "must be the path of a file that can be read"
INVALID_JSON: Final = 'must be JSON{place}, as in [{{"url": "https://host/v1", "apiKey": "…"}}]'
NOT_A_LIST: Final = "must be a list: [{…}]"
EMPTY_LIST: Final = "must not be empty; add an entry, or unset the variable for the demo model"
NOT_AN_ENTRY: Final = 'must be an object, as in {"url": "https://host/v1"}'
UNKNOWN_FIELD: Final = "is not a field; {suggestion}"
DID_YOU_MEAN: Final = "did you mean {name}?"
KNOWN_FIELDS: Final = "the fields are {names}"
NO_MODELS: Final = "must name at least one model; leave the field out to discover them"
ENDPOINT_NAME: Final = (
    "must begin with a letter or digit and consist of letters, digits, spaces and . : - _"
)
HEADER_NAME: Final = "must have names of letters, digits and -"
LINE_BREAK: Final = "must not contain a line break"
NOT_SENDABLE: Final = "contains a character that is not allowed in a header; copy it again"

# URLs
URL_SCHEME: Final = "must start with https:// or http://"
URL_PORT: Final = "must have a port from 1 to 65535"
URL_HOST: Final = "must have a valid host, as in https://host/v1"
URL_CREDENTIALS: Final = "must not contain a user or password; put the key into apiKey"
URL_FRAGMENT: Final = "must not contain a # or spaces after the ?"

# FALLBACK_MODEL
UNKNOWN_FALLBACK: Final = "no endpoint and no catalog entry has this model; correct the id"

# COST_PER_DAY
NO_PRICES: Final = (
    "can't be enforced for models without promptPrice and completionPrice in the catalog, so they "
    "are refused; write 0 for a model that costs nothing. Without prices: {models}"
)

# GATEWAY_API_KEYS
INVALID_KEYS_JSON: Final = 'must be JSON, as in [{"name": "ann", "key": "…"}]'
KEYS_NOT_A_LIST: Final = 'must be a list, as in [{"name": "ann", "key": "…"}]'
NOT_A_KEY: Final = 'must be a key, or an object as in {"name": "ann", "key": "…"}'
UNKNOWN_KEY_FIELD: Final = "has an unknown field; the fields are {names}"
KEY_LIMITS: Final = 'must be an object, as in {"requestsPerMinute": 60, "tokensPerDay": 100000}'
KEY_MODELS: Final = "must name at least one model; leave the field out to allow all"
DUPLICATE_KEY: Final = "must be unique; another entry has this key"

# Other variables
POSTGRES_URL: Final = "must have the form postgresql://user:password@host/name"
REDIS_URL: Final = "must have the form redis://host:6379/0"
PROVIDER_URL: Final = "must be a URL that starts with https://, as in https://huggingface.co"
ORIGINS: Final = "must be a comma-separated list of https://host, without paths"
HOSTS: Final = "must be a comma-separated list of host names, as in chat.example.com"
PARAMETER_RANGES: Final = (
    'must be JSON, as in {{"temperature": [0, 1]}}; the parameters are {names}'
)
SIGN_IN: Final = "must be huggingface or off; until then visitors sign in with Hugging Face"
OAUTH_CLIENT: Final = (
    "is required to sign in: on a Space write hf_oauth: true at the top of README.md, elsewhere "
    "create an OAuth app at https://huggingface.co/settings/applications/new"
)
MISSING_EXTRA: Final = (
    'needs an extra: pip install "akash-gradio[{extra}]"; until then {consequence}'
)

_MAX_SHOWN_CHARS: Final = 12
"""Keys are longer than this, or mix letters and digits; mistyped settings are neither."""
_MIN_MIXED_CHARS: Final = 8


def describe_value(value: object) -> str:
    """Return a value as a problem may show it; "" for anything that could be a key."""
    if isinstance(value, str):
        return repr(value) if _is_harmless(value) else ""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= _MAX_SHOWN_CHARS else "a long number"
    return describe_type(value)


def describe_type(value: object) -> str:
    """Return the type of a JSON value with an article, as in "an object"."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return describe_value(value)
    return "a string" if isinstance(value, str) else "a number"


def _is_harmless(text: str) -> bool:
    if len(text) > _MAX_SHOWN_CHARS or not text.isprintable():
        return False
    mixed = re.search(r"[A-Za-z]", text) and re.search(r"[0-9]", text)
    return not (mixed and len(text) >= _MIN_MIXED_CHARS)


def describe_field(info: FieldInfo) -> str:
    """Return what a field accepts, from its type and limits.

    Returns:
        For example "must be a whole number from 0 to 20"; `INVALID` for a type that accepts any
        string, where only a validator can fail, which has a hint of its own.
    """
    types, limits = _types_and_limits(info.annotation, info.metadata)
    if bool in types:
        return "must be true or false"
    if int in types:
        return f"must be a whole number{_range(limits)}"
    if float in types:
        return f"must be a number{_range(limits)}"
    for accepted in types:
        if isinstance(accepted, type) and issubclass(accepted, Enum):
            return f"must be {_either([str(member.value) for member in accepted])}"
    for accepted in types:
        origin = get_origin(accepted)
        if origin is dict:
            return 'must be an object with string values: {"name": "value"}'
        if origin is tuple:
            return 'must be a list of strings: ["value"]'
    return f"must be a string{_length(limits)}" if {str, SecretStr} & set(types) else INVALID


def format_default(value: object) -> str:
    """Return a default as written in `.env`; "" for none."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _types_and_limits(annotation: Any, metadata: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the types of a union without None, and the limits of all its levels."""
    limits = list(_flat(metadata))
    if get_origin(annotation) is Annotated:
        inner, *inner_metadata = get_args(annotation)
        types, inner_limits = _types_and_limits(inner, inner_metadata)
        return types, [*limits, *inner_limits]
    if get_origin(annotation) in (Union, UnionType):
        types = []
        for part in get_args(annotation):
            if part is not NoneType:
                part_types, part_limits = _types_and_limits(part, [])
                types += part_types
                limits += part_limits
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
        f" of at least {low}" if low is not None else "",
        f" above {above}" if above is not None else "",
        f" and at most {high}" if high is not None else "",
    ]
    return "".join(parts)


def _length(limits: list[Any]) -> str:
    longest = _limit(limits, "max_length")
    return f" of 1 to {longest} characters" if longest is not None else ""


def _limit(limits: list[Any], name: str) -> Any:
    return next((getattr(item, name) for item in limits if hasattr(item, name)), None)


def _either(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]
