"""Configures logging: one line per event, with its facts as key=value and without secrets."""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from typing import Final, TextIO

from pydantic import SecretStr

from akash_gradio.config.settings import Settings
from akash_gradio.domain.known_secrets import PUBLIC_HEADERS, header_parts, url_parts
from akash_gradio.domain.redaction import SecretFilter

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PARSED: Final = frozenset({"endpoints_text", "gateway_keys_text"})
"""Raw texts that contain several secrets. The parsed secrets are filtered, not the whole text."""


class KeyValueFormatter(logging.Formatter):
    """Formats records as `12:01:05 INFO reply.finished endpoint=akash-eu-1 tokens=512`."""

    _second, _time = -1, ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line, with the record's extra attributes at its end."""
        record.message = _escape(record.message)
        parts = [super().formatMessage(record)]
        parts += [
            f"{name}={value if type(value) is int else _quote(str(value))}"
            for name, value in record.__dict__.items()
            if name not in _PLAIN
        ]
        return " ".join(parts)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's own name
        """Return the time, which is formatted once per second."""
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, super().formatTime(record, datefmt)
        return self._time

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry. A traceback is indented, so that no line of it looks like an entry."""
        entry = super().format(record)
        if "\n" not in entry:
            return entry
        first, *rest = entry.split("\n")
        return "\n".join([first, *(f"    {_escape(line)}" for line in rest)])


@lru_cache(maxsize=256)  # the same names are in most lines
def _quote(text: str) -> str:
    plain = text and text.isprintable() and not set(" \"'=") & set(text)
    return text if plain else repr(text)


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the package's logs to a stream, at level INFO, or DEBUG with DEBUG=true.

    Args:
        stream: Standard error by default.
    """
    logger = logging.getLogger("akash_gradio")
    logger.handlers = [build_log_handler(settings, stream)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if settings.debug else logging.INFO)


def drop_unused_record_fields() -> None:
    """Don't look up the source line, thread and process of records, in the whole process.

    Source: docs.python.org/3/howto/logging.html#optimization.
    """
    logging._srcfile = None  # documented there under this name
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def build_log_handler(settings: Settings, stream: TextIO | None = None) -> logging.Handler:
    """Return a handler that writes lines without the secrets of the settings.

    Args:
        stream: Standard error by default.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(KeyValueFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.addFilter(_secret_filter(settings))
    return handler


def _secret_filter(settings: Settings) -> SecretFilter:
    """Return a filter of all secrets of the settings, with the parts of headers and URLs."""
    values = [getattr(settings, name) for name in Settings.model_fields if name not in _PARSED]
    values += [key.key for key in settings.gateway_keys]
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    public = [secret for secret in secrets if "://" in secret]  # `localhost` is no secret
    known = [part for url in public for part in url_parts(url)]
    known += [secret for secret in secrets if "://" not in secret]
    for endpoint in settings.endpoints:
        known += url_parts(endpoint.url, every_parameter=True)
        if endpoint.api_key is not None:
            known += header_parts("authorization", endpoint.api_key.get_secret_value())
        for name, header in endpoint.custom_headers.items():
            public.append(header.get_secret_value())
            if name.lower() not in PUBLIC_HEADERS:
                known += header_parts(name, header.get_secret_value())
    secret_filter = SecretFilter()
    secret_filter.add(*known, public=public)
    return secret_filter
