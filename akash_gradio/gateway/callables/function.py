"""Inspects a Python function that generates answers: its parameters, and whether it is async."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from akash_gradio.gateway.callables.adapters import OPENAI_PARAMETERS, adapt_object
from akash_gradio.gateway.callables.cumulative import cumulative_to_deltas, to_history

Messages: TypeAlias = Sequence[Mapping[str, Any]]
"""OpenAI's `messages`: dicts with `role` and `content`."""

PARAMETERS: Final = (*OPENAI_PARAMETERS, "model", "reasoning_effort")
"""What is passed to a function whose signature has a parameter of that name."""
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_FIELDS_NOT_PASSED: Final = frozenset({"messages", "stream", "stream_options"})


class UnusableFunction(ValueError):
    """A function can't be used as a model; the message says why and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFunction:
    """A function that generates answers.

    Attributes:
        name: The function's name, for errors and as the default id of its model.
        call: Called with the messages and the accepted parameters.
        is_async: Whether it runs on the event loop instead of in a thread.
        accepted: The names of the parameters that are passed; None passes every field of the
            request body.
    """

    name: str
    call: Callable[..., Any]
    is_async: bool
    accepted: frozenset[str] | None

    def arguments(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments for a request body; what it doesn't set isn't passed."""
        return {
            name: value
            for name, value in body.items()
            if name not in _FIELDS_NOT_PASSED and self.accepts(name)
        }

    def accepts(self, name: str) -> bool:
        """Return whether a parameter of this name is passed on."""
        return self.accepted is None or name in self.accepted


def inspect_function(target: object) -> ModelFunction:
    """Return how a function, or an object that an adapter knows, is called.

    Args:
        target: A function or generator function, sync or async, whose first parameter receives
            the messages; a function of `gr.ChatInterface`, whose first two parameters are
            `message` and `history`; or an object of `adapters`.

    Raises:
        UnusableFunction: It can't be called with messages.
    """
    adapted = adapt_object(target)
    if adapted is not None:
        return ModelFunction(
            name=adapted.name, call=adapted.call, is_async=False, accepted=adapted.accepted
        )
    if not callable(target):
        raise UnusableFunction(
            f"{type(target).__name__} is neither a URL nor a function that generates text"
        )
    name = _name(target)
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        raise UnusableFunction(
            f"{name} has no signature; wrap it: `def reply(messages): return {name}(…)`"
        ) from None
    if hasattr(target, "zerogpu") and _is_async(inspect.unwrap(target)):
        raise UnusableFunction(
            f"{name}() is async, which @spaces.GPU can't run in its worker; write `def {name}`"
        )
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    takes_rest = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    if not positional and not takes_rest:
        raise UnusableFunction(
            f"{name}() takes no messages; give it a first parameter: `def {name}(messages)`"
        )
    is_chat_interface = [p.name for p in positional[:2]] == ["message", "history"]
    own = positional[2:] if is_chat_interface else positional[1:]
    own += [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for parameter in own:
        if parameter.name not in PARAMETERS and parameter.default is inspect.Parameter.empty:
            raise UnusableFunction(
                f"{name}() needs a value for {parameter.name!r}, which no request has; give it "
                f"a default (passed by name: {', '.join(PARAMETERS)})"
            )
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    required = [p.name for p in own if p.default is inspect.Parameter.empty]
    call = _with_missing_parameters(target, required)
    if is_chat_interface:
        call = _with_history(call)
    return ModelFunction(
        name=name,
        call=call,
        is_async=_is_async(target),
        accepted=None if takes_all else frozenset(p.name for p in own) & set(PARAMETERS),
    )


def _name(target: object) -> str:
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__name__", "") or type(target).__name__
    return "model" if name == "<lambda>" else str(name)


def _is_async(target: object) -> bool:
    while isinstance(target, functools.partial):
        target = target.func
    candidates = [target]
    if not inspect.isroutine(target):
        candidates.append(getattr(target, "__call__", None))  # noqa: B004 the method itself
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate)
        for candidate in candidates
    )


def _with_missing_parameters(
    target: Callable[..., Any], required: Sequence[str]
) -> Callable[..., Any]:
    """Pass None for parameters without a default that a request doesn't set."""
    if not required:
        return target

    def call(*args: Any, **parameters: Any) -> Any:
        return target(*args, **{**dict.fromkeys(required), **parameters})

    return call


def _with_history(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function of `gr.ChatInterface`, which yields the whole text so far each time."""

    def call(messages: Messages, **parameters: Any) -> Any:
        message, history = to_history(messages)
        return cumulative_to_deltas(function(message, history, **parameters))

    return call
