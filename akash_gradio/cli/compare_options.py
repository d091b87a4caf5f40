"""The options of `akash-gradio compare`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from akash_gradio.cli.errors import CommandError
from akash_gradio.compare.checks import Check, CheckKind, check_problem
from akash_gradio.compare.lane_builder import (
    MAX_STOP_SEQUENCES,
    REASONING_EFFORT_PATTERN,
    Candidate,
    SharedSettings,
    build_lanes,
)
from akash_gradio.compare.plan import MAX_CALLS, MAX_LANES, MAX_REPEATS, Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.prompt_set_reader import format_from_name, parse_prompt_set
from akash_gradio.compare.reports.report import ReportFormat
from akash_gradio.compare.runner import CALLS_PER_ENDPOINT


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parsed command line.

    Attributes:
        plan: The plan of the run.
        report_paths: The reports to write, at least one.
        title: Heading of the reports.
        per_endpoint: Concurrent calls per endpoint.
        earlier: The run to compare with.
        forecast_only: Whether to print only the forecast.
        again: Whether to discard the answers of an earlier start.
        retry_failed: Whether to repeat the failed calls of an earlier start.
    """

    plan: Plan
    report_paths: tuple[Path, ...]
    title: str
    per_endpoint: int
    earlier: Path | None
    forecast_only: bool
    again: bool
    retry_failed: bool


def parse_arguments(arguments: Sequence[str]) -> Options:
    """Parse the command line.

    Raises:
        CommandError: The options can't be used together.
        PromptSetError: The prompt set can't be used.
        SystemExit: argparse reported an invalid option.
    """
    parsed = _parser().parse_args(arguments)
    checks = tuple(_check(text) for text in parsed.check)
    prompts = tuple(
        replace(prompt, checks=(*prompt.checks, *checks)) for prompt in _prompts(parsed.prompts)
    )
    plan = Plan(
        prompts=prompts,
        lanes=_lanes(parsed),
        repeats=parsed.repeats,
        seed=parsed.seed or 0,
        stream=not parsed.no_stream,
    )
    if plan.calls > MAX_CALLS:
        raise CommandError("too_many_calls", calls=plan.calls, limit=MAX_CALLS)
    report_paths = tuple(parsed.out)
    for path in report_paths:
        if path.suffix[1:].lower() not in set(ReportFormat):
            raise CommandError("report_format", path=path)
        if not path.absolute().parent.is_dir():
            raise CommandError("folder_not_found", path=path.parent)
    return Options(
        plan=plan,
        report_paths=report_paths,
        title=parsed.title or parsed.prompts.stem,
        per_endpoint=parsed.concurrency,
        earlier=parsed.earlier,
        forecast_only=parsed.forecast,
        again=parsed.again,
        retry_failed=parsed.retry_failed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="akash-gradio compare",
        description="Send the prompts of a set to several models and write a report. The same "
        "command continues a run that was stopped, without repeating completed calls.",
        epilog="Exit status: 0 all calls answered and all checks passed, 1 a call or a check "
        "failed, 2 wrong usage, 130 stopped.",
    )
    add = parser.add_argument
    add("--models", default="", help="comma-separated model ids; each is a lane")
    add("--lane", action="append", default=[], metavar="'MODEL NAME=VALUE …'",
        help="a lane with its own settings; repeatable. Names: "
        f"{', '.join(_LANE_SETTINGS)}. "
        "Example: 'llama3-8b temperature=0 system=\"Be brief.\"'")  # fmt: skip
    add("--prompts", required=True, type=Path, metavar="FILE",
        help=".csv, .jsonl, .toml, or .txt with one prompt per line")  # fmt: skip
    add("--out", required=True, type=Path, action="append", metavar="FILE",
        help=".html, .md, .csv or .json; repeatable")  # fmt: skip
    add("--repeats", type=_whole(1, MAX_REPEATS), default=1,
        help="how often to send each prompt (default: 1)")  # fmt: skip
    add("--temperature", type=_numbers(0, 2), default=(), metavar="T[,T…]",
        help="for lanes without their own; one lane is created per value")  # fmt: skip
    add("--top-p", type=_numbers(0, 1), default=(), metavar="P[,P…]",
        help="for lanes without their own; one lane is created per value")  # fmt: skip
    add(
        "--max-tokens",
        type=_whole(1, 1_000_000),
        help="maximum answer length, for lanes without their own",
    )
    add("--seed", type=_whole(0, 2**31 - 1),
        help="sent to the endpoints, incremented by 1 at each repeat; also determines the "
        "order of the calls")  # fmt: skip
    add("--system", default="", help="system prompt for prompts without their own")
    add("--check", action="append", default=[], metavar="KIND[=VALUE]",
        help=f"check every answer; repeatable. Kinds: {', '.join(CheckKind)}")  # fmt: skip
    add("--concurrency", type=_whole(1, 64), default=CALLS_PER_ENDPOINT,
        help=f"concurrent calls per endpoint (default: {CALLS_PER_ENDPOINT})")  # fmt: skip
    add("--no-stream", action="store_true", help="request complete answers instead of streams")
    add("--earlier", type=Path, metavar="FILE.run", help="compare with an earlier run")
    add("--forecast", action="store_true", help="print the forecast without sending anything")
    add("--again", action="store_true", help="discard the answers of an earlier start")
    add("--retry-failed", action="store_true",
        help="repeat the failed calls of an earlier start and keep the rest")  # fmt: skip
    add("--title", help="heading of the report (default: the name of the prompt set)")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"enter a whole number from {low} to {high}")
        return int(text)

    return parse


