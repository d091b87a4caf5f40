"""No request delays another visitor's tokens: see `attacks.py` for the worst input of each route.

The short form sends one attack of each kind; `make soak` sends all of them for longer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.routing import Route

from akash_gradio.api.routes import api_routes
from akash_gradio.app import create_app
from akash_gradio.config.settings import read_settings
from akash_gradio.web.routes import page_routes
from tests.soak.attacks import TEXTS, WORST_INPUTS, Attack, answering_with
from tests.soak.latency import Server, measure, problems_of, serving

TRIES = 4
BUSY_FACTOR = 3.0
"""The delay of the quiet server is multiplied by it, since the attackers need the CPU as well."""
SHORT_FORM_MEMORY_MB = 900.0
"""More than in the soak: all attacks share one server here, and the allocator keeps some of the
memory that earlier ones freed (up to 667 MB were seen)."""
SHORT_FORM = {
    "/page/reply": ("objects", "surrogates", "hostile answers"),
    "/page/continue": ("15 MB of a list", "list", "table"),
    "/page/render": ("15 MB, and left", "list", "formulas"),
    "/page/compare/diff": ("few words",),
    "/page/compare/report": ("html",),
    "/page/sets/start": ("csv",),
    "/v1/chat/completions": ("numbers", "many"),
}
"""The attacks of routes that have many; of other routes all run."""
ALONE = (*SHORT_FORM, "/page/file/{kind}", "/page/compare/ranking")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        server.upstreams.single[1].stub.set_behavior(answering_with(TEXTS["list"], 1_000_000, 4000))
        yield server


def test_every_route_has_a_worst_input() -> None:
    app = create_app(read_settings({}))
    assert app.page is not None
    routes = page_routes(app.page.deps)
    paths = {route.path for route in routes if isinstance(route, Route)}
    assert len(paths) == len(routes)
    assert paths | set(api_routes(app.api)) == set(WORST_INPUTS)


def _short_form(route: str) -> list[tuple[str, Attack]]:
    names = SHORT_FORM.get(route)
    attacks = WORST_INPUTS[route]()
    return [(route, attack) for attack in attacks if names is None or attack.name in names]


@pytest.mark.parametrize("route", ALONE)
def test_the_worst_input_of_a_route_delays_no_token(server: Server, route: str) -> None:
    attacks = _short_form(route)
    assert attacks
    assert problems_in(server, attacks, 3.0) == []


def test_the_other_routes_delay_no_token(server: Server) -> None:
    attacks = [a for route in WORST_INPUTS if route not in ALONE for a in _short_form(route)]
    assert problems_in(server, attacks, len(attacks) * 0.5 + 2.0) == []


def problems_in(server: Server, attacks: list[tuple[str, Attack]], seconds: float) -> list[str]:
    """Return the problems of each try, or none if one try has none.

    Each try has its own baseline, because a busy machine delays tokens too.
    """
    problems: list[str] = []
    for _ in range(TRIES):
        quiet_s = measure(server, [], 2.0).p99_s
        measured = measure(server, attacks, seconds)
        found = problems_of(measured, BUSY_FACTOR * quiet_s, SHORT_FORM_MEMORY_MB)
        if not found:
            return []
        problems.append(f"{', '.join(found)}; quiet {quiet_s * 1000:.0f} ms")
    return problems
