"""Probes for parallel requests, and for whether a disconnect stops the generation.

Their observations are exclusive: other requests would change what is measured.
"""

from __future__ import annotations

import asyncio
from typing import Final

from akash_gradio.check.parsing import parse_stream
from akash_gradio.check.probe import Evidence, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, failed, passed, skipped, warned
from akash_gradio.check.probes.completion import send_chat
from akash_gradio.formatting import format_seconds

PARALLEL_REQUESTS: Final = 8
PARALLEL_TOKENS: Final = 16
LONG_TOKENS: Final = 400
SHORT_TOKENS: Final = 4
COUNT_TO_300: Final = ("user", "Count from 1 to 300, with commas between the numbers.")
SLOWDOWN_FACTOR: Final = 3.0
SLOWDOWN_S: Final = 0.8
"""How many seconds beyond the factor the next answer's first token may take."""


async def _parallel(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    limit = context.evidence.target.entry.max_concurrency or PARALLEL_REQUESTS
    requests = [
        send_chat(context, COUNT_TO_300, tokens=PARALLEL_TOKENS, stream=True, timeout_s=30)
        for _ in range(min(PARALLEL_REQUESTS, limit))
    ]
    return tuple(await asyncio.gather(*requests))


async def _disconnect(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Disconnect from a long answer at its first token, then request a short one at once."""
    abandoned = await send_chat(
        context,
        COUNT_TO_300,
        tokens=LONG_TOKENS,
        stream=True,
        stop_when=lambda chunk: b'"content":' in chunk,
    )
    return abandoned, await send_chat(context, COUNT_TO_300, tokens=SHORT_TOKENS, stream=True)


def _evaluate_parallel(evidence: Evidence) -> ProbeResult:
    responses = evidence.responses("parallel")
    request = responses[0].request
    answers = [parse_stream(response).answer for response in responses]
    failures = [a.failure for a in answers if a.failure is not None and not a.is_accepted]
    count, ok = len(responses), len(responses) - len(failures)
    slowest_s = max(response.seconds for response in responses)
    if not failures:
        return passed(request, count=count, time=format_seconds(slowest_s))
    if all(failure.code == "busy" for failure in failures):
        return warned(request, "busy", count=count, ok=ok)
    status = failures[0].status or failures[0].code
    detail = evidence.target.quote(failures[0].detail)
    return failed(request, "failed", count=count, ok=ok, status=status, detail=detail)


def _evaluate_disconnect(evidence: Evidence) -> ProbeResult:
    abandoned, following = evidence.responses("disconnect")
    if abandoned.interruption != "stopped":
        return skipped("busy" if abandoned.status == 429 else "no_stream")
    usual_times_s = parse_stream(evidence.last_response("stream")).token_times_s
    if not usual_times_s:
        return skipped("no_stream")
    times_s = parse_stream(following).token_times_s
    if not times_s:
        return skipped("busy") if following.status == 429 else warned(following.request, "blocked")
    facts = {"usual": format_seconds(usual_times_s[0]), "now": format_seconds(times_s[0])}
    if times_s[0] > SLOWDOWN_FACTOR * usual_times_s[0] + SLOWDOWN_S:
        return warned(abandoned.request, "goes_on", **facts)
    return passed(abandoned.request, **facts)


OBSERVATIONS: Final = (
    Observation(
        name="parallel",
        observe=_parallel,
        calls=PARALLEL_REQUESTS,
        tokens_in=60 * PARALLEL_REQUESTS,
        tokens_out=PARALLEL_REQUESTS * PARALLEL_TOKENS,
        exclusive=True,
        timeout_s=32,
    ),
    Observation(
        name="disconnect",
        observe=_disconnect,
        calls=2,
        tokens_in=120,
        tokens_out=LONG_TOKENS,
        exclusive=True,
        timeout_s=32,
    ),
)
PROBES: Final = (
    Probe(
        name="at-once",
        requires=("stream",),
        observations=("parallel",),
        evaluate=_evaluate_parallel,
    ),
    Probe(
        name="cancel",
        requires=("stream",),
        observations=("stream", "disconnect"),
        evaluate=_evaluate_disconnect,
    ),
)
