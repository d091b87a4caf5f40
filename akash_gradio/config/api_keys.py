"""Reads `GATEWAY_API_KEYS`: the API clients of `/v1`, each with its key, name and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from akash_gradio.config import messages
from akash_gradio.config.messages import describe_field, describe_type, describe_value
from akash_gradio.config.references import missing_variable, parse_reference
from akash_gradio.domain.model import Problem

WHERE: Final = "GATEWAY_API_KEYS"


class KeyLimits(BaseModel):
    """The limits of one key.

    Attributes:
        requests_per_minute: Upper bound of requests in a minute; None for no limit.
        tokens_per_day: Tokens in a day (UTC), instead of VISITOR_TOKENS_PER_DAY; None for that.
        cost_per_day: US dollars in a day (UTC) at the catalog's prices; None for no limit.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    tokens_per_day: int | None = Field(None, ge=1)
    cost_per_day: float | None = Field(None, gt=0, allow_inf_nan=False)

    @property
    def has_budget(self) -> bool:
        """Whether tokens or money of a day are limited."""
        return self.tokens_per_day is not None or self.cost_per_day is not None


class GatewayKey(BaseModel):
    """The key of an API client.

    Attributes:
        name: The client's name in logs and metrics.
        models: The only model ids that it may use; None for all.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True
    )

    name: str = Field(min_length=1, max_length=60)
    key: SecretStr = Field(repr=False)
    models: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    limits: KeyLimits = Field(default_factory=lambda: KeyLimits())

    @field_validator("key")
    @classmethod
    def _check_key(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
            raise ValueError(messages.NOT_ASCII)
        return key

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models is not None and not models:
            raise ValueError(messages.KEY_MODELS)
        return models


def read_keys(
    text: str, environment: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    """Read the value of `GATEWAY_API_KEYS`.

    Args:
        text: A comma-separated list of keys, or a JSON list of keys and of objects with `name`,
            `key`, `models` and `limits`.
        environment: Where `"$NAME"` is looked up.

    Returns:
        The valid keys, and a problem for each invalid one.
    """
    items: Any = [part.strip() for part in text.split(",") if part.strip()]
    if text.lstrip().startswith(("[", "{")):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            return (), (Problem(where=WHERE, hint=messages.INVALID_KEYS_JSON),)
        if not isinstance(items, list):
            return (), (Problem(where=WHERE, hint=messages.KEYS_NOT_A_LIST),)
    return _read_items(items, environment)


def _read_items(
    items: list[Any], environment: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    keys: dict[str, GatewayKey] = {}
    problems: list[Problem] = []
    for number, item in enumerate(items, start=1):
        place = f"{WHERE}[{number}]"
        fields = {"key": item} if isinstance(item, str) else item
        if not isinstance(fields, dict):
            problems.append(
                Problem(where=place, value=describe_type(item), hint=messages.NOT_A_KEY)
            )
            continue
        fields = {"name": f"key-{number}", **fields}
        variable = parse_reference(fields.get("key"))
        if variable is not None:
            if not environment.get(variable):
                problems.append(missing_variable(place, "key", variable))
                continue
            fields["key"] = environment[variable].strip()
        try:
            key = GatewayKey.model_validate({k: _wrap(k, v) for k, v in fields.items()})
        except ValidationError as error:
            problems += _item_problems(place, error)
            continue
        if any(key.key == other.key for other in keys.values()):
            problems.append(Problem(where=place, field="key", hint=messages.DUPLICATE_KEY))
        elif key.name in keys:
            problems.append(
                Problem(where=place, field="name", value=key.name, hint=messages.NAME_TAKEN)
            )
        else:
            keys[key.name] = key
    return tuple(keys.values()), tuple(problems)


def _wrap(field: str, value: object) -> object:
    return SecretStr(value) if field == "key" and isinstance(value, str) else value


def _item_problems(place: str, error: ValidationError) -> list[Problem]:
    fields = {to_camel(name): info for name, info in GatewayKey.model_fields.items()}
    limits = {to_camel(name): info for name, info in KeyLimits.model_fields.items()}
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in item["loc"] if isinstance(part, str)]
        field, known = (path[0] if path else ""), {**fields, **limits}
        if item["type"] == "extra_forbidden":
            names = ", ".join(limits if len(path) > 1 else fields)
            problem = Problem(where=place, hint=messages.UNKNOWN_KEY_FIELD.format(names=names))
        elif item["type"] == "missing":
            problem = Problem(where=place, field=field, hint=messages.REQUIRED)
        elif item["type"] == "value_error":
            problem = Problem(
                where=place, field=field, hint=item["msg"].removeprefix("Value error, ")
            )
        elif field == "key":
            problem = Problem(where=place, field=field, hint=describe_field(fields["key"]))
        elif path == ["limits"]:
            value = describe_type(item["input"])
            problem = Problem(where=place, field=field, value=value, hint=messages.KEY_LIMITS)
        else:
            hint = describe_field(known[path[-1]]) if path[-1] in known else messages.INVALID
            problem = Problem(
                where=place, field=".".join(path), value=describe_value(item["input"]), hint=hint
            )
        problems.setdefault(".".join(path), problem)
    return list(problems.values())
