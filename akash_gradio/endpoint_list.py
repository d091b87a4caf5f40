"""Reads `ENDPOINTS`: the guide's JSON list, entry by entry, so that one mistake loses one entry."""

from __future__ import annotations

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
    model_validator,
)
from pydantic.alias_generators import to_camel

from akash_gradio.domain.model import Problem

EMBEDDED_ALIAS: Final = "this-computer"
_API_PATHS: Final = ("/chat/completions", "/completions", "/models")
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
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
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    priority: Annotated[int, Field(ge=0)] = 1
    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w .:-]+$")]
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
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

    @model_validator(mode="after")
    def _headers_fit_on_the_wire(self) -> EndpointSettings:
        values = [self.api_key, *self.custom_headers.values()]
        if any(re.search(r"[\r\n\0]", v.get_secret_value()) for v in values if v):
            raise ValueError("a key or header value holds a line break; remove it")
        if any(
            not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) for name in self.custom_headers
        ):
            raise ValueError("a header's name may hold letters, digits and - only")
        return self


def base_url(url: str) -> str:
    """The endpoint's base with its version, from any of the forms that people paste.

    `https://h`, `https://h/`, `https://h/v1` and `https://h/v1/chat/completions` all give
    `https://h/v1`. Raises ValueError with the mend.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https"):
        raise ValueError("start it with https:// or http://")
    if not parts.hostname:
        raise ValueError("name a host after the scheme, as in https://host/v1")
    if parts.username or parts.password:
        raise ValueError("take the user and password out of it; keys go into apiKey")
    if parts.query or parts.fragment:
        raise ValueError("leave out everything from the ? or # on")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port must be a number from 1 to 65535") from None
    path = parts.path.rstrip("/")
    for tail in _API_PATHS:
        path = path.removesuffix(tail)
    if not re.search(r"/v\d+\w*$", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def read_endpoints(
    text: str, environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    """The endpoints that are right, and a problem for each that isn't.

    text: JSON, or the path of a `.json` file. environment: where `"$NAME"` is looked up.
    """
    where = "ENDPOINTS"
    if text.strip().endswith(".json"):
        where = Path(text.strip()).name
        try:
            text = Path(text.strip()).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return (), (_problem("ENDPOINTS", "", where, "the file can't be read; check its path"),)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = ""
        if isinstance(error, json.JSONDecodeError):
            place = f" (line {error.lineno}, column {error.colno})"
        mend = f'it is not JSON{place}; write [{{"url": "https://host/v1", "apiKey": "…"}}]'
        return (), (_problem(where, "", "", mend),)
    if not isinstance(raw, list):
        return (), (_problem(where, "", type(raw).__name__, "put the entries into a list: [{…}]"),)
    if not raw:
        mend = "the list is empty; add an entry, or unset the variable for the embedded model"
        return (), (_problem(where, "", "[]", mend),)
    return _read_entries(where, raw, environment)


def _read_entries(
    where: str, raw: list[Any], environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    entries: dict[str, EndpointSettings] = {}
    problems: list[Problem] = []
    for number, item in enumerate(raw, start=1):
        place = f"{where}[{number}]"
        if not isinstance(item, dict):
            problems.append(_problem(place, "", type(item).__name__, 'write {"url": …}'))
            continue
        filled, missing = _fill(item, environment)
        if missing:
            field, name = missing
            problems.append(_problem(place, field, f"${name}", f"set the variable {name}"))
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
    filled = dict(item)
    headers = item.get("customHeaders", item.get("custom_headers"))
    if isinstance(headers, dict):
        filled.pop("custom_headers", None)
        filled["customHeaders"] = dict(headers)
    holders = [(filled, key) for key in ("apiKey", "api_key")]
    if isinstance(headers, dict):
        holders += [(filled["customHeaders"], key) for key in headers]
    for holder, key in holders:
        value = holder.get(key)
        match = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
        if match:
            name = match[1]
            if not environment.get(name):
                return filled, (key, name)
            holder[key] = environment[name].strip()
        elif isinstance(value, str):
            holder[key] = value.strip()
        if holder.get(key) == "":
            del holder[key]
    return filled, None


def _entry_problems(place: str, error: ValidationError) -> list[Problem]:
    found = []
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        shown = "" if field in _SECRET_FIELDS or not field else repr(item["input"])[:60]
        known = ", ".join(to_camel(name) for name in EndpointSettings.model_fields)
        mend = {
            "extra_forbidden": f"there is no such field; known are {known}",
            "missing": "it is required",
        }.get(item["type"], item["msg"].removeprefix("Value error, "))
        if item["type"] in ("extra_forbidden", "missing"):
            shown = ""
        found.append(_problem(place, field, shown, mend))
    return found


def _problem(where: str, field: str, value: str, mend: str) -> Problem:
    return Problem(where=where, field=field, value=value, mend=mend)
