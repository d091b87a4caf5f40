"""Removes secrets from text that people read: messages of endpoints, and log lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from akash_gradio.domain.known_secrets import REMOVED, KnownSecrets

CACHED_TEXTS: Final = 512
"""Number of short texts whose result is cached: the same names occur in every line."""
_SHORT_CHARACTERS: Final = 100

_MAX_CHARACTERS: Final = 65_536

_URL_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s/]+@")
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
_UNBROKEN: Final = re.compile(r"[A-Za-z0-9]{16,}")


def redact(text: str) -> str:
    """Remove everything that looks like a key, and the credentials in URLs.

    Known shapes (`sk-…`, `hf_…`, `Bearer …`, `api_key=…`) are removed at any length. Any other
    run of characters is removed when it has at least 24 characters, 16 of them letters and digits
    (both kinds) without a separator. Model names and UUIDs have separators and stay.

    Takes linear time, and drops what follows the first 65,536 characters.
    """
    text = _URL_CREDENTIALS.sub(f"{REMOVED}@", text[:_MAX_CHARACTERS])
    text = _BEARER.sub(rf"\1{REMOVED}", text)
    text = _NAMED.sub(rf"\1{REMOVED}", text)
    text = _PREFIXED.sub(REMOVED, text)
    return _RUN.sub(_redact_if_random, text)


def _redact_if_random(run: re.Match[str]) -> str:
    for part in _UNBROKEN.findall(run.group()):
        if not part.isalpha() and not part.isdigit():
            return REMOVED
    return run.group()


_STANDARD_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class SecretFilter(logging.Filter):
    """Removes known secrets, and everything that `redact` matches, from log records.

    Attach it to handlers: a filter on a logger doesn't see the records of its children.
    Tracebacks are formatted here and the exception is removed from the record, so that no
    handler can print it again. `add` may be called at any time.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self._secrets: frozenset[str] = frozenset()
        self._public: frozenset[str] = frozenset()
        self._known = KnownSecrets(())
        self._redact_short = lru_cache(maxsize=CACHED_TEXTS)(self._redact)
        self.add(*secrets)

    def add(self, *secrets: str, public: Iterable[str] = ()) -> None:
        """Add secrets, which are found in each form that `known_secrets` knows.

        Args:
            secrets: Those of fewer than 6 characters are ignored.
            public: Values that are removed only as a whole.
        """
        self._secrets |= set(secrets)
        self._public |= set(public)
        self._known = KnownSecrets(self._secrets, self._public)
        self._redact_short.cache_clear()

    def redact(self, text: str) -> str:
        """Remove the known secrets and everything that looks like one."""
        return self._redact_short(text) if len(text) <= _SHORT_CHARACTERS else self._redact(text)

    def _redact(self, text: str) -> str:
        return redact(self._known.redact(text))

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; return True, so that it is logged."""
        if record.args:
            record.args = self._redact_args(record.args)
        self._redact_message(record)
        if record.exc_info:
            record.exc_text = record.exc_text or _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        fields = record.__dict__
        for name in fields.keys() - _STANDARD_FIELDS:
            if type(fields[name]) is not int:
                fields[name] = self._redact_value(fields[name])
        return True

    def _redact_args(self, args: Any) -> Any:
        if isinstance(args, Mapping):
            return {name: self._redact_value(value) for name, value in args.items()}
        return tuple(self._redact_value(value) for value in args)

    def _redact_message(self, record: logging.LogRecord) -> None:
        # A secret may only show in the formatted message: `"Bearer %s", key`.
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            record.msg = self.redact(str(record.msg))
            return  # the arguments don't match the format: `logging` reports that
        redacted = self.redact(message)
        if redacted != message:
            record.msg, record.args = redacted, None

    def _redact_value(self, value: Any, depth: int = 4) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.redact(value)
        if depth and type(value) is dict:
            return {
                self._redact_value(k, 0): self._redact_value(v, depth - 1) for k, v in value.items()
            }
        if depth and type(value) in (list, tuple, set, frozenset):
            return type(value)(self._redact_value(item, depth - 1) for item in value)
        return self._redact_object(value)

    def _redact_object(self, value: Any) -> Any:
        try:
            text = f"{value!s} {value!r}"
            redacted = self.redact(text)
        except Exception:  # a broken __str__ may raise anything; logging must not fail
            return f"<{type(value).__name__}>"
        return value if redacted == text else self.redact(str(value))


_FORMATTER: Final = logging.Formatter()
