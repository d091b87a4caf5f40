"""Every environment variable, in one frozen class, read once in `app.py`.

`python -m akash_gradio.settings_docs` rewrites `.env.example` and the README's table from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from akash_gradio.domain.model import Problem
from akash_gradio.endpoint_list import EndpointSettings, base_url, read_endpoints


class Routing(StrEnum):
    """Which endpoint of a priority gets the next request."""

    WEIGHTED = "weighted"
    LEAST_BUSY = "least_busy"


class EmbeddedMode(StrEnum):
    """When the model on this machine runs: auto means when no endpoint is configured."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def _variable(name: str, default: Any, says: str, *also: str, **limits: Any) -> Any:
    alias = AliasChoices(name, *also) if also else name
    return Field(default, validation_alias=alias, description=says, **limits)


class Settings(BaseSettings):
    """What the environment and `.env` say. Build it with `read_settings`, which never raises.

    endpoints, problems: filled by `read_settings` from ENDPOINTS or the short form.
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
        "API_ENDPOINT", None, "Short form for one endpoint: its base URL."
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

    @field_validator("cache_dir", "catalog_file")
    @classmethod
    def _home(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else None

    @property
    def endpoints_configured(self) -> bool:
        """True when somebody named an endpoint, rightly or not."""
        return self.endpoints_text is not None or self.api_endpoint is not None

    @property
    def embedded_wanted(self) -> bool:
        """Whether the model on this machine is to run."""
        if self.embedded is EmbeddedMode.AUTO:
            return not self.endpoints_configured
        return self.embedded is EmbeddedMode.ON


FILLED: Final = frozenset({"endpoints", "problems"})
"""Fields that are no variables."""


def variables() -> dict[str, str]:
    """Field → the name of its environment variable, in the order of the documentation."""
    names = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        if field not in FILLED:
            names[field] = str(alias.choices[0] if isinstance(alias, AliasChoices) else alias)
    return names


def read_settings(
    environment: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> Settings:
    """The settings, with the default in the place of each value that is wrong, and a problem told.

    environment: for tests; the process's own when None. env_file: read beneath it.
    """
    values = _dotenv(env_file)
    values.update(os.environ if environment is None else environment)
    values = {name: value for name, value in values.items() if value.strip()}
    known = _known(values)
    problems: list[Problem] = []
    try:
        settings = Settings(**known)
    except ValidationError as error:
        problems, wrong = _problems(error)
        settings = Settings(**{k: v for k, v in known.items() if k not in wrong})
    endpoints, more = _endpoints(settings, values)
    return settings.model_copy(update={"endpoints": endpoints, "problems": (*problems, *more)})


def _dotenv(env_file: Path | None) -> dict[str, str]:
    if env_file is None or not env_file.is_file():
        return {}
    return {name: value for name, value in dotenv_values(env_file).items() if value is not None}


def _known(values: Mapping[str, str]) -> dict[str, Any]:
    """Field → text, for the variables that are set; the first of a field's names wins."""
    found: dict[str, Any] = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias]
        text = next((values[str(n)] for n in names if str(n) in values), None)
        if text is not None and field not in FILLED:
            found[field] = text.strip()
    return found


def _problems(error: ValidationError) -> tuple[list[Problem], set[str]]:
    names = variables()
    found, wrong = [], set()
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0])
        wrong.add(field)
        name = names.get(field, field)
        default = Settings.model_fields[field].default
        mend = f"{item['msg']}; the default ({default}) is used until it is mended"
        found.append(Problem(where=name, field="", value=repr(item["input"])[:60], mend=mend))
    return found, wrong


def _endpoints(
    settings: Settings, values: Mapping[str, str]
) -> tuple[tuple[EndpointSettings, ...], tuple[Problem, ...]]:
    if settings.endpoints_text is not None:
        found, problems = read_endpoints(settings.endpoints_text.get_secret_value(), values)
        if settings.api_endpoint is not None:
            mend = "ENDPOINTS is set too and wins; unset one of the two"
            problems += (Problem(where="API_ENDPOINT", field="", value="", mend=mend),)
        return found, problems
    if settings.api_endpoint is None:
        return (), ()
    try:
        url = base_url(settings.api_endpoint)
    except ValueError as error:
        return (), (Problem(where="API_ENDPOINT", field="", value="", mend=str(error)),)
    models = (settings.default_model,) if settings.default_model else None
    entry = EndpointSettings(name="endpoint-1", url=url, api_key=settings.api_key, models=models)
    return (entry,), ()
