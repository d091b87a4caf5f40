"""A prompt set from the command line: `python -m akash_gradio compare --models a,b …`."""

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
from akash_gradio.cli.compare_options import Refused, Wanted, read_arguments
from akash_gradio.compare.forecast import Forecast, forecast
from akash_gradio.compare.journal import Journal, JournalError
from akash_gradio.compare.plan import Plan
from akash_gradio.compare.prompt_set import PromptSetError
from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.reports.report import Report, ReportFormat, write_report
from akash_gradio.compare.run_diff import changes
from akash_gradio.compare.runner import Progress, Run, RunState
from akash_gradio.compare.votes.store import VotesUnavailable, open_vote_store
from akash_gradio.config.settings import Settings, read_settings
from akash_gradio.formatting import format_cost, format_duration
from akash_gradio.logs import configure_logging
from akash_gradio.markdown.renderer import render

ALL_GOOD: Final = 0
SOME_FAILED: Final = 1
"""A call has no whole answer, or an answer fails a check."""
WRONG_USE: Final = 2
STOPPED: Final = 130
"""As a shell reports Ctrl-C."""
TELL_EVERY_S: Final = 2.0


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a set and write its report. arguments: what follows `compare`."""
    settings = read_settings(environment)
    configure_logging(settings)
    if not settings.debug:  # the report has a receipt for each call
        logging.getLogger("akash_gradio").setLevel(logging.WARNING)
    try:
        wanted = read_arguments(arguments)
        service = create_app(settings, page=False, environment=environment)
        for problem in service.problems:
            _say(f"Configuration: {problem}")
        return asyncio.run(_carry_out(wanted, service, settings))
    except (Refused, PromptSetError, JournalError) as error:
        for line in _lines_of(error):
            _say(line)
        return WRONG_USE


def _lines_of(error: Exception) -> Iterable[str]:
    if isinstance(error, PromptSetError):
        return [f"The prompt set: {mistake}" for mistake in error.problems]
    if isinstance(error, JournalError):
        said = {
            "busy": "another run is at work on it",
            "not_ours": "it is no record of a run",
            "missing": "there is no such file",
        }
        return [f"{error.path}: {said.get(error.reason, error.reason)}"]
    return [str(error)]


# ── what is done ─────────────────────────────────────────────────────────────


async def _carry_out(wanted: Wanted, service: App, settings: Settings) -> int:
    async with service.lifespan():
        await service.gateway.discover()
        _check_models(wanted.plan, service)
        if wanted.forecast_only:
            _tell_forecast(_forecast(wanted, service, ()), wanted.plan)
            return ALL_GOOD
        with closing(_journal(wanted)) as journal:
            if wanted.retry_failed:
                _say(f"Asked again: {_counted(journal.forget_failed(), 'failed call')}.")
            known = journal.outcomes()
            if known:
                _say(f"{len(known):,} of {wanted.plan.calls:,} calls are answered already.")
            _tell_forecast(_forecast(wanted, service, known), wanted.plan)
            run = Run(
                journal, service.gateway, service.catalog.get, per_endpoint=wanted.per_endpoint
            )
            state = await _run(run)
            await _write(wanted, journal, service, settings)
            return _ended(wanted, journal, state)


def _check_models(plan: Plan, service: App) -> None:
    """Before a run a model that nobody serves is a slip of the pen; during one it is a row."""
    served = {m.id for each in service.gateway.endpoints() for m in each.models or ()}
    undiscovered = any(each.models is None for each in service.gateway.endpoints())
    for model in dict.fromkeys(lane.model for lane in plan.lanes):
        if model not in served and not undiscovered:
            known = ", ".join(sorted(served)[:20]) or "no endpoint serves any"
            raise Refused(f"No endpoint serves the model {model!r}. There are: {known}.")
    names = [each.alias for each in service.gateway.endpoints()]
    for pinned in dict.fromkeys(lane.endpoint for lane in plan.lanes if lane.endpoint):
        if pinned not in names:
            raise Refused(f"There is no endpoint {pinned!r}. There are: {', '.join(names)}.")


def _forecast(wanted: Wanted, service: App, known: Iterable[int]) -> Forecast:
    return forecast(
        wanted.plan,
        service.catalog.get,
        service.gateway.endpoints(),
        per_endpoint=wanted.per_endpoint,
        known=frozenset(known),
    )


def _tell_forecast(told: Forecast, plan: Plan) -> None:
    lanes = "; ".join(plan.labels)
    _say(f"{len(plan.prompts):,} prompts × {len(plan.lanes)} lanes × {plan.repeats}: {lanes}")
    parts = [
        f"{told.calls:,} calls",
        f"about {told.tokens_in:,} tokens in and {told.tokens_out:,} out",
        f"about {format_duration(told.duration_s)}",
    ]
    if told.cost is not None:
        parts.insert(2, format_cost(told.cost))
    _say(f"Forecast: {', '.join(parts)}.")
    if told.unpriced:
        _say(f"No price is known of {', '.join(told.unpriced)}.")


def record_of(out: Path) -> Path:
    """The file beside the first report in which a run is kept until it is whole, and after."""
    return out.with_suffix(".run")


def _journal(wanted: Wanted) -> Journal:
    path = record_of(wanted.outs[0])
    if wanted.again:
        path.unlink(missing_ok=True)
    if not path.exists():
        return Journal.create(path, wanted.plan)
    journal = Journal.open(path)
    if journal.plan != wanted.plan:
        journal.close()
        raise Refused(f"{path} is the record of another run. Name another --out, or say --again.")
    return journal


async def _run(run: Run) -> RunState:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, run.stop)
    loop.add_signal_handler(signal.SIGTERM, run.stop)
    try:
        async with _progress_told(run):
            return await run.run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


@asynccontextmanager
async def _progress_told(run: Run) -> AsyncIterator[None]:
    """On a terminal one line that changes, elsewhere a line now and then."""
    alive = sys.stderr.isatty()

    async def tell() -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S / 4 if alive else TELL_EVERY_S)
            sys.stderr.write(f"\r\x1b[K{_shown(run.progress)}" if alive else "")
            if not alive:
                _say(_shown(run.progress))
            sys.stderr.flush()

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        _say(("\r\x1b[K" if alive else "") + _shown(run.progress))


def _shown(progress: Progress) -> str:
    parts = [f"{progress.done:,} of {progress.total:,}"]
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    if progress.remaining_s:
        parts.append(f"about {format_duration(progress.remaining_s)} left")
    return ", ".join(parts)


async def _write(wanted: Wanted, journal: Journal, service: App, settings: Settings) -> None:
    cards = {lane.model: service.catalog.get(lane.model) for lane in wanted.plan.lanes}
    report = Report(
        title=wanted.title,
        plan=wanted.plan,
        get_row=journal.row,
        created_at=datetime.now(UTC),
        names={model: card.name for model, card in cards.items() if card is not None},
        ranking=await _ranking(wanted.plan, settings),
        render=render,
    )
    for out in wanted.outs:
        form = ReportFormat(out.suffix[1:].lower())
        draft = out.with_name(f"{out.name}.part")
        with draft.open("w", encoding="utf-8", newline="") as into:
            into.writelines(write_report(report, form))
        draft.replace(out)
        _say(f"Written: {out}")


async def _ranking(plan: Plan, settings: Settings) -> Ranking | None:
    """Of the votes between these lanes, where votes are kept here."""
    store = open_vote_store(settings)
    if store is None:
        return None
    try:
        votes = [vote for vote in await store.all() if {vote.a, vote.b} <= plan.vote_labels]
    except VotesUnavailable as error:
        _say(f"The votes are left out: {error}.")
        return None
    return rank(votes) if votes else None


def _ended(wanted: Wanted, journal: Journal, state: RunState) -> int:
    if wanted.earlier is not None:
        _tell_changes(wanted, journal)
    if state is not RunState.DONE:
        _say("Stopped. The same command goes on from here.")
        return STOPPED
    unmet, reasons = 0, Counter[str]()
    for row in journal.rows():
        unmet += row.ok and not row.passed
        if not row.ok:
            reasons[row.said] += 1
    if unmet:
        _say(f"{_counted(unmet, 'answer')} failed a check.")
    for said, times in reasons.most_common(3):
        _say(f"{_counted(times, 'time')}: {said}")
    if reasons:
        _say("The same command with --retry-failed asks these again.")
    return SOME_FAILED if unmet or reasons else ALL_GOOD


def _tell_changes(wanted: Wanted, journal: Journal) -> None:
    assert wanted.earlier is not None
    with closing(Journal.open(wanted.earlier)) as earlier:
        found = list(changes(earlier.plan, earlier.row, journal.plan, journal.row))
    _say(f"{_counted(len(found), 'cell')} changed since {wanted.earlier.name}.")
    for each in found:
        repeat = f", repeat {each.repeat + 1}" if wanted.plan.repeats > 1 else ""
        sys.stdout.write(f"{each.prompt}, {each.lane}{repeat}: {', '.join(each.what)}\n")


def _counted(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
