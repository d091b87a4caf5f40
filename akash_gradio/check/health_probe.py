"""Sends health probes to endpoints without recent traffic (`HEALTH_PROBE`)."""

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

INTERVAL_S: Final = 60.0
IDLE_S: Final = 300.0
"""An endpoint is probed if its last request is longer ago than this, in seconds."""
NOT_PROBED: Final = frozenset({EndpointState.DRAINED, EndpointState.STARTING})
PROBE_CONVERSATION: Final = Conversation(turns=(Turn(role=Role.USER, content="Hello"),))


class ProbedGateway(Protocol):
    """What the health prober uses of the gateway."""

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Stream an answer."""
        ...

    async def probe_endpoint(self, alias: str) -> None:
        """Read the endpoint's model list."""
        ...


class HealthProber:
    """Probes idle endpoints at a fixed interval.

    Args:
        mode: What a probe sends.
        gateway: The gateway with the endpoints.
        clock: Returns monotonic seconds.
        sleep: Sleeps for a number of seconds.
    """

    def __init__(
        self,
        mode: HealthProbe,
        gateway: ProbedGateway,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._mode, self._gateway = mode, gateway
        self._clock, self._sleep = clock, sleep
        self._last_request_at: dict[str, float] = {}

    def observe(self, receipt: Receipt) -> None:
        """Record the endpoints that real traffic has reached."""
        for attempt in receipt.attempts:
            self._last_request_at[attempt.endpoint] = self._clock()

    async def run(self) -> None:
        """Probe every idle endpoint each minute, one after the other, until cancelled."""
        while self._mode is not HealthProbe.OFF:
            for status in self._gateway.endpoints():
                if self._is_idle(status):
                    await self._probe(status)
            await self._sleep(INTERVAL_S)

    def _is_idle(self, status: EndpointStatus) -> bool:
        if status.in_flight or status.state in NOT_PROBED:
            return False
        last_request_at = self._last_request_at.get(status.alias)
        return last_request_at is None or self._clock() - last_request_at >= IDLE_S

    async def _probe(self, status: EndpointStatus) -> None:
        self._last_request_at[status.alias] = self._clock()
        if self._mode is HealthProbe.MODELS or not status.models:
            await self._gateway.probe_endpoint(status.alias)
            return
        request = ChatRequest(
            model=status.models[0].id,
            conversation=PROBE_CONVERSATION,
            sampling=Sampling(max_tokens=1),
            endpoint=status.alias,
        )
        with suppress(AkashGradioError):  # the gateway has recorded the failure
            async with aclosing(self._gateway.stream(request)) as events:
                async for _ in events:
                    pass
