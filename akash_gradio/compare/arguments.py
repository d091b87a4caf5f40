"""What the command line asks of a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from akash_gradio.compare.checks import Check, CheckKind, fault_of
from akash_gradio.compare.plan import MOST_CALLS, MOST_LANES, MOST_REPEATS, Lane, Plan
from akash_gradio.compare.prompts import Prompt
from akash_gradio.compare.report import ReportForm
from akash_gradio.compare.run import PER_ENDPOINT
from akash_gradio.compare.set_reading import format_of, read_set
from akash_gradio.domain.chat import Sampling


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


def read_arguments(arguments: Sequence[str]) -> Wanted:
    """Raises Refused and SetRefused; SystemExit where argparse speaks itself."""
    asked = _parser().parse_args(arguments)
    checks = tuple(_check(text) for text in asked.check)
    prompts = tuple(replace(each, checks=(*each.checks, *checks)) for each in _prompts(asked))
    lanes = tuple(_lanes(asked))
    plan = Plan(
        prompts=prompts,
        lanes=lanes,
        repeats=asked.repeats,
        seed=asked.seed or 0,
        stream=not asked.no_stream,
    )
    if plan.calls > MOST_CALLS:
        raise Refused(f"That is {plan.calls:,} calls; a run has at most {MOST_CALLS:,}.")
    outs = tuple(asked.out)
    for out in outs:
        if out.suffix[1:].lower() not in set(ReportForm):
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
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m akash_gradio compare",
        description="Ask several models the prompts of a set, and write a report. "
        "A run that was stopped goes on where it was; nothing is asked twice.",
        epilog="Exit status: 0 all answered and checked, 1 some not, 2 wrong use, 130 stopped.",
    )
    add = parser.add_argument
    add("--models", required=True, help="model ids, a comma between them; each is a lane")
    add("--prompts", required=True, type=Path, metavar="FILE",
        help=".csv, .jsonl, .toml, or .txt with a prompt a line")  # fmt: skip
    add("--out", required=True, type=Path, action="append", metavar="FILE",
        help=".html, .md, .csv or .json; may be given several times")  # fmt: skip
    add("--repeats", type=_whole(1, MOST_REPEATS), default=1, help="ask each prompt so often")
    add("--temperature", type=_numbers(0, 2), default=(None,), metavar="T[,T…]",
        help="several make a lane each")  # fmt: skip
    add("--top-p", type=_numbers(0, 1), default=(None,), metavar="P[,P…]")
    add("--max-tokens", type=_whole(1, 1_000_000), help="of an answer")
    add("--seed", type=_whole(0, 2**31 - 1),
        help="sent to the endpoints, one more at each repeat; it fixes the order, too")  # fmt: skip
    add("--system", default="", help="system prompt, where the set has none")
    add("--check", action="append", default=[], metavar="KIND[=VALUE]",
        help=f"for every prompt: {', '.join(CheckKind)}")  # fmt: skip
    add("--concurrency", type=_whole(1, 64), default=PER_ENDPOINT,
        help=f"calls at a time for each endpoint ({PER_ENDPOINT})")  # fmt: skip
    add("--no-stream", action="store_true", help="ask the endpoints for whole answers")
    add("--earlier", type=Path, metavar="FILE.run", help="say what changed since this run")
    add("--forecast", action="store_true", help="say what it would take, and ask nothing")
    add("--again", action="store_true", help="throw away what an earlier start has answered")
    add("--title", help="of the report")
    return parser


def _whole(low: int, high: int) -> Any:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"write a whole number from {low} to {high}")
        return int(text)

    return read


def _numbers(low: float, high: float) -> Any:
    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if not found or not all(low <= number <= high for number in found):
            raise argparse.ArgumentTypeError(f"write numbers from {low:g} to {high:g}")
        return found

    return read


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
        return read_set(path.read_bytes(), format_of(path.name))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or type(error).__name__}.") from None


def _lanes(asked: argparse.Namespace) -> Iterable[Lane]:
    models = list(dict.fromkeys(each.strip() for each in asked.models.split(",") if each.strip()))
    ways = list(product(models, asked.temperature, asked.top_p))
    if not 1 <= len(ways) <= MOST_LANES:
        raise Refused(f"That is {len(ways)} lanes; a run has 1 to {MOST_LANES}.")
    for model, temperature, top_p in ways:
        own = {"temperature": temperature, "top_p": top_p}
        own |= {"max_tokens": asked.max_tokens, "seed": asked.seed}
        sampling: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        yield Lane(model=model, sampling=Sampling(**sampling), system=asked.system)
