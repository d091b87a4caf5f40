"""`make bench`: every measurement, system after system, and bench/results.md.

python -m bench.run [--quick] [--only NAME …] [--rounds N]
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
from statistics import median
from typing import Final

from bench import in_process, page, true_measures
from bench.client import start_upstream, wait_ready
from bench.measures import FULL, MEASURES, QUICK, Plan, WrongAnswers
from bench.processes import DidNotStart
from bench.programs import BUILD, ROOT, NoCompiler
from bench.report import Results, document, tables
from bench.systems import SYSTEMS, NotInstalled, System, UnderTest, open_system

PARTS: Final = ("in_process", "page", "true_measures")
QUICK_NAMES: Final = ("direct", "bare_asgi", "akash_gradio")

Found = dict[str, dict[str, float | None]]


def main() -> None:
    """Measure what was asked, print it, and write it down when it was everything."""
    asked = _read_options()
    when, began, load = datetime.now(UTC), time.monotonic(), os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is busy (load average {load:.1f}): these figures will say little.")
    try:
        results = _measure(asked)
    except (NoCompiler, DidNotStart) as error:
        sys.exit(str(error))
    took_s = time.monotonic() - began
    print(f"\n{tables(results)}\n")
    whole = not asked.quick and not asked.only
    place = ROOT / "bench" / "results.md" if whole else BUILD / "results.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(document(results, when, took_s, load))
    print(f"{took_s:.0f} s; written to {place.relative_to(ROOT)}")


def _read_options() -> argparse.Namespace:
    names = [*(system.name for system in SYSTEMS), *PARTS]
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds; shows that all works")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many is told")
    return parser.parse_args()


def _measure(asked: argparse.Namespace) -> Results:
    names = asked.only or (QUICK_NAMES if asked.quick else None)
    chosen = [system for system in SYSTEMS if names is None or system.name in names]
    plan = QUICK if asked.quick else FULL
    notes: list[str] = []
    versions: dict[str, str] = {}
    took_s: Counter[str] = Counter()
    with ExitStack() as stack:
        upstream, port = start_upstream()
        stack.callback(upstream.stop)
        gateways = _gateways(chosen, port, plan, asked.rounds, versions, notes, took_s)
        readers, pages, errors = {}, {}, {}
        if names is None or "in_process" in names:
            with _timed("in process", took_s):
                readers = in_process.measure(port, plan.stream_s, versions, notes)
        if names is None or "page" in names:
            with _timed("the page", took_s):
                pages = page.measure(port, plan.stream_s, versions, notes)
        if names is None or "true_measures" in names:
            with _timed("receipts", took_s):
                errors = true_measures.measure(port, notes)
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
    """Adds its seconds, in which nothing need succeed."""
    began = time.monotonic()
    try:
        yield
    finally:
        took_s[part] += round(time.monotonic() - began)


def _gateways(
    systems: Sequence[System],
    port: int,
    plan: Plan,
    rounds: int,
    versions: dict[str, str],
    notes: list[str],
    took_s: Counter[str],
) -> Found:
    """Each measurement over all the systems before the next, so that all have the same weather."""
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
            versions[system.name] = f"{system.says}; {opened.version}"
        heard: dict[str, list[Mapping[str, float | None]]] = {one.name: [] for one in running}
        for _ in range(rounds):
            for title, measure in MEASURES:
                for one in running:
                    try:
                        with _timed(title, took_s), _awake(one):
                            figures = measure(one, plan)
                    except (WrongAnswers, DidNotStart) as error:
                        notes.append(f"`{one.name}`, {title}: {error}")
                        print(notes[-1], flush=True)
                        continue
                    heard[one.name].append(figures)
                    print(f"{title:14} {one.name:16} {_short(figures)}", flush=True)
    return {name: _medians(rows) for name, rows in heard.items()}


@contextmanager
def _awake(system: UnderTest) -> Iterator[None]:
    """It runs and answers, all others are stopped. Raises DidNotStart when it answers no more."""
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
    """CPU seconds that `import akash_gradio.gateway` adds to Python's own start."""
    return _cpu_of("import akash_gradio.gateway") - _cpu_of("pass")


def _cpu_of(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    after = os.times()
    spent = after.children_user - before.children_user
    return spent + after.children_system - before.children_system


if __name__ == "__main__":
    main()
