"""A backend for `QuotaGateway` that records requests to `/v1` and gives receipts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.events import Event
from akash_gradio.domain.receipt import Count, Receipt
from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from tests.web.fakes import FakeChatGateway, make_receipt

OnReceipt = Callable[[Receipt], None]


class FakeBackend(FakeChatGateway):
    """Plays scripts for chats, and answers `/v1` with fixed bytes.

    Attributes:
        passthrough_bodies: The bodies of the requests to `/v1`.
        receipt: Given at the end of each request, None for one that was never sent.
    """

    def __init__(self, *scripts: Any) -> None:
        super().__init__(*scripts)
        self.passthrough_bodies: list[dict[str, Any]] = []
        self.receipt: Receipt | None = receipt_of(0)

    async def stream(
        self, request: ChatRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[Event, None]:
        try:
            async for event in super().stream(request):
                yield event
        finally:
            self._end(on_receipt)

    async def passthrough(
        self, request: PassthroughRequest, on_receipt: OnReceipt | None = None
    ) -> AsyncGenerator[PassthroughItem, None]:
        self.passthrough_bodies.append(dict(request.body))
        try:
            yield b"data"
        finally:
            self._end(on_receipt)

    def _end(self, on_receipt: OnReceipt | None) -> None:
        if on_receipt is not None and self.receipt is not None:
            on_receipt(self.receipt)


def receipt_of(tokens_out: int, tokens_in: int = 0, **changes: Any) -> Receipt:
    """Return the receipt of an answer whose endpoint reported these tokens."""
    return make_receipt(
        tokens_in=Count(tokens=tokens_in, reported=True),
        tokens_out=Count(tokens=tokens_out, reported=True),
        **changes,
    )
