"""Probes for API keys, and for the list of models."""

from __future__ import annotations

import difflib
import json
from typing import Final
from urllib.parse import urlsplit

from akash_gradio.check.parsing import ALIAS, failure_before_body
from akash_gradio.check.probe import Evidence, Level, Observation, Probe, ProbeContext
from akash_gradio.check.probe_client import is_private
from akash_gradio.check.probe_request import ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, failed, passed, skipped, warned
from akash_gradio.check.probes.completion import HELLO, send_chat
from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.model import ServedModel
from akash_gradio.gateway.discovery import parse_models

MAX_NAMES: Final = 5
"""Upper bound of model ids in one message."""


async def _models(context: ProbeContext) -> ProbeResponse:
    return await context.send(ProbeRequest(path="/models"), timeout_s=10)


async def _wrong_key(context: ProbeContext) -> ProbeResponse:
    return await send_chat(context, ("user", HELLO), tokens=1, wrong_key=True)


def listed_models(response: ProbeResponse) -> tuple[ServedModel, ...]:
    """Return the models of a `/v1/models` response, () if it isn't a list of models."""
    if not response.ok:
        return ()
    try:
        return parse_models(ALIAS, response.body)
    except EndpointMalformed:
        return ()


def _evaluate_key(evidence: Evidence) -> ProbeResult:
    response = evidence.last_response("plain")
    has_key = evidence.target.has_key
    if response.status in (401, 403):
        failure = failure_before_body(response)
        detail = evidence.target.quote(failure.detail) if failure else ""
        code = "refused" if has_key else "missing"
        return failed(response.request, code, status=response.status, detail=detail)
    return passed(response.request, "ok" if has_key else "none")


def _evaluate_wrong_key(evidence: Evidence) -> ProbeResult:
    response = evidence.response("wrong-key")
    if response.status in (401, 403):
        return passed(response.request, status=response.status)
    if response.status == 429:
        return skipped("busy")
    if not response.ok:
        return warned(response.request, "odd", status=response.status or "none")
    if is_private(urlsplit(evidence.target.entry.url).hostname or ""):
        return passed(response.request, "open_here")
    return warned(response.request, "open")


def _evaluate_models(evidence: Evidence) -> ProbeResult:
    response = evidence.response("models")
    failure = failure_before_body(response)
    if failure is not None:
        code = "missing" if response.status in (404, 405, 501) else "failed"
        status = response.status or failure.code
        detail = evidence.target.quote(failure.detail)
        return warned(response.request, code, status=status, detail=detail)
    try:
        models = parse_models(ALIAS, response.body)
    except EndpointMalformed:
        return warned(response.request, "shape")
    if not models:
        return warned(response.request, "empty")
    if not _has_openai_shape(response.body):
        return warned(response.request, "other_shape")
    return passed(response.request, count=len(models))


def _has_openai_shape(body: bytes) -> bool:
    value = json.loads(body.decode("utf-8-sig", "replace"))
    entries = value.get("data") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return False
    return all(isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in entries)


def _evaluate_listed(evidence: Evidence) -> ProbeResult:
    response = evidence.response("models")
    ids = [model.id for model in listed_models(response)]
    quote = evidence.target.quote
    if not ids:
        return skipped("no_list")
    model = quote(evidence.model)
    if evidence.target.model is None:
        return passed(response.request, "chosen", model=model)
    if evidence.model in ids:
        return passed(response.request, model=model)
    close = difflib.get_close_matches(evidence.model, ids, n=1, cutoff=0.4)
    if close:
        return warned(response.request, "near", model=model, near=quote(close[0]))
    names = ", ".join(quote(name) for name in ids[:MAX_NAMES])
    return warned(response.request, "not_listed", model=model, names=names)


OBSERVATIONS: Final = (
    Observation(name="models", observe=_models, tokens_in=0, after=(), timeout_s=11),
    Observation(name="wrong-key", observe=_wrong_key, tokens_out=1),
)
PROBES: Final = (
    Probe(
        name="key",
        level=Level.QUICK,
        requires=("base-url",),
        observations=("plain",),
        evaluate=_evaluate_key,
    ),
    Probe(name="wrong-key", observations=("wrong-key",), evaluate=_evaluate_wrong_key),
    Probe(
        name="models",
        level=Level.QUICK,
        requires=("key",),
        observations=("models",),
        evaluate=_evaluate_models,
    ),
    Probe(
        name="model-listed",
        level=Level.QUICK,
        requires=("models",),
        observations=("models",),
        evaluate=_evaluate_listed,
    ),
)
