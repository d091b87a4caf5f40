"""Long messages, and messages past the model's context."""

from __future__ import annotations

from typing import Final

from akash_gradio.check.parsing import read_answer
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
from akash_gradio.check.probe_request import Heard, chat
from akash_gradio.check.probes.completion import limited
from akash_gradio.check.probes.model_list import listed

LONG: Final = ("internationalization ", 5_000)
"""105 kB, in about 20 000 tokens."""
NINE_TOKENS: Final = "1 2 3 4 5 6 7 8 9 "
MARGIN: Final = 20
"""Of nine tokens each, over the limit."""
LARGEST_LIMIT: Final = 200_000
"""Tokens. A message past more than that is a megabyte that tells nothing new."""


async def _long(checking: Checking) -> Heard:
    seen = checking.seen
    return await checking.send(chat(seen.model, repeated=LONG, **limited(seen, 8)))


async def _overflow(checking: Checking) -> tuple[Heard, ...]:
    limit = limit_of(checking.seen)
    if limit is None or limit > LARGEST_LIMIT:
        return ()
    seen = checking.seen
    text = (NINE_TOKENS, limit // 9 + MARGIN)
    return (await checking.send(chat(seen.model, repeated=text, **limited(seen, 8))),)


def limit_of(seen: Seen) -> int | None:
    """The context in tokens as the endpoint lists it, else as the catalog says it."""
    models = listed(seen.heard("models"))
    said = next((model.token_limit for model in models if model.id == seen.model), None)
    card = seen.target.card
    return said or (card.token_limit if card else None)


def _judge_long(seen: Seen) -> Judgement:
    heard = seen.heard("long")
    fault = read_answer(heard).fault
    if fault is None or fault.code == "empty":
        return passed(heard.ask, seconds=f"{heard.seconds:.1f}")
    if fault.code == "context":
        return passed(heard.ask, "context")
    if fault.code in ("busy", "starting"):
        return skipped("busy")
    if fault.code == "too_large":
        return failed(heard.ask, "too_large")
    detail = seen.target.quote(fault.detail)
    if fault.code == "refused":
        return warned(heard.ask, "refused", status=fault.status, detail=detail)
    return failed(heard.ask, "failed", status=fault.status or fault.code, detail=detail)


def _judge_overflow(seen: Seen) -> Judgement:
    limit = limit_of(seen)
    if limit is None:
        return skipped("unknown")
    if not seen.all_heard("overflow"):
        return skipped("too_large", limit=f"{limit:,}")
    (heard,) = seen.all_heard("overflow")
    fault = read_answer(heard).fault
    if fault is None or fault.code == "empty":
        return warned(heard.ask, "answered", limit=f"{limit:,}")
    if fault.code == "context":
        return _judge_limit(seen, heard, fault.limit_tokens)
    if fault.code in ("busy", "starting"):
        return skipped("busy")
    detail = seen.target.quote(fault.detail)
    if fault.code in ("refused", "too_large"):
        return warned(heard.ask, "unclear", status=fault.status, detail=detail)
    return failed(heard.ask, "failed", status=fault.status or fault.code, detail=detail)


def _judge_limit(seen: Seen, heard: Heard, said: int | None) -> Judgement:
    card = seen.target.card
    catalog = card.token_limit if card else None
    if said is not None and catalog is not None and said < catalog:
        return warned(heard.ask, "catalog", said=f"{said:,}", catalog=f"{catalog:,}", exact=said)
    if said is None:
        return passed(heard.ask, "no_number")
    return passed(heard.ask, said=f"{said:,}")


OBSERVATIONS: Final = (
    Observation(name="long", observe=_long, tokens_in=25_000, tokens_out=8, deadline_s=16),
    Observation(
        name="overflow",
        observe=_overflow,
        tokens_in=LARGEST_LIMIT,  # of a server that doesn't refuse it
        tokens_out=8,
        deadline_s=16,
    ),
)
PROBES: Final = (
    Probe(name="long-message", level=Level.FULL, sees=("long",), judge=_judge_long),
    Probe(name="overflow", level=Level.FULL, sees=("models", "overflow"), judge=_judge_overflow),
)
