"""A streamed answer: whether one comes, in which form, and whether it really streams."""

from __future__ import annotations

from typing import Final

from akash_gradio.check.parsing import Flow, delta_of, read_answer, read_flow
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Level,
    Observation,
    Probe,
    Seen,
    Verdict,
    failed,
    passed,
    skipped,
    warned,
)
from akash_gradio.check.probe_request import Heard, chat
from akash_gradio.check.probes.completion import broken, judge_counts, limited

COUNT: Final = "Count from 1 to 60, with commas between the numbers."
COUNT_TOKENS: Final = 64
LONGER: Final = 4
LUMP_SHARE: Final = 0.05
"""All words within this share of the answer's time came in one lump."""
MEASURABLE_S: Final = 0.25
"""A shorter answer is over before anybody could see it stream."""
FEW_TOKENS: Final = 8
LATE_BY: Final = 1.5
"""A buffered answer's first word comes so much later when the answer is four times as long."""
SLOW_FIRST_S: Final = 5.0
SLOW_TOKENS_PER_S: Final = 10.0
OPTIONS: Final = {"include_usage": True}


async def _stream(checking: Checking) -> tuple[Heard, ...]:
    """Twice where the first is refused for its `stream_options`."""
    seen = checking.seen
    limit = limited(seen, COUNT_TOKENS)
    ask = chat(seen.model, ("user", COUNT), stream=True, stream_options=OPTIONS, **limit)
    first = await checking.send(ask)
    if first.status in (400, 422) and (b"stream_options" in first.body or b"usage" in first.body):
        again = chat(seen.model, ("user", COUNT), stream=True, **limit)
        return first, await checking.send(again)
    return (first,)


async def _bare(checking: Checking) -> Heard:
    seen = checking.seen
    ask = chat(seen.model, ("user", COUNT), stream=True, **limited(seen, 8))
    return await checking.send(ask)


async def _longer(checking: Checking) -> tuple[Heard, ...]:
    """The same at four times the length, where the first looked like one lump."""
    seen = checking.seen
    if not _looks_like_a_lump(seen.all_heard("stream")[-1]):
        return ()
    limit = limited(seen, LONGER * COUNT_TOKENS)
    return (await checking.send(chat(seen.model, ("user", COUNT), stream=True, **limit)),)


def flow_of(seen: Seen) -> tuple[Heard, Flow]:
    """The streamed answer that counts."""
    heard = seen.all_heard("stream")[-1]
    return heard, read_flow(heard)


def tokens_of(flow: Flow) -> float:
    """As reported, else estimated."""
    reported = flow.usage.get("completion_tokens")
    if isinstance(reported, int | float) and reported > 0:
        return reported
    return max(len(flow.token_times_s), (len(flow.answer.text) + len(flow.answer.reasoning)) / 4)


def _looks_like_a_lump(heard: Heard) -> bool:
    flow = read_flow(heard)
    times = flow.token_times_s
    if not times or heard.seconds < MEASURABLE_S or tokens_of(flow) < FEW_TOKENS:
        return False
    return times[-1] - times[0] <= LUMP_SHARE * heard.seconds


