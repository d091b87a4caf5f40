from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.chat import ChatRequest, Conversation, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import RequestRefused
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway.payload import Payload, build_payload

ENTRY = EndpointSettings(name="a", url="http://a.test")
CARD = ModelCard(id="m", name="M", temperature=0.6, top_p=0.95)


def payload_for(
    request: ChatRequest | None = None, entry: EndpointSettings = ENTRY, **fields: Any
) -> Payload:
    return build_payload(
        request or request_with(), **{"model": "m", "card": CARD, "entry": entry, **fields}
    )


def request_with(**fields: Any) -> ChatRequest:
    conversation = Conversation(turns=(Turn(role=Role.USER, content="Hi"),))
    return ChatRequest(**{"model": "m", "conversation": conversation, **fields})


def body(payload: Payload) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(payload.body)
    return value


def test_sends_the_conversation_oldest_first_without_its_reasoning() -> None:
    conversation = Conversation(
        system="Be brief.",
        turns=(
            Turn(role=Role.USER, content="1+1?"),
            Turn(role=Role.ASSISTANT, content="2", reasoning="secret thoughts"),
            Turn(role=Role.USER, content="So?"),
        ),
    )
    assert body(payload_for(request_with(conversation=conversation))) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "So?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.6,
        "top_p": 0.95,
    }


def test_a_custom_value_is_sent_and_zero_is_one() -> None:
    custom = Sampling(temperature=0, top_p=0.0, max_tokens=5, seed=0, stop=("a", "b"))
    payload = payload_for(request_with(sampling=custom))
    expected = {"temperature": 0, "top_p": 0.0, "max_tokens": 5, "seed": 0}
    assert dict(payload.sent) == {**expected, "stop": ("a", "b")}
    assert body(payload) | {"stop": ["a", "b"], **expected} == body(payload)


def test_the_model_default_is_sent_where_there_is_one() -> None:
    assert payload_for(card=ModelCard(id="m", name="M", top_p=0.5)).sent == {"top_p": 0.5}
    assert payload_for(card=None).sent == {}


def test_the_provider_default_sends_nothing() -> None:
    sampling = Sampling(temperature=Default.ENDPOINT, top_p=Default.ENDPOINT)
    assert payload_for(request_with(sampling=sampling)).sent == {}


@given(st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_that_is_not_finite_is_left_out(number: float) -> None:
    sampling = Sampling(temperature=number, top_p=Default.ENDPOINT, stop=())
    assert payload_for(request_with(sampling=sampling)).sent == {}


def test_extra_is_sent_unchanged_but_never_replaces_model_messages_or_stream() -> None:
    extra = {"tools": [{"x": 1}], "model": "evil", "messages": [], "stream": False, "top_k": 40}
    payload = payload_for(request_with(extra=extra))
    sent = body(payload)
    assert (sent["tools"], sent["top_k"], sent["model"]) == ([{"x": 1}], 40, "m")
    assert sent["stream"] is True
    assert sent["messages"]
    assert dict(payload.sent) == {"top_k": 40, "temperature": 0.6, "top_p": 0.95}


def test_extra_overrides_the_catalog_and_custom_values_override_extra() -> None:
    extra = {"temperature": 1.5, "seed": 1}
    assert payload_for(request_with(extra=extra)).sent["temperature"] == 1.5
    custom = request_with(extra=extra, sampling=Sampling(temperature=0.2, top_p=Default.ENDPOINT))
    assert dict(payload_for(custom).sent) == {"temperature": 0.2, "seed": 1}


def test_usage_is_requested_with_other_stream_options_and_only_in_streams() -> None:
    extra = {"stream_options": {"chunk": 2}}
    assert body(payload_for(request_with(extra=extra)))["stream_options"] == {
        "chunk": 2,
        "include_usage": True,
    }
    assert "stream_options" not in body(payload_for(request_with(extra=extra, stream=False)))
    assert "stream_options" not in body(payload_for(ask_usage=False))


def test_the_endpoints_own_id_is_requested() -> None:
    entry = ENTRY.model_copy(update={"model_map": {"m": "org/m"}})
    assert body(payload_for(entry=entry))["model"] == "org/m"
    assert body(payload_for(entry=entry, model="n"))["model"] == "n"


def test_an_extra_that_json_cannot_represent_is_refused() -> None:
    with pytest.raises(RequestRefused):
        payload_for(request_with(extra={"x": [math.nan]}))


@given(st.text(st.characters(), max_size=50))
def test_any_text_is_sent_as_utf_8(text: str) -> None:
    conversation = Conversation(turns=(Turn(role=Role.USER, content=text),))
    sent = body(payload_for(request_with(conversation=conversation)))["messages"][0]["content"]
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert sent == text


def test_half_a_character_does_not_break_the_request() -> None:
    conversation = Conversation(turns=(Turn(role=Role.USER, content="a\ud83d b"),))
    assert (
        body(payload_for(request_with(conversation=conversation)))["messages"][0]["content"]
        == "a\ufffd b"
    )


def test_pictures_are_sent_as_parts_before_the_text() -> None:
    url = "data:image/jpeg;base64,AAAA"
    conversation = Conversation(
        turns=(
            Turn(role=Role.USER, content="What?", pictures=(url,)),
            Turn(role=Role.ASSISTANT, content="A dot."),
            Turn(role=Role.USER, content="", pictures=(url, url)),
        )
    )
    picture = {"type": "image_url", "image_url": {"url": url}}
    assert [
        message["content"]
        for message in body(payload_for(request_with(conversation=conversation)))["messages"]
    ] == [
        [picture, {"type": "text", "text": "What?"}],
        "A dot.",
        [picture, picture],
    ]


def test_all_defaults_of_the_catalog_are_sent() -> None:
    card = ModelCard(id="m", name="M", max_tokens=9, stop=("END",), presence_penalty=0.5, seed=0)
    sent = payload_for(card=card).sent
    assert sent == {"max_tokens": 9, "stop": ("END",), "presence_penalty": 0.5, "seed": 0}
    effort = payload_for(request_with(sampling=Sampling(reasoning_effort="high")), card=card)
    assert body(effort)["reasoning_effort"] == "high"
