"""Which models are on the page, in which order, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.model_names import readable_name, size_in
from akash_gradio.domain.model import ModelCard, ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus

SLOW_FIRST_TOKEN_S: Final = 5.0
"""Seconds to the first token above which a model is called slow."""


class ListingState(StrEnum):
    """A model as a visitor finds it now: the state of the best endpoint that serves it."""

    READY = "ready"
    SLOW = "slow"
    UNKNOWN = "unknown"
    """Its endpoint has not been asked yet."""
    BUSY = "busy"
    """Its endpoint answers as many as it takes."""
    STARTING = "starting"
    WAKING = "waking"
    """Its server is up and still loads the model."""
    RESTING = "resting"
    DOWN = "down"
    UNSERVED = "unserved"
    """On the page, but no endpoint takes requests for it."""
    HIDDEN = "hidden"
    """Not on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One model on the page, or one that is kept off it (`shown` is False).

    endpoints: those that serve it, in the order of the configuration, drained ones too.
    reason: why it is not simply ready: `available_false`, `no_endpoint` (none lists it),
    `not_discovered_yet` (none lists it, and some have not been asked for their list),
    `drained` (all have weight 0), `not_asked_yet`, `slow`, `busy`, `starting`, `waking`,
    `resting`, `down`; "" when it is ready.
    """

    card: ModelCard
    endpoints: tuple[EndpointStatus, ...]
    shown: bool
    state: ListingState
    reason: str = ""


_STATES: Final[Mapping[EndpointState, tuple[ListingState, str]]] = {
    EndpointState.READY: (ListingState.READY, ""),
    EndpointState.UNKNOWN: (ListingState.UNKNOWN, "not_asked_yet"),
    EndpointState.STARTING: (ListingState.STARTING, "starting"),
    EndpointState.RESTING: (ListingState.RESTING, "resting"),
    EndpointState.DOWN: (ListingState.DOWN, "down"),
    EndpointState.DRAINED: (ListingState.UNSERVED, "drained"),
}
"""Best first: a model is as well as its best endpoint."""

_Served = tuple[EndpointStatus, ServedModel]


def list_models(catalog: Catalog, endpoints: Sequence[EndpointStatus]) -> tuple[Listing, ...]:
    """Every model of the catalog and every discovered one.

    Order: entries that an endpoint serves, as in the catalog; discovered models by name;
    entries and models that no endpoint takes requests for; hidden ones. An entry keeps
    its place while its endpoints go down and come back.
    """
    served = _by_id(endpoints)
    waiting = any(endpoint.models is None for endpoint in endpoints)
    entries = [_entry(card, served.pop(card.id, []), waiting) for card in catalog.cards]
    discovered = sorted(
        (_listing(_discovered(found), found) for found in served.values()),
        key=lambda listing: (listing.card.name.casefold(), listing.card.id),
    )
    return tuple(sorted([*entries, *discovered], key=_rank))


def _by_id(endpoints: Sequence[EndpointStatus]) -> dict[str, list[_Served]]:
    """Id → each endpoint that serves it, once, and how it calls it."""
    found: dict[str, list[_Served]] = {}
    for endpoint in endpoints:
        listed: dict[str, ServedModel] = {}
        for model in endpoint.models or ():
            listed.setdefault(model.id, model)
        for model_id, model in listed.items():
            found.setdefault(model_id, []).append((endpoint, model))
    return found


def _entry(card: ModelCard, served: list[_Served], waiting: bool) -> Listing:
    if card.available is False:
        return _hidden(card, served, "available_false")
    if served:
        limit = card.token_limit if card.token_limit is not None else _smallest_limit(served)
        return _listing(replace(card, token_limit=limit), served)
    reason = "not_discovered_yet" if waiting else "no_endpoint"
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
    state, reason = _health(endpoints)
    return Listing(card=card, endpoints=endpoints, shown=True, state=state, reason=reason)


def _health(endpoints: tuple[EndpointStatus, ...]) -> tuple[ListingState, str]:
    states = [EndpointState.DRAINED if e.weight == 0 else e.state for e in endpoints]
    best = next(state for state in _STATES if state in states)
    alike = [e for e, state in zip(endpoints, states, strict=True) if state is best]
    if best in (EndpointState.READY, EndpointState.UNKNOWN) and all(e.busy for e in alike):
        return ListingState.BUSY, "busy"
    slow = all((e.first_token_s or 0.0) > SLOW_FIRST_TOKEN_S for e in alike)
    if best is EndpointState.READY and slow:
        return ListingState.SLOW, "slow"
    if best is EndpointState.DOWN and any(e.waking for e in alike):
        return ListingState.WAKING, "waking"
    return _STATES[best]


def _discovered(served: list[_Served]) -> ModelCard:
    model_id = served[0][1].id
    return ModelCard(
        id=model_id,
        name=readable_name(model_id),
        parameters=size_in(model_id),
        token_limit=_smallest_limit(served),
        discovered=True,
    )


def _smallest_limit(served: list[_Served]) -> int | None:
    """In tokens; the smallest, because any of the endpoints may be asked."""
    return min((m.token_limit for _, m in served if m.token_limit is not None), default=None)


def _rank(listing: Listing) -> int:
    if not listing.shown:
        return 2
    return 1 if listing.state is ListingState.UNSERVED else 0
