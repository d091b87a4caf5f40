"""Makes functions of other libraries' objects, recognized by their class, without importing them.

Supported: transformers' text-generation pipeline, `llama_cpp.Llama`,
`huggingface_hub.InferenceClient`, and LangChain's chat models and runnables.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OPENAI_PARAMETERS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "response_format",
)
"""What every server and library of the OpenAI protocol accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """An object as a function of messages.

    Attributes:
        name: A default id for its model.
        call: Called with the messages and the accepted parameters; returns an iterator.
        accepted: The parameters that it accepts.
    """

    name: str
    call: Callable[..., Iterator[Any]]
    accepted: frozenset[str]


def adapt_object(target: Any) -> Adapted | None:
    """Return a known library's object as a function, None for anything else."""
    classes = {(cls.__module__.split(".")[0], cls.__name__) for cls in type(target).__mro__}
    if ("transformers", "TextGenerationPipeline") in classes:
        return _pipeline(target)
    if ("llama_cpp", "Llama") in classes:
        return _llama_cpp(target)
    if ("huggingface_hub", "InferenceClient") in classes:
        return _inference_client(target)
    if ("langchain_core", "Runnable") in classes:
        return _runnable(target)
    return None


def _pipeline(pipeline: Any) -> Adapted:
    from importlib import import_module

    streamer_class = import_module("transformers").TextIteratorStreamer
    names = {"max_tokens": "max_new_tokens", "temperature": "temperature", "top_p": "top_p"}

    def call(messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Iterator[str]:
        stop = parameters.pop("stop", None)
        seed = parameters.pop("seed", None)
        options = {names[name]: value for name, value in parameters.items()}
        if "temperature" in options:
            options["do_sample"] = options["temperature"] > 0
            if not options["do_sample"]:
                del options["temperature"]
        if stop:
            options |= {
                "stop_strings": [stop] if isinstance(stop, str) else list(stop),
                "tokenizer": pipeline.tokenizer,
            }
        if seed is not None:
            import_module("transformers").set_seed(seed)
        streamer = streamer_class(
            pipeline.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=None
        )
        failures: list[BaseException] = []
        stopped = threading.Event()

        def generate() -> None:
            try:
                pipeline(
                    [dict(message) for message in messages],
                    streamer=streamer,
                    return_full_text=False,
                    stopping_criteria=[lambda *_args, **_options: stopped.is_set()],
                    **options,
                )
            except BaseException as error:  # raised again in the reader's thread
                failures.append(error)
                streamer.end()

        thread = threading.Thread(target=generate, name="pipeline", daemon=True)
        thread.start()
        try:
            yield from streamer
        finally:
            stopped.set()
            thread.join()
        if failures:
            raise failures[0]

    model = getattr(getattr(pipeline, "model", None), "name_or_path", "") or "transformers"
    return Adapted(name=str(model), call=call, accepted=frozenset({*names, "stop", "seed"}))


def _llama_cpp(llama: Any) -> Adapted:
    def call(messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Iterator[Any]:
        chunks = llama.create_chat_completion(messages=list(messages), stream=True, **parameters)
        yield from chunks

    path = str(getattr(llama, "model_path", "") or "llama.cpp")
    name = path.replace("\\", "/").rpartition("/")[2].removesuffix(".gguf")
    return Adapted(name=name, call=call, accepted=frozenset(OPENAI_PARAMETERS))


def _inference_client(client: Any) -> Adapted:
    def call(messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Iterator[Any]:
        yield from client.chat_completion(messages=list(messages), stream=True, **parameters)

    return Adapted(
        name=str(getattr(client, "model", None) or "inference-client"),
        call=call,
        accepted=frozenset(OPENAI_PARAMETERS),
    )


def _runnable(runnable: Any) -> Adapted:
    """LangChain: a chat model takes parameters, any other runnable only messages."""
    is_chat_model = hasattr(runnable, "bind_tools")

    def call(messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Iterator[Any]:
        bound = runnable.bind(**parameters) if parameters else runnable
        for chunk in bound.stream([dict(message) for message in messages]):
            yield from _langchain_items(chunk)

    name = getattr(runnable, "model_name", None) or getattr(runnable, "model", None)
    accepted = frozenset({"temperature", "top_p", "max_tokens", "seed", "stop"})
    return Adapted(
        name=str(name or type(runnable).__name__),
        call=call,
        accepted=accepted if is_chat_model else frozenset(),
    )


def _langchain_items(chunk: Any) -> Iterator[Any]:
    if isinstance(chunk, str):
        yield chunk
        return
    content = getattr(chunk, "content", None)
    reasoning = getattr(chunk, "additional_kwargs", {}).get("reasoning_content")
    if reasoning:
        yield {"reasoning": reasoning}
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, Mapping) else part
        if isinstance(text, str) and text:
            yield text
    if calls := getattr(chunk, "tool_call_chunks", None):
        yield {"tool_calls": [dict(call) for call in calls]}
    if usage := getattr(chunk, "usage_metadata", None):
        yield {
            "usage": {
                "prompt_tokens": usage.get("input_tokens"),
                "completion_tokens": usage.get("output_tokens"),
            }
        }
