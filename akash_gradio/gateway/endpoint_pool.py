"""The endpoints of the gateway: which serve a model, which is next, and what each lists."""

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
from akash_gradio.gateway.discovery import MODELS_PATH, fetch_models
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.failure_policy import Scope, judge
from akash_gradio.gateway.policies import POLICIES, CurrentWeights
from akash_gradio.gateway.transport import Transport

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

logger = logging.getLogger(__name__)

SUCCESS_STEPS: Final = 10
"""Shares of success that differ by less than a tenth count as equal."""
STARTING_WEIGHT: Final = 1
STARTING_PRIORITY: Final = 1


class EndpointPool:
    """The endpoints by alias, in the order of the configuration."""

    def __init__(self, entries: Iterable[EndpointSettings], routing: str) -> None:
        self._policy = POLICIES[routing]
        self._endpoints = {entry.name: Endpoint(entry) for entry in entries}
        self._expected: dict[str, tuple[str, ...]] = {}
        self._weights: dict[tuple[str, int], CurrentWeights] = {}
        self._discoveries: dict[Endpoint, asyncio.Task[None]] = {}
        self._serving: dict[str, tuple[Endpoint, ...]] = {}
        """The endpoints of each model requested so far; cleared when any list changes."""

    def put(self, entry: EndpointSettings) -> None:
        """Add an endpoint, or replace the one with its name, whose state is discarded."""
        self._expected.pop(entry.name, None)
        self._endpoints[entry.name] = Endpoint(entry)
        self._serving.clear()

    def expect(self, alias: str, models: tuple[str, ...]) -> None:
        """Announce an endpoint that is starting, or restarting."""
        self._endpoints.pop(alias, None)
        self._expected[alias] = models
        self._serving.clear()

    def remove(self, alias: str) -> None:
        """Remove an endpoint, if it exists."""
        self._endpoints.pop(alias, None)
        self._expected.pop(alias, None)
        self._serving.clear()

    def avoid(self, alias: str, now: float, seconds: float) -> None:
        """Prefer other endpoints for some time, if this one exists."""
        if alias in self._endpoints:
            self._endpoints[alias].health.avoid(now, seconds)

    def serving(self, model: str, pinned: str | None = None) -> tuple[Endpoint, ...]:
        """Return the endpoints that list the model; with `pinned`, only the one with that alias."""
        serving = self._serving.get(model)
        if serving is None:
            serving = tuple(e for e in self._endpoints.values() if e.serves(model))
            if serving:  # names that no endpoint serves are not collected
                self._serving[model] = serving
        if pinned is not None:
            return tuple(endpoint for endpoint in serving if endpoint.alias == pinned)
        return serving

    def choose(self, model: str, ready: Sequence[Endpoint], *, best: bool = False) -> Endpoint:
        """Choose among the endpoints of the lowest priority number, by the policy.

        Args:
            ready: At least one.
            best: Whether to choose only among those with the best recent success.
        """
        tier = min(endpoint.entry.priority for endpoint in ready)
        chosen = [endpoint for endpoint in ready if endpoint.entry.priority == tier]
        if best and len(chosen) > 1:
            chosen = best_by_success(model, chosen)
        weights = self._weights.setdefault((model, tier), {})
        return self._endpoints[self._policy([e.candidate() for e in chosen], weights)]

    def peers(self, endpoint: Endpoint, model: str, now: float) -> list[Endpoint]:
        """Return the other endpoints that can take the model's requests now."""
        return [
            peer
            for peer in self.serving(model)
            if peer is not endpoint
            and not peer.drained
            and peer.health.available(model, now)
            and not peer.health.resting_in_s(model, now)
        ]

    def count_error(self, endpoint: Endpoint, model: str, now: float) -> None:
        """Count a request that failed with an error; see `EndpointHealth.count_error`."""
        peers = [peer.health for peer in self.peers(endpoint, model, now)]
        endpoint.health.count_error(model, now, peers)

    def record_interruption(
        self, endpoint: Endpoint, error: EndpointError, model: str, now: float
    ) -> None:
        """Record that an answer broke off; see `EndpointHealth.record_interruption`."""
        peers = [peer.health for peer in self.peers(endpoint, model, now)]
        endpoint.health.record_interruption(error, model, now, peers)

    def expects(self, model: str, pinned: str | None = None) -> bool:
        """Return whether an endpoint that serves the model (the pinned one) is starting."""
        return any(
            model in models and pinned in (None, alias) for alias, models in self._expected.items()
        )

    def unavailable_error(
        self, model: str, *, known: bool, pinned: str | None = None
    ) -> AkashGradioError:
        """Return the error for a model that no endpoint can serve now.

        Args:
            known: Whether the catalog has an entry for the model.
        """
        if self.expects(model, pinned):
            return NoEndpoint(model, "starting")
        if not self._endpoints and not self._expected:
            return NoEndpoint(model, "none_configured")
        serving = self.serving(model, pinned)
        if serving:
            return NoEndpoint(model, "drained" if all(e.drained for e in serving) else "busy")
        possible = any(e.models is None or e.serves(model) for e in self._endpoints.values())
        return NoEndpoint(model, "none_serves") if known or possible else UnknownModel(model)

    def get(self, alias: str) -> Endpoint | None:
        """Return the endpoint with this alias, None when there is none."""
        return self._endpoints.get(alias)

    def statuses(self, now: float, epoch_s: float = 0.0) -> tuple[EndpointStatus, ...]:
        """Return the status of every endpoint, starting ones last; see `Endpoint.status`."""
        present = [endpoint.status(now, epoch_s) for endpoint in self._endpoints.values()]
        return (*present, *(_starting(*expected) for expected in self._expected.items()))

    def has_undiscovered(self) -> bool:
        """Return whether a list of models that has to be discovered wasn't requested yet."""
        return any(not endpoint.listed for endpoint in self._discovered_endpoints())

    def discover(
        self, transport: Transport, connect_timeout_s: float, *, again: bool
    ) -> set[asyncio.Task[None]]:
        """Request the models of every endpoint that doesn't configure them.

        Args:
            again: Include endpoints whose list was requested before.

        Returns:
            The tasks, also those already running. They record failures at the endpoints.
        """
        endpoints = [e for e in self._discovered_endpoints() if again or not e.listed]
        for endpoint in endpoints:
            if endpoint not in self._discoveries:
                task = asyncio.create_task(self._discover(endpoint, transport, connect_timeout_s))
                self._discoveries[endpoint] = task
                task.add_done_callback(partial(self._on_discovered, endpoint))
        return {self._discoveries[endpoint] for endpoint in endpoints}

    async def cancel_discovery(self) -> None:
        """Cancel the tasks of `discover`, and wait for their end."""
        tasks = list(self._discoveries.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _discover(
        self, endpoint: Endpoint, transport: Transport, connect_timeout_s: float
    ) -> None:
        try:
            models = await _fetch_models(endpoint, transport, connect_timeout_s)
        except (EndpointError, RequestRefused) as error:
            endpoint.record_list_failure(error)
            logger.debug(
                "discovery.failed",
                extra={"endpoint": endpoint.alias, "outcome": type(error).__name__},
            )
        else:
            endpoint.set_models(models)
            self._serving.clear()
            logger.debug(
                "discovery.done", extra={"endpoint": endpoint.alias, "models": len(models)}
            )
        finally:
            endpoint.listed = True

    def _on_discovered(self, endpoint: Endpoint, _task: asyncio.Task[None]) -> None:
        self._discoveries.pop(endpoint, None)

    def _discovered_endpoints(self) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.entry.models is None]


