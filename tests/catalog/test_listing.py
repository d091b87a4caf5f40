from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.catalog.listing import Listing, ListingState, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.model import ModelCard, ServedModel
from akash_gradio.domain.ports import EndpointState, EndpointStatus


def card(model_id: str, **fields: Any) -> ModelCard:
    return ModelCard(id=model_id, name=fields.pop("name", model_id), **fields)


def endpoint(
    *models: str | ServedModel,
    alias: str = "e",
    state: EndpointState = EndpointState.READY,
    weight: int = 1,
    undiscovered: bool = False,
    first_token_s: float | None = None,
) -> EndpointStatus:
    served = tuple(ServedModel(id=m) if isinstance(m, str) else m for m in models)
    return EndpointStatus(
        alias=alias,
        state=state,
        weight=weight,
        priority=1,
        models=None if undiscovered else served,
        first_token_s=first_token_s,
    )


def only(catalog: Catalog, *endpoints: EndpointStatus) -> Listing:
    (listing,) = list_models(catalog, endpoints)
    return listing


def outcome(listing: Listing) -> tuple[bool, str, str]:
    return listing.shown, listing.state, listing.reason


UNDISCOVERED = endpoint(undiscovered=True, alias="u")


@pytest.mark.parametrize(
    ("available", "endpoints", "expected"),
    [
        (True, [endpoint("a")], (True, "ready", "")),
        (None, [endpoint("a")], (True, "ready", "")),
        (False, [endpoint("a")], (False, "hidden", "available_false")),
        (True, [], (True, "unserved", "no_endpoint")),
        (None, [], (False, "hidden", "no_endpoint")),
        (False, [], (False, "hidden", "available_false")),
        (True, [endpoint()], (True, "unserved", "no_endpoint")),
        (True, [UNDISCOVERED], (True, "unserved", "not_discovered_yet")),
        (None, [UNDISCOVERED], (False, "hidden", "not_discovered_yet")),
        (None, [UNDISCOVERED, endpoint("a")], (True, "ready", "")),
        (True, [endpoint("a", weight=0)], (True, "unserved", "drained")),
        (None, [endpoint("a", state=EndpointState.DRAINED)], (True, "unserved", "drained")),
    ],
)
def test_availability_and_endpoints_decide_whether_a_model_is_shown(
    available: bool | None, endpoints: list[EndpointStatus], expected: tuple[bool, str, str]
) -> None:
    catalog = Catalog(cards=(card("a", available=available),))
    assert outcome(only(catalog, *endpoints)) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (EndpointState.READY, ("ready", "")),
        (EndpointState.UNKNOWN, ("unknown", "not_used_yet")),
        (EndpointState.STARTING, ("starting", "starting")),
        (EndpointState.RESTING, ("resting", "resting")),
        (EndpointState.DOWN, ("down", "down")),
        (EndpointState.DRAINED, ("unserved", "drained")),
    ],
)
def test_every_endpoint_state_maps_to_a_listing_state(
    state: EndpointState, expected: tuple[str, str]
) -> None:
    listing = only(Catalog(cards=(card("a"),)), endpoint("a", state=state))
    assert (listing.state, listing.reason) == expected


def test_no_endpoint_state_is_missing() -> None:
    for state in EndpointState:
        assert only(Catalog(cards=(card("a"),)), endpoint("a", state=state)).shown


def test_a_model_has_the_state_of_its_best_endpoint() -> None:
    down = endpoint("a", alias="down", state=EndpointState.DOWN)
    drained = endpoint("a", alias="drained", weight=0)
    resting = endpoint("a", alias="resting", state=EndpointState.RESTING)
    listing = only(Catalog(cards=(card("a"),)), down, drained, resting)
    assert listing.state is ListingState.RESTING
    assert [e.alias for e in listing.endpoints] == ["down", "drained", "resting"]


def test_a_model_is_slow_only_if_all_its_ready_endpoints_are() -> None:
    catalog = Catalog(cards=(card("a"),))
    slow = endpoint("a", first_token_s=6.0)
    assert outcome(only(catalog, slow)) == (True, "slow", "slow")
    assert only(catalog, slow, endpoint("a", first_token_s=0.4)).state is ListingState.READY
    assert only(catalog, slow, endpoint("a")).state is ListingState.READY


