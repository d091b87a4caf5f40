"""Runs every measurement and writes bench/results.md (`make bench`).

python -m bench.run [--quick] [--only NAME …] [--rounds N] [--against PATH]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from akash_gradio.http.server import raise_file_limit
from bench import in_process, page, receipt_accuracy
from bench.client import start_upstream, wait_ready
from bench.measures import FULL, MEASURES, QUICK, Plan, WrongAnswers
from bench.processes import DidNotStart
from bench.programs import BUILD, ROOT, NoCompiler
from bench.report import Results, document, tables
from bench.systems import (
    BEFORE,
    SYSTEMS,
    NotInstalled,
    System,
    UnderTest,
    earlier_systems,
    open_system,
)

PARTS: Final = ("in_process", "page", "receipt_accuracy")
QUICK_NAMES: Final = ("direct", "akash_gradio", BEFORE)

FiguresByName = dict[str, dict[str, float | None]]


def main() -> None:
    """Run the chosen measurements, print them, and write them to a file."""
    options = _parse_options()
    raise_file_limit()  # also for the programs that are started
    when, started_at, load = datetime.now(UTC), time.monotonic(), os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is busy (load average {load:.1f}): these figures are not reliable.")
    try:
        results = _measure(options)
    except (NoCompiler, DidNotStart) as error:
        sys.exit(str(error))
    elapsed_s = time.monotonic() - started_at
    print(f"\n{tables(results)}\n")
    complete = not (options.quick or options.only or options.against)
    path = ROOT / "bench" / "results.md" if complete else BUILD / "results.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document(results, when, elapsed_s, load))
    print(f"{elapsed_s:.0f} s; written to {path.relative_to(ROOT)}")


def _parse_options() -> argparse.Namespace:
    names = [*(system.name for system in SYSTEMS), BEFORE, *PARTS]
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="take seconds, to see that everything works",
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--rounds", type=int, default=1, help="repeat the measurements and report the medians"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="PATH",
        help=f"measure another checkout of this project in the same run, as {BEFORE}",
    )
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> Results:
    names = options.only or (QUICK_NAMES if options.quick else None)
    systems = [*SYSTEMS, *earlier_systems(options.against)]
    chosen = [system for system in systems if names is None or system.name in names]
    plan = QUICK if options.quick else FULL
    notes: list[str] = []
    versions: dict[str, str] = {}
    took_s: Counter[str] = Counter()
    with ExitStack() as stack:
        upstream, port = start_upstream()
        stack.callback(upstream.stop)
        gateways = _gateways(chosen, port, plan, options.rounds, versions, notes, took_s)
        readers, pages, errors = {}, {}, {}
        if names is None or "in_process" in names:
            with _timed("in process", took_s):
                readers = in_process.measure(port, plan.stream_s, versions, notes, options.against)
        if names is None or "page" in names:
            with _timed("the page", took_s):
                pages = page.measure(port, plan.stream_s, versions, notes, options.against)
        if names is None or "receipt_accuracy" in names:
            with _timed("receipts", took_s):
                errors = receipt_accuracy.measure(port, notes)
    return Results(
        gateways=gateways,
        readers=readers,
        pages=pages,
        errors=errors,
        import_cpu_s=_import_cpu_s(),
        versions=versions,
        notes=notes,
        took_s=took_s,
    )


@contextmanager
def _timed(part: str, took_s: Counter[str]) -> Iterator[None]:
    """Add the seconds of the block to a part, even if it fails."""
    started_at = time.monotonic()
    try:
        yield
    finally:
        took_s[part] += round(time.monotonic() - started_at)


def _gateways(
    systems: Sequence[System],
    port: int,
    plan: Plan,
    rounds: int,
    versions: dict[str, str],
    notes: list[str],
    took_s: Counter[str],
) -> FiguresByName:
    """Run each measurement for all systems before the next, under the same conditions."""
    with ExitStack() as stack:
        running = []
        for system in systems:
            try:
                with _timed("installing and starting", took_s):
                    opened = open_system(system, port)
            except (NotInstalled, DidNotStart) as error:
                notes.append(f"`{system.name}` could not be measured: {error}")
                print(notes[-1])
                continue
            if opened.process is not None:
                stack.callback(opened.process.stop)
                opened.process.settle()
                opened.process.pause()
            running.append(opened)
            versions[system.name] = f"{system.description}; {opened.version}"
        figures_of: dict[str, list[Mapping[str, float | None]]]
        figures_of = {each.name: [] for each in running}
        for _ in range(rounds):
            for title, measure in MEASURES:
                for opened in running:
                    try:
                        with _timed(title, took_s), _awake(opened):
                            figures = measure(opened, plan)
                    except (WrongAnswers, DidNotStart) as error:
                        notes.append(f"`{opened.name}`, {title}: {error}")
                        print(notes[-1], flush=True)
                        continue
                    figures_of[opened.name].append(figures)
                    print(f"{title:14} {opened.name:16} {_short(figures)}", flush=True)
    return {name: _medians(rows) for name, rows in figures_of.items()}


@contextmanager
def _awake(system: UnderTest) -> Iterator[None]:
    """Let one system run while the others are paused. Raises DidNotStart if it doesn't respond."""
    if system.process is None:
        yield
        return
    system.process.resume()
    try:
        wait_ready(system.process, system.target, within_s=60)
        system.process.settle()
        yield
    finally:
        system.process.settle()
        system.process.pause()


def _medians(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for name in {name: None for row in rows for name in row}:
        values = [value for row in rows if (value := row.get(name)) is not None]
        figures[name] = median(values) if values else None
    return figures


def _short(figures: Mapping[str, float | None]) -> str:
    return "  ".join(
        f"{name} {'–' if value is None else f'{value:.4g}'}" for name, value in figures.items()
    )


def _import_cpu_s() -> float:
    """Return the CPU seconds that `import akash_gradio.gateway` adds to Python's start."""
    return _cpu_of("import akash_gradio.gateway") - _cpu_of("pass")


def _cpu_of(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    after = os.times()
    spent = after.children_user - before.children_user
    return spent + after.children_system - before.children_system


if __name__ == "__main__":
    main()
