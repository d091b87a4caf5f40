"""The access settings: who may use the page, from where, and how much.

They are a part of `settings.Settings`. By default, none of them restricts access.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from akash_gradio.config import messages
from akash_gradio.domain.model import Problem


def variable(name: str, default: Any, description: str, *aliases: str, **limits: Any) -> Any:
    """Return a field that is set by an environment variable.

    Args:
        name: The variable.
        default: The value if the variable is not set.
        description: Its text in the documentation, one or two sentences in Markdown.
        aliases: Variables that are read if the first is not set.
        limits: Arguments of `pydantic.Field`, such as `ge`.
    """
    alias = AliasChoices(name, *aliases) if aliases else name
    return Field(default, validation_alias=alias, description=description, **limits)


class OwnKeysMode(StrEnum):
    """Whether visitors may use API keys of their own, and for which endpoints."""

    OFF = "off"
    KEYS = "keys"
    ENDPOINTS = "endpoints"


HOST_PATTERN: Final = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")
"""An entry of ALLOWED_HOSTS in lower case: a host, `*.` and a domain, or `*` for any host."""
SIGN_IN_OFF: Final = frozenset({"off", "none", "no", "false", "0"})
LIMITABLE_PARAMETERS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
)


class AccessSettings(BaseSettings):
    """Who may use the page, from where, and how much."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_ORIGINS",
        (),
        "Other origins that may send requests: a comma-separated list of `https://host`. Behind a "
        "proxy that changes the `Host` header, include the page's own origin.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_HOSTS",
        (),
        "Public host names of the page: a comma-separated list, in which `*.example.com` stands "
        "for its subdomains and `*` for any host. Requests for other names get 421. Not needed "
        "for IP addresses and local names, on a Space, nor behind `ACCESS_TOKEN`, sign-in or "
        "`TRUSTED_PROXIES`, where the default is any host (docs/deployment.md).",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = variable(
        "FRAME_ANCESTORS",
        ("https://huggingface.co",),
        "Origins that may embed the page in a frame: a comma-separated list of `https://host`.",
    )

    trusted_proxies: int = variable(
        "TRUSTED_PROXIES",
        0,
        "Number of reverse proxies in front that append to `X-Forwarded-For`. With `0` the header "
        "is ignored.",
        ge=0,
        le=10,
    )
    access_token: SecretStr | None = variable(
        "ACCESS_TOKEN", None, "Token that visitors must enter to see the page."
    )
    admin_password: SecretStr | None = variable(
        "ADMIN_PASSWORD",
        None,
        "Password for the pages that only the operator may use. Sign in at `page/sign-in?as=host`.",
    )
    sign_in: str | None = variable(
        "SIGN_IN",
        None,
        "`huggingface`: visitors sign in with their Hugging Face account. `off` is the default, "
        "unless `ALLOWED_USERS` or `ALLOWED_ORGS` is set.",
    )
    allowed_users: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_USERS",
        (),
        "Hugging Face users who may sign in: a comma-separated list. By default, all may sign in.",
    )
    allowed_orgs: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_ORGS",
        (),
        "Hugging Face organizations whose members may sign in: a comma-separated list.",
    )
    oauth_client_id: str | None = variable(
        "OAUTH_CLIENT_ID",
        None,
        "Client id of the OAuth app for signing in. A Space sets this and the next three "
        "variables itself.",
    )
    oauth_client_secret: SecretStr | None = variable(
        "OAUTH_CLIENT_SECRET", None, "Client secret of the OAuth app, if it has one."
    )
    openid_provider_url: str = variable(
        "OPENID_PROVIDER_URL",
        "https://huggingface.co",
        "OpenID provider that visitors sign in with.",
    )
    space_hosts: Annotated[tuple[str, ...], NoDecode] = variable(
        "SPACE_HOST",
        (),
        "Host name of the Space, to which visitors return after signing in.",
    )
    session_secret: SecretStr | None = variable(
        "SESSION_SECRET",
        None,
        "Secret that signs the cookies. Without it, one is created in `DATA_DIR`, if that is set; "
        "otherwise sessions end with the process. Replicas need the same value, or `REDIS_URL`.",
    )
    visitor_messages_per_minute: int | None = variable(
        "VISITOR_MESSAGES_PER_MINUTE", None, "Messages per visitor in any 60 seconds.", ge=1
    )
    visitor_tokens_per_day: int | None = variable(
        "VISITOR_TOKENS_PER_DAY", None, "Input and output tokens per visitor and day (UTC).", ge=1
    )
    requests_at_once: int | None = variable(
        "REQUESTS_AT_ONCE",
        None,
        "Answers that are generated at the same time. Further requests wait in a queue, and "
        "visitors see their position.",
        ge=1,
    )
    queue_length: int = variable(
        "QUEUE_LENGTH",
        100,
        "Requests that may wait in the queue. Further ones are rejected.",
        ge=0,
    )
    tokens_per_day: int | None = variable(
        "TOKENS_PER_DAY", None, "Tokens of all visitors together per day (UTC).", ge=1
    )
    cost_per_day: float | None = variable(
        "COST_PER_DAY",
        None,
        "US dollars of all visitors together per day (UTC), at the catalog's prices. Models "
        "without prices are refused.",
        gt=0,
    )
    allowed_models: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_MODELS", (), "The only models that may be used: a comma-separated list of ids."
    )
    parameter_ranges: Annotated[dict[str, tuple[float, float]], NoDecode] = variable(
        "PARAMETER_RANGES",
        {},
        "Ranges that visitors may choose from, as JSON: "
        '`{"temperature":[0,1],"max_tokens":[1,1024]}`. '
        "The upper bound of `max_tokens` is sent if a visitor sets none.",
    )
    longest_message: int | None = variable(
        "LONGEST_MESSAGE",
        None,
        "Maximum length of a message or of the system prompt, in characters.",
        ge=1,
    )
    longest_request: int | None = variable(
        "LONGEST_REQUEST",
        None,
        "Maximum length of a whole request, in characters: system prompt, history, attachments and "
        "tools. Ten times `LONGEST_MESSAGE` if only that is set.",
        ge=1,
    )
    default_max_tokens: int = variable(
        "DEFAULT_MAX_TOKENS",
        4096,
        "Longest answer where a daily budget is set and neither the visitor, `PARAMETER_RANGES` "
        "nor the catalog sets `max_tokens`. It is reserved before the request is sent.",
        ge=1,
        le=10_000_000,
    )

    own_keys: OwnKeysMode = variable(
        "OWN_KEYS",
        OwnKeysMode.OFF,
        "Whether visitors may use API keys of their own, stored in their browser tab only: `off`, "
        "`keys` (for the configured endpoints) or `endpoints` (for any public endpoint too).",
    )
    redis_url: SecretStr | None = variable(
        "REDIS_URL",
        None,
        "Redis 6 or later, `redis://host:6379/0`, through which replicas share limits, budgets, "
        "sessions and endpoint health. Needs the extra `redis`.",
    )
    hf_token: SecretStr | None = variable(
        "HF_TOKEN",
        None,
        "On a Space without `ENDPOINTS`: token for Hugging Face Inference Providers, which become "
        "the endpoint.",
    )
    space_id: str | None = variable("SPACE_ID", None, "Id of the Space, set by Hugging Face.")
    zero_gpu: bool = variable(
        "SPACES_ZERO_GPU", False, "Whether the Space runs on ZeroGPU, set by Hugging Face."
    )

    @field_validator("own_keys", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError(messages.REDIS_URL)
        return url

    @field_validator("allowed_users", "allowed_orgs", "space_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """Never return () for a variable that is set: an empty list must not admit everyone."""
        if not isinstance(value, str):
            return value
        return tuple(_account_name(part) for part in value.split(",") if part.strip()) or ("",)

    @field_validator("openid_provider_url")
    @classmethod
    def _check_provider_url(cls, url: str) -> str:
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError(messages.PROVIDER_URL)
        return url.rstrip("/")

    @field_validator("allowed_models", mode="before")
    @classmethod
    def _split_ids(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("parameter_ranges", mode="before")
    @classmethod
    def _parse_ranges(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        hint = messages.PARAMETER_RANGES.format(names=", ".join(LIMITABLE_PARAMETERS))
        try:
            ranges = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(hint) from None
        if not isinstance(ranges, dict) or not ranges.keys() <= set(LIMITABLE_PARAMETERS):
            raise ValueError(hint)
        if not all(_is_range(pair) for pair in ranges.values()):
            raise ValueError(hint)
        return {name: tuple(pair) for name, pair in ranges.items()}

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        hosts = tuple(part.strip().rstrip(".").lower() for part in value.split(",") if part.strip())
        if not all(HOST_PATTERN.fullmatch(host) for host in hosts):
            raise ValueError(messages.HOSTS)
        return tuple(host.strip("[]") for host in hosts)

    @field_validator("allowed_origins", "frame_ancestors", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = value.split(",")
        origins = tuple(part.strip().rstrip("/").lower() for part in parts if part.strip())
        if not all(_is_origin(origin) for origin in origins):
            raise ValueError(messages.ORIGINS)
        return origins

    @property
    def requires_sign_in(self) -> bool:
        """Whether visitors must sign in. An unknown value of SIGN_IN locks the page."""
        if self.sign_in is None:
            return bool(self.allowed_users or self.allowed_orgs)
        return self.sign_in.lower() not in SIGN_IN_OFF

    @property
    def has_front(self) -> bool:
        """Whether visitors pass a proxy or a sign-in, so that any Host may be right."""
        return bool(
            self.access_token or self.requires_sign_in or self.trusted_proxies or self.space_id
        )

    @property
    def limited(self) -> bool:
        """Whether any quota is set, so that visitors must be identified."""
        return any(
            value is not None
            for value in (
                self.visitor_messages_per_minute,
                self.visitor_tokens_per_day,
                self.requests_at_once,
                self.tokens_per_day,
                self.cost_per_day,
                self.longest_message,
                self.longest_request,
            )
        ) or bool(self.allowed_models or self.parameter_ranges)


def sign_in_problems(settings: AccessSettings) -> tuple[Problem, ...]:
    """Return the problems that prevent signing in. Until they are fixed, the page stays locked."""
    if not settings.requires_sign_in:
        return ()
    hints = {}
    if settings.sign_in is not None and settings.sign_in.lower() != "huggingface":
        hints["SIGN_IN"] = messages.SIGN_IN
    if not settings.oauth_client_id:
        hints["OAUTH_CLIENT_ID"] = messages.OAUTH_CLIENT
    return tuple(Problem(where=where, hint=hints[where]) for where in hints)


def _account_name(text: str) -> str:
    """Return `ann` for `@Ann` and for `https://huggingface.co/Ann`."""
    return text.strip().rstrip("/").rpartition("/")[2].removeprefix("@").lower()


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    plain = text.isascii() and not set(text) & set(" ;'\"")
    return (
        plain and parts.scheme in ("http", "https") and text == f"{parts.scheme}://{parts.netloc}"
    )


def _is_range(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in pair)
    return numbers and bool(pair[0] <= pair[1])
