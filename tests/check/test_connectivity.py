"""DNS, connection, TLS, certificate, and whether a host is on a private network."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from akash_gradio.check.probe import Evidence, Level
from akash_gradio.check.probe_client import is_private
from akash_gradio.check.probe_request import ConnectionResult, ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.probes.registry import PROBES
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from tests.check.helpers import check, problem_codes

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
"""A certificate for this test that no client trusts."""


def target(url: str) -> Target:
    entry = EndpointSettings.model_validate({"url": url, "name": "stub"})
    return Target(entry=entry, model="m")


@asynccontextmanager
async def tls_server() -> AsyncIterator[int]:
    """Run a TLS server with a self-signed certificate; yields its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(SELF_SIGNED)

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_an_untrusted_certificate_is_reported_with_the_reason() -> None:
    async with tls_server() as port:
        findings = await check(target(f"https://127.0.0.1:{port}"), level=Level.QUICK)
    assert problem_codes(findings) == {"reachable.certificate"}
    assert "self-signed" in next(f.message for f in findings if f.probe == "reachable")


async def test_an_unknown_host_name_is_reported() -> None:
    findings = await check(target("http://no-such-host.invalid"), level=Level.QUICK)
    assert problem_codes(findings) == {"reachable.dns"}


@pytest.mark.parametrize(
    ("connection", "code", "verdict"),
    [
        (ConnectionResult(days_left=90, seconds=0.02), "ok", Verdict.PASS),
        (ConnectionResult(days_left=3), "expires", Verdict.WARN),
        (ConnectionResult(days_left=-1), "expires", Verdict.WARN),
        (ConnectionResult(proxy=True), "proxy", Verdict.PASS),
        (ConnectionResult(failure="silent"), "silent", Verdict.FAIL),
    ],
)
def test_a_connection_is_evaluated(
    connection: ConnectionResult, code: str, verdict: Verdict
) -> None:
    probe = next(probe for probe in PROBES if probe.name == "reachable")
    result = probe.evaluate(
        Evidence(
            target=target("https://api.example.com"), model="m", results={"connection": connection}
        )
    )
    assert (result.code, result.verdict) == (code, verdict)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("192.168.0.9", True),
        ("vllm", True),
        ("203.0.113.7.example.com", False),
        ("8.8.8.8", False),
    ],
)
def test_private_hosts_are_recognized(host: str, private: bool) -> None:
    assert is_private(host) is private


def test_accepting_any_key_is_a_warning_only_on_a_public_network() -> None:
    probe = next(probe for probe in PROBES if probe.name == "wrong-key")
    response = ProbeResponse(request=ProbeRequest(path="/chat/completions"), status=200)
    for url, code in (("https://api.example.com", "open"), ("http://10.0.0.7", "open_here")):
        evidence = Evidence(target=target(url), model="m", results={"wrong-key": response})
        assert probe.evaluate(evidence).code == code
