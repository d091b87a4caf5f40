"""Reads `GATEWAY_API_KEYS`: who may ask at `/v1`, one key each, with a name and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from akash_gradio.config.messages import expected, kind, shown
from akash_gradio.config.references import missing_variable, parse_reference
from akash_gradio.domain.model import Problem

WHERE: Final = "GATEWAY_API_KEYS"
FORM: Final = '[{"name": "ann", "key": "…"}]'


class KeyLimits(BaseModel):
    """What one key may use. requests_per_minute: None for as many as it likes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)


class GatewayKey(BaseModel):
    """One caller of `/v1`. models: the only ids that it may ask for, None for all."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    name: str = Field(min_length=1, max_length=60)
    key: SecretStr = Field(repr=False)
    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    limits: KeyLimits = Field(default_factory=lambda: KeyLimits(requests_per_minute=None))

    @field_validator("key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
            raise ValueError("write it in ASCII letters, digits and signs, without spaces")
        return key

    @field_validator("models")
    @classmethod
    def _some_models(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models is not None and not models:
            raise ValueError("name at least one model id, or leave the field out for all")
        return models


def read_keys(
    text: str, environment: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    """The keys that are right, and a problem for each that isn't.

    text: a comma list of keys, or a JSON list of keys and of objects with `name`, `key`,
    `models` and `limits`. environment: where `"$NAME"` is looked up.
    """
    items: Any = [part.strip() for part in text.split(",") if part.strip()]
    if text.lstrip().startswith(("[", "{")):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            return (), (_problem(WHERE, "", f"it is not JSON; write {FORM}"),)
        if not isinstance(items, list):
            return (), (_problem(WHERE, "", f"put the keys into a list: {FORM}"),)
    return _read_items(items, environment)


def _read_items(
    items: list[Any], environment: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    found: dict[str, GatewayKey] = {}
    problems: list[Problem] = []
    for number, item in enumerate(items, start=1):
        place = f"{WHERE}[{number}]"
        given = {"key": item} if isinstance(item, str) else item
        if not isinstance(given, dict):
            problems.append(_problem(place, "", f"write a key or {FORM[1:-1]}", kind(item)))
            continue
        given = {"name": f"key-{number}", **given}
        name = parse_reference(given.get("key"))
        if name is not None:
            if not environment.get(name):
                problems.append(missing_variable(place, "key", name))
                continue
            given["key"] = environment[name].strip()
        try:
            key = GatewayKey.model_validate({k: _secret(k, v) for k, v in given.items()})
        except ValidationError as error:
            problems += _item_problems(place, error)
            continue
        if any(key.key == other.key for other in found.values()):
            problems.append(_problem(place, "key", "this key stands in the list twice"))
        elif key.name in found:
            problems.append(_problem(place, "name", "this name is taken; choose another", key.name))
        else:
            found[key.name] = key
    return tuple(found.values()), tuple(problems)


def _secret(field: str, value: object) -> object:
    return SecretStr(value) if field == "key" and isinstance(value, str) else value


def _item_problems(place: str, error: ValidationError) -> list[Problem]:
    fields = {to_camel(name): info for name, info in GatewayKey.model_fields.items()}
    limits = {to_camel(name): info for name, info in KeyLimits.model_fields.items()}
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in item["loc"] if isinstance(part, str)]
        field, known = (path[0] if path else ""), {**fields, **limits}
        if item["type"] == "extra_forbidden":
            known_here = limits if len(path) > 1 else fields
            problem = _problem(
                place, "", f"it has a field too many; known are {', '.join(known_here)}"
            )
        elif item["type"] == "missing":
            problem = _problem(place, field, "it is required")
        elif item["type"] == "value_error":
            problem = _problem(place, field, item["msg"].removeprefix("Value error, "))
        elif field == "key":
            problem = _problem(place, field, "write a text")
        elif path == ["limits"]:
            problem = _problem(place, field, 'write {"requestsPerMinute": 60}', kind(item["input"]))
        else:
            hint = expected(known[path[-1]]) if path[-1] in known else "write it otherwise"
            problem = _problem(place, ".".join(path), hint, shown(item["input"]))
        found.setdefault(".".join(path), problem)
    return list(found.values())


def _problem(where: str, field: str, hint: str, value: str = "") -> Problem:
    return Problem(where=where, field=field, value=value, hint=hint)
