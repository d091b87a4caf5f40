from __future__ import annotations

from typing import Any

import pytest

from akash_gradio.auth.signing import Signer
from akash_gradio.auth.visitors import Visitors, client_address
from akash_gradio.domain.visitor import CURRENT_VISITOR
from tests.web.client import client, security_stack


def scope(peer: str = "203.0.113.5", **headers: str) -> dict[str, Any]:
    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"type": "http", "client": (peer, 1), "headers": named, "scheme": "http"}


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("198.51.100.1", 0, "203.0.113.5"),
        ("198.51.100.1", 1, "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1", 1, "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, 10.0.0.1", 2, "198.51.100.1"),
        ("198.51.100.1", 2, "203.0.113.5"),
        ("", 1, "203.0.113.5"),
        ("6.6.6.6,", 1, "203.0.113.5"),
        ("198.51.100.1:4711", 1, "198.51.100.1"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("2001:db8::1", 1, "2001:db8::1"),
    ],
)
def test_only_the_entries_of_ones_own_proxies_are_believed(
    forwarded: str, proxies: int, address: str
) -> None:
    assert client_address(scope(x_forwarded_for=forwarded), proxies) == address


def test_a_forged_forwarded_address_makes_no_new_visitor() -> None:
    visitors = Visitors(Signer(), proxies=1)
    forged = [
        visitors.visitor(scope(x_forwarded_for=f"10.9.8.{n}, 198.51.100.1")).id for n in range(9)
    ]
    assert len(set(forged)) == 1


def test_everybody_in_one_ipv6_network_is_one_address() -> None:
    visitors = Visitors(Signer())
    one, two = (visitors.visitor(scope(f"2001:db8:1:1::{n}")) for n in (1, 2))
    other = visitors.visitor(scope("2001:db8:1:2::1"))
    assert one.id == two.id != other.id
    assert visitors.visitor(scope("::ffff:192.0.2.1")).id == visitors.visitor(scope("192.0.2.1")).id


def test_no_cache_hands_one_visitors_cookie_to_another() -> None:
    browser = client(VISITOR_MESSAGES_PER_MINUTE="5")
    first = browser.get("/").headers
    assert "ag_visitor" in first["set-cookie"]
    assert first["cache-control"] == "private, no-cache"
    assert "cache-control" not in browser.get("/").headers


def test_a_cookie_tells_visitors_of_one_address_apart_and_both_belong_to_it() -> None:
    edge = security_stack(VISITOR_MESSAGES_PER_MINUTE="5")
    ids = []
    for _ in range(2):
        browser = client(behind=edge)
        browser.get("/")
        known = scope(cookie=f"ag_visitor={browser.cookies['ag_visitor']}")
        ids.append(edge.visitors.visitor(known))
    one, two = ids
    assert one.id != two.id
    assert one.network == two.network == edge.visitors.visitor(scope()).id


def test_a_cookie_that_somebody_made_up_is_no_new_visitor() -> None:
    visitors = Visitors(Signer(), told_apart=True)
    made_up = {visitors.visitor(scope(cookie=f"ag_visitor=eA.9999999999.{n}")).id for n in range(9)}
    assert made_up == {visitors.visitor(scope()).id}


def test_where_nothing_is_counted_no_cookie_is_set() -> None:
    assert "set-cookie" not in client().get("/").headers


def test_who_signed_in_is_the_same_everywhere() -> None:
    visitors = Visitors(Signer())
    here, there = (visitors.visitor(scope(peer), "ann") for peer in ("192.0.2.1", "192.0.2.2"))
    assert here.id == there.id
    assert here.network == ""


def test_an_id_tells_neither_the_address_nor_the_name() -> None:
    told = repr(Visitors(Signer()).visitor(scope("203.0.113.5"), "ann"))
    assert "203" not in told
    assert "ann" not in told


def test_a_key_of_the_visitors_own_is_not_shown() -> None:
    visitor = Visitors(Signer()).visitor(scope(x_own_key="sk-own-77", x_own_endpoint="eu-1"))
    assert visitor.own_key is not None
    assert visitor.own_key.key == "sk-own-77"
    assert "sk-own-77" not in repr(visitor)


def test_a_request_leaves_no_visitor_behind() -> None:
    client().get("/")
    assert CURRENT_VISITOR.get().id == "nobody"
