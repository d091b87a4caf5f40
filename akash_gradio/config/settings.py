"""The settings: every environment variable, in one frozen class that is read once.

`make docs` writes `.env.example` and the table of `docs/configuration.md` from it.
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

from akash_gradio.config import messages
from akash_gradio.config.access import AccessSettings, sign_in_problems
from akash_gradio.config.access import variable as _variable
from akash_gradio.config.api_keys import GatewayKey, read_keys
from akash_gradio.config.endpoints import EndpointSettings, read_endpoints, read_short_form
from akash_gradio.config.env_file import read_env_file
from akash_gradio.config.messages import describe_field, describe_value, format_default
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.loopback import is_loopback_host
from akash_gradio.domain.model import Problem


class Routing(StrEnum):
    """How the next endpoint is chosen among those of one priority."""

    WEIGHTED = "weighted"
    LEAST_BUSY = "least_busy"


class HealthProbe(StrEnum):
    """How endpoints without recent traffic are probed."""

    OFF = "off"
    MODELS = "models"
    TOKEN = "token"


class EmbeddedMode(StrEnum):
    """When the model on this machine runs: auto means if no endpoint is configured."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Settings(AccessSettings):
    """The values of the environment and of `.env`. Create it with `read_settings`.

    Attributes:
        endpoints: Filled by `read_settings` from ENDPOINTS, the short form or HF_TOKEN.
        gateway_keys: Filled by `read_settings` from GATEWAY_API_KEYS and PROXY_API_KEY.
        problems: Filled by `read_settings`: what is wrong, without secrets.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    endpoints_text: SecretStr | None = _variable(
        "ENDPOINTS",
        None,
        'The endpoints, as a JSON list: `[{"url":"https://host/v1","apiKey":"…","weight":1,'
        '"models":["id"]}]`, or the path of a `.json` file. Fields: docs/llm-gateway.md.',
    )
    api_endpoint: str | None = _variable(
        # It may contain a password.
        "API_ENDPOINT",
        None,
        "Base URL of a single endpoint, instead of `ENDPOINTS`.",
        repr=False,
    )
    api_key: SecretStr | None = _variable("API_KEY", None, "API key of that single endpoint.")
    default_model: str | None = _variable(
        "DEFAULT_MODEL",
        None,
        "Model that is selected when the page opens. With `API_ENDPOINT` also the only model that "
        "it serves; by default its models are discovered.",
    )
    fallback_models: Annotated[tuple[str, ...], NoDecode] = _variable(
        "FALLBACK_MODEL",
        (),
        "Model that answers when every endpoint of the requested model fails: an id, or a "
        "comma-separated list.",
    )
    retry_attempts: int = _variable(
        "RETRY_ATTEMPTS",
        3,
        "Attempts of a request after its first one, at other endpoints or again at the same.",
        ge=0,
        le=20,
    )
    retry_delay_ms: int = _variable(
        "RETRY_DELAY",
        1000,
        "Milliseconds to wait before all endpoints are tried again; doubled each time.",
        ge=0,
        le=30_000,
    )
    connect_timeout_s: float = _variable(
        "CONNECT_TIMEOUT", 5.0, "Maximum seconds to connect to an endpoint.", gt=0, le=300
    )
    first_token_timeout_s: float = _variable(
        "FIRST_TOKEN_TIMEOUT", 60.0, "Maximum seconds until the first token.", gt=0, le=3600
    )
    idle_timeout_s: float = _variable(
        "IDLE_TIMEOUT", 30.0, "Maximum seconds between two tokens.", gt=0, le=3600
    )
    request_timeout_s: float = _variable(
        "REQUEST_TIMEOUT",
        3600.0,
        "Maximum seconds of a request, from its arrival to the end of its answer, with all its "
        "attempts and pauses.",
        gt=0,
        le=86_400,
    )
    routing: Routing = _variable(
        "ROUTING",
        Routing.WEIGHTED,
        "How requests are distributed: `weighted` or `least_busy` (docs/routing.md).",
    )
    discovery_interval_s: float = _variable(
        "DISCOVERY_INTERVAL",
        60.0,
        "Seconds between two requests for the model list of an endpoint that is configured "
        "without `models`.",
        ge=1,
        le=86_400,
    )
    health_probe: HealthProbe = _variable(
        "HEALTH_PROBE",
        HealthProbe.OFF,
        "How endpoints without traffic for five minutes are probed: `off`, `models` (requests the "
        "model list) or `token` (requests one token).",
    )
    gateway_keys_text: SecretStr | None = _variable(
        "GATEWAY_API_KEYS",
        None,
        "API keys of the clients of `/v1`: a comma-separated list, or JSON: "
        '`[{"name":"ann","key":"…","models":["id"],"limits":{"requestsPerMinute":60}}]`. '
        "The other limits are `tokensPerDay` and `costPerDay`. "
        "Without keys, only requests from this machine are accepted, and none once anything shows "
        "that the server is protected or published (docs/deployment.md).",
    )
    proxy_key: SecretStr | None = _variable(
        "PROXY_API_KEY",
        None,
        "Another API key for `/v1`, for deployments that already set this variable.",
    )
    debug: bool = _variable(
        "DEBUG", False, "`true` logs connections, routing and parsing; never keys or prompts."
    )
    catalog_file: Path | None = _variable(
        "CATALOG_FILE", None, "Catalog (TOML or JSON) that replaces the built-in one."
    )
    models_file: Path | None = _variable(
        "MODELS_FILE",
        None,
        "Python file whose functions answer, beside the other endpoints (docs/python.md).",
    )
    embedded: EmbeddedMode = _variable(
        "EMBEDDED",
        EmbeddedMode.AUTO,
        "The small demo model on this machine: `auto` (runs if no endpoint is configured), `on` "
        "or `off`.",
    )
    embedded_model: str | None = _variable(
        "EMBEDDED_MODEL",
        None,
        "Other weights for the demo model: the path of a `.gguf` file, or `hf:org/repo/file.gguf`.",
    )
    cache_dir: Path = _variable(
        "CACHE_DIR",
        Path("~/.cache/akash-gradio"),
        "Folder for downloaded weights and generated thumbnails.",
    )
    data_dir: Path | None = _variable(
        "DATA_DIR",
        None,
        "Folder for votes and prompt-set runs. Without it, votes stay in each browser and runs "
        "end with the server.",
    )
    run_storage_mb: int = _variable(
        "RUN_STORAGE_MB",
        2000,
        "Disk space for prompt-set runs. A network gets at most a quarter of it, a visitor an "
        "eighth and a run a 32nd; a run that doesn't fit is rejected.",
        ge=32,
    )
    run_retention_days: int = _variable(
        "RUN_RETENTION_DAYS",
        90,
        "Days after which a prompt-set run is deleted, counted from its last change.",
        ge=1,
    )
    database_url: SecretStr | None = _variable(
        "DATABASE_URL",
        None,
        "PostgreSQL database for the votes: `postgresql://user:password@host/name`. Needs the "
        "extra `postgres`.",
    )
    server_name: str = _variable(
        "GRADIO_SERVER_NAME", "127.0.0.1", "Address to listen on; `0.0.0.0` for all interfaces."
    )
    server_port: int = _variable(
        "GRADIO_SERVER_PORT",
        7860,
        "Port to listen on. `PORT` is read too.",
        "PORT",
        ge=0,
        le=65535,
    )
    root_path: str = _variable(
        "GRADIO_ROOT_PATH",
        "",
        "Path below which a reverse proxy serves the page, for example `/chat` "
        "(docs/deployment.md).",
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
        """Use only the arguments, which `read_settings` collects."""
        return (init_settings,)

    @field_validator("fallback_models", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("routing", "embedded", "health_probe", mode="before")
    @classmethod
    def _normalize_case(cls, value: object) -> object:
        if isinstance(value, str):
            return value.lower().replace("-", "_")
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(messages.POSTGRES_URL)
        return url

    @field_validator("cache_dir", "catalog_file", "data_dir", "models_file")
    @classmethod
    def _expand_user(cls, path: Path | None) -> Path | None:
        try:
            return path.expanduser() if path else None
        except RuntimeError:
            raise ValueError(messages.NO_SUCH_USER) from None

    @property
    def endpoints_configured(self) -> bool:
        """Whether an endpoint is configured, validly or not."""
        return self._has_endpoint_variables or self.on_inference_providers

    @property
    def on_inference_providers(self) -> bool:
        """Whether Hugging Face is the endpoint: on a Space with a token and no other endpoint."""
        return (
            bool(self.space_id) and self.hf_token is not None and not self._has_endpoint_variables
        )

    @property
    def _has_endpoint_variables(self) -> bool:
        return self.endpoints_text is not None or self.api_endpoint is not None

    @property
    def secret_names(self) -> dict[str, str]:
        """Endpoint alias → the variable that contains its key."""
        name = "ENDPOINTS"
        if self.on_inference_providers:
            name = "HF_TOKEN"
        elif self.endpoints_text is None:
            name = "API_KEY"
        return {endpoint.name: name for endpoint in self.endpoints}

    @property
    def gateway_keys_configured(self) -> bool:
        """Whether a key for `/v1` is configured, validly or not."""
        return self.gateway_keys_text is not None or self.proxy_key is not None

    @property
    def published(self) -> bool:
        """Whether anything shows that the page or `/v1` is meant for others than its operator.

        Then a proxy may run on this machine, so that a local address proves nothing.
        """
        return self.has_front or bool(
            self.allowed_origins
            or self.allowed_hosts
            or self.space_hosts
            or self.admin_password
            or self.gateway_keys_configured
            or self.root_path
            or self.redis_url
            or self.visitor_messages_per_minute
            or self.visitor_tokens_per_day
            or not is_loopback_host(self.server_name)
        )

    @property
    def embedded_enabled(self) -> bool:
        """Whether the model on this machine runs."""
        if self.embedded is EmbeddedMode.AUTO:
            return not self.endpoints_configured and self.models_file is None
        return self.embedded is EmbeddedMode.ON


INFERENCE_PROVIDERS: Final = "https://router.huggingface.co/v1"

_FILLED: Final = frozenset({"endpoints", "gateway_keys", "problems"})
"""Fields that `read_settings` fills; they have no environment variable."""


def variables() -> dict[str, str]:
    """Map each field to the name of its environment variable."""
    return {field: names[0] for field, names in _variable_names().items()}


def _variable_names() -> dict[str, tuple[str, ...]]:
    """Map each field to every variable that sets it; the first one set wins."""
    names = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        if field not in _FILLED:
            names[field] = tuple(str(name) for name in choices)
    return names


def read_settings(
    environment: Mapping[str, str] | None = None,
    env_file: Path | None = Path(".env"),
    overrides: Mapping[str, str] = EMPTY_MAPPING,
) -> Settings:
    """Read the settings. Raises nothing: problems are a field of the settings.

    Args:
        environment: The environment variables; None reads `os.environ`.
        env_file: A file with variables that apply where the environment's are unset or blank.
        overrides: Values by field, as a variable would hold them, that win over both.

    Returns:
        The settings. An invalid value is replaced by its default.
    """
    from_file, problems = read_env_file(env_file)
    environment = os.environ if environment is None else environment
    values = {
        name: value
        for source in (from_file, environment)
        for name, value in source.items()
        if value.strip()
    }
    names = _variables_set(values) | {field: variables()[field] for field in overrides}
    known: dict[str, Any] = {
        field: overrides[field] if field in overrides else values[name].strip()
        for field, name in names.items()
    }
    try:
        settings = Settings(**known)
    except ValidationError as error:
        invalid = _problems(error, names, known)
        problems += tuple(invalid.values())
        settings = Settings(**{k: v for k, v in known.items() if k not in invalid})
    endpoints, endpoint_problems = _endpoints(settings, values)
    keys, key_problems = _keys(settings, values)
    problems = (*problems, *endpoint_problems, *key_problems, *sign_in_problems(settings))
    filled = {"endpoints": endpoints, "gateway_keys": keys, "problems": problems}
    return settings.model_copy(update=filled)


def _variables_set(values: Mapping[str, str]) -> dict[str, str]:
    """Map each field that is set to the variable that sets it."""
    names = {}
    for field, choices in _variable_names().items():
        name = next((name for name in choices if name in values), None)
        if name is not None:
            names[field] = name
    return names


def _problems(
    error: ValidationError, names: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, Problem]:
    """Map each invalid field to its problem."""
    fields = {
        name: field for field, choices in _variable_names().items() for name in (field, *choices)
    }
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = fields[str(item["loc"][0])]
        info = Settings.model_fields[field]
        hint = item["msg"].removeprefix("Value error, ")
        if item["type"] != "value_error":
            hint = describe_field(info)
        default = format_default(info.default)
        text = messages.USING_DEFAULT if default else messages.IGNORED
        problems[field] = Problem(
            where=names[field],
            value=describe_value(known[field]),
            hint=text.format(hint=hint, default=default),
        )
    return problems


def _endpoints(
    settings: Settings, values: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    if settings.endpoints_text is not None:
        endpoints, problems = read_endpoints(settings.endpoints_text.get_secret_value(), values)
        if settings.api_endpoint is not None:
            problems += (Problem(where="API_ENDPOINT", hint=messages.IGNORED_WITH_ENDPOINTS),)
        return endpoints, problems
    if settings.on_inference_providers:
        entry = {"name": "hugging-face", "url": INFERENCE_PROVIDERS, "apiKey": "$HF_TOKEN"}
        endpoints, problems = read_endpoints(json.dumps([entry]), values)
        renamed = (replace(problem, where="HF_TOKEN", field="") for problem in problems)
        return endpoints, tuple(renamed)
    if settings.api_endpoint is None:
        return (), ()
    return read_short_form(settings.api_endpoint, settings.api_key, settings.default_model)


def _keys(
    settings: Settings, values: Mapping[str, str]
) -> tuple[tuple[GatewayKey, ...], tuple[Problem, ...]]:
    keys: tuple[GatewayKey, ...] = ()
    problems: tuple[Problem, ...] = ()
    if settings.gateway_keys_text is not None:
        keys, problems = read_keys(settings.gateway_keys_text.get_secret_value(), values)
    if settings.proxy_key is not None:
        try:
            proxy = GatewayKey(name="PROXY_API_KEY", key=settings.proxy_key)
        except ValidationError:
            problems += (Problem(where="PROXY_API_KEY", hint=messages.NOT_ASCII),)
        else:
            if all(proxy.key != key.key for key in keys):
                keys += (proxy,)
    return keys, problems
