"""The request of the passthrough path, its payload, and the chunks of its response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from akash_gradio.domain.events import Event, Finished, Queued, Retrying, Started
from akash_gradio.gateway.passthrough.sink import Sink
from akash_gradio.gateway.payload import Payload, encode_json, sampling_parameters

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PassthroughRequest:
    """A chat completion request in the form that an OpenAI client sent it.

    Attributes:
        model: The catalog id.
        body: The client's JSON object. The endpoint receives it with the model's name changed
            and, in a stream, a request for usage added. It must have a list of `messages`.
        models: The ids that may answer, fallbacks included; None for all.
        endpoint: The alias of the only endpoint that may be called, None for any.
        sink: Receives the bytes of a stream directly once it has begun, if there is one.
    """

    model: str
    body: Mapping[str, Any] = field(repr=False)
    models: frozenset[str] | None = None
    endpoint: str | None = None
    sink: Sink | None = field(default=None, repr=False, compare=False)

    @property
    def stream(self) -> bool:
        """Whether the client requested a stream."""
        return bool(self.body.get("stream"))

    @property
    def include_usage(self) -> bool:
        """Whether the client requested usage at the end of a stream."""
        return bool(_stream_options(self.body).get("include_usage"))

    @property
    def choices(self) -> int:
        """The number of choices requested (`n`)."""
        number = self.body.get("n")
        return number if type(number) is int and number > 0 else 1

    def texts(self) -> Iterator[str]:
        """Yield the text of each message, without pictures and other parts."""
        for message in self.body["messages"]:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str):
                yield content
            elif isinstance(content, list):
                texts = (part.get("text") for part in content if isinstance(part, dict))
                yield "".join(text for text in texts if isinstance(text, str))


@dataclass(slots=True)
class RawChunk:
    """Bytes for the client: whole events of a stream, or a whole JSON response.

    It isn't frozen because one is created for each token, and that would double its cost.

    Attributes:
        data: The bytes.
        text_bytes: The size of the text in events that were forwarded without events of their own.
        reasoning_bytes: The size of the reasoning in them.
    """

    data: bytes = field(repr=False)
    text_bytes: int = 0
    reasoning_bytes: int = 0


StreamItem: TypeAlias = Event | RawChunk
"""What a reader returns: parsed events, and bytes for the client."""
PassthroughItem: TypeAlias = Queued | Retrying | Started | bytes | Finished
"""What `Gateway.passthrough` yields."""


def build_passthrough_payload(
    request: PassthroughRequest, *, model: str, entry: EndpointSettings, ask_usage: bool = True
) -> Payload:
    """Build the body for an endpoint.

    Args:
        request: The client's request.
        model: The catalog id of the model that is called, which may be a fallback.
        entry: The endpoint, with its own model names.
        ask_usage: Whether the endpoint accepts `stream_options`.

    Raises:
        RequestRefused: As `build_payload` does.
    """
    body: dict[str, Any] = {**request.body, "model": entry.model_map.get(model, model)}
    if request.stream:
        options = {k: v for k, v in _stream_options(body).items() if k != "include_usage"}
        if ask_usage:
            options["include_usage"] = True
        body["stream_options"] = options
        if not options:
            del body["stream_options"]
    return Payload(body=encode_json(body, entry.name), sent=sampling_parameters(body))


def _stream_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("stream_options")
    return options if isinstance(options, dict) else {}
