"""The command `compare`: runs a prompt set and writes reports."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from akash_gradio.app import App, create_app
from akash_gradio.cli.compare_options import Options, parse_arguments
from akash_gradio.cli.errors import EXIT_FAILED, EXIT_USAGE, CommandError, error_message
from akash_gradio.compare.forecast import Forecast, forecast
from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.prompt_set import PromptSetError
from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.reports.factory import write_report
from akash_gradio.compare.reports.report import Report, ReportFormat
from akash_gradio.compare.run_diff import diff_runs
from akash_gradio.compare.runner import Progress, Runner, RunState
from akash_gradio.compare.votes.factory import open_vote_store
from akash_gradio.compare.votes.store import VotesUnavailable
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.formatting import format_cost, format_duration
from akash_gradio.logs import configure_logging
from akash_gradio.markdown.renderer import render

EXIT_STOPPED: Final = 130
"""The run was stopped. A shell reports the same status after Ctrl-C."""
PROGRESS_INTERVAL_S: Final = 2.0


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a prompt set and write its report.

    Args:
        arguments: The command line after `compare`.
        environment: The environment variables.

    Returns:
        The exit status: 0 if all calls were answered and all checks passed, EXIT_FAILED if not,
        EXIT_USAGE or EXIT_STOPPED.
    """
    settings = read_settings(environment)
    configure_logging(settings)
    if not settings.debug:  # the reports contain what is logged at INFO, the receipts
        logging.getLogger("akash_gradio").setLevel(logging.WARNING)
    try:
        options = parse_arguments(arguments)
        app = create_app(settings, page=False, environment=environment)
        for problem in app.problems:
            _print(f"Configuration: {problem}")
        return asyncio.run(_execute(options, app))
    except (CommandError, PromptSetError, JournalError) as error:
        _print(error_message(error))
        return EXIT_USAGE


# ── the run ──────────────────────────────────────────────────────────────────


async def _execute(options: Options, app: App) -> int:
    async with app.lifespan():
        await app.gateway.discover()
        _check_lanes(options.plan, app)
        if options.forecast_only:
            _print_forecast(_forecast(options, app, ()), options.plan)
            return 0
        with closing(_open_journal(options)) as journal:
            if options.retry_failed:
                _print(f"Retrying {_count(journal.delete_failed(), 'failed call')}.")
            known = journal.outcomes()
            if known:
                _print(f"{len(known):,} of {options.plan.calls:,} calls are already done.")
            _print_forecast(_forecast(options, app, known), options.plan)
            state = await _run(
                Runner(journal, app.gateway, app.catalog.get, per_endpoint=options.per_endpoint)
            )
            await _write_reports(options, journal, app)
            return _summarize(options, journal, state)


def _check_lanes(plan: Plan, app: App) -> None:
    """Reject unknown models and endpoints, which would make every call of their lanes fail."""
    endpoints = app.gateway.endpoints()
    served = {model.id for endpoint in endpoints for model in endpoint.models or ()}
    undiscovered = any(endpoint.models is None for endpoint in endpoints)
    for model in dict.fromkeys(lane.model for lane in plan.lanes):
        if model not in served and not undiscovered:
            available = ", ".join(sorted(served)[:20]) or "none"
            raise CommandError("model_not_served", model=model, available=available)
    aliases = [endpoint.alias for endpoint in endpoints]
    for alias in dict.fromkeys(lane.endpoint for lane in plan.lanes if lane.endpoint):
        if alias not in aliases:
            raise CommandError("endpoint_not_found", endpoint=alias, available=", ".join(aliases))


def _forecast(options: Options, app: App, known: Iterable[int]) -> Forecast:
    return forecast(
        options.plan,
        app.catalog.get,
        app.gateway.endpoints(),
        per_endpoint=options.per_endpoint,
        known=frozenset(known),
    )


def _print_forecast(estimate: Forecast, plan: Plan) -> None:
    lanes = "; ".join(plan.labels)
    _print(f"{len(plan.prompts):,} prompts × {len(plan.lanes)} lanes × {plan.repeats}: {lanes}")
    parts = [
        f"{estimate.calls:,} calls",
        f"about {estimate.tokens_in:,} tokens in and {estimate.tokens_out:,} out",
        f"about {format_duration(estimate.duration_s)}",
    ]
    if estimate.cost is not None:
        parts.insert(2, format_cost(estimate.cost))
    _print(f"Forecast: {', '.join(parts)}.")
    if estimate.unpriced:
        _print(f"No prices for {', '.join(estimate.unpriced)}.")


