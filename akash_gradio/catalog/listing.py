"""Merges the catalog with what the endpoints serve into the list of models on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.model_names import model_size, readable_name
from akash_gradio.domain.model import ModelCard, ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus

SLOW_FIRST_TOKEN_S: Final = 5.0
"""A model is slow above this time to the first token, in seconds."""


class ListingState(StrEnum):
    """The current state of a model, which is that of its best endpoint."""

    READY = "ready"
    SLOW = "slow"
    UNKNOWN = "unknown"
    """Its endpoint has not been used yet."""
    BUSY = "busy"
    """Its endpoint has reached `maxConcurrency`."""
    STARTING = "starting"
    WAKING = "waking"
    """Its server is running but still loading the model."""
    RESTING = "resting"
    DOWN = "down"
    UNSERVED = "unserved"
    """Shown, but no endpoint accepts requests for it."""
    HIDDEN = "hidden"
    """Not shown on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A model and its state.

    Attributes:
        card: The catalog entry, or one derived from the id of a discovered model.
        endpoints: The endpoints that serve it in configured order, including drained ones.
        shown: Whether it is on the page.
        state: Its current state.
        reason: Why it isn't ready, "" if it is: `available_false`, `no_endpoint` (none lists it),
            `not_discovered_yet` (none lists it, but not all lists have been read), `drained` (all
            have weight 0), `not_used_yet`, `slow`, `busy`, `starting`, `waking`, `resting` or
            `down`.
    """

    card: ModelCard
    endpoints: tuple[EndpointStatus, ...]
    shown: bool
    state: ListingState
    reason: str = ""


_STATES: Final[Mapping[EndpointState, tuple[ListingState, str]]] = {
    EndpointState.READY: (ListingState.READY, ""),
    EndpointState.UNKNOWN: (ListingState.UNKNOWN, "not_used_yet"),
    EndpointState.STARTING: (ListingState.STARTING, "starting"),
    EndpointState.RESTING: (ListingState.RESTING, "resting"),
    EndpointState.DOWN: (ListingState.DOWN, "down"),
    EndpointState.DRAINED: (ListingState.UNSERVED, "drained"),
}
"""Best first: a model has the state of its best endpoint."""

_Served = tuple[EndpointStatus, ServedModel]


def list_models(catalog: Catalog, endpoints: Sequence[EndpointStatus]) -> tuple[Listing, ...]:
    """Return every model of the catalog and every discovered model.

    Order: catalog entries that an endpoint serves, in catalog order; discovered models by name;
    models that no endpoint accepts requests for; hidden models. An entry keeps its position while
    its endpoints go down and recover.
    """
    served = _by_id(endpoints)
    incomplete = any(endpoint.models is None for endpoint in endpoints)
    entries = [_entry(card, served.pop(card.id, []), incomplete) for card in catalog.cards]
    discovered = sorted(
        (_listing(_discovered(by_endpoint), by_endpoint) for by_endpoint in served.values()),
        key=lambda listing: (listing.card.name.casefold(), listing.card.id),
    )
    return tuple(sorted([*entries, *discovered], key=_sort_group))


def _by_id(endpoints: Sequence[EndpointStatus]) -> dict[str, list[_Served]]:
    """Return model id to the endpoints that serve it, each with its entry for the model."""
    served: dict[str, list[_Served]] = {}
    for endpoint in endpoints:
        listed: dict[str, ServedModel] = {}
        for model in endpoint.models or ():
            listed.setdefault(model.id, model)
        for model_id, model in listed.items():
            served.setdefault(model_id, []).append((endpoint, model))
    return served


def _entry(card: ModelCard, served: list[_Served], incomplete: bool) -> Listing:
    if card.available is False:
        return _hidden(card, served, "available_false")
    if served:
        limit = card.token_limit if card.token_limit is not None else _smallest_limit(served)
        return _listing(replace(card, token_limit=limit), served)
    reason = "not_discovered_yet" if incomplete else "no_endpoint"
    if card.available is None:
        return _hidden(card, served, reason)
    return Listing(card=card, endpoints=(), shown=True, state=ListingState.UNSERVED, reason=reason)


def _hidden(card: ModelCard, served: list[_Served], reason: str) -> Listing:
    return Listing(
        card=card,
        endpoints=tuple(endpoint for endpoint, _ in served),
        shown=False,
        state=ListingState.HIDDEN,
        reason=reason,
    )


def _listing(card: ModelCard, served: list[_Served]) -> Listing:
    endpoints = tuple(endpoint for endpoint, _ in served)
    state, reason = _state(endpoints)
    return Listing(card=card, endpoints=endpoints, shown=True, state=state, reason=reason)


def _state(endpoints: tuple[EndpointStatus, ...]) -> tuple[ListingState, str]:
    states = [EndpointState.DRAINED if e.weight == 0 else e.state for e in endpoints]
    best = next(state for state in _STATES if state in states)
    best_endpoints = [e for e, state in zip(endpoints, states, strict=True) if state is best]
    if best in (EndpointState.READY, EndpointState.UNKNOWN) and all(e.busy for e in best_endpoints):
        return ListingState.BUSY, "busy"
    slow = all((e.first_token_s or 0.0) > SLOW_FIRST_TOKEN_S for e in best_endpoints)
    if best is EndpointState.READY and slow:
        return ListingState.SLOW, "slow"
    if best is EndpointState.DOWN and any(e.waking for e in best_endpoints):
        return ListingState.WAKING, "waking"
    return _STATES[best]


def _discovered(served: list[_Served]) -> ModelCard:
    model_id = served[0][1].id
    return ModelCard(
        id=model_id,
        name=readable_name(model_id),
        parameters=model_size(model_id),
        token_limit=_smallest_limit(served),
        discovered=True,
    )


def _smallest_limit(served: list[_Served]) -> int | None:
    """Return the smallest limit in tokens, because any of the endpoints may get the request."""
    return min((m.token_limit for _, m in served if m.token_limit is not None), default=None)


def _sort_group(listing: Listing) -> int:
    if not listing.shown:
        return 2
    return 1 if listing.state is ListingState.UNSERVED else 0
