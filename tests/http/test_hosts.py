from __future__ import annotations

import pytest

from akash_gradio.http.asgi import Scope
from akash_gradio.http.hosts import HostRules, host_name

ALWAYS = (
    "localhost", "localhost:7860", "LOCALHOST.", "127.0.0.1", "127.9.9.9:1", "[::1]:7860", "[::1]",
    "192.168.1.5:7860", "203.0.113.5", "[2001:db8::1]", "0.0.0.0:7860",
    "app-0:7860", "mybox", "mybox.local:7860", "a.b.lan", "app.internal", "x.localhost",
)  # fmt: skip
"""Hosts that no website in the public DNS can have."""
REBOUND = (
    "evil.example", "evil.example:7860", "EVIL.EXAMPLE.", "localhost.evil.example",
    "127.0.0.1.evil.example", "192.168.1.5.nip.io", "local.evil.example", "evil-local.example",
    "chat.example.com.evil.example", "xchat.example.com", "example.com",
)  # fmt: skip
INVALID = (
    "", " ", "me@localhost", "localhost:port", "localhost, evil.example", "a/b", "[::1", "a b",
    "localhost:1:2", "\xff", "http://localhost", ".", "localhost#x", "localhost?x", "a%2fb",
)  # fmt: skip


def scope(*hosts: str) -> Scope:
    return {"headers": [(b"host", host.encode("latin-1")) for host in hosts]}


RULES = HostRules.of(("chat.example.com", "*.pages.example.com"), admits_any=False)
ANY = HostRules.of((), admits_any=True)


@pytest.mark.parametrize("host", ALWAYS)
def test_hosts_that_no_website_can_have_are_admitted(host: str) -> None:
    assert HostRules().admits(scope(host))


@pytest.mark.parametrize("host", REBOUND)
def test_other_names_of_the_public_dns_are_refused(host: str) -> None:
    assert not HostRules().admits(scope(host))
    assert not RULES.admits(scope(host))
    assert ANY.admits(scope(host))
    assert HostRules.of(("*",), admits_any=False).admits(scope(host))


@pytest.mark.parametrize(
    "host",
    ["chat.example.com", "Chat.Example.com:443", "a.pages.example.com", "a.b.pages.example.com."],
)
def test_listed_names_are_admitted(host: str) -> None:
    assert RULES.admits(scope(host))


def test_a_wildcard_does_not_contain_its_own_domain() -> None:
    assert not RULES.admits(scope("pages.example.com"))


@pytest.mark.parametrize("host", INVALID)
def test_an_invalid_host_is_refused_by_all_rules(host: str) -> None:
    assert not ANY.admits(scope(host))


def test_exactly_one_host_is_required() -> None:
    for hosts in ((), ("localhost", "localhost"), ("localhost", "evil.example")):
        assert not ANY.admits(scope(*hosts))
    assert host_name(scope("[::1]:7860")) == "::1"
