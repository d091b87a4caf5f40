"""Reads `ENDPOINTS` entry by entry, so that an invalid entry doesn't affect the others."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic.alias_generators import to_camel

from akash_gradio.config import messages
from akash_gradio.config.messages import describe_field, describe_type, describe_value
from akash_gradio.config.references import missing_variable, parse_reference
from akash_gradio.domain.known_secrets import REMOVED, is_version_name
from akash_gradio.domain.model import Problem

EMBEDDED_ALIAS: Final = "this-computer"
"""The name of the endpoint that serves the small model on this machine."""
_API_PATHS: Final = ("/chat/completions", "/completions", "/models", "/responses", "/embeddings")
_VERSION: Final = re.compile(r"v\d+\w*")
"""A segment of a path: `v1`, `v1beta`, `v4`."""
_SECRET_FIELDS: Final = frozenset({"apiKey", "customHeaders", "url"})


class EndpointSettings(BaseModel):
    """A server that speaks the OpenAI-compatible protocol.

    Attributes:
        url: The base URL, as `base_url` returns it: `https://host/v1`, perhaps with a query.
        weight: Its relative share of the requests among the endpoints of its priority; 0 drains it.
        priority: Lower ones are used first.
        models: The catalog ids that it serves; None for those that its `/v1/models` lists.
        name: Its alias in logs, receipts and metrics, unique among the endpoints.
        max_concurrency: Upper bound of concurrent requests; None for no limit.
        custom_headers: Headers of every request to it.
        model_map: Maps catalog ids to the endpoint's own ids.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    url: str = Field(repr=False)
    api_key: SecretStr | None = None
    weight: int = Field(1, ge=0, le=1_000_000)
    priority: int = Field(1, ge=0)
    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    name: str = Field(max_length=60)
    max_concurrency: int | None = Field(None, ge=1)
    custom_headers: dict[str, SecretStr] = Field(default_factory=dict)
    model_map: dict[str, str] = Field(default_factory=dict)

    @property
    def has_address(self) -> bool:
        """Whether it is a server; False for a Python function."""
        return True

    @property
    def running_calls(self) -> int:
        """Calls that still run although their requests ended; only a Python function has some."""
        return 0

    def accepts_parameter(self, _name: str) -> bool:
        """Return whether a sampling parameter may be sent to it."""
        return True

    def address(self, path: str) -> str:
        """Return the URL of a path below the base URL, with the query of the configuration."""
        base, mark, query = self.url.partition("?")
        return f"{base}{path}{mark}{query}"

    def shown_address(self, path: str) -> str:
        """Return `address` without the values of the query that may be secret, for the log."""
        parts = urlsplit(self.address(path))
        query = "&".join(
            f"{name}={value if is_version_name(name) else REMOVED}"
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        )
        return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"

    def alternative(self) -> EndpointSettings | None:
        """Return the endpoint to try when there is no API at its URL: with or without `/v1`.

        Returns:
            None if the path ends in another version.
        """
        base, mark, query = self.url.partition("?")
        if base.endswith("/v1"):
            other = base.removesuffix("/v1")
        elif _VERSION.fullmatch(base.rpartition("/")[2]):
            return None
        else:
            other = f"{base}/v1"
        return self.model_copy(update={"url": f"{other}{mark}{query}"})

    @field_validator("url")
    @classmethod
    def _normalize_url(cls, url: str) -> str:
        return base_url(url)

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models is not None and (not models or not all(m.strip() for m in models)):
            raise ValueError(messages.NO_MODELS)
        return models

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w .:-]*", name):
            raise ValueError(messages.ENDPOINT_NAME)
        return name

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            _check_header_value(key.get_secret_value())
        return key

    @field_validator("custom_headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if not all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) for name in headers):
            raise ValueError(messages.HEADER_NAME)
        for value in headers.values():
            _check_header_value(value.get_secret_value())
        return headers


def _check_header_value(value: str) -> None:
    if re.search(r"[\r\n\0]", value):
        raise ValueError(messages.LINE_BREAK)
    if not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ValueError(messages.NOT_SENDABLE)


def base_url(url: str) -> str:
    """Return an endpoint's base URL, from any of the forms in which vendors document it.

    The paths of the API follow it directly. `/v1` is added, unless the path shows where the API
    is: it has a version (`/v1beta/openai`, `/api/paas/v4`), a query (`/openai/deployments/d?
    api-version=…`), or it ended in a path of the API (`/chat/completions`), which is removed.

    Raises:
        ValueError: The URL can't be used; the message is a hint.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        is_port = "port" in str(error).lower()
        raise ValueError(messages.URL_PORT if is_port else messages.URL_HOST) from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(messages.URL_SCHEME)
    if "@" in parts.netloc:
        raise ValueError(messages.URL_CREDENTIALS)
    if not parts.hostname or re.search(r"[\s\\\x00-\x1f]", parts.netloc + parts.path):
        raise ValueError(messages.URL_HOST)
    if parts.fragment or not re.fullmatch(r"[\x21-\x7e]*", parts.query):
        raise ValueError(messages.URL_FRAGMENT)
    if port == 0:
        raise ValueError(messages.URL_PORT)
    written = path = parts.path.rstrip("/")
    for suffix in _API_PATHS:
        path = path.removesuffix(suffix).rstrip("/")
    is_complete = path != written or _has_version(path) or (path and parts.query)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{'' if is_complete else '/v1'}{query}"


def _has_version(path: str) -> bool:
    return any(_VERSION.fullmatch(segment) for segment in path.split("/"))


def read_endpoints(
    text: str, environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    """Read the value of `ENDPOINTS`.

    Args:
        text: JSON, or the path of a `.json` file.
        environment: Where `"$NAME"` is looked up.

    Returns:
        The valid endpoints, and a problem for each invalid one.
    """
    where, text = "ENDPOINTS", _unquote(text.strip())
    if text.endswith(".json") and not text.startswith(("[", "{")):
        path = Path(text)
        try:
            text = path.expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError):
            name = path.name if re.fullmatch(r"[\w.-]{1,60}", path.name) else ""
            return (), (Problem(where=where, value=name, hint=messages.UNREADABLE_FILE),)
        where = path.name
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = ""
        if isinstance(error, json.JSONDecodeError):
            place = f" (line {error.lineno}, column {error.colno})"
        return (), (Problem(where=where, hint=messages.INVALID_JSON.format(place=place)),)
    if not isinstance(entries, list):
        return (), (Problem(where=where, value=describe_type(entries), hint=messages.NOT_A_LIST),)
    if not entries:
        return (), (Problem(where=where, value="[]", hint=messages.EMPTY_LIST),)
    return _read_entries(where, entries, environment)


def read_endpoint(
    entry: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[EndpointSettings | None, tuple[Problem, ...]]:
    """Read one entry of a Python program.

    Args:
        entry: The fields of `ENDPOINTS`.
        environment: Where `"$NAME"` is looked up.

    Returns:
        The endpoint, or its problems.
    """
    endpoints, problems = _read_entries("endpoint", [dict(entry)], environment)
    return (endpoints[0] if endpoints else None), problems


def read_short_form(
    url: str, key: SecretStr | None, model: str | None
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    """Read the single endpoint of API_ENDPOINT, API_KEY and DEFAULT_MODEL.

    Args:
        url: API_ENDPOINT.
        key: API_KEY.
        model: DEFAULT_MODEL.

    Returns:
        The endpoint, or the problems of its variables.
    """
    models = [model] if model else None
    entry = {"name": "endpoint-1", "url": url, "apiKey": key, "models": models}
    try:
        return (EndpointSettings.model_validate(entry),), ()
    except ValidationError as error:
        variables = {"url": "API_ENDPOINT", "apiKey": "API_KEY", "models": "DEFAULT_MODEL"}
        problems = _entry_problems("", error)
        return (), tuple(
            Problem(where=variables[p.field], value=p.value, hint=p.hint) for p in problems
        )


def _unquote(text: str) -> str:
    # `docker run --env-file` passes the quotes of a .env line on.
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].strip()
    return text


def _read_entries(
    where: str, entries: list[Any], environment: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    endpoints: dict[str, EndpointSettings] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(entries, start=1):
        place = f"{where}[{number}]"
        if not isinstance(entry, dict):
            problems.append(
                Problem(where=place, value=describe_type(entry), hint=messages.NOT_AN_ENTRY)
            )
            continue
        filled, missing = _resolve_references(entry, environment)
        if missing:
            field, name = missing
            problems.append(missing_variable(place, field, name))
            continue
        filled.setdefault("name", f"endpoint-{number}")
        try:
            endpoint = EndpointSettings.model_validate(filled)
        except ValidationError as error:
            problems.extend(_entry_problems(place, error))
            continue
        if endpoint.name in endpoints or endpoint.name == EMBEDDED_ALIAS:
            problems.append(
                Problem(where=place, field="name", value=endpoint.name, hint=messages.NAME_TAKEN)
            )
            continue
        endpoints[endpoint.name] = endpoint
    return tuple(endpoints.values()), tuple(problems)


def _resolve_references(
    entry: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Replace each `"$NAME"` by the variable's value.

    Returns:
        The entry with names in camel case, and the field and the name of the first variable
        that is not set, or None.
    """
    names = EndpointSettings.model_fields
    filled = {to_camel(key) if key in names else key: value for key, value in entry.items()}
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
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0])
        value = "" if field in _SECRET_FIELDS else describe_value(item["input"])
        if item["type"] == "extra_forbidden":
            problem = _unknown_field(place, field, list(fields))
        elif item["type"] == "missing":
            problem = Problem(where=place, field=field, hint=messages.REQUIRED)
        elif item["type"] == "value_error":
            problem = Problem(
                where=place,
                field=field,
                value=value,
                hint=item["msg"].removeprefix("Value error, "),
            )
        else:
            problem = Problem(
                where=place, field=field, value=value, hint=describe_field(fields[field])
            )
        problems.setdefault(field, problem)
    return list(problems.values())


def _unknown_field(place: str, field: str, known: list[str]) -> Problem:
    by_folded = {name.casefold(): name for name in known}
    folded = field.casefold().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(folded, by_folded, n=1)
    suggestion = messages.KNOWN_FIELDS.format(names=", ".join(known))
    if close:
        suggestion = messages.DID_YOU_MEAN.format(name=by_folded[close[0]])
    shown = field if re.fullmatch(r"[A-Za-z_-]{1,40}", field) else ""
    return Problem(
        where=place, field=shown, hint=messages.UNKNOWN_FIELD.format(suggestion=suggestion)
    )
