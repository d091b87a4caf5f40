"""Reads `ENDPOINTS`: the guide's JSON list, entry by entry, so that one mistake loses one entry."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic.alias_generators import to_camel

from akash_gradio.config.messages import expected, kind, shown
from akash_gradio.config.references import missing_variable, parse_reference
from akash_gradio.domain.model import Problem

EMBEDDED_ALIAS: Final = "this-computer"
_API_PATHS: Final = ("/chat/completions", "/completions", "/models")
_SECRET_FIELDS: Final = frozenset({"apiKey", "customHeaders", "url"})


class EndpointSettings(BaseModel):
    """One server that speaks the OpenAI protocol.

    url: the base, always ending in its version (`https://host/v1`), no slash behind it.
    weight: share among the endpoints of its priority, 0 drains it. priority: lower first.
    models: catalog ids; None means whatever its `/v1/models` lists.
    model_map: catalog id → the endpoint's own id.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    url: str
    api_key: SecretStr | None = None
    weight: int = Field(1, ge=0, le=1_000_000)
    priority: int = Field(1, ge=0)
    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    name: str = Field(max_length=60)
    max_concurrency: int | None = Field(None, ge=1)
    custom_headers: dict[str, SecretStr] = Field(default_factory=dict)
    model_map: dict[str, str] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _base_url(cls, url: str) -> str:
        return base_url(url)

    @field_validator("models")
    @classmethod
    def _some_models(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models is not None and (not models or not all(m.strip() for m in models)):
            raise ValueError("name at least one model id, or leave the field out to discover them")
        return models

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w .:-]*", name):
            raise ValueError("begin it with a letter; write letters, digits, spaces and . : - _")
        return name

    @field_validator("api_key")
    @classmethod
    def _key_fits_on_the_wire(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            _check_wire(key.get_secret_value())
        return key

    @field_validator("custom_headers")
    @classmethod
    def _headers_fit_on_the_wire(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if not all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) for name in headers):
            raise ValueError("a header's name may hold letters, digits and - only")
        for value in headers.values():
            _check_wire(value.get_secret_value())
        return headers


def _check_wire(value: str) -> None:
    if re.search(r"[\r\n\0]", value):
        raise ValueError("it holds a line break; remove it")
    if not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ValueError("it holds a character that a header can't carry; copy it again")


