"""Settings whose endpoints are stubs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from akash_gradio.config.settings import Settings, read_settings


class Stub(Protocol):
    """A `StubEndpoint` or a `StubThread`."""

    @property
    def url(self) -> str: ...


SHORT: Mapping[str, str] = {
    "CONNECT_TIMEOUT": "20",
    "FIRST_TOKEN_TIMEOUT": "0.8",
    "IDLE_TIMEOUT": "1.5",
    "RETRY_DELAY": "0",
    "EMBEDDED": "off",
}
"""Short time limits for tests on loopback sockets."""


def entry(stub: Stub, **fields: Any) -> dict[str, Any]:
    """Return an entry of ENDPOINTS that serves the model `m`; `models=None` means discovery."""
    values = {"url": stub.url, "models": ["m"], **fields}
    return {name: value for name, value in values.items() if value is not None}


def settings_for(*entries: Mapping[str, Any], **variables: object) -> Settings:
    """Return settings with these endpoints, short time limits and further variables."""
    texts = {name: str(value) for name, value in variables.items()}
    settings = read_settings({**SHORT, "ENDPOINTS": json.dumps(entries), **texts}, None)
    assert not settings.problems, settings.problems
    return settings
