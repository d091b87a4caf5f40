"""The network as the gateway needs it: protocols, implemented by `passthrough.transport`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from akash_gradio.domain.known_secrets import KnownSecrets, endpoint_secrets

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings
    from akash_gradio.gateway.passthrough.sink import Sink


class UpstreamResponse(Protocol):
    """A response whose head was received."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by lower-case names."""
        ...

    @property
    def lag_s(self) -> float:
        """Seconds since the newest bytes were received; the reader may run later."""
        ...

    async def read(self) -> bytes:
        """Return what was received of the body, decoded; b"" at its end, and only there.

        Raises:
            EndpointUnreachable: The connection broke.
            EndpointMalformed: The body is cut off or wrongly encoded.
        """
        ...

    async def pipe_to(self, sink: Sink) -> None:
        """Write what is received directly to the sink, so that no task needs to wake for it.

        Returns when the sink refused a write, which `read` then returns; or when there is an
        end or an error that `read` reports.
        """
        ...

    async def aclose(self) -> None:
        """Release the connection, or close it if the body wasn't read to its end."""
        ...


class Transport(Protocol):
    """Sends requests to endpoints. Tests use a fake."""

    async def start(self, urls: Iterable[str]) -> None:
        """Prepare for requests to these URLs, so that the first doesn't wait. Optional."""
        ...

    async def open(
        self,
        entry: EndpointSettings,
        path: str,
        body: bytes | None,
        *,
        headers: Mapping[str, str],
        connect_timeout_s: float,
    ) -> UpstreamResponse:
        """Send a request, and wait for the head of its response.

        Args:
            entry: The endpoint: base URL, key and custom headers.
            path: The path below the base URL.
            body: The body of a POST, None for a GET.
            headers: The model's custom headers; the endpoint's override them.
            connect_timeout_s: Limit for name resolution, TCP and TLS together.

        Raises:
            EndpointError: No response was received.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def request_secrets(entry: EndpointSettings, model_headers: Mapping[str, str]) -> KnownSecrets:
    """Return the secrets of a request.

    Args:
        entry: The endpoint, with its key, its custom headers and its URL.
        model_headers: The model's custom headers.
    """
    headers = [(name, value.get_secret_value()) for name, value in entry.custom_headers.items()]
    key = entry.api_key.get_secret_value() if entry.api_key is not None else None
    return endpoint_secrets(key, [*headers, *model_headers.items()], entry.url)
