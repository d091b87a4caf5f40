"""How many calls each endpoint gets at once, though the router chooses who answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from akash_gradio.compare.plan import Lane
from akash_gradio.domain.ports import EndpointState, EndpointStatus

_ABSENT: Final = (EndpointState.DOWN, EndpointState.DRAINED)


def shares(lane: Lane, endpoints: Sequence[EndpointStatus]) -> Mapping[str, float]:
    """Alias → the part of a call that it will answer on average, 1 in all.

    Where nobody is known to serve the model, as a name of its own: "?" and the model.
    """
    if lane.endpoint is not None:
        return {lane.endpoint: 1.0}
    serving = [each for each in endpoints if _serves(each, lane.model) and each.weight > 0]
    able = [each for each in serving if each.state not in _ABSENT] or serving
    first = min((each.priority for each in able), default=0)
    chosen = [each for each in able if each.priority == first]
    total = sum(each.weight for each in chosen)
    return {e.alias: e.weight / total for e in chosen} or {f"?{lane.model}": 1.0}


def _serves(endpoint: EndpointStatus, model: str) -> bool:
    return any(served.id == model for served in endpoint.models or ())


class Loads:
    """Live: the calls that each endpoint has from a run. per_endpoint: the most at a time."""

    def __init__(self, per_endpoint: int) -> None:
        self._per_endpoint = per_endpoint
        self._load: Counter[str] = Counter()

    def fits(self, call: Mapping[str, float]) -> bool:
        """Whether one more goes in. One always does where there is none."""
        room = (
            self._load[alias] + part <= self._per_endpoint + 1e-9 for alias, part in call.items()
        )
        return all(room) or not any(self._load[alias] > 1e-9 for alias in call)

    def take(self, call: Mapping[str, float]) -> None:
        """It begins."""
        for alias, part in call.items():
            self._load[alias] += part  # type: ignore[assignment] # counts parts, too

    def free(self, call: Mapping[str, float]) -> None:
        """It ended."""
        for alias, part in call.items():
            self._load[alias] -= part  # type: ignore[assignment] # counts parts, too
