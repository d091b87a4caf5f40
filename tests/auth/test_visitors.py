from __future__ import annotations

import pytest

from akash_gradio.auth.signing import Signer
from akash_gradio.auth.visitors import Visitors, client_address
from akash_gradio.domain.visitor import ANONYMOUS, CURRENT_VISITOR, VisitorKind
from akash_gradio.http.asgi import Scope
from tests.web.client import client, security_stack

LIMITED = {"VISITOR_MESSAGES_PER_MINUTE": "5"}


def scope(peer: str = "203.0.113.5", **headers: str) -> Scope:
    lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"type": "http", "client": (peer, 1), "headers": lines, "scheme": "http"}


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
def test_only_entries_of_trusted_proxies_are_believed(
    forwarded: str, proxies: int, address: str
) -> None:
    assert client_address(scope(x_forwarded_for=forwarded), proxies) == address


def test_a_forged_forwarded_address_makes_no_new_visitor() -> None:
    visitors = Visitors(Signer(), proxies=1)
    forged = [
        visitors.visitor(scope(x_forwarded_for=f"10.9.8.{n}, 198.51.100.1")).id for n in range(9)
    ]
    assert len(set(forged)) == 1


def test_all_addresses_of_an_ipv6_network_are_one_visitor() -> None:
    visitors = Visitors(Signer())
    one, two = (visitors.visitor(scope(f"2001:db8:1:1::{n}")) for n in (1, 2))
    other = visitors.visitor(scope("2001:db8:1:2::1"))
    assert one.id == two.id != other.id
    assert visitors.visitor(scope("::ffff:192.0.2.1")).id == visitors.visitor(scope("192.0.2.1")).id


def test_no_shared_cache_stores_a_response_with_a_visitors_cookie() -> None:
    browser = client(LIMITED)
    first = browser.get("/").headers
    assert "ag_visitor" in first["set-cookie"]
    assert first["cache-control"] == "private, no-cache"
    assert "cache-control" not in browser.get("/").headers


def test_a_cookie_separates_visitors_of_one_network() -> None:
    stack = security_stack(LIMITED)
    visitors = []
    for _ in range(2):
        browser = client(stack=stack)
        browser.get("/")
        cookie = f"ag_visitor={browser.cookies['ag_visitor']}"
        visitors.append(stack.visitors.visitor(scope(cookie=cookie)))
    one, two = visitors
    assert one.id != two.id
    assert one.network == two.network == stack.visitors.visitor(scope()).id


def test_a_forged_cookie_makes_no_new_visitor() -> None:
    visitors = Visitors(Signer())
    forged = {visitors.visitor(scope(cookie=f"ag_visitor=eA.9999999999.{n}")).id for n in range(9)}
    assert forged == {visitors.visitor(scope()).id}


def test_a_visitor_has_a_cookie_without_limits_too_since_runs_have_owners() -> None:
    browser = client()
    assert "ag_visitor" in browser.get("/").headers["set-cookie"]
    assert "set-cookie" not in browser.get("/").headers


def test_a_visitor_is_an_address_a_cookie_or_a_user() -> None:
    visitors = Visitors(Signer())
    header = visitors.new_cookie(scope())
    assert header is not None
    cookie = header[1].partition(";")[0]
    kinds = [
        visitors.visitor(scope()).kind,
        visitors.visitor(scope(cookie=cookie)).kind,
        visitors.visitor(scope(cookie=cookie), "ann").kind,
    ]
    assert kinds == [VisitorKind.ADDRESS, VisitorKind.COOKIE, VisitorKind.USER]


def test_a_user_is_the_same_visitor_on_every_network() -> None:
    visitors = Visitors(Signer())
    one, two = (visitors.visitor(scope(peer), "ann") for peer in ("192.0.2.1", "192.0.2.2"))
    assert one.id == two.id
    assert one.network == ""


def test_a_visitors_id_reveals_neither_the_address_nor_the_name() -> None:
    shown = repr(Visitors(Signer()).visitor(scope("203.0.113.5"), "ann"))
    assert "203" not in shown
    assert "ann" not in shown


def test_a_visitors_own_key_is_not_shown() -> None:
    visitor = Visitors(Signer()).visitor(scope(x_own_key="sk-own-77", x_own_endpoint="eu-1"))
    assert visitor.own_key is not None
    assert visitor.own_key.key == "sk-own-77"
    assert "sk-own-77" not in repr(visitor)


def test_a_finished_request_leaves_no_visitor_in_the_context() -> None:
    client().get("/")
    assert CURRENT_VISITOR.get() is ANONYMOUS
