"""Endpoints and models as a Python program describes them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, overload

from pydantic import ValidationError

from akash_gradio.catalog.model_names import readable_name
from akash_gradio.config.endpoints import EndpointSettings, read_endpoint
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway.callables import FunctionEndpoint, ModelFunction, UnusableFunction
from akash_gradio.gateway.callables.function import inspect_function

CARD_FIELDS: Final = frozenset(f.name for f in fields(ModelCard)) - {"id", "discovered"}
_ENDPOINT_FIELDS: Final = ("weight", "priority", "max_concurrency")


class ConfigurationError(ValueError):
    """An argument is invalid. The message is one line: the argument, what is wrong, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: its card on the page, and the function that answers, if it has one.

    Create it with `model` from a function, or directly to describe a model that an endpoint
    serves. A `Model` with a function can be called as the function itself.

    Attributes:
        card: What the page shows, and the default parameters.
        function: The function that answers, None for a model of an endpoint.
        endpoint: Fields of the function's endpoint: weight, priority, max_concurrency.
    """

    card: ModelCard
    function: Callable[..., Any] | None = None
    endpoint: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **parameters: Any) -> Any:
        """Call the function."""
        if self.function is None:
            raise TypeError(f"the model {self.card.id!r} has no function")
        return self.function(*args, **parameters)


@overload
def model(id: Callable[..., Any], /) -> Model: ...


@overload
def model(
    id: str | None = None,
    *,
    function: Callable[..., Any],
    weight: int = 1,
    priority: int = 1,
    max_concurrency: int | None = None,
    **card: Any,
) -> Model: ...


@overload
def model(
    id: str | None = None,
    *,
    weight: int = 1,
    priority: int = 1,
    max_concurrency: int | None = None,
    **card: Any,
) -> Callable[[Callable[..., Any]], Model]: ...


def model(
    id: str | Callable[..., Any] | None = None,
    *,
    function: Callable[..., Any] | None = None,
    weight: int = 1,
    priority: int = 1,
    max_concurrency: int | None = None,
    **card: Any,
) -> Model | Callable[[Callable[..., Any]], Model]:
    """Make a model of a function; a decorator, with or without arguments.

    Args:
        id: The model's id in requests; the function's name by default.
        function: The function, if it isn't used as a decorator: a function or an object that
            `docs/python.md` lists. Without one, `model("id", name=…)` decorates a function.
        weight: Relative share of the requests among endpoints of the same priority and model.
        priority: Lower ones are used first.
        max_concurrency: Calls at the same time; by default 32 for a function that runs in
            threads, and unlimited for an async one.
        card: Fields of the catalog (`name`, `description`, `token_limit`, `temperature`,
            `starters`, …); see docs/model-integration.md.

    Returns:
        A `Model`, or a decorator that returns one.

    Raises:
        ConfigurationError: An argument is invalid, or the function can't be used.
    """
    endpoint = {"weight": weight, "priority": priority}
    if max_concurrency is not None:
        endpoint["max_concurrency"] = max_concurrency
    if callable(id) and not isinstance(id, str):
        return _model(id, None, endpoint, card)
    if function is not None:
        return _model(function, id, endpoint, card)

    def decorate(decorated: Callable[..., Any]) -> Model:
        return _model(decorated, id, endpoint, card)

    return decorate


def _model(
    function: Callable[..., Any],
    id: str | None,
    endpoint: Mapping[str, Any],
    card: Mapping[str, Any],
) -> Model:
    inspected = _inspect(function, "ag.model")
    model_id = id or inspected.name
    # Validate at the decorator, where the mistake is, rather than at the launch.
    _function_endpoint(inspected, model_id, alias_of(model_id), endpoint)
    return Model(card=_card("ag.model", model_id, card), function=function, endpoint=dict(endpoint))


def _card(where: str, model_id: str, values: Mapping[str, Any]) -> ModelCard:
    unknown = sorted(values.keys() - CARD_FIELDS)
    if unknown:
        raise ConfigurationError(
            f"{where}({model_id!r}): {unknown[0]} is not an argument; the catalog's fields are "
            f"{', '.join(sorted(CARD_FIELDS))}"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return ModelCard(id=model_id, **{"name": readable_name(model_id), **values})


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Endpoint:
    """A server, or a Python function, that answers.

    Attributes:
        settings: What the gateway uses.
        card: The card of a function's model, None for a server.
    """

    settings: EndpointSettings
    card: ModelCard | None

    def __init__(
        self,
        target: object,
        *,
        api_key: str | None = None,
        weight: int = 1,
        priority: int = 1,
        models: Sequence[str] | None = None,
        name: str | None = None,
        max_concurrency: int | None = None,
        headers: Mapping[str, str] | None = None,
        model_map: Mapping[str, str] | None = None,
    ) -> None:
        """Describe an endpoint.

        Args:
            target: The base URL of a server, a function, an object that docs/python.md lists, or
                an `ag.Model` with one of these.
            api_key: Sent as a bearer token; `"$NAME"` reads the environment variable NAME.
            weight: Relative share of the requests among endpoints of the same priority; 0
                drains it.
            priority: Lower ones are used first.
            models: The ids that it serves; by default those that the server lists.
            name: Its alias on receipts and in logs.
            max_concurrency: Requests at the same time.
            headers: Sent with each request; secret.
            model_map: Translates the catalog's ids to the server's own.

        Raises:
            ConfigurationError: An argument is invalid.
        """
        fields: dict[str, Any] = {"weight": weight, "priority": priority}
        if max_concurrency is not None:
            fields["max_concurrency"] = max_concurrency
        card = None
        if isinstance(target, str):
            fields |= {
                "url": target,
                "apiKey": api_key,
                "models": list(models) if models is not None else None,
                "customHeaders": dict(headers or {}),
                "modelMap": dict(model_map or {}),
                "name": name,
            }
            settings: EndpointSettings = _url_endpoint(fields)
        else:
            if api_key or headers:
                raise ConfigurationError(
                    "ag.Endpoint: api_key and headers are for a URL; a function reads its own keys"
                )
            settings, card = _target_endpoint(target, name, models, fields)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "card", card)


def to_endpoint(target: Any) -> Endpoint:
    """Return an endpoint for anything that `launch` accepts as one.

    Raises:
        ConfigurationError: It can't be used.
    """
    return target if isinstance(target, Endpoint) else Endpoint(target)


def alias_of(model_id: str) -> str:
    """Return an endpoint's alias for a function's model: letters, digits and `. : - _`."""
    return re.sub(r"[^\w.:-]+", "-", model_id).strip("-.:_")[:60] or "function"


def _target_endpoint(
    target: Any, name: str | None, models: Sequence[str] | None, fields: Mapping[str, Any]
) -> tuple[FunctionEndpoint, ModelCard]:
    if isinstance(target, Model):
        if target.function is None:
            raise ConfigurationError(
                f"ag.Endpoint: the model {target.card.id!r} has no function; pass it as "
                "models=[…] and its server as an endpoint"
            )
        function, card = target.function, target.card
        given = {k: v for k, v in fields.items() if v != 1}
        fields = {**target.endpoint, **given}
    else:
        function, card = target, None
    inspected = _inspect(function, "ag.Endpoint")
    if card is None:
        model_id = models[0] if models else inspected.name
        card = ModelCard(id=model_id, name=readable_name(model_id))
    settings = _function_endpoint(inspected, card.id, name or alias_of(card.id), fields)
    return settings, card


def _inspect(function: Any, where: str) -> ModelFunction:
    try:
        return inspect_function(function)
    except UnusableFunction as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _function_endpoint(
    function: ModelFunction, model_id: str, name: str, fields: Mapping[str, Any]
) -> FunctionEndpoint:
    try:
        return FunctionEndpoint.create(function, model_id, name=name, **fields)
    except ValidationError as error:
        item = error.errors(include_url=False, include_context=False)[0]
        field_name = str(item["loc"][0]) if item["loc"] else "argument"
        raise ConfigurationError(
            f"{function.name}: {field_name} = {item['input']!r}: {item['msg']}"
        ) from None


def _url_endpoint(fields: Mapping[str, Any]) -> EndpointSettings:
    given = {key: value for key, value in fields.items() if value is not None}
    settings, problems = read_endpoint(given, os.environ)
    if settings is None:
        problem = replace(problems[0], where="ag.Endpoint")
        raise ConfigurationError(str(problem))
    return settings
