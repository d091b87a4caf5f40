"""Every environment variable, in one frozen class, read once in `app.py`.

`python -m akash_gradio.config.docs` rewrites `.env.example` and the README's table from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from akash_gradio.config.access import AccessSettings, sign_in_problems
from akash_gradio.config.access import variable as _variable
from akash_gradio.config.api_keys import GatewayKey, read_keys
from akash_gradio.config.endpoints import EndpointSettings, read_endpoints, read_short_form
from akash_gradio.config.env_file import read_env_file
from akash_gradio.config.messages import as_written, expected, shown
from akash_gradio.domain.model import Problem


class Routing(StrEnum):
    """Which endpoint of a priority gets the next request."""

    WEIGHTED = "weighted"
    LEAST_BUSY = "least_busy"


class HealthProbe(StrEnum):
    """How endpoints that nobody asks are looked after."""

    OFF = "off"
    MODELS = "models"
    TOKEN = "token"


class EmbeddedMode(StrEnum):
    """When the model on this machine runs: auto means when no endpoint is configured."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Settings(AccessSettings):
    """What the environment and `.env` say. Build it with `read_settings`, which never raises.

    endpoints, problems: filled by `read_settings` from ENDPOINTS or the short form.
    gateway_keys: filled by it from GATEWAY_API_KEYS and PROXY_API_KEY.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    endpoints_text: SecretStr | None = _variable(
        "ENDPOINTS",
        None,
        'The endpoints, as JSON: `[{"url":"https://host/v1","apiKey":"…","weight":1,'
        '"models":["id"]}]`, or the path of a `.json` file. Fields: docs/llm-gateway.md.',
    )
    api_endpoint: str | None = _variable(
        # Somebody may write a password into it.
        "API_ENDPOINT",
        None,
        "Short form for one endpoint: its base URL.",
        repr=False,
    )
    api_key: SecretStr | None = _variable("API_KEY", None, "Short form for one endpoint: its key.")
    default_model: str | None = _variable(
        "DEFAULT_MODEL",
        None,
        "The model that is open at first; with `API_ENDPOINT`, the one it serves "
        "(else it is asked which).",
    )
    fallback_models: Annotated[tuple[str, ...], NoDecode] = _variable(
        "FALLBACK_MODEL", (), "Model id, or a comma list, asked when a model's endpoints all fail."
    )
    retry_attempts: int = _variable(
        "RETRY_ATTEMPTS", 3, "Extra attempts after the first, for one request.", ge=0, le=20
    )
    retry_delay_ms: int = _variable(
        "RETRY_DELAY",
        1000,
        "Milliseconds before a second round over the same endpoints; doubled each round.",
        ge=0,
        le=30_000,
    )
    connect_timeout_s: float = _variable(
        "CONNECT_TIMEOUT", 5.0, "Seconds to reach an endpoint.", gt=0, le=300
    )
    first_token_timeout_s: float = _variable(
        "FIRST_TOKEN_TIMEOUT", 60.0, "Seconds to wait for the first token.", gt=0, le=3600
    )
    idle_timeout_s: float = _variable(
        "IDLE_TIMEOUT", 30.0, "Seconds of silence allowed between tokens.", gt=0, le=3600
    )
    routing: Routing = _variable(
        "ROUTING", Routing.WEIGHTED, "`weighted` or `least_busy` (docs/routing.md)."
    )
    discovery_interval_s: float = _variable(
        "DISCOVERY_INTERVAL",
        60.0,
        "Seconds between questions for `/v1/models`, where `models` is left out.",
        ge=1,
        le=86_400,
    )
    health_probe: HealthProbe = _variable(
        "HEALTH_PROBE",
        HealthProbe.OFF,
        "How endpoints that nobody asked for five minutes are looked after: `off`, `models` (asks "
        "`/v1/models`), `token` (asks for one token).",
    )
    gateway_keys_text: SecretStr | None = _variable(
        "GATEWAY_API_KEYS",
        None,
        "Who may ask at `/v1`: a comma list of keys, or JSON: "
        '`[{"name":"ann","key":"…","models":["id"],"limits":{"requestsPerMinute":60}}]`. '
        "Without keys it answers this machine alone.",
    )
    proxy_key: SecretStr | None = _variable(
        "PROXY_API_KEY", None, "One more key for `/v1`, as the older gateway calls it."
    )
    debug: bool = _variable(
        "DEBUG", False, "`true` logs connections, choices and parsing; never keys or prompts."
    )
    catalog_file: Path | None = _variable(
        "CATALOG_FILE", None, "Your own catalog, TOML or JSON, in place of the shipped one."
    )
    embedded: EmbeddedMode = _variable(
        "EMBEDDED",
        EmbeddedMode.AUTO,
        "The small model on this machine: `auto` (when no endpoint is configured), `on`, `off`.",
    )
    embedded_model: str | None = _variable(
        "EMBEDDED_MODEL",
        None,
        "Other weights for it: a path to a `.gguf`, or `hf:org/repo/file.gguf`.",
    )
    cache_dir: Path = _variable(
        "CACHE_DIR",
        Path("~/.cache/akash-gradio"),
        "Where the weights and drawn thumbnails are kept.",
    )
    data_dir: Path | None = _variable(
        "DATA_DIR",
        None,
        "Where votes and prompt-set runs are kept; without it votes stay in the browser.",
    )
    database_url: SecretStr | None = _variable(
        "DATABASE_URL",
        None,
        "Votes in PostgreSQL instead: `postgresql://user:password@host/name` "
        "(needs `pip install -r requirements-postgres.txt`).",
    )
    server_name: str = _variable(
        "GRADIO_SERVER_NAME", "127.0.0.1", "Address to listen on; `0.0.0.0` for all."
    )
    server_port: int = _variable(
        "GRADIO_SERVER_PORT",
        7860,
        "Port to listen on (`PORT` is read too).",
        "PORT",
        ge=0,
        le=65535,
    )

    endpoints: Annotated[tuple[EndpointSettings, ...], NoDecode] = Field((), exclude=True)
    gateway_keys: Annotated[tuple[GatewayKey, ...], NoDecode] = Field((), exclude=True)
    problems: Annotated[tuple[Problem, ...], NoDecode] = Field((), exclude=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the values given: `read_settings` gathers them, one by one."""
        return (init_settings,)

    @field_validator("fallback_models", mode="before")
    @classmethod
    def _comma_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("routing", "embedded", "health_probe", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        if isinstance(value, str):
            return value.lower().replace("-", "_")
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("write postgresql://user:password@host/name")
        return url

    @field_validator("cache_dir", "catalog_file", "data_dir")
    @classmethod
    def _home(cls, path: Path | None) -> Path | None:
        try:
            return path.expanduser() if path else None
        except RuntimeError:
            raise ValueError("there is no such user after the ~; write the whole path") from None

    @property
    def endpoints_configured(self) -> bool:
        """True when somebody named an endpoint, rightly or not."""
        named = self.endpoints_text is not None or self.api_endpoint is not None
        return named or self.on_inference_providers

    @property
    def on_inference_providers(self) -> bool:
        """Whether Hugging Face's token is all that a Space was given."""
        named = self.endpoints_text is not None or self.api_endpoint is not None
        return bool(self.space_id) and self.hf_token is not None and not named

    @property
    def secret_names(self) -> dict[str, str]:
        """Endpoint's alias → the variable that holds its key."""
        name = "ENDPOINTS"
        if self.on_inference_providers:
            name = "HF_TOKEN"
        elif self.endpoints_text is None:
            name = "API_KEY"
        return {endpoint.name: name for endpoint in self.endpoints}

    @property
    def gateway_keys_configured(self) -> bool:
        """True when somebody named a key, rightly or not."""
        return self.gateway_keys_text is not None or self.proxy_key is not None

    @property
    def embedded_wanted(self) -> bool:
        """Whether the model on this machine is to run."""
        if self.embedded is EmbeddedMode.AUTO:
            return not self.endpoints_configured
        return self.embedded is EmbeddedMode.ON


INFERENCE_PROVIDERS: Final = "https://router.huggingface.co/v1"

FILLED: Final = frozenset({"endpoints", "gateway_keys", "problems"})
"""Fields that are no variables."""


def variables() -> dict[str, str]:
    """Field → the name of its environment variable, in the order of the documentation."""
    return {field: choices[0] for field, choices in _names().items()}


def _names() -> dict[str, tuple[str, ...]]:
    """Field → every variable that sets it, the first before the others."""
    names = {}
    fields = sorted(
        Settings.model_fields.items(), key=lambda f: f[0] in AccessSettings.model_fields
    )
    for field, info in fields:
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        if field not in FILLED:
            names[field] = tuple(str(name) for name in choices)
    return names


def read_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> Settings:
    """The settings, with the default in the place of each value that is wrong, and a problem told.

    environment: for tests; the process's own when None. env_file: read beneath it; a blank
    variable counts as unset and hides nothing.
    """
    from_file, problems = read_env_file(env_file)
    own = os.environ if environment is None else environment
    values = {
        name: value
        for source in (from_file, own)
        for name, value in source.items()
        if value.strip()
    }
    names = _names_set(values)
    known: dict[str, Any] = {field: values[name].strip() for field, name in names.items()}
    try:
        settings = Settings(**known)
    except ValidationError as error:
        wrong = _problems(error, names, known)
        problems += tuple(wrong.values())
        settings = Settings(**{k: v for k, v in known.items() if k not in wrong})
    endpoints, more = _endpoints(settings, values)
    keys, wrong_keys = _keys(settings, values)
    problems = (*problems, *more, *wrong_keys, *sign_in_problems(settings))
    filled = {"endpoints": endpoints, "gateway_keys": keys, "problems": problems}
    return settings.model_copy(update=filled)


def _names_set(values: Mapping[str, str]) -> dict[str, str]:
    """Field → the variable that sets it; the first of a field's names wins."""
    found: dict[str, str] = {}
    for field, choices in _names().items():
        name = next((name for name in choices if name in values), None)
        if name is not None:
            found[field] = name
    return found


def _problems(
    error: ValidationError, names: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, Problem]:
    """Field → what is wrong with it."""
    fields = {name: field for field, choices in _names().items() for name in (field, *choices)}
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = fields[str(item["loc"][0])]
        info = Settings.model_fields[field]
        hint = item["msg"].removeprefix("Value error, ")
        if item["type"] != "value_error":
            hint = expected(info)
        default = as_written(info.default)
        until = f"until then {default} is used" if default else "until then it counts as unset"
        found[field] = Problem(
            where=names[field], field="", value=shown(known[field]), hint=f"{hint}; {until}"
        )
    return found


def _endpoints(
    settings: Settings, values: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    if settings.endpoints_text is not None:
        found, problems = read_endpoints(settings.endpoints_text.get_secret_value(), values)
        if settings.api_endpoint is not None:
            hint = "ENDPOINTS is set too and wins; unset one of the two"
            problems += (Problem(where="API_ENDPOINT", field="", value="", hint=hint),)
        return found, problems
    if settings.on_inference_providers:
        given = {"name": "hugging-face", "url": INFERENCE_PROVIDERS, "apiKey": "$HF_TOKEN"}
        found, problems = read_endpoints(json.dumps([given]), values)
        return found, tuple(replace(problem, where="HF_TOKEN", field="") for problem in problems)
    if settings.api_endpoint is None:
        return (), ()
    return read_short_form(settings.api_endpoint, settings.api_key, settings.default_model)


def _keys(
    settings: Settings, values: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    found: tuple[GatewayKey, ...] = ()
    problems: tuple[Problem, ...] = ()
    if settings.gateway_keys_text is not None:
        found, problems = read_keys(settings.gateway_keys_text.get_secret_value(), values)
    if settings.proxy_key is not None:
        known = {key.key for key in found}
        try:
            proxy = GatewayKey(name="PROXY_API_KEY", key=settings.proxy_key)
        except ValidationError:
            hint = "write it in ASCII letters, digits and signs, without spaces"
            problems += (Problem(where="PROXY_API_KEY", field="", value="", hint=hint),)
        else:
            found += () if proxy.key in known else (proxy,)
    return found, problems