def _judge_stream(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    plain = read_answer(seen.all_heard("plain")[-1]).fault
    fault = flow.answer.fault
    if fault is not None and plain is not None and plain.code == fault.code:
        return skipped("same")
    if fault is not None:
        return broken(heard, fault, seen)
    if not flow.answer.streamed:
        return failed(heard.ask, "whole_json")
    return passed(heard.ask, chunks=len(flow.chunks))


def _judge_content_type(seen: Seen) -> Judgement:
    heard, _ = flow_of(seen)
    kind = heard.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        return warned(heard.ask, "other", kind=seen.target.quote(kind) or "none")
    return passed(heard.ask)


def _judge_framing(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    return warned(heard.ask, flow.odd[0]) if flow.odd else passed(heard.ask)


def _judge_chunks(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    for chunk in flow.chunks:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return warned(heard.ask, "no_choices")
        first = choices[0] if choices else {"delta": {}}
        if not isinstance(first, dict) or not isinstance(first.get("delta"), dict):
            return warned(heard.ask, "no_delta")
    return passed(heard.ask, count=len(flow.chunks))


def _judge_finish(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    roles = [str(role) for chunk in flow.chunks if (role := delta_of(chunk).get("role"))]
    other = next((role for role in roles if role != "assistant"), None)
    if other is not None:
        return warned(heard.ask, "role", role=seen.target.quote(other))
    if flow.answer.finish is None:
        return warned(heard.ask, "missing")
    return passed(heard.ask, finish=seen.target.quote(flow.answer.finish))


def _judge_done(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    return passed(heard.ask) if flow.done else warned(heard.ask, "missing")


def _judge_usage(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    first = seen.all_heard("stream")[0]
    if first is not heard:
        return Judgement(
            verdict=Verdict.WARN,
            code="refused",
            ask=first.ask,
            learned={"stream_options": False},
        )
    judged = judge_counts(heard, flow.usage)
    if judged.verdict is Verdict.PASS:
        return Judgement(
            verdict=judged.verdict,
            code=judged.code,
            facts=judged.facts,
            ask=judged.ask,
            learned={"stream_options": True},
        )
    return judged


def _judge_unasked(seen: Seen) -> Judgement:
    heard = seen.heard("bare")
    flow = read_flow(heard)
    fault = flow.answer.fault
    if fault is not None and fault.code in ("busy", "starting"):
        return skipped("busy")
    if fault is not None and fault.code != "empty":
        return warned(heard.ask, "failed", status=fault.status or fault.code)
    if any(chunk.get("usage") and chunk.get("choices") == [] for chunk in flow.chunks):
        return warned(heard.ask, "unasked")
    return passed(heard.ask)


def _judge_live(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    if not seen.all_heard("longer"):
        code = "ok" if heard.seconds >= MEASURABLE_S else "too_fast"
        streams = {"streams": True} if code == "ok" else {}
        facts = {"seconds": f"{heard.seconds:.2f}", "count": len(flow.token_times_s)}
        return Judgement(
            verdict=Verdict.PASS, code=code, ask=heard.ask, learned=streams, facts=facts
        )
    longer = seen.all_heard("longer")[0]
    later = read_flow(longer).token_times_s
    grew = bool(later) and later[0] > LATE_BY * flow.token_times_s[0]
    if _looks_like_a_lump(longer) and grew:
        return Judgement(
            verdict=Verdict.FAIL,
            code="lump",
            facts={"seconds": f"{later[0]:.1f}"},
            ask=longer.ask,
            learned={"streams": False},
        )
    return passed(longer.ask, "fast")


def _judge_speed(seen: Seen) -> Judgement:
    heard, flow = flow_of(seen)
    if not flow.token_times_s:
        return skipped("unmeasured")
    first_s, last_s = flow.token_times_s[0], flow.token_times_s[-1]
    spread_s = last_s - first_s
    facts = {"first": f"{first_s:.2f}", "rate": ""}
    if first_s > SLOW_FIRST_S:
        return warned(heard.ask, "slow_first", **facts)
    tokens = tokens_of(flow)
    if spread_s < MEASURABLE_S or tokens < FEW_TOKENS:
        return passed(heard.ask, "first_alone", **facts)
    rate = (tokens - 1) / spread_s
    facts["rate"] = f"{rate:.0f}"
    if rate < SLOW_TOKENS_PER_S:
        return warned(heard.ask, "slow", **facts)
    return passed(heard.ask, **facts)


OBSERVATIONS: Final = (
    Observation(
        name="stream",
        observe=_stream,
        tokens_out=COUNT_TOKENS,
        after=("plain",),
        deadline_s=31,
    ),
    Observation(name="bare", observe=_bare, tokens_out=8),
    Observation(name="longer", observe=_longer, tokens_out=LONGER * COUNT_TOKENS, deadline_s=16),
)
_STREAM: Final = ("stream",)
PROBES: Final = (
    Probe(
        name="stream",
        level=Level.QUICK,
        needs=("key",),
        sees=("plain", "stream"),
        judge=_judge_stream,
    ),
    *(
        Probe(name=name, level=Level.QUICK, needs=_STREAM, sees=_STREAM, judge=judge)
        for name, judge in (
            ("content-type", _judge_content_type),
            ("framing", _judge_framing),
            ("chunks", _judge_chunks),
            ("finish", _judge_finish),
            ("done", _judge_done),
            ("usage", _judge_usage),
        )
    ),
    Probe(name="usage-unasked", needs=_STREAM, sees=("bare",), judge=_judge_unasked),
    Probe(
        name="streams-live",
        level=Level.QUICK,
        needs=_STREAM,
        sees=("stream", "longer"),
        judge=_judge_live,
    ),
    Probe(name="speed", level=Level.QUICK, needs=_STREAM, sees=_STREAM, judge=_judge_speed),
)
