"""The variables for a page that strangers reach: a part of `settings.Settings`.

All of them are off or harmless by default: on one's own computer nothing is to be noticed.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from akash_gradio.domain.model import Problem


def variable(name: str, default: Any, says: str, *also: str, **limits: Any) -> Any:
    """A field that one environment variable sets. also: further names of it."""
    alias = AliasChoices(name, *also) if also else name
    return Field(default, validation_alias=alias, description=says, **limits)


class OwnKeysMode(StrEnum):
    """Whether visitors may bring keys: for the host's endpoints, or for any public one."""

    OFF = "off"
    KEYS = "keys"
    ENDPOINTS = "endpoints"


NO_SIGN_IN: Final = frozenset({"off", "none", "no", "false", "0"})
LIMITABLE_PARAMETERS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
)


class AccessSettings(BaseSettings):
    """Who may come, from where, and how much they may use."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_ORIGINS",
        (),
        "Other sites whose pages may ask here, a comma list of `https://host`; for a proxy that "
        "changes `Host`, the page's own address.",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = variable(
        "FRAME_ANCESTORS",
        ("https://huggingface.co",),
        "Sites that may show the page in a frame, a comma list of `https://host`.",
    )

    trusted_proxies: int = variable(
        "TRUSTED_PROXIES",
        0,
        "How many proxies stand in front and add to `X-Forwarded-For`; 0 believes none of it.",
        ge=0,
        le=10,
    )
    access_token: SecretStr | None = variable(
        "ACCESS_TOKEN", None, "Visitors must give this token before they see the page."
    )
    admin_password: SecretStr | None = variable(
        "ADMIN_PASSWORD",
        None,
        "The host's own password, for what only the host may see (`page/sign-in?as=host`).",
    )
    sign_in: str | None = variable(
        "SIGN_IN",
        None,
        "`huggingface`: visitors sign in with their Hugging Face account; `off`. On by itself "
        "where one of the next two is set.",
    )
    allowed_users: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_USERS", (), "Hugging Face users that may come in, a comma list; else all may."
    )
    allowed_orgs: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_ORGS", (), "Hugging Face organizations whose members may come in, a comma list."
    )
    oauth_client_id: str | None = variable(
        "OAUTH_CLIENT_ID",
        None,
        "The OAuth app that visitors sign in with. A Space sets it and the next three by itself.",
    )
    oauth_client_secret: SecretStr | None = variable(
        "OAUTH_CLIENT_SECRET", None, "Its secret, where it has one."
    )
    openid_provider_url: str = variable(
        "OPENID_PROVIDER_URL", "https://huggingface.co", "Where they sign in."
    )
    space_hosts: Annotated[tuple[str, ...], NoDecode] = variable(
        "SPACE_HOST", (), "The Space's own host, to which they come back."
    )
    session_secret: SecretStr | None = variable(
        "SESSION_SECRET",
        None,
        "Signs the cookies; without it sessions end with the process. Replicas "
        "need the same, or `REDIS_URL`.",
    )
    visitor_messages_per_minute: int | None = variable(
        "VISITOR_MESSAGES_PER_MINUTE", None, "Messages of one visitor in any minute.", ge=1
    )
    visitor_tokens_per_day: int | None = variable(
        "VISITOR_TOKENS_PER_DAY", None, "Tokens of one visitor in a day (UTC), in and out.", ge=1
    )
    requests_at_once: int | None = variable(
        "REQUESTS_AT_ONCE",
        None,
        "Answers given at once; the others wait in line and are told their place.",
        ge=1,
    )
    queue_length: int = variable(
        "QUEUE_LENGTH", 100, "How many may wait in line before the next is turned away.", ge=0
    )
    tokens_per_day: int | None = variable(
        "TOKENS_PER_DAY", None, "Tokens of everybody together in a day (UTC).", ge=1
    )
    cost_per_day: float | None = variable(
        "COST_PER_DAY",
        None,
        "US dollars of everybody together in a day (UTC), by the catalog's prices.",
        gt=0,
    )
    allowed_models: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_MODELS", (), "The only models that may be used, a comma list of ids."
    )
    parameter_ranges: Annotated[dict[str, tuple[float, float]], NoDecode] = variable(
        "PARAMETER_RANGES",
        {},
        'What visitors may set, as JSON: `{"temperature":[0,1],"max_tokens":[1,1024]}`. '
        "The highest `max_tokens` is sent where none is set.",
    )
    longest_message: int | None = variable(
        "LONGEST_MESSAGE", None, "Characters of one message.", ge=1
    )

    own_keys: OwnKeysMode = variable(
        "OWN_KEYS",
        OwnKeysMode.OFF,
        "Visitors may bring a key of their own, kept for their tab alone: `keys` for the host's "
        "endpoints, `endpoints` for any public address too, `off`.",
    )
    redis_url: SecretStr | None = variable(
        "REDIS_URL",
        None,
        "Redis 6 or later, `redis://host:6379/0`: replicas share limits, budgets, sessions and "
        "which endpoints are down.",
    )
    hf_token: SecretStr | None = variable(
        "HF_TOKEN",
        None,
        "On a Space without `ENDPOINTS`: the key for Hugging Face's Inference Providers, "
        "which become the endpoint.",
    )
    space_id: str | None = variable("SPACE_ID", None, "Set by Hugging Face on a Space.")

    @field_validator("own_keys", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("write redis://host:6379/0")
        return url

    @field_validator("allowed_users", "allowed_orgs", "space_hosts", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        """Never () for what was set: a list of nobody lets nobody in."""
        if not isinstance(value, str):
            return value
        return tuple(_name(part) for part in value.split(",") if part.strip()) or ("",)

    @field_validator("openid_provider_url")
    @classmethod
    def _issuer(cls, url: str) -> str:
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError("write https://huggingface.co")
        return url.rstrip("/")

    @field_validator("allowed_models", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("parameter_ranges", mode="before")
    @classmethod
    def _ranges(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        hint = 'write {"temperature": [0, 1]}; known are ' + ", ".join(LIMITABLE_PARAMETERS)
        try:
            given = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(hint) from None
        if not isinstance(given, dict) or not given.keys() <= set(LIMITABLE_PARAMETERS):
            raise ValueError(hint)
        if not all(_is_range(pair) for pair in given.values()):
            raise ValueError(hint)
        return {name: tuple(pair) for name, pair in given.items()}

    @property
    def requires_sign_in(self) -> bool:
        """Whether visitors need a name. A value that means nothing leaves nobody in, not all."""
        if self.sign_in is None:
            return bool(self.allowed_users or self.allowed_orgs)
        return self.sign_in.lower() not in NO_SIGN_IN

    @property
    def behind_proxy(self) -> bool:
        """Whether something stands in front, so that coming from this machine proves nothing."""
        return bool(self.allowed_origins or self.trusted_proxies or self.space_id)

    @property
    def limited(self) -> bool:
        """Whether anything is counted, so that visitors must be told apart."""
        return any(
            value is not None
            for value in (
                self.visitor_messages_per_minute,
                self.visitor_tokens_per_day,
                self.requests_at_once,
                self.tokens_per_day,
                self.cost_per_day,
                self.longest_message,
            )
        ) or bool(self.allowed_models or self.parameter_ranges)

    @field_validator("allowed_origins", "frame_ancestors", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = tuple(part.strip().rstrip("/").lower() for part in value.split(",") if part.strip())
        if not all(_is_origin(origin) for origin in found):
            raise ValueError("write each as https://host, without a path")
        return found


def sign_in_problems(settings: AccessSettings) -> tuple[Problem, ...]:
    """What keeps visitors from signing in; the page stays closed until it is mended."""
    if not settings.requires_sign_in:
        return ()
    found = []
    if settings.sign_in is not None and settings.sign_in.lower() != "huggingface":
        hint = "write huggingface or off; until then visitors sign in with Hugging Face"
        found.append(Problem(where="SIGN_IN", field="", value="", hint=hint))
    if not settings.oauth_client_id:
        hint = (
            "on a Space write hf_oauth: true at the top of README.md, elsewhere make an OAuth app "
            "at https://huggingface.co/settings/applications/new; until then nobody can sign in"
        )
        found.append(Problem(where="OAUTH_CLIENT_ID", field="", value="", hint=hint))
    return tuple(found)


def _name(text: str) -> str:
    """`@Ann` and `https://huggingface.co/Ann` are ann."""
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
