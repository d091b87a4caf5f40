"""Keeps an endpoint's secrets out of its answers: `AnswerRedactor`.

Some servers repeat the headers of a request in a response. Events are redacted one by one. Bytes
that are forwarded are searched in less than a microsecond per token; only where they may hold a
piece of a secret they are parsed, and written again if they do.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from akash_gradio.domain.errors import (
    AkashGradioError,
    EndpointMalformed,
    EndpointRefused,
    RequestRefused,
)
from akash_gradio.domain.events import ReasoningDelta, TextDelta, ToolCallDelta
from akash_gradio.domain.known_secrets import MIN_SECRET_CHARACTERS, KnownSecrets, StreamRedactor
from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem

_IDENTIFIER: Final = re.compile(r"[\w.:/@+=\[\]-]{1,128}", re.ASCII)
_MARKS: Final = tuple(
    f'"{name}":{blank}"'.encode()
    for name in ("content", "reasoning_content", "reasoning")
    for blank in ("", " ")
)
"""What is before the text of an event."""
_OTHER_TEXT: Final = re.compile(rb'"(?:content|reasoning(?:_content)?|arguments)": ?"[^"]')
_INDEX: Final = re.compile(rb'"index": ?(\d+)')
_STREAMED: Final = frozenset({"content", "reasoning", "reasoning_content", "refusal", "arguments"})
"""Fields of a delta whose values continue each other."""


def redact_error(error: AkashGradioError, secrets: KnownSecrets) -> None:
    """Remove secrets from what an endpoint's error says.

    Args:
        error: The error, which is changed.
        secrets: The secrets of the request.
    """
    if isinstance(error, EndpointRefused | EndpointMalformed | RequestRefused):
        error.detail = secrets.redact_truncated(error.detail)
    if isinstance(error, EndpointRefused | RequestRefused):
        error.upstream_code = safe_identifier(error.upstream_code, secrets)
    if isinstance(error, RequestRefused):
        error.param = safe_identifier(error.param, secrets)


def safe_identifier(text: str, secrets: KnownSecrets) -> str:
    """Return an identifier that an endpoint sent, "" if it has another form or holds a secret.

    Args:
        text: At most 128 letters, digits and `_.:/@+=[]-`.
        secrets: The secrets of the request.
    """
    if not _IDENTIFIER.fullmatch(text):
        return ""
    return text if len(text) < MIN_SECRET_CHARACTERS or secrets.redact(text) == text else ""


class AnswerRedactor:
    """Redacts the items of one answer. Use it only if `secrets.in_answers`."""

    def __init__(self, secrets: KnownSecrets) -> None:
        self._secrets = secrets
        self._texts: defaultdict[object, StreamRedactor] = defaultdict(secrets.answer_stream)
        self._mark = _MARKS[0]
        self._before = self._after = b""
        """Surroundings of a text that hold no secret."""
        self._index = 0
        """The choice that `_before` belongs to."""
        self._prefix = b""
        """`_before` with the mark, "" before the first text."""
        self._text = secrets.answer_stream()
        """The text of events with this prefix."""

    def items(self, items: Sequence[StreamItem]) -> Sequence[StreamItem]:
        """Return the items without secrets."""
        return [self._item(item) for item in items]

    def is_clean(self, data: bytes) -> bool:
        """Return whether these bytes are whole events of a stream, certainly without a secret.

        They count as passed on then; otherwise they have to come as a `RawChunk` to `items`.
        """
        prefix, after = self._prefix, self._after
        if prefix and data.startswith(prefix):  # one more event like the one before
            start = len(prefix)
            end = data.find(b'"', start)
            if end + len(after) == len(data) and data.endswith(after):
                text = data[start:end].decode()
                if "\\" not in text and self._text.accepts(text):
                    return True
        return self._are_clean(data)

    def _are_clean(self, data: bytes) -> bool:
        if not (data.startswith(b"data:") and data.endswith(b"\n\n")):
            return False
        mark = self._mark
        parts = data.split(mark)
        if len(parts) == 1:
            mark = next((each for each in _MARKS if each in data), mark)
            parts = data.split(mark)
        if parts[0] != self._before and not self._learn_before(parts[0]):
            return False
        self._mark, self._prefix = mark, parts[0] + mark
        text = self._text = self._texts[self._index, mark[1 : mark.rindex(b'":')]]
        state = text.state
        for part in parts[1:]:
            end = part.find(b'"')
            after = part[end:]
            known = after == self._after or self._learn_after(after)
            if not known or b"\\" in part[:end] or not text.accepts(part[:end].decode()):
                text.state = state
                return False
        return True

    def _learn_before(self, before: bytes) -> bool:
        if _OTHER_TEXT.search(before) or self._secrets.may_be_in(before.decode()):
            return False
        index = _INDEX.search(before)
        self._before, self._index = before, int(index[1]) if index else 0
        return True

    def _learn_after(self, after: bytes) -> bool:
        index = _INDEX.search(after)
        if index and int(index[1]) != self._index:
            return False
        if _OTHER_TEXT.search(after) or self._secrets.may_be_in(after.decode()):
            return False
        self._after = after
        return True

    def _item(self, item: StreamItem) -> StreamItem:
        if isinstance(item, RawChunk):
            data = self._bytes(item.data)
            return item if data is item.data else replace(item, data=data)
        if isinstance(item, TextDelta | ReasoningDelta):
            text = self._texts[type(item)].feed(item.text)
            return item if text is item.text else replace(item, text=text)
        if isinstance(item, ToolCallDelta):
            arguments = self._texts[item.index].feed(item.arguments)
            name = self._secrets.redact_answer(item.name)
            return replace(item, arguments=arguments, name=name)
        return item

    def _bytes(self, data: bytes) -> bytes:
        if not data.startswith(b"data:"):  # a whole response
            return self._redact_json(data) if self._secrets.may_be_in(data.decode()) else data
        if self.is_clean(data):
            return data
        events = data.split(b"\n\n")
        return b"\n\n".join(
            event[:5] + self._redact_json(event[5:]) if event.startswith(b"data:") else event
            for event in events
        )

    def _redact_json(self, text: bytes) -> bytes:
        value = json.loads(text)
        redacted = self._redact_value(value, ())
        if redacted == value:
            return text
        return b" " + json.dumps(redacted, ensure_ascii=False, separators=(",", ":")).encode()

    def _redact_value(self, value: Any, path: tuple[object, ...]) -> Any:
        if isinstance(value, str):
            return self._secrets.redact_answer(value)
        if isinstance(value, list):
            return [self._redact_value(item, path) for item in value]
        if not isinstance(value, dict):
            return value
        path = (*path, value["index"]) if type(value.get("index")) is int else path
        return {
            self._secrets.redact_answer(name): self._texts[*path, name.encode()].feed(item)
            if name in _STREAMED and isinstance(item, str)
            else self._redact_value(item, path)
            for name, item in value.items()
        }
