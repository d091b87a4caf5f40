"""A caller's own request, passed on as it is, and the bytes that pass on the other way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.events import Event
from akash_gradio.gateway.payload import Payload, encode_json, sampling_parameters

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings


Straight: TypeAlias = Callable[[bytes], bool]
"""Takes whole events of a stream at once; False where they must wait, and come as others do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassthroughRequest:
    """A chat completion as an OpenAI client asks for it.

    body: the caller's JSON object, which the endpoint gets with its model's name changed and
    nothing added or taken away, but that a stream is asked to report its tokens. It must
    have a list of `messages`.
    models: the only ids that may answer, fallbacks too; None for all.
    straight: takes the bytes of a stream where they come, once it has begun, if there is one.
    """

    model: str
    body: Mapping[str, Any] = field(repr=False)
    models: frozenset[str] | None = None
    endpoint: str | None = None
    straight: Straight | None = field(default=None, repr=False, compare=False)

    @property
    def stream(self) -> bool:
        """Whether the caller wants a stream."""
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether the caller wants a stream to end with its tokens."""
        return bool(_options(self.body).get("include_usage"))

    @property
    def answers(self) -> int:
        """How many answers to the same question are wanted (`n`)."""
        wanted = self.body.get("n")
        return wanted if type(wanted) is int and wanted > 0 else 1

    def texts(self) -> Iterator[str]:
        """What the messages say, one text for each; pictures and such left out."""
        for message in self.body["messages"]:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str):
                yield content
            elif isinstance(content, list):
                said = (part.get("text") for part in content if isinstance(part, dict))
                yield "".join(text for text in said if isinstance(text, str))


@dataclass(frozen=True, slots=True)
class RawChunk:
    """What goes on to the caller: whole events, or a whole JSON answer.

    events: how many of them nobody looked into; each is a token, more or less.
    """

    data: bytes = field(repr=False)
    events: int = 0


Question: TypeAlias = ChatRequest | PassthroughRequest
StreamItem: TypeAlias = Event | RawChunk


def build_passthrough_payload(
    request: PassthroughRequest, *, model: str, entry: EndpointSettings, ask_usage: bool = True
) -> Payload:
    """The body for this endpoint.

    model: the catalog id that is asked now (a fallback, perhaps). ask_usage: False for an
    endpoint that doesn't know `stream_options`. Raises RequestRefused as `build_payload` does.
    """
    body: dict[str, Any] = {**request.body, "model": entry.model_map.get(model, model)}
    if request.stream:
        options = {k: v for k, v in _options(body).items() if k != "include_usage"}
        if ask_usage:
            options["include_usage"] = True
        body["stream_options"] = options
        if not options:
            del body["stream_options"]
    return Payload(body=encode_json(body, entry.name), sent=sampling_parameters(body))


def _options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    options = body.get("stream_options")
    return options if isinstance(options, dict) else {}
