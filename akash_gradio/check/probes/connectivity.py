"""Probes for the connection: is there an HTTP server, and is the API at this address?"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from akash_gradio.check.parsing import failure_before_body
from akash_gradio.check.probe import Evidence, Level, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ConnectionResult, ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, failed, passed, warned
from akash_gradio.formatting import format_seconds

EXPIRES_SOON_DAYS: Final = 14
BASE_PATHS: Final = ("/v1", "/api/v1", "/openai/v1", "/api/openai/v1")
"""Where servers and proxies offer the API."""
NO_RESPONSE: Final = frozenset({"silent", "closed", "no_http"})


async def _connect(context: ProbeContext) -> ConnectionResult:
    return await context.connect()


async def _other_bases(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Request the model list at other base URLs if this one has neither chat nor models."""
    evidence = context.evidence
    if not _has_no_api(evidence):
        return ()
    configured = evidence.target.entry.url
    url = urlsplit(configured)
    bases = [f"{url.scheme}://{url.netloc}{path}" for path in BASE_PATHS]
    requests = [ProbeRequest(path="/models", base=base) for base in bases if base != configured]
    return tuple([await context.send(request, timeout_s=5) for request in requests])


def _has_no_api(evidence: Evidence) -> bool:
    chat, models = evidence.last_response("plain"), evidence.response("models")
    failure = failure_before_body(chat)
    if failure is not None and failure.code == "model_unknown":
        return False
    no_chat = _is_html(chat) or (failure is not None and chat.status in (404, 405))
    return no_chat and (not models.ok or _is_html(models))


def _is_html(response: ProbeResponse) -> bool:
    return response.body.lstrip()[:1] == b"<"


def _evaluate_reachable(evidence: Evidence) -> ProbeResult:
    connection, host = evidence.connection, urlsplit(evidence.target.entry.url).netloc
    if connection.proxy:
        return passed(None, "proxy")
    request = ProbeRequest(path="/models")
    if connection.failure:
        return failed(request, connection.failure, host=host, detail=connection.detail)
    if connection.days_left is not None and connection.days_left < EXPIRES_SOON_DAYS:
        return warned(request, "expires", days=connection.days_left)
    return passed(request, ms=round(connection.seconds * 1000))


def _evaluate_answers(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    failure = failure_before_body(response)
    if failure is not None and response.status is None and failure.code in NO_RESPONSE:
        return failed(response.request, failure.code, time=format_seconds(response.seconds))
    return passed(response.request, status=response.status)


def _evaluate_base_url(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    failure, url = failure_before_body(response), evidence.target.entry.url
    if failure is not None and failure.code == "redirect":
        location = _host_of(failure.location)
        return failed(response.request, "redirect", status=failure.status, where=location)
    if _has_no_api(evidence):
        for other in evidence.responses("other-bases"):
            if other.ok and not _is_html(other):
                return failed(other.request, "elsewhere", base=other.request.base)
        return failed(response.request, "website" if _is_html(response) else "nowhere")
    address = evidence.target.address.strip()
    if address and address.rstrip("/") != url:
        return passed(response.request, "completed", url=url)
    return passed(response.request, url=url)


def _host_of(location: str) -> str:
    """Return a URL without its path and query, which may contain secrets."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an invalid address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else "another path"


OBSERVATIONS: Final = (
    Observation(name="connection", observe=_connect, calls=0, tokens_in=0, after=(), timeout_s=6),
    Observation(
        name="other-bases",
        observe=_other_bases,
        calls=len(BASE_PATHS) - 1,
        tokens_in=0,
        after=("plain",),
        timeout_s=20,
    ),
)
PROBES: Final = (
    Probe(
        name="reachable",
        level=Level.QUICK,
        requires=(),
        observations=("connection",),
        evaluate=_evaluate_reachable,
    ),
    Probe(
        name="answers",
        level=Level.QUICK,
        requires=("reachable",),
        observations=("plain",),
        evaluate=_evaluate_answers,
    ),
    Probe(
        name="base-url",
        level=Level.QUICK,
        requires=("answers",),
        observations=("plain", "models", "other-bases"),
        evaluate=_evaluate_base_url,
    ),
)
