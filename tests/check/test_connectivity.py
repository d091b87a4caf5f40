"""Name, connection, TLS and certificate; and who is on a private network."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from akash_gradio.check.probe import Judgement, Level, Seen, Verdict
from akash_gradio.check.probe_client import is_private
from akash_gradio.check.probe_request import Ask, Heard, Reach
from akash_gradio.check.probes.registry import PROBES
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from tests.check.helpers import blamed, check

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
"""Made for this test alone, and trusted by nobody."""


def aim(url: str, **fields: object) -> Target:
    return Target(
        entry=EndpointSettings.model_validate({"url": url, "name": "stub", **fields}), model="m"
    )


@asynccontextmanager
async def tls_server() -> AsyncIterator[int]:
    """A port that speaks TLS with a certificate of its own making."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(SELF_SIGNED)

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_that_nobody_trusts_is_told_with_its_reason() -> None:
    async with tls_server() as port:
        found = await check(aim(f"https://127.0.0.1:{port}"), level=Level.QUICK)
    assert blamed(found) == {"reachable.certificate"}
    assert "self-signed" in next(one.says for one in found if one.probe == "reachable")


async def test_a_name_that_does_not_exist_is_told() -> None:
    found = await check(aim("http://no-such-host.invalid"), level=Level.QUICK)
    assert blamed(found) == {"reachable.dns"}


def judged(reach: Reach, url: str = "https://api.example.com") -> Judgement:
    probe = next(probe for probe in PROBES if probe.name == "reachable")
    return probe.judge(Seen(target=aim(url), model="m", results={"reach": reach}))


@pytest.mark.parametrize(
    ("reach", "code", "verdict"),
    [
        (Reach(days_left=90, seconds=0.02), "ok", Verdict.PASS),
        (Reach(days_left=3), "expires", Verdict.WARN),
        (Reach(days_left=-1), "expires", Verdict.WARN),
        (Reach(proxy=True), "proxy", Verdict.PASS),
        (Reach(failure="silent"), "silent", Verdict.FAIL),
    ],
)
def test_what_was_reached_is_judged(reach: Reach, code: str, verdict: Verdict) -> None:
    found = judged(reach)
    assert (found.code, found.verdict) == (code, verdict)


@pytest.mark.parametrize(
    ("host", "private", "loopback"),
    [
        ("localhost", True, True),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("10.1.2.3", True, False),
        ("192.168.0.9", True, False),
        ("vllm", True, False),
        ("203.0.113.7.example.com", False, False),
        ("8.8.8.8", False, False),
    ],
)
def test_who_is_on_a_network_of_its_own(host: str, private: bool, loopback: bool) -> None:
    assert is_private(host) is private
    assert is_private(host, loopback_only=True) is loopback


def test_any_key_is_a_warning_where_everybody_can_reach_it() -> None:
    probe = next(probe for probe in PROBES if probe.name == "wrong-key")
    heard = Heard(ask=Ask(path="/chat/completions"), status=200)
    for url, code in (("https://api.example.com", "open"), ("http://10.0.0.7", "open_here")):
        seen = Seen(target=aim(url), model="m", results={"wrong-key": heard})
        assert probe.judge(seen).code == code
