"""Probes for long messages, and for messages beyond the model's context."""

from __future__ import annotations

from typing import Final

from akash_gradio.check.parsing import parse_answer
from akash_gradio.check.probe import Evidence, Level, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, failed, passed, skipped, warned
from akash_gradio.check.probes.completion import FEW_TOKENS, send_chat
from akash_gradio.check.probes.model_list import listed_models
from akash_gradio.formatting import format_seconds

LONG_TEXT: Final = ("internationalization ", 5_000)
"""A text and its repetitions: 105 kB, in about 20,000 tokens."""
NINE_TOKENS: Final = "1 2 3 4 5 6 7 8 9 "
MARGIN: Final = 20
"""Repetitions of the nine tokens beyond the limit."""
MAX_CONTEXT_TOKENS: Final = 200_000
"""Larger contexts aren't probed: a message of a megabyte would cost more than it shows."""


async def _long(context: ProbeContext) -> ProbeResponse:
    return await send_chat(context, repeated=LONG_TEXT)


async def _overflow(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    limit = context_tokens(context.evidence)
    if limit is None or limit > MAX_CONTEXT_TOKENS:
        return ()
    return (await send_chat(context, repeated=(NINE_TOKENS, limit // 9 + MARGIN)),)


def context_tokens(evidence: Evidence) -> int | None:
    """Return the context size that the endpoint lists, else the catalog's."""
    models = listed_models(evidence.response("models"))
    listed = next((model.token_limit for model in models if model.id == evidence.model), None)
    card = evidence.target.card
    return listed or (card.token_limit if card else None)


def _evaluate_long(evidence: Evidence) -> ProbeResult:
    response = evidence.response("long")
    answer = parse_answer(response)
    if answer.failure is None or answer.is_accepted:
        return passed(response.request, time=format_seconds(response.seconds))
    failure = answer.failure
    if failure.code == "context":
        return passed(response.request, "context")
    if failure.is_busy:
        return skipped("busy")
    if failure.code == "too_large":
        return failed(response.request, "too_large")
    detail = evidence.target.quote(failure.detail)
    if failure.code == "refused":
        return warned(response.request, "refused", status=failure.status, detail=detail)
    return failed(response.request, "failed", status=failure.status or failure.code, detail=detail)


def _evaluate_overflow(evidence: Evidence) -> ProbeResult:
    limit = context_tokens(evidence)
    if limit is None:
        return skipped("unknown")
    if not evidence.responses("overflow"):
        return skipped("too_large", limit=f"{limit:,}")
    response = evidence.last_response("overflow")
    answer = parse_answer(response)
    if answer.failure is None or answer.is_accepted:
        return warned(response.request, "answered", limit=f"{limit:,}")
    failure = answer.failure
    if failure.code == "context":
        return _compare_limits(evidence, response, failure.limit_tokens)
    if failure.is_busy:
        return skipped("busy")
    detail = evidence.target.quote(failure.detail)
    if failure.code in ("refused", "too_large"):
        return warned(response.request, "unclear", status=failure.status, detail=detail)
    return failed(response.request, "failed", status=failure.status or failure.code, detail=detail)


def _compare_limits(
    evidence: Evidence, response: ProbeResponse, reported: int | None
) -> ProbeResult:
    card = evidence.target.card
    catalog = card.token_limit if card else None
    if reported is None:
        return passed(response.request, "no_number")
    limit = f"{reported:,}"
    if catalog is not None and reported < catalog:
        catalog_limit = f"{catalog:,}"
        return warned(
            response.request, "catalog", limit=limit, catalog=catalog_limit, exact=reported
        )
    return passed(response.request, limit=limit)


OBSERVATIONS: Final = (
    Observation(name="long", observe=_long, tokens_in=25_000, tokens_out=FEW_TOKENS, timeout_s=16),
    Observation(
        name="overflow",
        observe=_overflow,
        tokens_in=MAX_CONTEXT_TOKENS,  # the cost if the endpoint doesn't refuse it
        tokens_out=FEW_TOKENS,
        timeout_s=16,
    ),
)
PROBES: Final = (
    Probe(name="long-message", level=Level.FULL, observations=("long",), evaluate=_evaluate_long),
    Probe(
        name="overflow",
        level=Level.FULL,
        observations=("models", "overflow"),
        evaluate=_evaluate_overflow,
    ),
)
