"""Keys, and the list of models."""

from __future__ import annotations

import difflib
import json
from typing import Final
from urllib.parse import urlsplit

from akash_gradio.check.parsing import ALIAS, fault_before_body
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Level,
    Observation,
    Probe,
    Seen,
    failed,
    passed,
    skipped,
    warned,
)
from akash_gradio.check.probe_client import is_private
from akash_gradio.check.probe_request import Ask, Heard, Key, chat
from akash_gradio.check.probes.completion import HELLO, limited
from akash_gradio.domain.errors import EndpointMalformed
from akash_gradio.domain.model import ServedModel
from akash_gradio.gateway.discovery import parse_models

MOST_NAMED: Final = 5


async def _models(checking: Checking) -> Heard:
    return await checking.send(Ask(path="/models"), deadline_s=10)


async def _wrong_key(checking: Checking) -> Heard:
    seen = checking.seen
    ask = chat(seen.model, ("user", HELLO), key=Key.WRONG, **limited(seen, 1))
    return await checking.send(ask)


def listed(heard: Heard) -> tuple[ServedModel, ...]:
    """What a `/v1/models` answer lists, () where it is none."""
    if not heard.ok:
        return ()
    try:
        return parse_models(ALIAS, heard.body)
    except EndpointMalformed:
        return ()


def _judge_key(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    if heard.status in (401, 403):
        code = "refused" if seen.target.keyed else "missing"
        fault = fault_before_body(heard)
        detail = seen.target.quote(fault.detail) if fault else ""
        return failed(heard.ask, code, status=heard.status, detail=detail)
    return passed(heard.ask, "ok" if seen.target.keyed else "none")


def _judge_wrong_key(seen: Seen) -> Judgement:
    heard = seen.heard("wrong-key")
    if heard.status in (401, 403):
        return passed(heard.ask, status=heard.status)
    if heard.status == 429:
        return skipped("busy")
    if not heard.ok:
        return warned(heard.ask, "odd", status=heard.status or "none")
    if is_private(urlsplit(seen.target.entry.url).hostname or ""):
        return passed(heard.ask, "open_here")
    return warned(heard.ask, "open")


def _judge_models(seen: Seen) -> Judgement:
    heard = seen.heard("models")
    fault = fault_before_body(heard)
    if fault is not None:
        code = "missing" if heard.status in (404, 405, 501) else "failed"
        status = heard.status or fault.code
        return warned(heard.ask, code, status=status, detail=seen.target.quote(fault.detail))
    try:
        models = parse_models(ALIAS, heard.body)
    except EndpointMalformed:
        return warned(heard.ask, "shape")
    if not models:
        return warned(heard.ask, "empty")
    if not _as_openai_does(heard.body):
        return warned(heard.ask, "other_shape")
    return passed(heard.ask, count=len(models))


def _as_openai_does(body: bytes) -> bool:
    value = json.loads(body.decode("utf-8-sig", "replace"))
    entries = value.get("data") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return False
    return all(isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in entries)


def _judge_listed(seen: Seen) -> Judgement:
    heard = seen.heard("models")
    ids = [model.id for model in listed(heard)]
    clean = seen.target.quote
    if not ids:
        return skipped("no_list")
    if seen.target.model is None:
        return passed(heard.ask, "chosen", model=clean(seen.model))
    if seen.model in ids:
        return passed(heard.ask, model=clean(seen.model))
    close = difflib.get_close_matches(seen.model, ids, n=1, cutoff=0.4)
    names = ", ".join(clean(name) for name in ids[:MOST_NAMED])
    code = "near" if close else "not_listed"
    near = clean(close[0]) if close else ""
    return warned(heard.ask, code, model=clean(seen.model), near=near, names=names)


OBSERVATIONS: Final = (
    Observation(name="models", observe=_models, tokens_in=0, after=(), deadline_s=11),
    Observation(name="wrong-key", observe=_wrong_key, tokens_out=1),
)
PROBES: Final = (
    Probe(
        name="key",
        level=Level.QUICK,
        needs=("base-url",),
        sees=("plain",),
        judge=_judge_key,
    ),
    Probe(name="wrong-key", sees=("wrong-key",), judge=_judge_wrong_key),
    Probe(name="models", level=Level.QUICK, needs=("key",), sees=("models",), judge=_judge_models),
    Probe(
        name="model-listed",
        level=Level.QUICK,
        needs=("models",),
        sees=("models",),
        judge=_judge_listed,
    ),
)
