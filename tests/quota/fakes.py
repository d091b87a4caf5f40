"""A backend for `QuotaGateway` that records requests to `/v1`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from akash_gradio.gateway import PassthroughItem, PassthroughRequest
from tests.web.fakes import FakeChatGateway


class FakeBackend(FakeChatGateway):
    """Plays scripts for chats, and answers `/v1` with fixed bytes.

    Attributes:
        passthrough_bodies: The bodies of the requests to `/v1`.
    """

    def __init__(self, *scripts: Any) -> None:
        super().__init__(*scripts)
        self.passthrough_bodies: list[dict[str, Any]] = []

    async def passthrough(
        self, request: PassthroughRequest
    ) -> AsyncGenerator[PassthroughItem, None]:
        self.passthrough_bodies.append(dict(request.body))
        yield b"data"
