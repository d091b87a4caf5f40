"""What the settings let visitors and others do: pure checks for the command `doctor`."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from akash_gradio.config.settings import Settings
from akash_gradio.domain.loopback import is_loopback_host
from akash_gradio.domain.model import ModelCard
from akash_gradio.quota.admission import price_problems

MIN_SECRET_LENGTH: Final = 12
"""Shortest token, password or key. Ten guesses in five minutes from each network are possible."""
MIN_SIGNING_LENGTH: Final = 32
"""Shortest SESSION_SECRET: it can be guessed without asking the server."""


class Level(StrEnum):
    """How bad a finding is."""

    SERIOUS = "serious"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class FindingText:
    """The wording of a finding; `{name}` is replaced by the fact of that name.

    Attributes:
        level: How bad it is.
        title: What can happen now.
        fix: How to prevent it.
    """

    level: Level
    title: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A weakness of the settings.

    Attributes:
        code: Key of `TEXTS`.
        facts: Values that fill the text; no secrets.
    """

    code: str
    facts: Mapping[str, object]

    @property
    def level(self) -> Level:
        """How bad it is."""
        return TEXTS[self.code].level

    @property
    def title(self) -> str:
        """What can happen now."""
        return TEXTS[self.code].title.format_map(self.facts)

    @property
    def fix(self) -> str:
        """How to prevent it."""
        return TEXTS[self.code].fix.format_map(self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the checks read.

    Attributes:
        settings: The settings, as the server reads them.
        cards: The models of the catalog.
        secret_files: Files that contain secrets.
        replicas: Number of processes that serve the page.
    """

    settings: Settings
    cards: Sequence[ModelCard] = ()
    secret_files: Sequence[Path] = ()
    replicas: int = 1

    @property
    def is_reachable(self) -> bool:
        """Whether other machines can reach the page, directly or through a proxy."""
        settings = self.settings
        return bool(
            not is_loopback_host(settings.server_name)
            or settings.trusted_proxies
            or settings.space_id
            or settings.root_path
            or settings.allowed_hosts
            or settings.allowed_origins
        )

    @property
    def is_open(self) -> bool:
        """Whether a visitor needs neither a token nor an account."""
        settings = self.settings
        return self.is_reachable and not (settings.access_token or settings.requires_sign_in)

    @property
    def limits_visitors(self) -> bool:
        """Whether each visitor has a limit."""
        settings = self.settings
        return bool(settings.visitor_messages_per_minute or settings.visitor_tokens_per_day)

    @property
    def limits_days(self) -> bool:
        """Whether all visitors together have a limit."""
        return bool(self.settings.tokens_per_day or self.settings.cost_per_day)


_S: Final = Level.SERIOUS
_W: Final = Level.WARNING
TEXTS: Final[Mapping[str, FindingText]] = {
    "no_limits": FindingText(
        _S,
        "Anyone who can open the page can use up the endpoints and their keys: it needs no token, "
        "and nothing is limited.",
        "Set ACCESS_TOKEN or SIGN_IN=huggingface, or VISITOR_TOKENS_PER_DAY and TOKENS_PER_DAY (or "
        "COST_PER_DAY).",
    ),
    "no_visitor_limits": FindingText(
        _W,
        "One visitor can use up the day's budget of all.",
        "Set VISITOR_MESSAGES_PER_MINUTE and VISITOR_TOKENS_PER_DAY.",
    ),
    "no_day_budget": FindingText(
        _W,
        "Many visitors together can spend without an upper bound: only each of them is limited.",
        "Set TOKENS_PER_DAY or COST_PER_DAY.",
    ),
    "no_prices": FindingText(
        _W,
        "COST_PER_DAY can't count these models, and refuses them: {detail}",
        "Add their prices to the catalog, or list the others in ALLOWED_MODELS.",
    ),
    "proxy_not_trusted": FindingText(
        _S,
        "A proxy seems to be in front ({sign}), but TRUSTED_PROXIES is 0: all visitors share one "
        "limit, and ten wrong passwords of one lock the sign-in for all.",
        "Set TRUSTED_PROXIES to the number of proxies that append to X-Forwarded-For.",
    ),
    "proxy_bypassed": FindingText(
        _W,
        "Clients that reach {address} without passing the proxy can forge their address.",
        "Listen on an address that only the proxy reaches (GRADIO_SERVER_NAME), or block the port "
        "for others.",
    ),
    "any_host": FindingText(
        _W,
        "A website can reach the page through the browser of anyone who can (DNS rebinding): every "
        "host name is accepted, and no token is needed.",
        "Set ALLOWED_HOSTS to the page's own name.",
    ),
    "file_readable": FindingText(
        _S,
        "Other users of this machine can read {path} (mode {mode}), which contains secrets.",
        "chmod 600 {path}",
    ),
    "folder_readable": FindingText(
        _S,
        "Other users of this machine can read the runs and votes in {path} (mode {mode}).",
        "chmod 700 {path}",
    ),
    "no_data_dir": FindingText(
        _W,
        "Votes, runs and sign-outs end with the process.",
        "Set DATA_DIR to a folder on a persistent disk.",
    ),
    "short_secret": FindingText(
        _S,
        "{name} can be guessed: it has {length} characters.",
        "Use at least {minimum} random ones: "
        'python -c "import secrets; print(secrets.token_urlsafe(32))"',
    ),
    "debug": FindingText(
        _W,
        "DEBUG logs the endpoints' own error messages, which may quote what visitors wrote.",
        "Unset DEBUG once the problem is found.",
    ),
    "redis_exposed": FindingText(
        _S,
        "The connection to Redis at {host} has {lack}: limits, budgets and the secret that signs "
        "cookies can be read and changed on the way or by others.",
        "Use rediss://user:password@{host}, or a Redis that only this machine reaches.",
    ),
    "redis_without_password": FindingText(
        _W,
        "Every machine of the private network can change limits and the secret that signs cookies "
        "in the Redis at {host}.",
        "Set a password: redis://:password@{host}",
    ),
    "replicas_without_redis": FindingText(
        _S,
        "{replicas} processes count for themselves: a visitor has {replicas} times each limit, and "
        "as many attempts to sign in.",
        "Set REDIS_URL.",
    ),
    "key_without_tls": FindingText(
        _S,
        "The API key of {endpoint} is sent unencrypted to {host}.",
        "Use https:// in its URL.",
    ),
    "invalid_setting": FindingText(_S, "A setting is not in effect: {detail}", "Correct it."),
}
"""Every finding. `tests/cli/test_doctor.py` has settings with and without each of them."""

Found = Iterator[Finding]


def find_weaknesses(audit: Audit) -> list[Finding]:
    """Return the findings, the serious ones first."""
    findings = [finding for check in CHECKS for finding in check(audit)]
    return sorted(findings, key=lambda finding: finding.level is not Level.SERIOUS)


def _limits(audit: Audit) -> Found:
    if not audit.is_open or not audit.settings.endpoints_configured:
        return
    if not (audit.limits_visitors or audit.limits_days):
        yield _finding("no_limits")
    elif not audit.limits_visitors:
        yield _finding("no_visitor_limits")
    elif not audit.limits_days:
        yield _finding("no_day_budget")


def _prices(audit: Audit) -> Found:
    for problem in price_problems(audit.settings, audit.cards):
        yield _finding("no_prices", detail=problem.hint)


def _proxies(audit: Audit) -> Found:
    settings = audit.settings
    signs = {
        "SPACE_ID": settings.space_id,
        "GRADIO_ROOT_PATH": settings.root_path,
        "ALLOWED_HOSTS with a loopback address": settings.allowed_hosts
        and is_loopback_host(settings.server_name),
    }
    sign = next((name for name, present in signs.items() if present), "")
    if sign and not settings.trusted_proxies:
        yield _finding("proxy_not_trusted", sign=sign)
    if settings.trusted_proxies and not settings.space_id:
        if not is_loopback_host(settings.server_name):
            address = f"{settings.server_name}:{settings.server_port}"
            yield _finding("proxy_bypassed", address=address)
        if audit.is_open and (not settings.allowed_hosts or "*" in settings.allowed_hosts):
            yield _finding("any_host")


def _files(audit: Audit) -> Found:
    for path in audit.secret_files:
        if (mode := _mode(path)) & 0o077:
            yield _finding("file_readable", path=path, mode=f"{mode:o}")
    folder = audit.settings.data_dir
    if folder is None:
        if audit.is_reachable:
            yield _finding("no_data_dir")
    elif (mode := _mode(folder)) & 0o007:
        yield _finding("folder_readable", path=folder, mode=f"{mode:o}")


def _secrets(audit: Audit) -> Found:
    settings = audit.settings
    named: list[tuple[str, SecretStr | None, int]] = [
        ("ACCESS_TOKEN", settings.access_token, MIN_SECRET_LENGTH),
        ("ADMIN_PASSWORD", settings.admin_password, MIN_SECRET_LENGTH),
        ("SESSION_SECRET", settings.session_secret, MIN_SIGNING_LENGTH),
    ]
    keys = settings.gateway_keys
    named += [(f"The API key {key.name} of /v1", key.key, MIN_SECRET_LENGTH) for key in keys]
    for name, secret, minimum in named:
        length = len(secret.get_secret_value()) if secret else minimum
        if length < minimum:
            yield _finding("short_secret", name=name, length=length, minimum=minimum)


def _debug(audit: Audit) -> Found:
    if audit.settings.debug and audit.is_reachable:
        yield _finding("debug")


def _redis(audit: Audit) -> Found:
    url = audit.settings.redis_url
    if url is None:
        if audit.replicas > 1:
            yield _finding("replicas_without_redis", replicas=audit.replicas)
        return
    parts = urlsplit(url.get_secret_value())
    host = parts.hostname or ""
    if is_loopback_host(host):
        return
    if _is_private(host):
        if not parts.password:
            yield _finding("redis_without_password", host=host)
        return
    lacks = {"no password": not parts.password, "no TLS": parts.scheme != "rediss"}
    if any(lacks.values()):
        lack = " and ".join(name for name, lacking in lacks.items() if lacking)
        yield _finding("redis_exposed", host=host, lack=lack)


def _endpoints(audit: Audit) -> Found:
    for endpoint in audit.settings.endpoints:
        parts = urlsplit(str(endpoint.url))
        host = parts.hostname or ""
        is_plain = parts.scheme == "http" and not (is_loopback_host(host) or _is_private(host))
        if is_plain and endpoint.api_key is not None:
            yield _finding("key_without_tls", endpoint=endpoint.name, host=host)


def _problems(audit: Audit) -> Found:
    for problem in audit.settings.problems:
        yield _finding("invalid_setting", detail=problem)


CHECKS: Final[Sequence[Callable[[Audit], Found]]] = (
    _problems,
    _limits,
    _prices,
    _proxies,
    _files,
    _secrets,
    _redis,
    _endpoints,
    _debug,
)


def _finding(code: str, **facts: object) -> Finding:
    return Finding(code=code, facts=facts)


def _mode(path: Path) -> int:
    """Return the permission bits of a file, 0 if there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _is_private(host: str) -> bool:
    """Return whether a host is in a private network: its address, or a name without a dot."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host
