"""The codec of the passthrough path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from akash_gradio.gateway.passthrough.reader import PassthroughReader
from akash_gradio.gateway.passthrough.request import (
    PassthroughRequest,
    RawChunk,
    StreamItem,
    build_passthrough_payload,
)
from akash_gradio.gateway.payload import Payload
from akash_gradio.gateway.receipt_recorder import estimate_prompt_tokens

if TYPE_CHECKING:
    from akash_gradio.domain.model import ModelCard
    from akash_gradio.gateway.codec import Cards, ReaderFactory
    from akash_gradio.gateway.endpoint import Endpoint


class PassthroughCodec:
    """The codec of a `PassthroughRequest`, which yields the bytes for the client."""

    def __init__(self, request: PassthroughRequest) -> None:
        self.model, self.endpoint, self.sink = request.model, request.endpoint, request.sink
        self.stream = request.stream
        self.expects_whole_response = not request.stream
        self._request = request

    def select_fallbacks(self, models: Sequence[str], _cards: Cards) -> tuple[str, ...]:
        """See `Codec.select_fallbacks`: the API client may be limited to some models."""
        allowed = self._request.models
        return tuple(model for model in models if allowed is None or model in allowed)

    def encode(self, endpoint: Endpoint, model: str, _card: ModelCard | None) -> Payload:
        """See `Codec.encode`; a card's defaults aren't added."""
        return build_passthrough_payload(
            self._request, model=model, entry=endpoint.entry, ask_usage=endpoint.accepts_usage
        )

    def reader_factory(self, endpoint: Endpoint, model: str) -> ReaderFactory:
        """See `Codec.reader_factory`."""
        request = self._request
        return partial(
            PassthroughReader,
            stream=self.stream,
            include_usage=request.include_usage,
            choices=request.choices,
            rename=model if endpoint.entry.model_map.get(model, model) != model else "",
        )

    def visible_items(self, items: Sequence[StreamItem]) -> Sequence[bytes]:
        """See `Codec.visible_items`."""
        if len(items) == 1 and type(items[0]) is RawChunk:  # nearly always
            return (items[0].data,)
        return [item.data for item in items if type(item) is RawChunk]

    def estimate_prompt_tokens(self) -> int:
        """See `Codec.estimate_prompt_tokens`."""
        return estimate_prompt_tokens(self._request.texts())
