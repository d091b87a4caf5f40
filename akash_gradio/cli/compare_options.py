"""What the command line asks of a run."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from akash_gradio.compare.candidates import (
    MAX_STOP_SEQUENCES,
    REASONING_EFFORT_PATTERN,
    Candidate,
    SharedSettings,
    build_lanes,
)
from akash_gradio.compare.checks import Check, CheckKind, fault_of
from akash_gradio.compare.plan import MAX_CALLS, MAX_LANES, MAX_REPEATS, Lane, Plan
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.prompt_set_reader import format_from_name, parse_prompt_set
from akash_gradio.compare.reports.report import ReportFormat
from akash_gradio.compare.runner import CALLS_PER_ENDPOINT


class Refused(Exception):
    """The command can't be carried out; the text says what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the arguments ask for."""

    plan: Plan
    outs: tuple[Path, ...]
    title: str
    per_endpoint: int
    earlier: Path | None
    forecast_only: bool
    again: bool
    retry_failed: bool


def read_arguments(arguments: Sequence[str]) -> Wanted:
    """Raises Refused and PromptSetError; SystemExit where argparse speaks itself."""
    asked = _parser().parse_args(arguments)
    checks = tuple(_check(text) for text in asked.check)
    prompts = tuple(replace(each, checks=(*each.checks, *checks)) for each in _prompts(asked))
    lanes = _lanes(asked)
    plan = Plan(
        prompts=prompts,
        lanes=lanes,
        repeats=asked.repeats,
        seed=asked.seed or 0,
        stream=not asked.no_stream,
    )
    if plan.calls > MAX_CALLS:
        raise Refused(f"That is {plan.calls:,} calls; a run has at most {MAX_CALLS:,}.")
    outs = tuple(asked.out)
    for out in outs:
        if out.suffix[1:].lower() not in set(ReportFormat):
            raise Refused(f"{out}: a report ends in .html, .md, .csv or .json.")
        if not out.absolute().parent.is_dir():
            raise Refused(f"{out.parent}: there is no such folder.")
    return Wanted(
        plan=plan,
        outs=outs,
        title=asked.title or asked.prompts.stem,
        per_endpoint=asked.concurrency,
        earlier=asked.earlier,
        forecast_only=asked.forecast,
        again=asked.again,
        retry_failed=asked.retry_failed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m akash_gradio compare",
        description="Ask several models the prompts of a set, and write a report. "
        "A run that was stopped goes on where it was; nothing is asked twice.",
        epilog="Exit status: 0 all answered and checked, 1 some not, 2 wrong use, 130 stopped.",
    )
    add = parser.add_argument
    add("--models", default="", help="model ids, a comma between them; each is a lane")
    add("--lane", action="append", default=[], metavar="'MODEL NAME=VALUE …'",
        help="a lane with something of its own; may be given several times. Names: "
        f"{', '.join(_OWN)}. Example: 'llama3-8b temperature=0 system=\"Be brief.\"'")  # fmt: skip
    add("--prompts", required=True, type=Path, metavar="FILE",
        help=".csv, .jsonl, .toml, or .txt with a prompt a line")  # fmt: skip
    add("--out", required=True, type=Path, action="append", metavar="FILE",
        help=".html, .md, .csv or .json; may be given several times")  # fmt: skip
    add("--repeats", type=_whole(1, MAX_REPEATS), default=1, help="ask each prompt so often")
    add("--temperature", type=_numbers(0, 2), default=(), metavar="T[,T…]",
        help="several make a lane each, of every model")  # fmt: skip
    add("--top-p", type=_numbers(0, 1), default=(), metavar="P[,P…]", help="the same")
    add("--max-tokens", type=_whole(1, 1_000_000), help="of an answer")
    add("--seed", type=_whole(0, 2**31 - 1),
        help="sent to the endpoints, one more at each repeat; it fixes the order, too")  # fmt: skip
    add("--system", default="", help="system prompt, where the set has none")
    add("--check", action="append", default=[], metavar="KIND[=VALUE]",
        help=f"for every prompt: {', '.join(CheckKind)}")  # fmt: skip
    add("--concurrency", type=_whole(1, 64), default=CALLS_PER_ENDPOINT,
        help=f"calls at a time for each endpoint ({CALLS_PER_ENDPOINT})")  # fmt: skip
    add("--no-stream", action="store_true", help="ask the endpoints for whole answers")
    add("--earlier", type=Path, metavar="FILE.run", help="say what changed since this run")
    add("--forecast", action="store_true", help="say what it would take, and ask nothing")
    add("--again", action="store_true", help="throw away what an earlier start has answered")
    add("--retry-failed", action="store_true", help="ask again what an earlier start was not "
        "answered, and keep the rest")  # fmt: skip
    add("--title", help="of the report")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"write a whole number from {low} to {high}")
        return int(text)

    return read


