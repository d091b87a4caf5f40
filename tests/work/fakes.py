"""A pool that runs everything at once, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from akash_gradio.work.pool import WorkPool

Params = ParamSpec("Params")
Result = TypeVar("Result")


class DirectWork(WorkPool):
    """Runs each job when it is submitted; neither limits nor cancels it."""

    async def run(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """See `WorkPool.run`."""
        return function(*args, **kwargs)

    async def run_quickly(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """See `WorkPool.run_quickly`."""
        return function(*args, **kwargs)


WORK = DirectWork()
