"""The endpoints there are: who serves a model, whose turn it is, who is still to come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from akash_gradio.domain.errors import (
    AkashGradioError,
    EndpointError,
    EndpointRefused,
    EndpointTimeout,
    EndpointUnreachable,
    NoEndpoint,
    RequestRefused,
    UnknownModel,
)
from akash_gradio.domain.model import ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.gateway.discovery import fetch_models
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.passthrough.transport import Transport
from akash_gradio.gateway.policies import POLICIES, CurrentWeights

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

logger = logging.getLogger(__name__)

EXPECTED_WEIGHT: Final = 1
EXPECTED_PRIORITY: Final = 1


class EndpointPool:
    """Live list of endpoints by alias, in the order of the configuration."""

    def __init__(self, entries: Iterable[EndpointSettings], routing: str) -> None:
        self._policy = POLICIES[routing]
        self._endpoints = {entry.name: Endpoint(entry) for entry in entries}
        self._expected: dict[str, tuple[str, ...]] = {}
        self._turns: dict[tuple[str, int], CurrentWeights] = {}
        self._lists: dict[Endpoint, asyncio.Task[None]] = {}
        """Who is being asked for its list just now."""

    def put(self, entry: EndpointSettings) -> None:
        """Add or replace; a replaced one starts with a clean record."""
        self._expected.pop(entry.name, None)
        self._endpoints[entry.name] = Endpoint(entry)

    def expect(self, alias: str, models: tuple[str, ...]) -> None:
        """It is coming, or coming again."""
        self._endpoints.pop(alias, None)
        self._expected[alias] = models

    def remove(self, alias: str) -> None:
        """It is gone; nothing happens when it never was."""
        self._endpoints.pop(alias, None)
        self._expected.pop(alias, None)

    def rest(self, alias: str, now: float, seconds: float) -> None:
        """It isn't asked for so long; nothing happens when there is none of this name."""
        if alias in self._endpoints:
            self._endpoints[alias].rest(now, seconds)

    def serving(self, model: str, pinned: str | None = None) -> list[Endpoint]:
        """The endpoints that list the model; of these the pinned one alone."""
        return [
            endpoint
            for endpoint in self._endpoints.values()
            if endpoint.serves(model) and pinned in (None, endpoint.alias)
        ]

    def choose(self, model: str, ready: Sequence[Endpoint]) -> Endpoint:
        """One of the lowest priority among them, by the policy. ready: at least one."""
        tier = min(endpoint.entry.priority for endpoint in ready)
        candidates = [e.candidate() for e in ready if e.entry.priority == tier]
        turns = self._turns.setdefault((model, tier), {})
        return self._endpoints[self._policy(candidates, turns)]

    def expects(self, model: str, pinned: str | None = None) -> bool:
        """Whether an endpoint is coming that serves the model; where one is pinned, that one."""
        return any(
            model in models and pinned in (None, alias) for alias, models in self._expected.items()
        )

    def unavailable_error(
        self, model: str, *, known: bool, pinned: str | None = None
    ) -> AkashGradioError:
        """Why nobody could be asked for the model. known: the catalog has an entry for it."""
        if self.expects(model, pinned):
            return NoEndpoint(model, "starting")
        if not self._endpoints and not self._expected:
            return NoEndpoint(model, "none_configured")
        serving = self.serving(model, pinned)
        if serving:
            return NoEndpoint(model, "drained" if all(e.drained for e in serving) else "busy")
        perhaps = any(e.models is None or e.serves(model) for e in self._endpoints.values())
        return NoEndpoint(model, "none_serves") if known or perhaps else UnknownModel(model)

    def get(self, alias: str) -> Endpoint | None:
        """The endpoint of this name, None when there is none now."""
        return self._endpoints.get(alias)

    def statuses(self, now: float, epoch_s: float = 0.0) -> tuple[EndpointStatus, ...]:
        """Every endpoint as it is now, those to come at the end. epoch_s: as `Endpoint.status`."""
        present = [endpoint.status(now, epoch_s) for endpoint in self._endpoints.values()]
        return (*present, *(_starting(*expected) for expected in self._expected.items()))

    def has_undiscovered(self) -> bool:
        """Whether an endpoint with its `models` left out has not yet said what it serves."""
        return any(not endpoint.listed for endpoint in self._open_lists())

    def discover(
        self, transport: Transport, connect_timeout_s: float, *, again: bool
    ) -> set[asyncio.Task[None]]:
        """Ask every endpoint whose `models` are left out; who is being asked already goes on.

        again: those too that were asked before. Returns the tasks; their failures are noted
        at the endpoints.
        """
        wanted = [e for e in self._open_lists() if again or not e.listed]
        for endpoint in wanted:
            if endpoint not in self._lists:
                task = asyncio.create_task(_list(endpoint, transport, connect_timeout_s))
                self._lists[endpoint] = task
                task.add_done_callback(partial(self._list_came, endpoint))
        return {self._lists[endpoint] for endpoint in wanted}

    async def cancel_discovery(self) -> None:
        """No list is waited for any more, and no task is left."""
        tasks = list(self._lists.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _list_came(self, endpoint: Endpoint, _task: asyncio.Task[None]) -> None:
        self._lists.pop(endpoint, None)

    def _open_lists(self) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.entry.models is None]


async def _list(endpoint: Endpoint, transport: Transport, connect_timeout_s: float) -> None:
    try:
        models = await fetch_models(transport, endpoint.entry, connect_timeout_s=connect_timeout_s)
    except (EndpointError, RequestRefused) as error:
        endpoint.record_list_failure(error)
        logger.debug(
            "discovery.failed",
            extra={"endpoint": endpoint.alias, "outcome": type(error).__name__},
        )
    else:
        endpoint.set_models(models)
        logger.debug("discovery.done", extra={"endpoint": endpoint.alias, "models": len(models)})
    finally:
        endpoint.listed = True


async def probe_endpoint(
    endpoint: Endpoint,
    transport: Transport,
    clock: Callable[[], float],
    connect_timeout_s: float,
    rest_s: float,
) -> None:
    """Whether it is there: any answer to `/v1/models` will do, but for a refused key."""
    try:
        await fetch_models(transport, endpoint.entry, connect_timeout_s=connect_timeout_s)
    except (EndpointUnreachable, EndpointTimeout) as error:
        endpoint.record_failure(error, "", clock(), False, rest_s)
    except (EndpointError, RequestRefused) as error:
        if isinstance(error, EndpointRefused) and error.upstream_status in (401, 403):
            endpoint.record_list_failure(error)
        else:
            endpoint.record_reachable()
    else:
        endpoint.record_reachable()


def _starting(alias: str, models: tuple[str, ...]) -> EndpointStatus:
    return EndpointStatus(
        alias=alias,
        state=EndpointState.STARTING,
        weight=EXPECTED_WEIGHT,
        priority=EXPECTED_PRIORITY,
        models=tuple(ServedModel(id=model) for model in models),
    )
