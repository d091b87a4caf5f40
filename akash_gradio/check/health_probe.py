"""Looks after endpoints that nobody asks, where that is allowed (`HEALTH_PROBE`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol

from akash_gradio.config.settings import HealthProbe
from akash_gradio.domain.chat import ChatRequest, Conversation, Role, Sampling, Turn
from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.events import Event
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.receipt import Receipt

EVERY_S: Final = 60.0
IDLE_S: Final = 300.0
"""An endpoint that was asked within so many seconds needs no probe."""
NEVER_ASKED: Final = frozenset({EndpointState.DRAINED, EndpointState.STARTING})
HELLO: Final = Conversation(turns=(Turn(role=Role.USER, content="Hello"),))


class Looked(Protocol):
    """What the pulse needs of the gateway."""

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint now."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask for an answer."""
        ...

    async def probe_endpoint(self, alias: str) -> None:
        """Ask the endpoint for its models."""
        ...


class HealthProber:
    """Live: when each endpoint was last asked. clock: monotonic seconds. sleep: in seconds."""

    def __init__(
        self,
        mode: HealthProbe,
        gateway: Looked,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._mode, self._gateway = mode, gateway
        self._clock, self._sleep = clock, sleep
        self._asked_at: dict[str, float] = {}

    def observe(self, receipt: Receipt) -> None:
        """Real traffic: who was asked needs no probe for a while."""
        for attempt in receipt.attempts:
            self._asked_at[attempt.endpoint] = self._clock()

    async def run(self) -> None:
        """Look at every idle endpoint, each minute, one after the other; until cancelled."""
        while self._mode is not HealthProbe.OFF:
            for status in self._gateway.endpoints():
                if self._idle(status):
                    await self._look(status)
            await self._sleep(EVERY_S)

    def _idle(self, status: EndpointStatus) -> bool:
        if status.in_flight or status.state in NEVER_ASKED:
            return False
        asked_at = self._asked_at.get(status.alias)
        return asked_at is None or self._clock() - asked_at >= IDLE_S

    async def _look(self, status: EndpointStatus) -> None:
        self._asked_at[status.alias] = self._clock()
        if self._mode is HealthProbe.MODELS or not status.models:
            await self._gateway.probe_endpoint(status.alias)
            return
        request = ChatRequest(
            model=status.models[0].id,
            conversation=HELLO,
            sampling=Sampling(max_tokens=1),
            endpoint=status.alias,
        )
        with suppress(AkashGradioError):  # the gateway has noted it
            async with aclosing(self._gateway.stream(request)) as events:
                async for _ in events:
                    pass
