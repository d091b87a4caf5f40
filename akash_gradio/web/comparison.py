"""Sends one prompt to several lanes and yields the page's events of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import partial

from akash_gradio.compare.lanes import LaneRunner
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.errors import UnknownModel
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.web.errors import error_view
from akash_gradio.web.reply import AnswerCost, DisplayName, PageEvent, no_cost, reply
from akash_gradio.work.pool import WorkPool


class RunningComparisons:
    """The comparisons that this process runs, by the ids that the page gave them."""

    def __init__(self) -> None:
        self._runners: dict[str, LaneRunner[PageEvent]] = {}

    @contextmanager
    def register(self, run: str, runner: LaneRunner[PageEvent]) -> Iterator[None]:
        """Register a comparison for the duration of the context, so that its lanes can be stopped.

        An id that is in use stays with its first comparison.
        """
        registered = self._runners.setdefault(run, runner)
        try:
            yield
        finally:
            if registered is runner:
                del self._runners[run]

    def stop(self, run: str, letter: str) -> bool:
        """Stop one lane. Return False if it doesn't run here, or has ended."""
        runner = self._runners.get(run)
        return runner is not None and runner.stop(letter)


async def compare(
    run: str,
    lanes: Mapping[str, ChatRequest],
    gateway: ChatGateway,
    work: WorkPool,
    running: RunningComparisons,
    *,
    is_withheld: Callable[[str], bool] = lambda _model: False,
    display_name: DisplayName = str,
    answer_cost: AnswerCost = no_cost,
) -> AsyncGenerator[PageEvent, None]:
    """Yield the events of `reply` for every lane, each with the lane's letter as `lane`.

    A lane's last event has the type `done`, or `stopped` if it was stopped. Closing the generator
    closes every lane.

    Args:
        run: The id of the comparison, with which a lane can be stopped.
        lanes: The request of each lane by its letter.
        gateway: Answers the requests.
        work: Renders what takes long.
        running: Where the comparison is registered.
        is_withheld: Whether a model is hidden from visitors; its lane ends with an error.
        display_name: See `DisplayName`.
        answer_cost: See `AnswerCost`.
    """

    def start_lane(request: ChatRequest) -> AsyncGenerator[PageEvent, None]:
        if is_withheld(request.model):
            return _unknown_model(request.model)
        return reply(request, gateway, work, display_name=display_name, answer_cost=answer_cost)

    runner = LaneRunner({letter: partial(start_lane, request) for letter, request in lanes.items()})
    done: set[str] = set()
    with running.register(run, runner):
        async with aclosing(runner.events()) as events:
            async for letter, event in events:
                if event is None:
                    if letter not in done:
                        yield {"lane": letter, "type": "stopped"}
                    continue
                if event["type"] == "done":
                    done.add(letter)
                yield {"lane": letter, **event}


async def _unknown_model(model: str) -> AsyncGenerator[PageEvent, None]:
    error = error_view(UnknownModel(model), model)
    yield {"type": "done", "receipt": None, "thought_s": None, "error": error}
