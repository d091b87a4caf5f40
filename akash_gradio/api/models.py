"""`GET /v1/models`, and how many of them could answer just now."""

from __future__ import annotations

from typing import Any, Final

from akash_gradio.auth.api_keys import ApiClient
from akash_gradio.catalog.listing import Listing, ListingState, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.ports import EndpointState, EndpointStatus

OWNER: Final = "akash-gradio"
_ANSWERS: Final = frozenset({EndpointState.READY, EndpointState.UNKNOWN})


def model_objects(
    catalog: Catalog, endpoints: tuple[EndpointStatus, ...], caller: ApiClient, created: int
) -> list[dict[str, Any]]:
    """Every model that an endpoint serves and the caller may use. created: Unix seconds."""
    return [
        _object(listing, created)
        for listing in list_models(catalog, endpoints)
        if listing.endpoints
        and listing.shown
        and listing.state is not ListingState.UNSERVED
        and caller.may_use(listing.card.id)
    ]


def _object(listing: Listing, created: int) -> dict[str, Any]:
    card = listing.card
    found = {"id": card.id, "object": "model", "created": created, "owned_by": OWNER}
    more = {"context_length": card.token_limit, "name": card.name}
    return {**found, **{name: value for name, value in more.items() if value}}


def answerable(endpoints: tuple[EndpointStatus, ...]) -> int:
    """How many models have an endpoint that takes requests now."""
    up = [endpoint for endpoint in endpoints if endpoint.state in _ANSWERS]
    return len({model.id for endpoint in up for model in endpoint.models or ()})


def why_none(endpoints: tuple[EndpointStatus, ...]) -> str:
    """In words, why no chat could be answered."""
    if not endpoints:
        return "no endpoint is configured"
    states = {endpoint.state for endpoint in endpoints}
    for state, words in _WORDS.items():
        if state in states:
            return words
    return "no endpoint has said yet which models it serves"


_WORDS: Final = {
    EndpointState.STARTING: "the model on this machine is still being loaded",
    EndpointState.RESTING: "every endpoint rests or is down",
    EndpointState.DOWN: "every endpoint is down",
    EndpointState.DRAINED: "every endpoint is drained (weight 0)",
}
