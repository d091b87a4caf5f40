"""Several at once, and whether leaving stops the work. Nothing else is asked meanwhile."""

from __future__ import annotations

import asyncio
from typing import Final

from akash_gradio.check.parsing import read_flow
from akash_gradio.check.probe import (
    Checking,
    Judgement,
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
from akash_gradio.check.probes.streaming import flow_of

AT_ONCE: Final = 8
AT_ONCE_TOKENS: Final = 16
LONG_TOKENS: Final = 400
LONG_COUNT: Final = "Count from 1 to 300, with commas between the numbers."
SLOWER_BY: Final = 3.0
LATE_S: Final = 0.8
"""Seconds over the usual that the next answer's first word may take."""


async def _eight(checking: Checking) -> tuple[Heard, ...]:
    seen = checking.seen
    most = seen.target.entry.max_concurrency or AT_ONCE
    ask = chat(seen.model, ("user", LONG_COUNT), stream=True, **limited(seen, AT_ONCE_TOKENS))
    sends = [checking.send(ask, deadline_s=30) for _ in range(min(AT_ONCE, most))]
    return tuple(await asyncio.gather(*sends))


async def _cancel(checking: Checking) -> tuple[Heard, ...]:
    """Leave a long answer at its first word, and ask something short at once."""
    seen = checking.seen
    long = chat(seen.model, ("user", LONG_COUNT), stream=True, **limited(seen, LONG_TOKENS))
    short = chat(seen.model, ("user", LONG_COUNT), stream=True, **limited(seen, 4))
    left = await checking.send(long, enough=lambda packet: b'"content":' in packet)
    return left, await checking.send(short)


def _judge_eight(seen: Seen) -> Judgement:
    answers = seen.all_heard("eight")
    faults = [read_flow(heard).answer.fault for heard in answers]
    bad = [fault for fault in faults if fault is not None and fault.code != "empty"]
    count, ok = len(answers), len(answers) - len(bad)
    slowest = max(heard.seconds for heard in answers)
    if not bad:
        return passed(answers[0].ask, count=count, seconds=f"{slowest:.1f}")
    if all(fault.code == "busy" for fault in bad):
        return warned(answers[0].ask, "busy", count=count, ok=ok)
    status = bad[0].status or bad[0].code
    detail = seen.target.quote(bad[0].detail)
    return failed(answers[0].ask, "failed", count=count, ok=ok, status=status, detail=detail)


def _judge_cancel(seen: Seen) -> Judgement:
    left, after = seen.all_heard("cancel")
    if left.failure != "stopped":
        return skipped("busy" if left.status == 429 else "no_stream")
    _, usual = flow_of(seen)
    flow = read_flow(after)
    if not usual.token_times_s:
        return skipped("no_stream")
    if not flow.token_times_s:
        code = "busy" if after.status == 429 else "no_stream"
        return skipped(code) if code == "busy" else warned(after.ask, "blocked")
    usual_s, now_s = usual.token_times_s[0], flow.token_times_s[0]
    facts = {"usual": f"{usual_s:.2f}", "now": f"{now_s:.2f}"}
    if now_s > SLOWER_BY * usual_s + LATE_S:
        return warned(left.ask, "goes_on", **facts)
    return passed(left.ask, **facts)


OBSERVATIONS: Final = (
    Observation(
        name="eight",
        observe=_eight,
        calls=AT_ONCE,
        tokens_in=60 * AT_ONCE,
        tokens_out=AT_ONCE * AT_ONCE_TOKENS,
        alone=True,
        deadline_s=32,
    ),
    Observation(
        name="cancel",
        observe=_cancel,
        calls=2,
        tokens_in=120,
        tokens_out=LONG_TOKENS,
        alone=True,
        deadline_s=32,
    ),
)
PROBES: Final = (
    Probe(name="at-once", needs=("stream",), sees=("eight",), judge=_judge_eight),
    Probe(name="cancel", needs=("stream",), sees=("stream", "cancel"), judge=_judge_cancel),
)
