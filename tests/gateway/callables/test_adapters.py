"""Objects of other libraries as models: real packages where they install without a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

import akash_gradio as ag
from akash_gradio.domain.errors import ReplyInterrupted
from akash_gradio.domain.events import ReasoningDelta, Usage
from tests.browser.upstreams import answering
from tests.gateway.callables.test_functions import ask, receipt_of, text_of
from tests.stubs import StubThread


async def test_an_inference_client_streams() -> None:
    with StubThread(answering("It is ", "42.")) as stub:
        client = InferenceClient(base_url=stub.url, api_key="hf_planted", timeout=10)
        events = await ask(ag.Endpoint(client, models=["m"]), temperature=0.5, max_tokens=9)
        sent = stub.chats[-1].json
    assert text_of(events) == "It is 42."
    assert (sent["temperature"], sent["max_tokens"], sent["stream"]) == (0.5, 9, True)
    assert any(isinstance(event, Usage) for event in events)


async def test_a_langchain_chat_model_streams() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("It is forty two.")]))
    events = await ask(ag.Endpoint(model, models=["m"]))
    assert text_of(events) == "It is forty two."


async def test_a_langchain_runnable_streams_without_parameters() -> None:
    runnable: RunnableLambda[Any, str] = RunnableLambda(lambda sent: f"{len(sent)} messages")
    events = await ask(ag.Endpoint(runnable, models=["m"]), temperature=0.5)
    assert text_of(events) == "2 messages"
    assert dict(receipt_of(events).sent) == {}


class Llama:
    """Records the call, and yields chunks as `llama_cpp.Llama` does (0.3, its documentation)."""

    __module__ = "llama_cpp.llama"
    model_path = "/models/tiny.Q4.gguf"

    def __init__(self) -> None:
        self.call: dict[str, Any] = {}

    def create_chat_completion(self, **call: Any) -> Iterator[dict[str, Any]]:
        self.call = call
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "tiny"}
        yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
        for text in ("It is ", "42."):
            yield {**head, "choices": [{"index": 0, "delta": {"content": text}}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}


async def test_a_llama_cpp_model_streams() -> None:
    llama = Llama()
    events = await ask(llama, temperature=0.5, stop=("END",))
    assert text_of(events) == "It is 42."
    assert receipt_of(events).finish == "length"
    assert receipt_of(events).answering_model == "tiny.Q4"
    assert (llama.call["temperature"], llama.call["stop"]) == (0.5, ["END"])


class TextIteratorStreamer:
    """As transformers' one: a queue of texts with an end."""

    def __init__(self, tokenizer: object, **options: Any) -> None:
        self.texts: list[str | None] = []

    def end(self) -> None:
        self.texts.append(None)

    def __iter__(self) -> Iterator[str]:
        while True:
            while not self.texts:
                pass
            text = self.texts.pop(0)
            if text is None:
                return
            yield text


class TextGenerationPipeline:
    """Records the call, and feeds the streamer as transformers' `generate` does."""

    __module__ = "transformers.pipelines.text_generation"
    tokenizer = "the tokenizer"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.call = error, dict[str, Any]()

    def __call__(self, messages: Any, *, streamer: Any, **call: Any) -> None:
        self.call = {"messages": messages, **call}
        for text in ("It is ", "42."):
            streamer.texts.append(text)
        if self.error is not None:
            raise self.error
        streamer.end()


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("transformers")
    module.TextIteratorStreamer = TextIteratorStreamer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", module)


@pytest.mark.usefixtures("transformers")
async def test_a_transformers_pipeline_streams() -> None:
    pipeline = TextGenerationPipeline()
    events = await ask(ag.Endpoint(pipeline, models=["m"]), temperature=0.0, max_tokens=9)
    assert text_of(events) == "It is 42."
    assert pipeline.call["messages"][-1] == {"role": "user", "content": "Hi"}
    assert (pipeline.call["max_new_tokens"], pipeline.call["do_sample"]) == (9, False)
    assert "temperature" not in pipeline.call


@pytest.mark.usefixtures("transformers")
async def test_an_error_inside_a_pipeline_is_not_a_finished_answer() -> None:
    pipeline = TextGenerationPipeline(RuntimeError("out of memory"))
    with pytest.raises(ReplyInterrupted):
        await ask(ag.Endpoint(pipeline, models=["m"]))


async def test_reasoning_of_a_langchain_model_is_reasoning() -> None:
    message = AIMessage("42.", additional_kwargs={"reasoning_content": "Let me see."})

    def reply(messages: Any) -> Iterator[Any]:
        from akash_gradio.gateway.callables.adapters import _langchain_items

        yield from _langchain_items(message)

    events = await ask(reply)
    assert ReasoningDelta("Let me see.") in events
