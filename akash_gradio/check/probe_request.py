"""One request of the checker, and what was heard of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from akash_gradio.domain.chat import EMPTY_MAPPING


class Key(StrEnum):
    """Which key goes with a request."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request below the base URL. body: JSON to POST, None for GET.

    base: another base than the target's, "" for its own. repeated: the text and the count of
    a message that is one text over and over, so that a command needn't print it all.
    """

    path: str
    body: Mapping[str, Any] | None = None
    key: Key = Key.RIGHT
    base: str = ""
    repeated: tuple[str, int] | None = None

    @property
    def encoded(self) -> bytes | None:
        """The body in UTF-8."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes of an answer as one read gave them. at_s: since the request was sent."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of a request, as far as it came.

    status: None when no head of an answer came. headers: by lower-case names.
    failure: "" for a body that came to its end, `stopped` where the checker had heard
    enough, else `silent` (its deadline passed), `closed` (no answer, or the connection
    ended before one), `no_http`, `cut` (in the body), `encoding`, `too_long`.
    seconds: from sending to the end.
    """

    ask: Ask
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)
    pieces: tuple[Piece, ...] = ()
    failure: str = ""
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        """All that came of it."""
        return b"".join(piece.data for piece in self.pieces)

    @property
    def ok(self) -> bool:
        """A whole answer with a status of success."""
        return not self.failure and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a connection came.

    failure: "" or `dns`, `refused`, `connect`, `silent`, `tls`, `certificate`.
    detail: why the certificate is refused. days_left: of the certificate, None without TLS.
    proxy: the environment sends this address through a proxy, so nothing was tried.
    """

    failure: str = ""
    detail: str = ""
    days_left: int | None = None
    seconds: float = 0.0
    proxy: bool = False


def chat(
    model: str,
    *messages: tuple[str, Any],
    stream: bool = False,
    key: Key = Key.RIGHT,
    repeated: tuple[str, int] | None = None,
    **more: Any,
) -> Ask:
    """A question to the model. messages: role and content, oldest first.

    repeated: see `Ask`; it becomes the last message.
    """
    if repeated is not None:
        messages = (*messages, ("user", repeated[0] * repeated[1]))
    said = [{"role": role, "content": content} for role, content in messages]
    body = {"model": model, "messages": said, "stream": stream, **more}
    return Ask(path="/chat/completions", body=body, key=key, repeated=repeated)
