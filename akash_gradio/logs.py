"""What is logged and how: one line an event, its facts as key=value, secrets filtered."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from akash_gradio.gateway.redaction import SecretFilter
from akash_gradio.settings import Settings

_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """`12:01:05 INFO reply.finished endpoint=akash-eu-1 tokens=512`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with the record's extras behind it."""
        facts: dict[str, Any] = {k: v for k, v in record.__dict__.items() if k not in _PLAIN}
        line = super().formatMessage(record)
        return " ".join([line, *(f"{key}={_one_line(value)}" for key, value in facts.items())])


def _one_line(value: object) -> str:
    text = str(value)
    return repr(text) if not text.isprintable() or " " in text else text


def set_up_logs(settings: Settings) -> None:
    """Our loggers to standard error: INFO, or DEBUG where DEBUG=true; known secrets filtered."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FactsFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.addFilter(SecretFilter(*_secrets(settings)))
    logger = logging.getLogger("akash_gradio")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if settings.debug else logging.INFO)


def _secrets(settings: Settings) -> list[str]:
    found = [settings.api_key] if settings.api_key else []
    for endpoint in settings.endpoints:
        found += [endpoint.api_key] if endpoint.api_key else []
        found += endpoint.custom_headers.values()
    return [secret.get_secret_value() for secret in found]
