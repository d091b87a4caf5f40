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
        Endpoint alias → share; the shares add up to 1. If no endpoint is known to serve the model,
        the only key is "?" followed by the model's id.
    """
    if lane.endpoint is not None:
        return {lane.endpoint: 1.0}
    serving = [e for e in endpoints if _serves(e, lane.model) and e.weight > 0]
    available = [e for e in serving if e.state not in _UNAVAILABLE] or serving
    priority = min((e.priority for e in available), default=0)
    candidates = [e for e in available if e.priority == priority]
    total = sum(e.weight for e in candidates)
    return {e.alias: e.weight / total for e in candidates} or {f"?{lane.model}": 1.0}


def _serves(endpoint: EndpointStatus, model: str) -> bool:
    return any(served.id == model for served in endpoint.models or ())


class EndpointLoads:
    """Tracks how many calls of a run each endpoint is expected to have in flight."""

    def __init__(self, per_endpoint: int) -> None:
        self._per_endpoint = per_endpoint
        self._load: defaultdict[str, float] = defaultdict(float)

    def fits(self, shares: Mapping[str, float]) -> bool:
        """Return whether a call with these shares fits. An endpoint's first call always does."""
        fits_each = (
            self._load[alias] + share <= self._per_endpoint + _ROUNDING
            for alias, share in shares.items()
        )
        return all(fits_each) or not any(self._load[alias] > _ROUNDING for alias in shares)

    def add(self, shares: Mapping[str, float]) -> None:
        """Count a call that starts."""
        for alias, share in shares.items():
            self._load[alias] += share

    def remove(self, shares: Mapping[str, float]) -> None:
        """Stop counting a call that ended."""
        for alias, share in shares.items():
            self._load[alias] -= share