def _numbers(low: float, high: float) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if not found or not all(low <= number <= high for number in found):
            raise argparse.ArgumentTypeError(f"write numbers from {low:g} to {high:g}")
        return found

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    read = _numbers(low, high)

    def one(text: str) -> float:
        found = read(text)
        if len(found) > 1:
            raise argparse.ArgumentTypeError("write one number")
        return found[0]

    return one


def _stop(text: str) -> tuple[str, ...]:
    if not text:
        raise argparse.ArgumentTypeError("write a text")
    return (text,)


def _effort(text: str) -> str:
    if not REASONING_EFFORT_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError("write a word, as low or high")
    return text


_OWN: Final[dict[str, Callable[[str], Any]]] = {
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
"""What a lane may have of its own → how it is read."""


def _check(text: str) -> Check:
    kind, _, value = text.partition("=")
    if kind not in set(CheckKind):
        raise Refused(f"--check {text}: there are {', '.join(CheckKind)}.")
    check = Check(kind=CheckKind(kind), value=value)
    needs = check.kind in (CheckKind.CONTAINS, CheckKind.REGEX) and not value
    if mend := "write what after =" if needs else fault_of(check):
        raise Refused(f"--check {text}: {mend}.")
    return check


def _prompts(asked: argparse.Namespace) -> tuple[Prompt, ...]:
    path: Path = asked.prompts
    try:
        return parse_prompt_set(path.read_bytes(), format_from_name(path.name))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or type(error).__name__}.") from None


def _lanes(asked: argparse.Namespace) -> tuple[Lane, ...]:
    models = dict.fromkeys(each.strip() for each in asked.models.split(",") if each.strip())
    candidates = (*(Candidate(model=each) for each in models), *map(_candidate, asked.lane))
    common = SharedSettings(
        temperatures=asked.temperature,
        top_ps=asked.top_p,
        max_tokens=asked.max_tokens,
        seed=asked.seed,
        system=asked.system,
    )
    lanes = build_lanes(candidates, common)
    if not 1 <= len(lanes) <= MAX_LANES:
        raise Refused(f"That is {len(lanes)} lanes; a run has 1 to {MAX_LANES}.")
    return lanes


def _candidate(written: str) -> Candidate:
    """From `MODEL NAME=VALUE …`, in a shell's quotes. Raises Refused."""
    try:
        model, *parts = shlex.split(written)
    except ValueError as error:
        mend = str(error) if written.strip() else "name a model"
        raise Refused(f"--lane {written}: {mend}.") from None
    own: dict[str, Any] = {}
    for name, value in (_own(written, part) for part in parts):
        own[name] = (*own.get(name, ()), *value) if name == "stop" else value
    if len(own.get("stop", ())) > MAX_STOP_SEQUENCES:
        raise Refused(f"--lane {written}: stop: write at most {MAX_STOP_SEQUENCES}.")
    return Candidate(model=model, **own)


def _own(written: str, part: str) -> tuple[str, Any]:
    name, mark, value = part.partition("=")
    if name not in _OWN or not mark:
        raise Refused(f"--lane {written}: write NAME=VALUE; the names are {', '.join(_OWN)}.")
    try:
        return name, _OWN[name](value)
    except argparse.ArgumentTypeError as error:
        raise Refused(f"--lane {written}: {name}: {error}.") from None
