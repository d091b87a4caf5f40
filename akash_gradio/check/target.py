"""The endpoint and model being checked, and how they are shown without secrets."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from akash_gradio.check.probe_request import ProbeRequest
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.known_secrets import MIN_SECRET_CHARACTERS, KnownSecrets
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.redaction import redact
from akash_gradio.gateway.transport import request_secrets

WRONG_KEY: Final = "akash-gradio-check-wrong-key"
MAX_QUOTE_LENGTH: Final = 200
"""Upper bound of a quoted error text, in characters."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An endpoint and one of its models.

    Attributes:
        entry: The endpoint's URL, key and headers.
        model: The endpoint's own id of the model, or None for the first model it lists.
        card: The model's catalog entry.
        address: The address as it was typed, "" for a configured endpoint.
        key_name: Environment variable that stands for the key in printed commands.
    """

    entry: EndpointSettings
    model: str | None = None
    card: ModelCard | None = None
    address: str = ""
    key_name: str = "KEY"
    _known_secrets: KnownSecrets = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        headers = self.card.custom_headers if self.card is not None else EMPTY_MAPPING
        object.__setattr__(self, "_known_secrets", request_secrets(self.entry, headers))

    def headers(self, *, wrong_key: bool = False) -> dict[str, str]:
        """Return the request headers. They contain the secrets in plain text."""
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "accept": "application/json, text/event-stream",
        }
        if self.card is not None:
            headers |= {name.lower(): value for name, value in self.card.custom_headers.items()}
        if self.entry.api_key is not None:
            headers["authorization"] = f"Bearer {self.entry.api_key.get_secret_value()}"
        for name, secret in self.entry.custom_headers.items():
            headers[name.lower()] = secret.get_secret_value()
        if wrong_key:
            headers["authorization"] = f"Bearer {WRONG_KEY}"
        return headers

    def url(self, request: ProbeRequest) -> str:
        """Return the URL of a request. Its query may contain secrets."""
        if request.base:
            return request.base + request.path
        return self.entry.address(request.path)

    @property
    def has_key(self) -> bool:
        """Whether requests carry an API key, or a custom header that may be one."""
        return self.entry.api_key is not None or bool(self.entry.custom_headers)

    def curl(self, request: ProbeRequest) -> str:
        """Return the request as a shell command, with variables in place of secrets.

        Secrets are replaced everywhere, even in a model id that the endpoint made up.
        """
        command = self._command(request)
        for secret in self._secrets():
            if len(secret) >= MIN_SECRET_CHARACTERS:
                command = command.replace(secret, f"${self.key_name}")
        return self._known_secrets.redact(command)

    def clean(self, text: str) -> str:
        """Return the text on one line, without secrets or anything that looks like one."""
        return redact(self._known_secrets.redact_truncated(_UNPRINTABLE.sub(" ", text)))

    def quote(self, text: str) -> str:
        """Return the endpoint's own text, cleaned and short enough for one line."""
        cleaned = self.clean(text[: 8 * MAX_QUOTE_LENGTH]).strip()
        return cleaned if len(cleaned) <= MAX_QUOTE_LENGTH else f"{cleaned[:MAX_QUOTE_LENGTH]}…"

    def _command(self, request: ProbeRequest) -> str:
        parts = ["curl", "-sS", "-N", "-i", shlex.quote(self.url(request))]
        if request.wrong_key:
            parts.append(f"-H 'Authorization: Bearer {WRONG_KEY}'")
        elif self.entry.api_key is not None:
            parts.append(f'-H "Authorization: Bearer ${self.key_name}"')
        card_headers = self.card.custom_headers if self.card is not None else {}
        for name in dict.fromkeys([*card_headers, *self.entry.custom_headers]):
            variable = re.sub(r"\W", "_", name).upper()
            parts.append(f'-H "{name}: ${variable}"')
        if request.body is None:
            return " ".join(parts)
        parts.append("-H 'Content-Type: application/json'")
        if request.repeated is not None:
            return f"{_print_body(request.body, *request.repeated)} | {' '.join(parts)} -d @-"
        return f"{' '.join(parts)} -d {shlex.quote(json.dumps(request.body))}"

    def _secrets(self) -> list[str]:
        secrets = [secret.get_secret_value() for secret in self.entry.custom_headers.values()]
        if self.entry.api_key is not None:
            secrets.append(self.entry.api_key.get_secret_value())
        if self.card is not None:
            secrets += self.card.custom_headers.values()
        return secrets


def _print_body(body: Mapping[str, Any], text: str, count: int) -> str:
    """Return a shell command that prints a body too long to be shown."""
    *before, _last = body["messages"]
    short = json.dumps({**body, "messages": [*before, {"role": "user", "content": "@"}]})
    code = f"print({short!r}.replace('@', {text!r} * {count}))"
    return f"python3 -c {shlex.quote(code)}"
