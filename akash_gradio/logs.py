"""What is logged and how: one line an event, its facts as key=value, secrets filtered."""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from typing import Final, TextIO

from akash_gradio.config.settings import Settings
from akash_gradio.domain.redaction import SecretFilter

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """`12:01:05 INFO reply.finished endpoint=akash-eu-1 tokens=512`."""

    _second, _time = -1, ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with the record's extras behind it."""
        record.message = _escaped(record.message)
        words = [super().formatMessage(record)]
        words += [
            f"{name}={value if type(value) is int else _quoted(str(value))}"
            for name, value in record.__dict__.items()
            if name not in _PLAIN
        ]
        return " ".join(words)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        """The time, written once for each second."""
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, super().formatTime(record, datefmt)
        return self._time

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry; a traceback's lines are set in, so that none passes for an entry."""
        entry = super().format(record)
        if "\n" not in entry:
            return entry
        first, *rest = entry.split("\n")
        return "\n".join([first, *(f"    {_escaped(line)}" for line in rest)])


@lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    """Names come in each line, so they are remembered."""
    plain = text and text.isprintable() and not set(" \"'=") & set(text)
    return text if plain else repr(text)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Our loggers to standard error: INFO, or DEBUG where DEBUG=true; known secrets filtered.

    stream: another place to write to.
    """
    logger = logging.getLogger("akash_gradio")
    logger.handlers = [build_log_handler(settings, stream)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if settings.debug else logging.INFO)


def drop_unused_record_fields() -> None:
    """Spare each record the search for the line of code, thread and process that made it.

    For the whole process. Source: docs.python.org/3/howto/logging.html#optimization.
    """
    logging._srcfile = None  # the name that is documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def build_log_handler(settings: Settings, stream: TextIO | None = None) -> logging.Handler:
    """One that writes our lines without the settings' secrets; stream: standard error if None."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(FactsFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.addFilter(SecretFilter(*_secrets(settings)))
    return handler


def _secrets(settings: Settings) -> list[str]:
    found = [settings.api_key] if settings.api_key else []
    for endpoint in settings.endpoints:
        found += [endpoint.api_key] if endpoint.api_key else []
        found += endpoint.custom_headers.values()
    found += [key.key for key in settings.gateway_keys]
    found += [settings.proxy_key] if settings.proxy_key else []
    found += [settings.database_url] if settings.database_url else []
    found += [s for s in (settings.access_token, settings.admin_password, settings.hf_token) if s]
    found += [settings.redis_url] if settings.redis_url else []
    found += [settings.session_secret] if settings.session_secret else []
    found += [settings.oauth_client_secret] if settings.oauth_client_secret else []
    return [secret.get_secret_value() for secret in found]
