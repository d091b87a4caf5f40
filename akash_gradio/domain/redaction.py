"""Keeps keys out of what people read: the words of endpoints, and log lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

REMOVED: Final = "[removed]"
REMEMBERED: Final = 512
"""Short texts whose cleaning is remembered: names come in each line."""
_SHORT: Final = 100

SHORTEST_SECRET: Final = 6
"""Characters. Shorter ones (`EMPTY`, `none`) are placeholders, and common words in a log."""

_SHORTEST_BEGINNING: Final = 4
_MOST_CHARACTERS: Final = 65_536

_LOGIN_IN_URL: Final = re.compile(r"(?<=://)[^\s/]+@")
_NAMED: Final = re.compile(
    r"""(
        (?:api[-_ ]?key|secret|password|passwd|access[-_]token|(?:proxy-)?authorization)
        ["']?(?:\ provided)?\s{0,4}[:=]\s{0,4}["']?
        |(?:\btoken|[?&](?:key|sig|signature))=
    )(?:(?:basic|bearer|token)\s{1,4})?(?!["']|\[removed\])[^\s"',;&}\])]+""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER: Final = re.compile(r"\b(bearer\s{1,4})(?!\[removed\])[^\s\"',;]+", re.IGNORECASE)
_PREFIXED: Final = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(?:(?:sk|rk|pk|hf|gsk|xai|csk|fw|r8|tgp|ghp|gho|pplx|nvapi|glpat|github_pat|xox[abp])[-_]"
    r"|AIza|AKIA|eyJ)"
    r"[A-Za-z0-9_\-*.]{6,}"
)
_RUN: Final = re.compile(r"[A-Za-z0-9_\-]{24,}={0,2}")
_SOLID: Final = re.compile(r"[A-Za-z0-9]{16,}")


def redact(text: str) -> str:
    """text without whatever looks like a key, and without the logins of URLs.

    Known shapes (`sk-…`, `hf_…`, `Bearer …`, `api_key=…`) go whatever their length; an
    unknown run goes when it is 24 characters or more and has 16 letters and digits, both
    kinds, without a break. Names of models and UUIDs have breaks and stay. Reads the
    first 65 536 characters, in linear time, and drops the rest.
    """
    text = _LOGIN_IN_URL.sub(f"{REMOVED}@", text[:_MOST_CHARACTERS])
    text = _BEARER.sub(rf"\1{REMOVED}", text)
    text = _NAMED.sub(rf"\1{REMOVED}", text)
    text = _PREFIXED.sub(REMOVED, text)
    return _RUN.sub(_if_random, text)


def _if_random(run: re.Match[str]) -> str:
    for solid in _SOLID.findall(run.group()):
        if not solid.isalpha() and not solid.isdigit():
            return REMOVED
    return run.group()


def redact_partial_secret(text: str, secrets: Iterable[str]) -> str:
    """text without the beginning of a secret at its end, where it may have been cut.

    Beginnings of under 4 characters stay, and so do those of secrets under 6.
    """
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET:
            continue
        for length in range(min(len(secret) - 1, len(text)), _SHORTEST_BEGINNING - 1, -1):
            if text.endswith(secret[:length]):
                return text[:-length] + REMOVED
    return text


_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class SecretFilter(logging.Filter):
    """Takes known secrets, and the shapes that `redact` knows, out of each log record.

    Put it on handlers: a filter on a logger does not see the records of its children.
    The traceback is turned into text here, and the exception itself taken off the record,
    so that no handler can print it again. Live state: `add` may come at any time.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self._secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._clean_short = lru_cache(maxsize=REMEMBERED)(self._cleaned)
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Know these too, as they are and percent-encoded. Those under 6 characters are left."""
        long_enough = {s for s in secrets if len(s) >= SHORTEST_SECRET}
        self._secrets |= long_enough | {quote(s, safe="", errors="replace") for s in long_enough}
        if self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first)))
            self._clean_short.cache_clear()

    def redact(self, text: str) -> str:
        """text without the known secrets and without what looks like one."""
        return self._clean_short(text) if len(text) <= _SHORT else self._cleaned(text)

    def _cleaned(self, text: str) -> str:
        return redact(self._known.sub(REMOVED, text) if self._known else text)

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record in place; always True."""
        if record.args:
            record.args = self._args(record.args)
        self._clean_message(record)
        if record.exc_info:
            record.exc_text = record.exc_text or _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        facts = record.__dict__
        for name in facts.keys() - _STANDARD:
            if type(facts[name]) is not int:
                facts[name] = self._value(facts[name])
        return True

    def _args(self, args: Any) -> Any:
        if isinstance(args, Mapping):
            return {name: self._value(value) for name, value in args.items()}
        return tuple(self._value(value) for value in args)

    def _clean_message(self, record: logging.LogRecord) -> None:
        # A secret may lie across the message and an argument: `"Bearer %s", key`.
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            record.msg = self.redact(str(record.msg))
            return  # arguments that don't fit: logging itself reports it
        cleaned = self.redact(message)
        if cleaned != message:
            record.msg, record.args = cleaned, None

    def _value(self, value: Any, depth: int = 4) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.redact(value)
        if depth and type(value) is dict:
            return {self._value(k, 0): self._value(v, depth - 1) for k, v in value.items()}
        if depth and type(value) in (list, tuple, set, frozenset):
            return type(value)(self._value(item, depth - 1) for item in value)
        return self._object(value)

    def _object(self, value: Any) -> Any:
        try:
            says = f"{value!s} {value!r}"
            cleaned = self.redact(says)
        except Exception:  # a broken __str__ may raise anything, and a log line must not
            return f"<{type(value).__name__}>"
        return value if cleaned == says else self.redact(str(value))


_FORMATTER: Final = logging.Formatter()
