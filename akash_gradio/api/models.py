"""`GET /v1/models`, and how many models could answer now."""

from __future__ import annotations

from typing import Final

from akash_gradio.auth.api_keys import ApiClient
from akash_gradio.catalog.listing import Listing, ListingState, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.ports import EndpointState, EndpointStatus

OWNER: Final = "akash-gradio"
_AVAILABLE: Final = frozenset({EndpointState.READY, EndpointState.UNKNOWN})


def list_model_objects(
    catalog: Catalog, endpoints: tuple[EndpointStatus, ...], client: ApiClient, created: int
) -> list[dict[str, object]]:
    """Return every model that an endpoint serves and the client may use, in OpenAI's shape.

    Args:
        catalog: Names and limits of the models.
        endpoints: The current state of every endpoint.
        client: Who requests the list.
        created: Unix time of every model, which OpenAI's shape requires.
    """
    return [
        _model_object(listing, created)
        for listing in list_models(catalog, endpoints)
        if listing.endpoints
        and listing.shown
        and listing.state is not ListingState.UNSERVED
        and client.may_use(listing.card.id)
    ]


def _model_object(listing: Listing, created: int) -> dict[str, object]:
    card = listing.card
    model = {"id": card.id, "object": "model", "created": created, "owned_by": OWNER}
    optional = {"context_length": card.token_limit, "name": card.name}
    return {**model, **{name: value for name, value in optional.items() if value}}


def available_models(endpoints: tuple[EndpointStatus, ...]) -> int:
    """Return how many models have an endpoint that takes requests now."""
    available = [endpoint for endpoint in endpoints if endpoint.state in _AVAILABLE]
    return len({model.id for endpoint in available for model in endpoint.models or ()})


def unavailable_reason(endpoints: tuple[EndpointStatus, ...]) -> str:
    """Return why no model is available."""
    if not endpoints:
        return "no endpoint is configured"
    states = {endpoint.state for endpoint in endpoints}
    for state, reason in _REASONS.items():
        if state in states:
            return reason
    return "no endpoint has listed its models yet"


_REASONS: Final = {
    EndpointState.STARTING: "the embedded model is loading",
    EndpointState.RESTING: "every endpoint is paused or down",
    EndpointState.DOWN: "every endpoint is down",
    EndpointState.DRAINED: "every endpoint is drained (weight 0)",
}
"""Reasons in order of precedence."""
