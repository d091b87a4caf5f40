"""The measurements of each system. A figure is a named number, None if the measurement failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.client import Load, LoadResult, Target, finish_load, run_load, start_load
from bench.systems import UnderTest

TOKENS_PER_S: Final = 50.0
"""The rate of one stream, similar to what a person receives."""
HELD_LAG_MS: Final = 100.0
HELD_SHARE: Final = 0.95
"""The share of the expected tokens below which streams aren't held, however low the lag."""

Figures = Mapping[str, float | None]
Measure = Callable[[UnderTest, "Plan"], Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The length of each measurement, in seconds, and the extent of the search."""

    call_s: float
    stream_s: float
    hold_s: float
    ramp_s: float
    open_s: float
    callers: tuple[int, ...]
    cpu_streams: tuple[int, ...]
    memory_streams: tuple[int, ...]
    search_steps: int
    max_streams: int


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
    max_streams=4000,
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
    max_streams=32,
)


class WrongAnswers(Exception):
    """A system lost, doubled or mixed up tokens, or failed requests. The message has the first."""


def memory(system: UnderTest, plan: Plan) -> Figures:
    """Measure the megabytes when idle after the first response, and the most with open streams."""
    process = system.process
    if process is None:
        return {}
    figures: dict[str, float | None] = {"memory_0": process.memory_mb()}
    for streams in plan.memory_streams:
        ramp_s = 2 * plan.ramp_s
        load = Load(callers=streams, seconds=plan.hold_s, ramp_s=ramp_s, tokens=10_000, rate=3.0)
        client, most = start_load(system.target, load), 0.0
        while client.poll() is None:
            most = max(most, process.memory_mb())
            time.sleep(0.1)
        all_open = finish_load(client).silent <= streams // 20
        figures[f"memory_{streams}"] = most if all_open else None
        process.settle()
    return figures


def calls(system: UnderTest, plan: Plan) -> Figures:
    """Measure whole responses: requests per second, milliseconds and CPU of each."""
    figures: dict[str, float | None] = {}
    for callers in plan.callers:
        load = Load(callers=callers, seconds=plan.call_s, warmup_s=plan.call_s / 5)
        result, cpu_s = _with_cpu(system, load)
        figures[f"requests_per_s_{callers}"] = result.requests_per_s
        if result.total_ms:
            figures[f"call_p50_{callers}"] = result.total_ms.p50
            figures[f"call_p99_{callers}"] = result.total_ms.p99
        if cpu_s is not None and result.total_tokens:
            answers = result.total_tokens / load.tokens
            figures[f"cpu_ms_per_call_{callers}"] = 1000 * cpu_s / answers
    return figures


def first_token(system: UnderTest, plan: Plan) -> Figures:
    """Measure the milliseconds to the first token: 20 short streams (10 tokens, 0.2 s)."""
    ramp_s = plan.ramp_s / 3
    load = Load(callers=20, seconds=plan.stream_s, ramp_s=ramp_s, tokens=10, rate=TOKENS_PER_S)
    times = _checked(system.target, load).first_token_ms
    return {"first_p50": times.p50, "first_p99": times.p99} if times else {}


def throughput(system: UnderTest, plan: Plan) -> Figures:
    """Measure tokens per second if the endpoint sends as fast as possible: 16 streams."""
    warmup_s = plan.call_s / 5
    load = Load(callers=16, seconds=plan.call_s, warmup_s=warmup_s, tokens=2000, rate=0.0)
    return {"tokens_per_s": _checked(system.target, load).tokens_per_s}


def cpu(system: UnderTest, plan: Plan) -> Figures:
    """Measure the CPU seconds of 100 000 tokens, in streams of 50 tokens per second."""
    if system.process is None:
        return {}
    figures: dict[str, float | None] = {}
    for streams in plan.cpu_streams:
        load = Load(
            callers=streams,
            seconds=plan.stream_s,
            ramp_s=plan.ramp_s / 2,
            tokens=250,
            rate=TOKENS_PER_S,
        )
        result, cpu_s = _with_cpu(system, load)
        if cpu_s is not None and result.total_tokens:
            figures[f"cpu_s_{streams}"] = 100_000 * cpu_s / result.total_tokens
    return figures


def streams_held(system: UnderTest, plan: Plan) -> Figures:
    """Find the most streams of 50 tokens per second with a p99 lag below 100 ms, within an eighth.

    The search doubles or halves from the expected number, then bisects. The backlog of
    opening the streams is worked off before the lag is measured.
    """
    held, failed = 0, None
    streams = min(system.system.first_streams, plan.max_streams)
    for _ in range(plan.search_steps):
        if _holds(system, streams, plan):
            held = streams
        else:
            failed = streams
        if held == plan.max_streams or (failed and failed - held <= max(1, held // 8)):
            break
        if failed is None:
            streams = min(2 * held, plan.max_streams)
        else:
            streams = (held + failed) // 2 if held else max(1, failed // 2)
    return {"streams_held": float(held)}


def _holds(system: UnderTest, streams: int, plan: Plan) -> bool:
    load = Load(
        callers=streams,
        seconds=plan.hold_s,
        ramp_s=plan.ramp_s,
        open_s=plan.open_s,
        warmup_s=plan.ramp_s / 2,
        tokens=100_000,
        rate=TOKENS_PER_S,
    )
    result = run_load(system.target, load)
    if system.process is not None:
        system.process.settle()
    if result.failed or result.wrong or result.lag_ms is None:
        return False
    # The window cuts one token off each stream.
    expected = streams * (TOKENS_PER_S * plan.hold_s - 1)
    enough = result.tokens_per_s * plan.hold_s >= HELD_SHARE * expected
    return enough and result.lag_ms.p99 < HELD_LAG_MS


MEASURES: Final[tuple[tuple[str, Measure], ...]] = (
    # Memory first: the other measurements would leave some of theirs behind.
    ("memory", memory),
    # Three times, of which the median is reported: they vary most, and Node's compiler needs
    # some time to optimize.
    *(("whole answers", calls),) * 3,
    ("first token", first_token),
    ("tokens/s", throughput),
    ("CPU", cpu),
    ("streams held", streams_held),
)


def _with_cpu(system: UnderTest, load: Load) -> tuple[LoadResult, float | None]:
    """Return the result, and the CPU seconds of the system meanwhile."""
    if system.process is None:
        return _checked(system.target, load), None
    before = system.process.cpu_s()
    result = _checked(system.target, load)
    spent_s = system.process.cpu_s() - before
    system.process.settle()
    return result, spent_s


def _checked(target: Target, load: Load) -> LoadResult:
    """Run a load. Raises WrongAnswers unless every answer was complete and right."""
    result = run_load(target, load)
    if result.failed or result.wrong:
        counts = f"{result.failed} failed, {result.wrong} wrong"
        raise WrongAnswers(f"{counts}: {result.first_failure}")
    return result