async def _fetch_models(
    endpoint: Endpoint, transport: Transport, connect_timeout_s: float
) -> tuple[ServedModel, ...]:
    """Fetch the models that an endpoint lists, also at its URL with or without `/v1`."""
    entry = endpoint.entry
    try:
        return await fetch_models(transport, entry, connect_timeout_s=connect_timeout_s)
    except EndpointRefused as error:
        endpoint.name_wrong_address(error, MODELS_PATH)
        if not endpoint.switch_address(error):
            raise
        try:
            return await fetch_models(
                transport, endpoint.entry, connect_timeout_s=connect_timeout_s
            )
        except (EndpointError, RequestRefused):
            endpoint.entry = entry
            raise error from None


async def probe_endpoint(
    endpoint: Endpoint,
    transport: Transport,
    clock: Callable[[], float],
    connect_timeout_s: float,
    rest_s: float,
) -> None:
    """Send a health probe: any response to `/v1/models` but a refused key is a success.

    Args:
        endpoint: The endpoint.
        transport: The network.
        clock: Monotonic seconds.
        connect_timeout_s: Limit for the connection.
        rest_s: How long to pause after a 429 without a delay.
    """
    try:
        await fetch_models(transport, endpoint.entry, connect_timeout_s=connect_timeout_s)
    except (EndpointError, RequestRefused) as error:
        verdict = judge(error)
        if isinstance(error, EndpointUnreachable | EndpointTimeout):
            endpoint.health.record_failure(error, verdict, "", clock(), False)
        elif verdict.scope is Scope.ACCOUNT:
            endpoint.record_list_failure(error)
        else:
            endpoint.record_reachable()
    else:
        endpoint.record_reachable()


def best_by_success(model: str, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return those of the endpoints with the largest share of recent successes."""
    shares = [round(SUCCESS_STEPS * e.health.success_share(model)) for e in endpoints]
    largest = max(shares)
    return [e for e, share in zip(endpoints, shares, strict=True) if share == largest]


def _starting(alias: str, models: tuple[str, ...]) -> EndpointStatus:
    return EndpointStatus(
        alias=alias,
        state=EndpointState.STARTING,
        weight=STARTING_WEIGHT,
        priority=STARTING_PRIORITY,
        models=tuple(ServedModel(id=model) for model in models),
    )
