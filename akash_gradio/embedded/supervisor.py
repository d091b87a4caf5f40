"""Keeps the embedded endpoint running: downloads its weights, starts it, restarts it."""

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
"""Concurrent answers; each has half of the context."""
CONTEXT_TOKENS: Final = 8192
REPEAT_PENALTY: Final = 1.1
"""Without it such a small model repeats a line endlessly (observed at temperature 0.2)."""
ANSWER_TOKENS: Final = 1024
"""Default max_tokens of the default weights, which at temperature 0 can repeat a text until the
context is full."""
LOAD_TIMEOUT_S: Final = 300.0
DOWNLOAD_RETRY_S: Final = 60.0
"""Delay before the next attempt after a download failed for lack of a connection."""
MAX_RESTART_DELAY_S: Final = 30.0
MAX_CRASHES: Final = 5
CRASH_WINDOW_S: Final = 60.0

Fetch = Callable[[OnProgress], Awaitable[Weights]]


def server_command() -> tuple[str, ...]:
    """Return the child's command line, with its path, so that it runs from any folder."""
    return (sys.executable, "-P", server.__file__)


class EmbeddedEndpoint:
    """The embedded model as an endpoint; await `run` in one task.

    Args:
        settings: Of the application.
        on_ready: Called with the endpoint when it accepts requests; its address and key are new
            each time.
        on_down: Called when it no longer does, also on cancellation.
        on_progress: Called on each change of `progress`.
        fetch: Replaces the download, for tests.
        command: Replaces the child's command line, for tests.
        clock: Monotonic, in seconds.
        sleep: Waits so many seconds.

    Attributes:
        progress: The current state.
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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.progress = Progress(stage=Stage.WAITING)
        self._settings = settings
        self._on_ready, self._on_down, self._on_progress = on_ready, on_down, on_progress
        self._fetch = fetch or self._fetch_weights
        self._command = server_command() if command is None else tuple(command)
        self._clock, self._sleep = clock, sleep

    async def run(self) -> None:
        """Serve until cancelled, or until it is certain that the model can't run here.

        In the second case it returns, and `progress.stage` is "unavailable". On cancellation it
        ends the child process in less than a second.
        """
        try:
            weights = await self._weights()
            await self._keep_serving(weights)
        except EmbeddedUnavailable as error:
            self._report_unavailable(error)

    async def _weights(self) -> Weights:
        """Fetch the weights; retry while there is no connection."""
        while True:
            try:
                return await self._fetch(self._report)
            except EmbeddedUnavailable as error:
                if error.reason is not Reason.DOWNLOAD_FAILED:
                    raise
                self._report_unavailable(error)
            await self._sleep(DOWNLOAD_RETRY_S)

    async def _keep_serving(self, weights: Weights) -> None:
        crashes: deque[float] = deque(maxlen=MAX_CRASHES)
        delay_s = 1.0
        while True:
            began = self._clock()
            try:
                await self._serve(weights)
            except ServerCrashed as crash:
                now = self._clock()
                logger.warning("embedded.crashed", extra={"status": crash.status})
                crashes.append(now)
                if len(crashes) == MAX_CRASHES and now - crashes[0] <= CRASH_WINDOW_S:
                    raise EmbeddedUnavailable(Reason.KEEPS_CRASHING, str(crash)) from None
                if now - began > CRASH_WINDOW_S:
                    delay_s = 1.0
            self._report(Progress(stage=Stage.RESTARTING))
            await self._sleep(delay_s)
            delay_s = min(2 * delay_s, MAX_RESTART_DELAY_S)

    async def _serve(self, weights: Weights) -> None:
        """Run the child process from its start to its crash."""
        self._report(Progress(stage=Stage.LOADING))
        key = SecretStr(secrets.token_urlsafe(32))
        parameters = _parameters(weights, key)
        async with running_server(
            self._command, parameters, load_timeout_s=LOAD_TIMEOUT_S
        ) as child:
            self._on_ready(_endpoint(child.url, key, weights.model_id))
            try:
                self._report(Progress(stage=Stage.READY))
                await child.wait_for_output_end()
            finally:
                self._on_down()
            await child.wait_for_exit()

    async def _fetch_weights(self, on_progress: OnProgress) -> Weights:
        if find_spec("xllamacpp") is None:  # without the runtime the weights are useless
            raise EmbeddedUnavailable(Reason.NO_WHEEL, "xllamacpp is not installed")
        settings = self._settings
        return await fetch_weights(settings.embedded_model, settings.cache_dir, on_progress)

    def _report_unavailable(self, error: EmbeddedUnavailable) -> None:
        fields = {"reason": str(error.reason), "detail": error.detail}
        logger.warning("embedded.unavailable", extra=fields)
        self._report(
            Progress(stage=Stage.UNAVAILABLE, reason=str(error.reason), detail=error.detail)
        )

    def _report(self, progress: Progress) -> None:
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
        # llama.cpp's server sometimes drops a reused connection.
        custom_headers={"Connection": SecretStr("close")},
    )