def test_a_discovered_model_gets_a_card_derived_from_its_id() -> None:
    served = ServedModel(id="meta-llama/Llama-3.3-70B-Instruct", token_limit=131072)
    listing = only(Catalog(), endpoint(served))
    assert listing.card == ModelCard(
        id="meta-llama/Llama-3.3-70B-Instruct",
        name="Llama 3.3 70B Instruct",
        parameters="70B",
        token_limit=131072,
        discovered=True,
    )
    assert outcome(listing) == (True, "ready", "")


def test_ids_are_case_sensitive_as_in_the_gateway() -> None:
    catalog = Catalog(cards=(card("Org/Model"),))
    listings = list_models(catalog, [endpoint("org/model"), endpoint("Org/Model", alias="f")])
    assert [(item.card.id, [e.alias for e in item.endpoints]) for item in listings] == [
        ("Org/Model", ["f"]),
        ("org/model", ["e"]),
    ]


def test_discovery_only_fills_a_missing_context_with_the_smallest() -> None:
    served = ServedModel(id="a", token_limit=8192)
    larger = ServedModel(id="a", token_limit=32768)
    bare = only(Catalog(cards=(card("a"),)), endpoint(larger), endpoint(served), endpoint("a"))
    own = only(Catalog(cards=(card("a", token_limit=4096, parameters="7B"),)), endpoint(served))
    assert bare.card == card("a", token_limit=8192)
    assert own.card == card("a", token_limit=4096, parameters="7B")


def test_an_unavailable_entry_also_hides_the_discovered_model() -> None:
    catalog = Catalog(cards=(card("a", available=False),))
    assert [listing.shown for listing in list_models(catalog, [endpoint("a")])] == [False]


def test_the_order_is_served_then_discovered_then_unserved_then_hidden() -> None:
    catalog = Catalog(
        cards=(
            card("wanted", available=True),
            card("hidden", available=False),
            card("z-down"),
            card("drained"),
            card("a-ready"),
        )
    )
    endpoints = [
        endpoint("a-ready", "org/Zebra", "other/apple"),
        endpoint("z-down", alias="down", state=EndpointState.DOWN),
        endpoint("drained", "gone", alias="drained", weight=0),
    ]
    assert [listing.card.id for listing in list_models(catalog, endpoints)] == [
        "z-down",
        "a-ready",
        "other/apple",
        "org/Zebra",
        "wanted",
        "drained",
        "gone",
        "hidden",
    ]


ids = st.sampled_from(["a", "A", "b", "org/c", "org/C", "d-7B"])
statuses = st.builds(
    lambda models, state, weight, known: endpoint(
        *models, state=state, weight=weight, undiscovered=not known
    ),
    st.lists(ids, max_size=4),
    st.sampled_from(EndpointState),
    st.integers(0, 2),
    st.booleans(),
)
catalogs = st.builds(
    lambda names, flags: Catalog(
        cards=tuple(card(n, available=f) for n, f in zip(names, flags, strict=False))
    ),
    st.lists(ids, unique_by=str.casefold, max_size=4),
    st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4),
)


@given(catalogs, st.lists(statuses, max_size=4))
def test_every_entry_and_every_served_model_is_listed_exactly_once(
    catalog: Catalog, endpoints: list[EndpointStatus]
) -> None:
    listings = list_models(catalog, endpoints)
    listed = [listing.card.id for listing in listings]
    served = {m.id for e in endpoints for m in e.models or ()}
    assert len(listed) == len(set(listed))
    assert set(listed) == served | {c.id for c in catalog.cards}
    for listing in listings:
        serving = [e for e in endpoints if listing.card.id in {m.id for m in e.models or ()}]
        assert list(listing.endpoints) == serving
        assert listing.shown is (listing.state is not ListingState.HIDDEN)
        assert (listing.reason == "") is (listing.state is ListingState.READY)