def base_url(url: str) -> str:
    """The endpoint's base with its version, from any of the forms that people paste.

    `https://h`, `https://h/`, `https://h/v1` and `https://h/v1/chat/completions` all give
    `https://h/v1`. Raises ValueError with the hint.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        if "port" in str(error).lower():
            raise ValueError("its port must be a number from 1 to 65535") from None
        raise ValueError("its host can't be read; write it as in https://host/v1") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("start it with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("take the user and password out of it; keys go into apiKey")
    if not parts.hostname or re.search(r"[\s\\\x00-\x1f]", parts.netloc + parts.path):
        raise ValueError("name a host after the scheme, without spaces, as in https://host/v1")
    if parts.query or parts.fragment:
        raise ValueError("leave out everything from the ? or # on")
    if port == 0:
        raise ValueError("its port must be a number from 1 to 65535")
    path = parts.path.rstrip("/")
    for tail in _API_PATHS:
        path = path.removesuffix(tail).rstrip("/")
    if not re.search(r"/v\d+\w*$", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def read_endpoints(
    text: str, environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    """The endpoints that are right, and a problem for each that isn't.

    text: JSON, or the path of a `.json` file. environment: where `"$NAME"` is looked up.
    """
    where, text = "ENDPOINTS", _unquoted(text.strip())
    if text.endswith(".json") and not text.startswith(("[", "{")):
        path = Path(text)
        try:
            text = path.expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError):
            hint = "the file can't be read; check its path"
            told = path.name if re.fullmatch(r"[\w.-]{1,60}", path.name) else ""
            return (), (_problem(where, "", told, hint),)
        where = path.name
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = ""
        if isinstance(error, json.JSONDecodeError):
            place = f" (line {error.lineno}, column {error.colno})"
        hint = f'it is not JSON{place}; write [{{"url": "https://host/v1", "apiKey": "…"}}]'
        return (), (_problem(where, "", "", hint),)
    if not isinstance(raw, list):
        return (), (_problem(where, "", kind(raw), "put the entries into a list: [{…}]"),)
    if not raw:
        hint = "the list is empty; add an entry, or unset the variable for the embedded model"
        return (), (_problem(where, "", "[]", hint),)
    return _read_entries(where, raw, environment)


def read_short_form(
    url: str, key: SecretStr | None, model: str | None
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    """The one endpoint of API_ENDPOINT, API_KEY and DEFAULT_MODEL, or what is wrong with it."""
    models = [model] if model else None
    given = {"name": "endpoint-1", "url": url, "apiKey": key, "models": models}
    try:
        return (EndpointSettings.model_validate(given),), ()
    except ValidationError as error:
        variables = {"url": "API_ENDPOINT", "apiKey": "API_KEY", "models": "DEFAULT_MODEL"}
        found = _entry_problems("", error)
        return (), tuple(_problem(variables[p.field], "", p.value, p.hint) for p in found)


def _unquoted(text: str) -> str:
    # `docker run --env-file` hands the quotes of a .env line on.
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].strip()
    return text


def _read_entries(
    where: str, raw: list[Any], environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    entries: dict[str, EndpointSettings] = {}
    problems: list[Problem] = []
    for number, item in enumerate(raw, start=1):
        place = f"{where}[{number}]"
        if not isinstance(item, dict):
            problems.append(_problem(place, "", kind(item), 'write {"url": "https://host/v1"}'))
            continue
        filled, missing = _fill(item, environment)
        if missing:
            field, name = missing
            problems.append(missing_variable(place, field, name))
            continue
        filled.setdefault("name", f"endpoint-{number}")
        try:
            entry = EndpointSettings.model_validate(filled)
        except ValidationError as error:
            problems.extend(_entry_problems(place, error))
            continue
        if entry.name in entries or entry.name == EMBEDDED_ALIAS:
            problems.append(
                _problem(place, "name", entry.name, "this name is taken; choose another")
            )
            continue
        entries[entry.name] = entry
    return tuple(entries.values()), tuple(problems)


def _fill(
    item: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Put variables in the place of `"$NAME"`; the first that isn't set comes back by name."""
    names = EndpointSettings.model_fields
    filled = {to_camel(key) if key in names else key: value for key, value in item.items()}
    holders: list[tuple[dict[str, Any], str]] = [(filled, "apiKey")]
    if isinstance(filled.get("customHeaders"), dict):
        headers = filled["customHeaders"] = dict(filled["customHeaders"])
        holders += [(headers, key) for key in headers]
    for holder, key in holders:
        value = holder.get(key)
        name = parse_reference(value)
        if name is not None:
            if not environment.get(name):
                field = key if holder is filled else "customHeaders"
                return filled, (field, name)
            holder[key] = environment[name].strip()
        elif isinstance(value, str):
            holder[key] = value.strip()
        if holder.get(key) == "":
            del holder[key]
    return filled, None


def _entry_problems(place: str, error: ValidationError) -> list[Problem]:
    fields = {to_camel(name): info for name, info in EndpointSettings.model_fields.items()}
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0])
        value = "" if field in _SECRET_FIELDS else shown(item["input"])
        if item["type"] == "extra_forbidden":
            problem = _unknown_field(place, field, list(fields))
        elif item["type"] == "missing":
            problem = _problem(place, field, "", "it is required")
        elif item["type"] == "value_error":
            problem = _problem(place, field, value, item["msg"].removeprefix("Value error, "))
        else:
            problem = _problem(place, field, value, expected(fields[field]))
        found.setdefault(field, problem)
    return list(found.values())


def _unknown_field(place: str, field: str, known: list[str]) -> Problem:
    by_folded = {name.casefold(): name for name in known}
    folded = field.casefold().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(folded, by_folded, n=1)
    hint = f"known are {', '.join(known)}"
    if close:
        hint = f"did you mean {by_folded[close[0]]}?"
    told = field if re.fullmatch(r"[A-Za-z_-]{1,40}", field) else ""
    return _problem(place, told, "", f"there is no such field; {hint}")


def _problem(where: str, field: str, value: str, hint: str) -> Problem:
    return Problem(where=where, field=field, value=value, hint=hint)
