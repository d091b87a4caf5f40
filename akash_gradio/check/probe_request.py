"""A request of the checker, and the response to it as it was received."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from akash_gradio.domain.chat import EMPTY_MAPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """A request to a path below the endpoint's base URL.

    Attributes:
        path: Path below the base URL, with a leading slash.
        body: JSON to POST, or None for a GET request.
        wrong_key: Whether to send an invalid API key instead of the configured one.
        base: Base URL to use instead of the endpoint's, or "" for the endpoint's.
        repeated: Text and count of a last message that repeats one text, so that the printed
            curl command can generate it.
    """

    path: str
    body: Mapping[str, Any] | None = None
    wrong_key: bool = False
    base: str = ""
    repeated: tuple[str, int] | None = None

    @property
    def encoded(self) -> bytes | None:
        """The body as UTF-8 JSON, or None without a body."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyChunk:
    """Bytes of a response body as one read returned them, `at_s` seconds after the request."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResponse:
    """The response to a request, as far as it was received.

    Attributes:
        request: The request that was sent.
        status: HTTP status, or None if no response head was received.
        headers: Response headers with lower-case names.
        chunks: The body as it was received.
        interruption: Why the body is incomplete, "" if it is complete: `stopped` by `stop_when`,
            `silent` after the timeout, `closed` if the connection ended before a response, `cut`
            if it ended within the body, `no_http`, `encoding` or `too_long`.
        seconds: Time from sending the request to the end.
    """

    request: ProbeRequest
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)
    chunks: tuple[BodyChunk, ...] = ()
    interruption: str = ""
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        """All received bytes of the body."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def ok(self) -> bool:
        """Whether this is a complete response with a 2xx status."""
        return not self.interruption and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionResult:
    """The result of opening a connection without sending a request.

    Attributes:
        failure: "" or `dns`, `refused`, `connect`, `silent`, `tls` or `certificate`.
        detail: Why the certificate was rejected.
        days_left: Days until the certificate expires, or None without TLS.
        seconds: How long it took.
        proxy: Whether the environment sends this address through a proxy. Then no connection
            was attempted.
    """

    failure: str = ""
    detail: str = ""
    days_left: int | None = None
    seconds: float = 0.0
    proxy: bool = False


def chat_request(
    model: str,
    *messages: tuple[str, Any],
    stream: bool = False,
    wrong_key: bool = False,
    repeated: tuple[str, int] | None = None,
    **parameters: Any,
) -> ProbeRequest:
    """Build a chat completion request.

    Args:
        model: The endpoint's own id of the model.
        messages: Pairs of role and content, oldest first.
        stream: Whether to request a stream.
        wrong_key: See `ProbeRequest`.
        repeated: See `ProbeRequest`. It is appended as the last message.
        parameters: Further fields of the request body.
    """
    if repeated is not None:
        messages = (*messages, ("user", repeated[0] * repeated[1]))
    body = {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "stream": stream,
        **parameters,
    }
    return ProbeRequest(path="/chat/completions", body=body, wrong_key=wrong_key, repeated=repeated)
