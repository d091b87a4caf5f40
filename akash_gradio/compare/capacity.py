"""Limits the concurrent calls of a run per endpoint, although the gateway selects the endpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from akash_gradio.compare.plan import Lane
from akash_gradio.domain.ports import EndpointState, EndpointStatus

_UNAVAILABLE: Final = (EndpointState.DOWN, EndpointState.DRAINED)
_ROUNDING: Final = 1e-9


def endpoint_shares(lane: Lane, endpoints: Sequence[EndpointStatus]) -> Mapping[str, float]:
    """Return the expected share of a lane's calls per endpoint.

    Returns:
        Endpoint alias → share, 1 in total. If no endpoint is known to serve the model, one entry
        for the model itself, named "?" and its id.
    """
    if lane.endpoint is not None:
        return {lane.endpoint: 1.0}
    serving = [each for each in endpoints if _serves(each, lane.model) and each.weight > 0]
    available = [each for each in serving if each.state not in _UNAVAILABLE] or serving
    priority = min((each.priority for each in available), default=0)
    candidates = [each for each in available if each.priority == priority]
    total = sum(each.weight for each in candidates)
    return {e.alias: e.weight / total for e in candidates} or {f"?{lane.model}": 1.0}


def _serves(endpoint: EndpointStatus, model: str) -> bool:
    return any(served.id == model for served in endpoint.models or ())


class EndpointLoads:
    """Tracks how many calls of a run each endpoint is expected to have in flight."""

    def __init__(self, per_endpoint: int) -> None:
        self._per_endpoint = per_endpoint
        self._load: defaultdict[str, float] = defaultdict(float)

    def fits(self, call: Mapping[str, float]) -> bool:
        """Return whether another call fits. The first call of an endpoint always does."""
        room = (
            self._load[alias] + share <= self._per_endpoint + _ROUNDING
            for alias, share in call.items()
        )
        return all(room) or not any(self._load[alias] > _ROUNDING for alias in call)

    def add(self, call: Mapping[str, float]) -> None:
        """Count a call that begins."""
        for alias, share in call.items():
            self._load[alias] += share

    def remove(self, call: Mapping[str, float]) -> None:
        """Stop counting a call that ended."""
        for alias, share in call.items():
            self._load[alias] -= share
