"""From one question to several lanes, and what the page shows of each."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import partial

from akash_gradio.compare.lanes import LaneRunner
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UnknownModel
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.web.errors import error_view
from akash_gradio.web.reply_view import CostOf, NameOf, PageEvent, free, reply

logger = logging.getLogger(__name__)

Reply = Callable[[ChatRequest], AsyncGenerator[PageEvent, None]]


class Races:
    """The comparisons that run in this process, by the id that the page gave each. Live state."""

    def __init__(self) -> None:
        self._running: dict[str, LaneRunner[PageEvent]] = {}

    @contextmanager
    def running(self, run: str, race: LaneRunner[PageEvent]) -> Iterator[None]:
        """The race can be found while this is held. An id that is in use stays with its race."""
        kept = self._running.setdefault(run, race)
        try:
            yield
        finally:
            if kept is race:
                del self._running[run]

    def stop(self, run: str, letter: str) -> bool:
        """End one lane. False when there is no such run here, or the lane has ended."""
        race = self._running.get(run)
        return race is not None and race.stop(letter)


async def compare(
    run: str,
    lanes: Mapping[str, ChatRequest],
    answerer: ChatGateway,
    races: Races,
    *,
    withheld: Callable[[str], bool] = lambda _model: False,
    name_of: NameOf = str,
    cost_of: CostOf = free,
) -> AsyncGenerator[PageEvent, None]:
    """The events of each lane as `reply` tells them, with the lane's letter as `lane`.

    A lane's last event is of type `done`, or `stopped` when it was stopped. Closing this
    closes every lane.
    """

    def runner(request: ChatRequest) -> AsyncGenerator[PageEvent, None]:
        if withheld(request.model):
            return _unknown(request.model)
        return reply(request, answerer, name_of=name_of, cost_of=cost_of)

    race = LaneRunner({letter: partial(runner, request) for letter, request in lanes.items()})
    done: set[str] = set()
    with races.running(run, race):
        async with aclosing(race.events()) as events:
            async for letter, event in events:
                if event is None:
                    if letter not in done:
                        yield {"lane": letter, "type": "stopped"}
                    continue
                if event["type"] == "done":
                    done.add(letter)
                yield {"lane": letter, **event}


async def _unknown(model: str) -> AsyncGenerator[PageEvent, None]:
    """A lane whose model isn't for visitors says so; the others go on."""
    error = error_view(UnknownModel(model[:300]), model[:300])
    yield {"type": "done", "receipt": None, "thought_s": None, "error": error}