def _numbers(low: float, high: float) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in text.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(low <= number <= high for number in numbers):
            raise argparse.ArgumentTypeError(f"enter numbers from {low:g} to {high:g}")
        return numbers

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    parse_numbers = _numbers(low, high)

    def parse(text: str) -> float:
        numbers = parse_numbers(text)
        if len(numbers) > 1:
            raise argparse.ArgumentTypeError("enter one number")
        return numbers[0]

    return parse


def _stop(text: str) -> tuple[str, ...]:
    if not text:
        raise argparse.ArgumentTypeError("enter a text")
    return (text,)


def _effort(text: str) -> str:
    if not REASONING_EFFORT_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError("enter a word such as low or high")
    return text


_LANE_SETTINGS: Final[dict[str, Callable[[str], Any]]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "max_tokens": _whole(1, 1_000_000),
    "seed": _whole(0, 2**31 - 1),
    "stop": _stop,
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "reasoning_effort": _effort,
    "system": str,
    "endpoint": str,
}
"""Name of a lane's setting → its parser."""


def _check(text: str) -> Check:
    kind, _, value = text.partition("=")
    if kind not in set(CheckKind):
        raise CommandError("invalid_check", text=text, problem=f"use {', '.join(CheckKind)}")
    check = Check(kind=CheckKind(kind), value=value)
    lacks_value = check.kind in (CheckKind.CONTAINS, CheckKind.REGEX) and not value
    if problem := "enter a value after =" if lacks_value else check_problem(check):
        raise CommandError("invalid_check", text=text, problem=problem)
    return check


def _prompts(path: Path) -> tuple[Prompt, ...]:
    try:
        return parse_prompt_set(path.read_bytes(), format_from_name(path.name))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError("file_not_read", path=path, reason=reason) from None


def _lanes(parsed: argparse.Namespace) -> tuple[Lane, ...]:
    models = dict.fromkeys(part.strip() for part in parsed.models.split(",") if part.strip())
    candidates = (*(Candidate(model=each) for each in models), *map(_candidate, parsed.lane))
    shared = SharedSettings(
        temperatures=parsed.temperature,
        top_ps=parsed.top_p,
        max_tokens=parsed.max_tokens,
        seed=parsed.seed,
        system=parsed.system,
    )
    lanes = build_lanes(candidates, shared)
    if not 1 <= len(lanes) <= MAX_LANES:
        raise CommandError("lane_count", lanes=len(lanes), limit=MAX_LANES)
    return lanes


def _candidate(text: str) -> Candidate:
    """Parse `MODEL NAME=VALUE …`, quoted as in a shell."""
    try:
        model, *parts = shlex.split(text)
    except ValueError as error:
        problem = str(error).rstrip(".") if text.strip() else "name a model"
        raise CommandError("invalid_lane", text=text, problem=problem) from None
    settings: dict[str, Any] = {}
    for name, value in (_lane_setting(text, part) for part in parts):
        settings[name] = (*settings.get(name, ()), *value) if name == "stop" else value
    if len(settings.get("stop", ())) > MAX_STOP_SEQUENCES:
        problem = f"stop: enter at most {MAX_STOP_SEQUENCES}"
        raise CommandError("invalid_lane", text=text, problem=problem)
    return Candidate(model=model, **settings)


def _lane_setting(text: str, part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if name not in _LANE_SETTINGS or not equals:
        problem = f"write NAME=VALUE; the names are {', '.join(_LANE_SETTINGS)}"
        raise CommandError("invalid_lane", text=text, problem=problem)
    try:
        return name, _LANE_SETTINGS[name](value)
    except argparse.ArgumentTypeError as error:
        raise CommandError("invalid_lane", text=text, problem=f"{name}: {error}") from None
