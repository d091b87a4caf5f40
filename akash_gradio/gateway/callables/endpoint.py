"""The settings of an endpoint that is a Python function."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import ConfigDict, PrivateAttr

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.gateway.callables.function import ModelFunction

MAX_THREADS = 32
"""Default for `max_concurrency` of a function that runs in threads."""


class FunctionEndpoint(EndpointSettings):
    """A Python function as an endpoint; everything else is as for an HTTP endpoint.

    Attributes:
        function: What is called.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    function: ModelFunction
    _running: int = PrivateAttr(0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def create(cls, function: ModelFunction, model: str, **fields: Any) -> FunctionEndpoint:
        """Create the endpoint.

        Args:
            function: What is called.
            model: The id of its model.
            fields: Fields of `EndpointSettings`.

        Raises:
            ValidationError: A field is invalid.
        """
        if not function.is_async:
            fields.setdefault("max_concurrency", MAX_THREADS)
        fields.setdefault("models", (model,))
        return cls(url="http://function.invalid", function=function, **fields)

    @property
    def has_address(self) -> bool:
        """False: it is called in this process."""
        return False

    def accepts_parameter(self, name: str) -> bool:
        """Return whether a sampling parameter is passed to the function."""
        return self.function.accepts(name)

    @property
    def running_calls(self) -> int:
        """Calls that still run, stopped ones included: a thread ends only at its next yield."""
        return self._running

    def begin_call(self) -> None:
        """Count a call that starts."""
        with self._lock:
            self._running += 1

    def end_call(self) -> None:
        """Count a call that has ended."""
        with self._lock:
            self._running -= 1