def run_file(report_path: Path) -> Path:
    """Return the path of the run file: beside the first report, with the extension `.run`."""
    return report_path.with_suffix(".run")


def _open_journal(options: Options) -> Journal:
    path = run_file(options.report_paths[0])
    if options.again:
        path.unlink(missing_ok=True)
    if not path.exists():
        return Journal.create(path, options.plan)
    journal = Journal.open(path)
    if journal.plan != options.plan:
        journal.close()
        raise CommandError("other_run", path=path)
    return journal


async def _run(runner: Runner) -> RunState:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, runner.stop)
    loop.add_signal_handler(signal.SIGTERM, runner.stop)
    try:
        async with _progress_shown(runner):
            return await runner.run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


@asynccontextmanager
async def _progress_shown(runner: Runner) -> AsyncIterator[None]:
    """Show the progress: on a terminal in one line, otherwise as a new line at intervals."""
    is_terminal = sys.stderr.isatty()
    start_of_line, end = ("\r\x1b[K", "") if is_terminal else ("", "\n")

    async def show() -> None:
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S / 4 if is_terminal else PROGRESS_INTERVAL_S)
            text = _progress_text(runner.progress)
            sys.stderr.write(f"{start_of_line}{text}{end}")
            sys.stderr.flush()

    showing = asyncio.create_task(show())
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        _print(start_of_line + _progress_text(runner.progress))


def _progress_text(progress: Progress) -> str:
    parts = [f"{progress.done:,} of {progress.total:,}"]
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    if progress.remaining_s:
        parts.append(f"about {format_duration(progress.remaining_s)} left")
    return ", ".join(parts)


# ── the results ──────────────────────────────────────────────────────────────


async def _write_reports(options: Options, journal: Journal, app: App) -> None:
    cards = {lane.model: app.catalog.get(lane.model) for lane in options.plan.lanes}
    report = Report(
        title=options.title,
        plan=options.plan,
        get_row=journal.row,
        created_at=datetime.now(UTC),
        names={model: card.name for model, card in cards.items() if card is not None},
        ranking=await _ranking(options.plan, app.settings),
        render=render,
    )
    for path in options.report_paths:
        report_format = ReportFormat(path.suffix[1:].lower())
        draft = path.with_name(f"{path.name}.part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.writelines(write_report(report, report_format))
        draft.replace(path)
        _print(f"Wrote {path}")


async def _ranking(plan: Plan, settings: Settings) -> Ranking | None:
    """Rank the stored votes between these lanes."""
    store = open_vote_store(settings)
    if store is None:
        return None
    try:
        votes = [vote for vote in await store.all() if {vote.a, vote.b} <= plan.vote_labels]
    except VotesUnavailable as error:
        _print(error_message(error))
        return None
    return rank(votes) if votes else None


def _summarize(options: Options, journal: Journal, state: RunState) -> int:
    """Print what changed and what failed, and return the exit status."""
    if options.earlier is not None:
        _print_changes(options.earlier, journal)
    if state is not RunState.DONE:
        _print("Stopped. Run the same command again to continue.")
        return EXIT_STOPPED
    failed_checks, errors = 0, Counter[str]()
    for row in journal.rows():
        failed_checks += row.ok and not row.passed
        if not row.ok:
            errors[row.error] += 1
    if failed_checks:
        _print(f"{_count(failed_checks, 'answer')} failed a check.")
    for error, times in errors.most_common(3):
        _print(f"{_count(times, 'call')} failed: {error}")
    if errors:
        _print("To retry these, run the same command with --retry-failed.")
    return EXIT_FAILED if failed_checks or errors else 0


def _print_changes(path: Path, journal: Journal) -> None:
    with closing(Journal.open(path)) as earlier:
        changed = list(diff_runs(earlier.plan, earlier.row, journal.plan, journal.row))
    _print(f"{_count(len(changed), 'cell')} changed since {path.name}.")
    for change in changed:
        repeat = f", repeat {change.repeat + 1}" if journal.plan.repeats > 1 else ""
        sys.stdout.write(f"{change.prompt}, {change.lane}{repeat}: {', '.join(change.kinds)}\n")


def _count(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def _print(line: str) -> None:
    """Print to standard error; standard output is for the changes alone."""
    sys.stderr.write(f"{line}\n")
