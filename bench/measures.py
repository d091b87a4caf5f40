"""What is measured of each system: a figure is a number with a name, None where it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.client import Ask, Seen, Target, finish_load, run_load, start_load
from bench.systems import UnderTest

TOKENS_PER_S: Final = 50.0
"""Of one stream: about what a person is served."""
HELD_LAG_MS: Final = 100.0
HELD_SHARE: Final = 0.95
"""Of the tokens due; below it the streams are not held, however fresh the tokens are."""

Figures = Mapping[str, float | None]
Measure = Callable[[UnderTest, "Plan"], Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each measurement takes, in seconds, and how far the search goes."""

    call_s: float
    stream_s: float
    hold_s: float
    ramp_s: float
    open_s: float
    callers: tuple[int, ...]
    cpu_streams: tuple[int, ...]
    memory_streams: tuple[int, ...]
    search_steps: int
    most_streams: int


FULL: Final = Plan(
    call_s=1.5,
    stream_s=4.0,
    hold_s=3.0,
    ramp_s=1.5,
    open_s=6.0,
    callers=(1, 16, 64),
    cpu_streams=(20, 100),
    memory_streams=(100, 400),
    search_steps=6,
    most_streams=1000,
)
QUICK: Final = Plan(
    call_s=0.3,
    stream_s=0.4,
    hold_s=0.4,
    ramp_s=0.2,
    open_s=0.2,
    callers=(1, 16),
    cpu_streams=(20,),
    memory_streams=(20,),
    search_steps=1,
    most_streams=32,
)


class WrongAnswers(Exception):
    """A system lost, doubled or mixed up tokens, or failed requests. The text says the first."""


def memory(system: UnderTest, plan: Plan) -> Figures:
    """Megabytes at rest after the first answer, and the most while slow streams are open."""
    process = system.process
    if process is None:
        return {}
    figures: dict[str, float | None] = {"memory_0": process.memory_mb()}
    for streams in plan.memory_streams:
        ramp_s = 2 * plan.ramp_s
        ask = Ask(callers=streams, seconds=plan.hold_s, ramp_s=ramp_s, tokens=10_000, rate=3.0)
        load, most = start_load(system.target, ask), 0.0
        while load.poll() is None:
            most = max(most, process.memory_mb())
            time.sleep(0.1)
        all_open = finish_load(load).silent <= streams // 20
        figures[f"memory_{streams}"] = most if all_open else None
        process.settle()
    return figures


def calls(system: UnderTest, plan: Plan) -> Figures:
    """Whole answers: requests a second, milliseconds for one, and CPU for each."""
    figures: dict[str, float | None] = {}
    for callers in plan.callers:
        ask = Ask(callers=callers, seconds=plan.call_s, warmup_s=plan.call_s / 5)
        seen, cpu_s = _with_cpu(system, ask)
        figures[f"requests_per_s_{callers}"] = seen.requests_per_s
        if seen.total_ms:
            figures[f"call_p50_{callers}"] = seen.total_ms.p50
            figures[f"call_p99_{callers}"] = seen.total_ms.p99
        if cpu_s is not None and seen.tokens_in_all:
            answers = seen.tokens_in_all / ask.tokens
            figures[f"cpu_ms_per_call_{callers}"] = 1000 * cpu_s / answers
    return figures


def first_token(system: UnderTest, plan: Plan) -> Figures:
    """Milliseconds to the first token, 20 callers of short streams (10 tokens, 0.2 s)."""
    ramp_s = plan.ramp_s / 3
    ask = Ask(callers=20, seconds=plan.stream_s, ramp_s=ramp_s, tokens=10, rate=TOKENS_PER_S)
    times = _checked(system.target, ask).first_token_ms
    return {"first_p50": times.p50, "first_p99": times.p99} if times else {}


def throughput(system: UnderTest, plan: Plan) -> Figures:
    """Tokens a second when the endpoint sends them as fast as they are taken, 16 streams."""
    warmup_s = plan.call_s / 5
    ask = Ask(callers=16, seconds=plan.call_s, warmup_s=warmup_s, tokens=2000, rate=0.0)
    return {"tokens_per_s": _checked(system.target, ask).tokens_per_s}


def cpu(system: UnderTest, plan: Plan) -> Figures:
    """CPU seconds for 100 000 streamed tokens, at so many streams of 50 tokens a second."""
    if system.process is None:
        return {}
    figures: dict[str, float | None] = {}
    for streams in plan.cpu_streams:
        ask = Ask(
            callers=streams,
            seconds=plan.stream_s,
            ramp_s=plan.ramp_s / 2,
            tokens=250,
            rate=TOKENS_PER_S,
        )
        seen, cpu_s = _with_cpu(system, ask)
        if cpu_s is not None and seen.tokens_in_all:
            figures[f"cpu_s_{streams}"] = 100_000 * cpu_s / seen.tokens_in_all
    return figures


def streams_held(system: UnderTest, plan: Plan) -> Figures:
    """The most streams of 50 tokens a second with p99 lag below 100 ms, to about an eighth.

    What opening them all left behind is caught up with before the lag is measured.
    Doubling (or halving) from where the system is expected, then bisection.
    """
    held, failed = 0, None
    streams = min(system.system.first_streams, plan.most_streams)
    for _ in range(plan.search_steps):
        if _holds(system, streams, plan):
            held = streams
        else:
            failed = streams
        if held == plan.most_streams or (failed and failed - held <= max(1, held // 8)):
            break
        if failed is None:
            streams = min(2 * held, plan.most_streams)
        else:
            streams = (held + failed) // 2 if held else max(1, failed // 2)
    return {"streams_held": float(held)}


def _holds(system: UnderTest, streams: int, plan: Plan) -> bool:
    ask = Ask(
        callers=streams,
        seconds=plan.hold_s,
        ramp_s=plan.ramp_s,
        open_s=plan.open_s,
        warmup_s=plan.ramp_s / 2,
        tokens=100_000,
        rate=TOKENS_PER_S,
    )
    seen = run_load(system.target, ask)
    if system.process is not None:
        system.process.settle()
    if seen.failed or seen.wrong or seen.lag_ms is None:
        return False
    # The window's ends cut one token off each stream.
    due = streams * (TOKENS_PER_S * plan.hold_s - 1)
    enough = seen.tokens_per_s * plan.hold_s >= HELD_SHARE * due
    return enough and seen.lag_ms.p99 < HELD_LAG_MS


MEASURES: Final[tuple[tuple[str, Measure], ...]] = (
    # Memory first: what the others leave behind would be counted.
    ("memory", memory),
    # Three times, of which the median is told: a second's weather moves these most, and Node's
    # compiler needs some time for what it is asked often.
    *(("whole answers", calls),) * 3,
    ("first token", first_token),
    ("tokens/s", throughput),
    ("CPU", cpu),
    ("streams held", streams_held),
)


def _with_cpu(system: UnderTest, ask: Ask) -> tuple[Seen, float | None]:
    """What was seen, and the CPU seconds of the system meanwhile."""
    if system.process is None:
        return _checked(system.target, ask), None
    before = system.process.cpu_s()
    seen = _checked(system.target, ask)
    spent_s = system.process.cpu_s() - before
    system.process.settle()
    return seen, spent_s


def _checked(target: Target, ask: Ask) -> Seen:
    """Raises WrongAnswers unless every answer was whole and right."""
    seen = run_load(target, ask)
    if seen.failed or seen.wrong:
        counts = f"{seen.failed} failed, {seen.wrong} wrong"
        raise WrongAnswers(f"{counts}: {seen.first_failure}")
    return seen
