from __future__ import annotations

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.chat import Conversation, Role, Turn
from akash_gradio.domain.events import TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.gateway.codec import ChatCodec
from akash_gradio.gateway.endpoint import Endpoint
from akash_gradio.gateway.passthrough.codec import PassthroughCodec
from akash_gradio.gateway.passthrough.request import RawChunk
from tests.gateway.fakes import chat_request

CARDS = {
    "text": ModelCard(id="text", name="Text"),
    "vision": ModelCard(id="vision", name="Vision", vision=True),
}
MODELS = ("text", "vision", "unknown")


def passthrough_codec(models: frozenset[str] | None = None, **body: object) -> PassthroughCodec:
    messages = [{"role": "user", "content": "What is it?"}, {"role": "user", "content": None}]
    body = {"messages": messages, **body}
    return PassthroughCodec(PassthroughRequest(model="m", body=body, models=models))


def test_a_chat_request_may_use_every_fallback() -> None:
    assert ChatCodec(chat_request()).select_fallbacks(MODELS, CARDS.get) == MODELS
    assert ChatCodec(chat_request(fallback=False)).select_fallbacks(MODELS, CARDS.get) == ()


def test_a_chat_request_with_pictures_uses_only_fallbacks_with_vision() -> None:
    turn = Turn(role=Role.USER, content="", pictures=("data:image/png;base64,AA==",))
    codec = ChatCodec(chat_request(conversation=Conversation(turns=(turn,))))
    assert codec.select_fallbacks(MODELS, CARDS.get) == ("vision",)


def test_a_passthrough_request_uses_only_the_models_that_its_client_may_use() -> None:
    assert passthrough_codec().select_fallbacks(MODELS, CARDS.get) == MODELS
    limited = passthrough_codec(models=frozenset({"m", "unknown"}))
    assert limited.select_fallbacks(MODELS, CARDS.get) == ("unknown",)


def test_the_prompt_estimate_counts_all_texts() -> None:
    system = Conversation(system="1234", turns=(Turn(role=Role.USER, content="What is it?"),))
    assert ChatCodec(chat_request()).estimate_prompt_tokens() == 3 + 4
    assert ChatCodec(chat_request(conversation=system)).estimate_prompt_tokens() == 3 + 1 + 2 * 4
    assert passthrough_codec().estimate_prompt_tokens() == 3 + 4


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_without_stream_expects_a_whole_response(stream: bool) -> None:
    assert passthrough_codec(stream=stream).expects_whole_response is not stream
    assert ChatCodec(chat_request(stream=stream)).expects_whole_response is not stream


def test_the_caller_of_a_passthrough_request_receives_only_bytes() -> None:
    codec = passthrough_codec()
    assert codec.visible_items([RawChunk(b"a")]) == (b"a",)
    assert codec.visible_items([TextDelta("a"), RawChunk(b"a"), RawChunk(b"b")]) == [b"a", b"b"]
    assert ChatCodec(chat_request()).visible_items([TextDelta("a")]) == [TextDelta("a")]


def test_the_model_is_renamed_only_if_the_endpoint_has_another_name_for_it() -> None:
    event = b'data: {"model":"own","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    for model, name in (("m", b"own"), ("mapped", b"mapped")):
        entry = EndpointSettings(
            name="a", url="http://a.test/v1", models=("m",), model_map={"mapped": "own"}
        )
        codec = passthrough_codec(stream=True)
        reader = codec.reader_factory(Endpoint(entry), model)("a", None)
        data = b"".join(codec.visible_items(reader.feed(event)))
        assert b'"model":"%b"' % name in data
