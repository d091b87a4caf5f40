"""Small readings of an ASGI scope, and whole answers to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from starlette.types import Receive, Scope, Send

Headers: TypeAlias = Iterable[tuple[str, str]]
NO_STORE: Final = ("cache-control", "no-store")


def header(scope: Mapping[str, Any], name: str) -> str:
    """A header's value, several joined by commas, "" when it isn't there. name: lower case."""
    wanted = name.encode()
    found = [value for key, value in scope["headers"] if key == wanted]
    return b",".join(found).decode("latin-1")


def is_https(scope: Mapping[str, Any]) -> bool:
    """Whether the visitor's browser speaks TLS, perhaps to a proxy in front.

    The proxy's word is taken from anybody: who lies gets a cookie that he can't use.
    """
    forwarded = header(scope, "x-forwarded-proto").split(",")[0].strip().lower()
    return (forwarded or scope.get("scheme", "http")) == "https"


async def answer(
    send: Send, status: int, body: bytes, kind: str, headers: Headers = (), *, head: bool = False
) -> None:
    """A whole answer. kind: its media type. head: the question was HEAD, so no body goes out."""
    named = [("content-type", kind), ("content-length", str(len(body))), *headers]
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in named]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def answer_json(send: Send, status: int, value: object, headers: Headers = ()) -> None:
    """The same of a value; browsers keep none of it."""
    body = json.dumps(value, separators=(",", ":")).encode()
    await answer(send, status, body, "application/json", [NO_STORE, *headers])


async def redirect(send: Send, to: str, headers: Headers = ()) -> None:
    """303: the browser asks `to` with GET. to: relative, or the provider's; in ASCII."""
    await answer(send, 303, b"", "text/plain", [("location", to), NO_STORE, *headers])


Message: TypeAlias = MutableMapping[str, Any]
__all__ = [
    "NO_STORE",
    "Headers",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "answer",
    "answer_json",
    "header",
    "is_https",
    "redirect",
]
