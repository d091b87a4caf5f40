"""Helpers for bare ASGI: reading a scope and sending whole responses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers: TypeAlias = Iterable[tuple[str, str]]
"""Header lines to send; several may have one name (`set-cookie`)."""
CONNECTION_EXTENSION: Final = "akash_gradio.connection"
"""The key of the `ClientConnection` in the scope's extensions, see gateway/passthrough/sink.py."""
NO_STORE: Final = ("cache-control", "no-store")


def header(scope: Mapping[str, Any], name: str) -> str:
    """Return a header's value: "" when it is missing, several values joined by commas.

    Args:
        scope: The ASGI scope.
        name: The header's name in lower case.
    """
    key = name.encode()
    values = [value for header_name, value in scope["headers"] if header_name == key]
    return b",".join(values).decode("latin-1")


def below_root(scope: Scope) -> Scope:
    """Return the scope with one unambiguous path, from which every later part reads the same.

    A root path comes from GRADIO_ROOT_PATH, which FastAPI writes into the scope whether or not
    a proxy has removed it from the request's path, or from a mount, where the path contains it.
    Routers remove it from the path if it is there. So `/chat/chat/x` behind a proxy that removes
    `/chat` is another path for a router than for code that reads `scope["path"]`. In the returned
    scope the path always contains the root path, once.

    Args:
        scope: Of an HTTP request.
    """
    root = scope.get("root_path", "")
    if not root:
        return scope
    if "://" in root:  # Gradio accepts a whole URL
        root = "/" + root.partition("://")[2].partition("/")[2]
    root = f"/{root.strip('/')}".rstrip("/")
    path = scope["path"]
    if root and not path.startswith(f"{root}/"):
        path = root + path
    return {**scope, "path": path, "root_path": root}


def route_path(scope: Mapping[str, Any]) -> str:
    """Return the path below the root path of a scope that `below_root` returned."""
    return str(scope["path"][len(scope.get("root_path", "")) :])


def media_type(value: str) -> str:
    """Return the media type of a Content-Type header, in lower case and without parameters."""
    return value.partition(";")[0].strip().lower()


def is_https(scope: Mapping[str, Any]) -> bool:
    """Return whether the browser's connection uses TLS, possibly up to a proxy.

    X-Forwarded-Proto is trusted from any client: one that forges it only gets a cookie that it
    can't use.
    """
    forwarded = header(scope, "x-forwarded-proto").split(",")[0].strip().lower()
    return (forwarded or scope.get("scheme", "http")) == "https"


async def send_response(
    send: Send,
    status: int,
    body: bytes,
    content_type: str,
    headers: Headers = (),
    *,
    head: bool = False,
) -> None:
    """Send a whole response.

    Args:
        send: Of the request.
        status: HTTP status.
        body: The body; Content-Length is derived from it.
        content_type: Value of the Content-Type header.
        headers: Further headers.
        head: The request's method is HEAD, so that the body is left out.
    """
    lines = [("content-type", content_type), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in lines]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def send_json(send: Send, status: int, value: object, headers: Headers = ()) -> None:
    """Send a value as JSON that no cache stores."""
    body = json.dumps(value, separators=(",", ":")).encode()
    await send_response(send, status, body, "application/json", [NO_STORE, *headers])


async def send_not_found(send: Send) -> None:
    """Send a 404 without a body."""
    await send_response(send, 404, b"", "text/plain")


async def send_redirect(send: Send, location: str, headers: Headers = ()) -> None:
    """Send a 303, after which the browser requests `location` with GET.

    Args:
        send: Of the request.
        location: A relative or absolute URL in ASCII.
        headers: Further headers.
    """
    lines = [("location", location), NO_STORE, *headers]
    await send_response(send, 303, b"", "text/plain", lines)
