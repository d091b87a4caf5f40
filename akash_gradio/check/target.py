"""What is checked: an endpoint and one of its models; and how it is told without its secrets."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.check.probe_request import Ask, Key
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.redaction import MIN_SECRET_CHARACTERS, SecretFilter, redact_partial_secret

WRONG_KEY: Final = "akash-gradio-check-wrong-key"
LONGEST_QUOTE: Final = 200
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One endpoint to check.

    model: the endpoint's own id of the model, None for the first that it lists.
    card: the catalog's entry of it. written: the address as somebody typed it, "" where
    the configuration names it. key_name: the variable that stands for the key in commands.
    """

    entry: EndpointSettings
    model: str | None = None
    card: ModelCard | None = None
    written: str = ""
    key_name: str = "KEY"

    def headers(self, key: Key) -> dict[str, str]:
        """What goes with a request; secrets become text here and in `clean`."""
        found = {"content-type": "application/json", "accept-encoding": "identity"}
        found["accept"] = "application/json, text/event-stream"
        if self.card is not None:
            found |= {name.lower(): value for name, value in self.card.custom_headers.items()}
        if self.entry.api_key is not None:
            found["authorization"] = f"Bearer {self.entry.api_key.get_secret_value()}"
        for name, secret in self.entry.custom_headers.items():
            found[name.lower()] = secret.get_secret_value()
        if key is Key.WRONG:
            found["authorization"] = f"Bearer {WRONG_KEY}"
        return found

    @property
    def keyed(self) -> bool:
        """Whether a key, or a header that may be one, goes with its requests."""
        return self.entry.api_key is not None or bool(self.entry.custom_headers)

    def curl(self, ask: Ask) -> str:
        """The request as a command for a shell, with variables in the place of secrets.

        Also of those that the endpoint has put into the id of its model.
        """
        command = self._command(ask)
        for secret in self._secrets():
            if len(secret) >= MIN_SECRET_CHARACTERS:
                command = command.replace(secret, f"${self.key_name}")
        return command

    def _command(self, ask: Ask) -> str:
        words = ["curl", "-sS", "-N", "-i", shlex.quote((ask.base or self.entry.url) + ask.path)]
        if ask.key is Key.WRONG:
            words.append(f"-H 'Authorization: Bearer {WRONG_KEY}'")
        elif self.entry.api_key is not None:
            words.append(f'-H "Authorization: Bearer ${self.key_name}"')
        for name in self._secret_headers():
            variable = re.sub(r"\W", "_", name).upper()
            words.append(f'-H "{name}: ${variable}"')
        if ask.body is None:
            return " ".join(words)
        words.append("-H 'Content-Type: application/json'")
        if ask.repeated is not None:
            return f"{_long_body(ask.body, *ask.repeated)} | {' '.join(words)} -d @-"
        return f"{' '.join(words)} -d {shlex.quote(json.dumps(ask.body))}"

    def clean(self, text: str) -> str:
        """text in one line, without the secrets of this endpoint and whatever looks like one."""
        secrets = [value for value in self._secrets() if value]
        cleaned = SecretFilter(*secrets).redact(_UNPRINTABLE.sub(" ", text))
        return redact_partial_secret(cleaned, secrets)

    def quote(self, text: str) -> str:
        """The endpoint's own words, cleaned and short enough for a line."""
        cleaned = self.clean(text[: 8 * LONGEST_QUOTE]).strip()
        return cleaned if len(cleaned) <= LONGEST_QUOTE else f"{cleaned[:LONGEST_QUOTE]}…"

    def _secret_headers(self) -> list[str]:
        of_model = self.card.custom_headers if self.card is not None else {}
        return list(dict.fromkeys([*of_model, *self.entry.custom_headers]))

    def _secrets(self) -> list[str]:
        found = [secret.get_secret_value() for secret in self.entry.custom_headers.values()]
        if self.entry.api_key is not None:
            found.append(self.entry.api_key.get_secret_value())
        if self.card is not None:
            found += self.card.custom_headers.values()
        return found


def _long_body(body: Mapping[str, Any], text: str, count: int) -> str:
    """A command that makes a body too long to print."""
    *before, _last = body["messages"]
    short = json.dumps({**body, "messages": [*before, {"role": "user", "content": "@"}]})
    code = f"print({short!r}.replace('@', {text!r} * {count}))"
    return f"python3 -c {shlex.quote(code)}"
