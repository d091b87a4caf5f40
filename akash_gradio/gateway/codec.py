"""How one kind of request is sent to an endpoint and its response is read: `Codec`, `ChatCodec`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from akash_gradio.domain.events import Event
from akash_gradio.gateway.payload import Payload, build_payload
from akash_gradio.gateway.receipt_recorder import estimate_prompt_tokens
from akash_gradio.gateway.stream_reader import ReplyReader

if TYPE_CHECKING:
    from akash_gradio.domain.chat import ChatRequest
    from akash_gradio.domain.model import ModelCard
    from akash_gradio.gateway.endpoint import Endpoint
    from akash_gradio.gateway.passthrough.request import RawChunk, StreamItem
    from akash_gradio.gateway.passthrough.sink import Sink

Cards = Callable[[str], "ModelCard | None"]
"""Finds the card of a catalog id."""
ItemT_co = TypeVar("ItemT_co", covariant=True)


class Reader(Protocol):
    """Reads one response: a `ReplyReader`, or a `PassthroughReader`."""

    @property
    def done(self) -> bool:
        """Whether nothing more can follow."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """The endpoint's finish reason, None before it was received."""
        ...

    @property
    def ends_with_finish(self) -> bool:
        """Whether a finish reason was received, and no output after it."""
        ...

    @property
    def events_read(self) -> int:
        """How many stream events with data were parsed; comments have none."""
        ...

    @property
    def output_bytes(self) -> int:
        """The size of all output so far."""
        ...

    @property
    def upstream_id(self) -> str:
        """The endpoint's own id of the response."""
        ...

    @property
    def fingerprint(self) -> str:
        """The `system_fingerprint` of the response."""
        ...

    @property
    def passthrough_ready(self) -> bool:
        """Whether the next read can be forwarded if `match_plain` accepts it."""
        ...

    def match_plain(self, data: bytes) -> RawChunk | None:
        """Return the bytes to forward, or None if the data has to go through `feed`."""
        ...

    def feed(self, data: bytes) -> Sequence[StreamItem]:
        """Parse bytes of the body. Raises EndpointError and RequestRefused."""
        ...

    def close(self) -> Sequence[StreamItem]:
        """Return what is left at the end of the body. Raises as `feed` does."""
        ...


class ReaderFactory(Protocol):
    """Creates the reader of a response whose head was received."""

    def __call__(self, alias: str, content_type: str | None) -> Reader:
        """Create a reader.

        Args:
            alias: The endpoint, for error messages.
            content_type: As in the response's headers.
        """
        ...


class Codec(Protocol[ItemT_co]):
    """One request, and how the gateway handles its kind; generic over the items it yields."""

    @property
    def model(self) -> str:
        """The catalog id of the requested model."""
        ...

    @property
    def endpoint(self) -> str | None:
        """The alias of the endpoint that the request is pinned to, None for any."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the request is for a stream."""
        ...

    @property
    def expects_whole_response(self) -> bool:
        """Whether the first token arrives with the last, so that its timeout is longer."""
        ...

    @property
    def sink(self) -> Sink | None:
        """Receives bytes directly once the stream has begun, if there is one."""
        ...

    def select_fallbacks(self, models: Sequence[str], cards: Cards) -> tuple[str, ...]:
        """Return those of the fallback models that may answer this request."""
        ...

    def encode(self, endpoint: Endpoint, model: str, card: ModelCard | None) -> Payload:
        """Build the body for an endpoint. Raises RequestRefused if it isn't valid JSON."""
        ...

    def reader_factory(self, endpoint: Endpoint, model: str) -> ReaderFactory:
        """Return what creates the reader of the endpoint's response."""
        ...

    def visible_items(self, items: Sequence[StreamItem]) -> Sequence[ItemT_co]:
        """Return what the caller receives of a reader's items."""
        ...

    def estimate_prompt_tokens(self) -> int:
        """Estimate the tokens of the messages; pictures count as none."""
        ...


class ChatCodec:
    """The codec of a `ChatRequest`, which yields events."""

    sink: Sink | None = None

    def __init__(self, request: ChatRequest) -> None:
        self.model, self.endpoint, self.stream = request.model, request.endpoint, request.stream
        self.expects_whole_response = not request.stream
        self._request = request

    def select_fallbacks(self, models: Sequence[str], cards: Cards) -> tuple[str, ...]:
        """See `Codec.select_fallbacks`: pictures need a model with vision."""
        if not self._request.fallback:
            return ()
        if not self._request.conversation.has_pictures:
            return tuple(models)
        candidates = ((model, cards(model)) for model in models)
        return tuple(model for model, card in candidates if card is not None and card.vision)

    def encode(self, endpoint: Endpoint, model: str, card: ModelCard | None) -> Payload:
        """See `Codec.encode`."""
        return build_payload(
            self._request,
            model=model,
            card=card,
            entry=endpoint.entry,
            ask_usage=endpoint.accepts_usage,
        )

    def reader_factory(self, endpoint: Endpoint, model: str) -> ReaderFactory:
        """See `Codec.reader_factory`."""
        if endpoint.starts_in_reasoning(model):
            return partial(ReplyReader, starts_in_reasoning=True)
        return ReplyReader

    def visible_items(self, items: Sequence[Any]) -> Sequence[Event]:
        """See `Codec.visible_items`: a `ReplyReader` returns events only."""
        return items

    def estimate_prompt_tokens(self) -> int:
        """See `Codec.estimate_prompt_tokens`."""
        conversation = self._request.conversation
        texts = [turn.content for turn in conversation.turns]
        if conversation.system:
            texts.append(conversation.system)
        return estimate_prompt_tokens(texts)
