"""The size of a request before it is sent: everything in it that an endpoint counts as input."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.domain.chat import ChatRequest, Role
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.tokens import TOKENS_PER_MESSAGE, estimate_tokens, utf8_length
from akash_gradio.gateway import PassthroughRequest

PICTURE_TOKENS: Final = 1500
"""Tokens of a picture. OpenAI's vision guide gives 765 for 1024 x 1024 and 1445 for the largest
picture after its downscaling; what an endpoint reports replaces this at the end."""
_NOT_INPUT: Final = frozenset({"messages", "model", "stream", "stream_options"})
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSize:
    """The size of a request.

    Attributes:
        characters: All text: system prompt, history, files, tools, schemas and other values.
        longest_message: Characters of the longest message that isn't a model's answer.
        tokens: Estimated tokens of the input, pictures included.
    """

    characters: int
    longest_message: int
    tokens: int


class _Sum:
    """Adds up the parts of a request."""

    def __init__(self) -> None:
        self._characters = self._bytes = self._pictures = self._messages = self._longest = 0

    def add(self, text: str) -> int:
        """Add a text; return its characters."""
        self._characters += len(text)
        self._bytes += utf8_length(text)
        return len(text)

    def add_value(self, value: object) -> int:
        """Add a JSON value with the length of its text."""
        try:
            return self.add(value if isinstance(value, str) else _ENCODER.encode(value))
        except RecursionError:
            raise UserError("body_nested_too_deeply") from None

    def add_pictures(self, number: int) -> None:
        self._pictures += number

    def end_message(self, characters: int, role: object) -> None:
        """Count a message of so many characters."""
        self._messages += 1
        if role != Role.ASSISTANT:
            self._longest = max(self._longest, characters)

    def size(self) -> RequestSize:
        extra = self._messages * TOKENS_PER_MESSAGE + self._pictures * PICTURE_TOKENS
        return RequestSize(
            characters=self._characters,
            longest_message=self._longest,
            tokens=estimate_tokens(self._bytes) + extra,
        )


def chat_size(request: ChatRequest) -> RequestSize:
    """Measure a request of the page, a comparison or a run."""
    total, conversation = _Sum(), request.conversation
    if conversation.system:
        total.end_message(total.add(conversation.system), Role.SYSTEM)
    for turn in conversation.turns:
        total.add_pictures(len(turn.pictures))
        total.end_message(total.add(turn.content), turn.role)
    for value in (request.sampling.stop, *request.extra.values()):
        if isinstance(value, str | list | tuple | dict):
            total.add_value(value)
    return total.size()


def passthrough_size(request: PassthroughRequest) -> RequestSize:
    """Measure a request to `/v1`.

    Raises:
        UserError: `body_nested_too_deeply`.
    """
    total = _Sum()
    for message in request.body["messages"]:
        characters = sum(total.add_value(value) for value in _message_values(message, total))
        total.end_message(characters, message.get("role"))
    for name, value in request.body.items():
        if name not in _NOT_INPUT and isinstance(value, str | list | dict):
            total.add_value(value)
    return total.size()


def _message_values(message: Mapping[str, Any], total: _Sum) -> Iterator[object]:
    """Yield what a message holds beside its role and the data of its pictures."""
    for name, value in message.items():
        if name == "content" and isinstance(value, list):
            for part in value:
                yield _part_value(part, total)
        elif name != "role" or not isinstance(value, str):
            yield "" if value is None else value
        else:
            yield value[20:]  # a role is one word; a longer one is text


def _part_value(part: object, total: _Sum) -> object:
    """Return the text of a part of a message, or its JSON without the data of a picture."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "text" and set(part) == {"type", "text"}:
        return part["text"]
    if kind != "image_url":
        return part
    total.add_pictures(1)
    picture = part.get("image_url")
    url = picture.get("url") if isinstance(picture, dict) else picture
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return part
    rest = {**picture, "url": ""} if isinstance(picture, dict) else ""
    return {**part, "image_url": rest}
