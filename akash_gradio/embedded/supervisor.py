"""Keeps the embedded endpoint running: fetches its weights, starts it, starts it again."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import Final

from pydantic import SecretStr

from akash_gradio.config.endpoints import EMBEDDED_ALIAS, EndpointSettings
from akash_gradio.config.settings import Settings
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded import server
from akash_gradio.embedded.child import ServerCrashed, running_server
from akash_gradio.embedded.errors import EmbeddedUnavailable, Reason
from akash_gradio.embedded.progress import OnProgress
from akash_gradio.embedded.server import Parameters
from akash_gradio.embedded.weights import SMOLLM2, Weights, fetch_weights

logger = logging.getLogger(__name__)

SLOTS: Final = 2
"""Answers at the same time; each has half of the context."""
CONTEXT_TOKENS: Final = 8192
REPEAT_PENALTY: Final = 1.1
"""So small a model repeats a line for ever without it (seen at temperature 0.2)."""
ANSWER_TOKENS: Final = 1024
"""Of the shipped weights, where a request doesn't set max_tokens: at temperature 0 they can
repeat themselves until the context is full."""
LOAD_TIMEOUT_S: Final = 300.0
DOWNLOAD_PAUSE_S: Final = 60.0
"""Seconds before weights are asked for again when there was no connection."""
LONGEST_PAUSE_S: Final = 30.0
CRASHES: Final = 5
CRASH_WINDOW_S: Final = 60.0

Fetch = Callable[[OnProgress], Awaitable[Weights]]


def server_command() -> tuple[str, ...]:
    """The child's command line: by its path, so that it runs from any folder."""
    return (sys.executable, "-P", server.__file__)


class EmbeddedEndpoint:
    """The small model on this machine, as an endpoint. Live state; run it in one task.

    on_ready: called with the endpoint when it answers, with a new address and key each time.
    on_down: called when it no longer does, also on cancellation. on_progress: called on
    each change of `progress`. fetch, command, clock, pause: for tests.
    """

    def __init__(
        self,
        settings: Settings,
        on_ready: Callable[[EndpointSettings], None],
        on_down: Callable[[], None],
        on_progress: OnProgress | None = None,
        *,
        fetch: Fetch | None = None,
        command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.progress = Progress(stage=Stage.WAITING)
        self._settings = settings
        self._on_ready, self._on_down, self._on_progress = on_ready, on_down, on_progress
        self._fetch = fetch or self._fetch_weights
        self._command = server_command() if command is None else tuple(command)
        self._clock, self._pause = clock, pause

    async def run(self) -> None:
        """Serve until cancelled, or until it is certain that this machine can't.

        Returns with `progress.stage` "unavailable" in the second case. Cancelled, it has ended
        the child in less than a second.
        """
        try:
            weights = await self._weights()
            await self._keep_serving(weights)
        except EmbeddedUnavailable as error:
            self._give_up(error)

    async def _weights(self) -> Weights:
        """The weights, asked for until there is a connection."""
        while True:
            try:
                return await self._fetch(self._show)
            except EmbeddedUnavailable as error:
                if error.reason is not Reason.DOWNLOAD_FAILED:
                    raise
                self._give_up(error)
            await self._pause(DOWNLOAD_PAUSE_S)

    async def _keep_serving(self, weights: Weights) -> None:
        crashes: deque[float] = deque(maxlen=CRASHES)
        pause_s = 1.0
        while True:
            began = self._clock()
            try:
                await self._serve(weights)
            except ServerCrashed as crash:
                now = self._clock()
                logger.warning("embedded.crashed", extra={"status": crash.status})
                crashes.append(now)
                if len(crashes) == CRASHES and now - crashes[0] <= CRASH_WINDOW_S:
                    raise EmbeddedUnavailable(Reason.KEEPS_CRASHING, str(crash)) from None
                if now - began > CRASH_WINDOW_S:
                    pause_s = 1.0
            self._show(Progress(stage=Stage.RESTARTING))
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _serve(self, weights: Weights) -> None:
        """One life of the child, from its start to its crash."""
        self._show(Progress(stage=Stage.LOADING))
        key = SecretStr(secrets.token_urlsafe(32))
        parameters = _parameters(weights, key)
        async with running_server(
            self._command, parameters, load_timeout_s=LOAD_TIMEOUT_S
        ) as child:
            self._on_ready(_endpoint(child.url, key, weights.model_id))
            try:
                self._show(Progress(stage=Stage.READY))
                await child.silent()
            finally:
                self._on_down()
            await child.ended()

    async def _fetch_weights(self, on_progress: OnProgress) -> Weights:
        if find_spec("xllamacpp") is None:  # don't download what can't run
            raise EmbeddedUnavailable(Reason.NO_WHEEL, "xllamacpp is not installed")
        settings = self._settings
        return await fetch_weights(settings.embedded_model, settings.cache_dir, on_progress)

    def _give_up(self, error: EmbeddedUnavailable) -> None:
        facts = {"reason": str(error.reason), "detail": error.detail}
        logger.warning("embedded.unavailable", extra=facts)
        self._show(Progress(stage=Stage.UNAVAILABLE, reason=str(error.reason), detail=error.detail))

    def _show(self, progress: Progress) -> None:
        self.progress = progress
        if self._on_progress is not None:
            self._on_progress(progress)


def _parameters(weights: Weights, key: SecretStr) -> Parameters:
    shipped = weights.model_id == SMOLLM2.model_id
    return Parameters(
        model_path=str(weights.path),
        alias=weights.model_id,
        api_key=key.get_secret_value(),
        n_ctx=CONTEXT_TOKENS,
        n_parallel=SLOTS,
        n_predict=ANSWER_TOKENS if shipped else -1,
        repeat_penalty=REPEAT_PENALTY if shipped else 1.0,
        n_threads=min(2, os.cpu_count() or 1),
    )


def _endpoint(url: str, key: SecretStr, model_id: str) -> EndpointSettings:
    return EndpointSettings(
        name=EMBEDDED_ALIAS,
        url=url,
        api_key=key,
        weight=1,
        priority=1,
        models=(model_id,),
        max_concurrency=SLOTS,
        # Reused connections to it fail now and then.
        custom_headers={"Connection": SecretStr("close")},
    )
