"""An endpoint that repeats the headers of a request shows their secrets to no visitor."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.known_secrets import REMOVED
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway import Gateway, PassthroughRequest, open_gateway
from akash_gradio.logs import build_log_handler
from tests.gateway.fakes import (
    DONE,
    Clock,
    FakeReply,
    FakeTransport,
    chat_request,
    collect,
    delta,
    entry_for,
    event,
    json_reply,
    make_settings,
    text_of,
)

KEY = "sk-proj-4Fz9Qm2Lk8Vb7Xc1Nd5"
HEADERS = {
    "Authorization-Copy": "Basic " + base64.b64encode(b"anna.lena7:pass-w0rd/9").decode(),
    "Cookie": "theme=dark; session=c00kie5ession",
    "X-Title": "Akash Chat",
}
MODEL_HEADER = "m0del-header-77aa"
SECRETS = (KEY, "anna.lena7", "pass-w0rd/9", "c00kie5ession", MODEL_HEADER)
ENCODERS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    html.escape,
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: text[:-2],
    lambda text: text[2:],
)


def make_gateway(reply: FakeReply) -> Gateway:
    transport = FakeTransport()
    transport.defaults["e"] = reply
    transport.model_lists["e"] = reply
    entry = entry_for("e", apiKey=KEY, customHeaders=HEADERS)
    card = ModelCard(id="m", name="M", custom_headers={"X-Model": MODEL_HEADER})
    variables = {"RETRY_ATTEMPTS": 0}
    return open_gateway(
        make_settings(entry, **variables),
        {"m": card}.get,
        transport=transport,
        clock=(clock := Clock()),
        sleep=clock.sleep,
    )


class Client:
    """A sink that accepts every write."""

    def __init__(self) -> None:
        self.data = b""

    def try_write(self, data: bytes) -> bool:
        self.data += data
        return True


async def shown_on_the_page(reply: FakeReply) -> str:
    """Return everything that a visitor may see of an answer or of its error."""
    events: list[Any] = []
    try:
        await collect(make_gateway(reply), chat_request(), events)
    except AkashGradioError as error:
        cause = getattr(error, "cause", None)
        facts = [error.facts, getattr(cause, "facts", None), error.receipt]
        return f"{text_of(events)} {events} {facts}"
    return f"{text_of(events)} {events}"


async def shown_at_v1(reply: FakeReply, *, stream: bool) -> str:
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
    client = Client()
    request = PassthroughRequest(model="m", body=body, sink=client if stream else None)
    shown: list[Any] = []
    try:
        async with aclosing(make_gateway(reply).passthrough(request)) as items:
            async for item in items:
                if isinstance(item, bytes):
                    client.data += item
                else:
                    shown.append(item)
    except AkashGradioError as error:
        cause = getattr(error, "cause", None)
        shown += [error.facts, getattr(cause, "facts", None), error.receipt]
    return f"{client.data.decode()} {answer_text(client.data)} {shown}"


def answer_text(data: bytes) -> str:
    """Return the text of a stream as a client puts it together."""
    texts = []
    for line in data.splitlines():
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:]).get("choices", []):
                change = choice.get("delta", {})
                texts.append(change.get("content") or "")
                texts.append(change.get("reasoning_content") or "")
                calls = change.get("tool_calls") or ()
                texts.extend(call["function"].get("arguments") or "" for call in calls)
    return "".join(texts)


async def shown_everywhere(reply: FakeReply) -> str:
    return " ".join(
        [
            await shown_on_the_page(reply),
            await shown_at_v1(reply, stream=True),
            await shown_at_v1(reply, stream=False),
        ]
    )


def tool_call(arguments: str, name: str = "f") -> bytes:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": function}])


def whole(**fields: Any) -> FakeReply:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hi"},
        "finish_reason": "stop",
    }
    return json_reply({"id": "up", "choices": [choice], **fields})


def streamed(*events: bytes) -> FakeReply:
    return FakeReply(parts=(delta("Hello"), *events, delta(finish="stop"), DONE))


PLACES: dict[str, Callable[[str], FakeReply]] = {
    "text": lambda s: streamed(delta(f"you sent {s}.")),
    "first text": lambda s: FakeReply(parts=(delta(s), delta(finish="stop"), DONE)),
    "divided text": lambda s: streamed(*(delta(s[i : i + 3]) for i in range(0, len(s), 3))),
    "divided reasoning": lambda s: streamed(
        *(delta(reasoning_content=s[i : i + 2]) for i in range(0, len(s), 2))
    ),
    "divided arguments": lambda s: streamed(
        *(tool_call(s[i : i + 4]) for i in range(0, len(s), 4))
    ),
    "a packet of several events": lambda s: streamed(
        b"".join(delta(s[i : i + 5]) for i in range(0, len(s), 5))
    ),
    "name of a tool": lambda s: streamed(tool_call("{}", s)),
    "id": lambda s: streamed(event(id=s, choices=[{"index": 0, "delta": {"content": "x"}}])),
    "fingerprint": lambda s: streamed(
        event(system_fingerprint=s, choices=[{"index": 0, "delta": {"content": "x"}}])
    ),
    "model": lambda s: streamed(event(model=s, choices=[{"index": 0, "delta": {"content": "x"}}])),
    "another field": lambda s: streamed(
        event(extra={s: [s]}, choices=[{"index": 0, "delta": {"content": "x"}}])
    ),
    "finish reason": lambda s: FakeReply(parts=(delta("x"), delta(finish=s), DONE)),
    "whole text": lambda s: whole(
        choices=[{"index": 0, "message": {"content": f"it is {s}"}, "finish_reason": "stop"}]
    ),
    "id of a whole answer": lambda s: whole(id=s, system_fingerprint=s, model=s),
    "error": lambda s: json_reply({"error": {"message": f"bad {s}", "code": s, "param": s}}, 400),
    "error of the key": lambda s: json_reply({"error": {"message": s, "type": s}}, 401),
    "error of the server": lambda s: json_reply({"detail": [s]}, 500),
    "HTML": lambda s: FakeReply(parts=(f"<p>{s}</p>".encode(),), status=403),
    "error in a stream": lambda s: streamed(event(error={"message": f"bad {s}", "code": s})),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("secret", SECRETS)
async def test_no_secret_is_shown_wherever_an_endpoint_repeats_it(
    place: Callable[[str], FakeReply], secret: str
) -> None:
    for encode in ENCODERS:
        written = encode(secret)
        shown = await shown_everywhere(place(written))
        assert secret not in shown
        for start in range(len(written) - 11):
            assert written[start : start + 12] not in shown, (written, shown)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), max_size=10),
    st.lists(st.sampled_from(["a word ", "sk-", "Lk8", " ", "x" * 9]), max_size=8),
    st.booleans(),
)
async def test_a_key_is_removed_however_the_stream_is_divided(
    cuts: Sequence[int], words: Sequence[str], together: bool
) -> None:
    text = "".join([*words, " ", KEY, " ", *words])
    ends = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    events = [delta(text[a:b]) for a, b in pairwise(ends)]
    reply = streamed(b"".join(events)) if together else streamed(*events)
    for shown in (
        text_of(await collect(make_gateway(reply), chat_request())),
        await shown_at_v1(reply, stream=True),
    ):
        assert KEY[:12] not in shown  # its first 8 characters could be words
        assert KEY[-8:] not in shown
        assert REMOVED in shown


async def test_an_answer_without_secrets_is_passed_on_byte_for_byte() -> None:
    words = ("The key", " is sk-", 'proj and "quoted"', " \u00e9t\u00e9", " Akash Chat", "\n")
    events = [*(delta(word) for word in words), tool_call('{"a": "b"}'), delta(reasoning="hm")]
    reply = FakeReply(parts=(delta("Hello"), *events, delta(finish="stop"), DONE))
    client = Client()
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    request = PassthroughRequest(model="m", body=body, sink=client)
    async with aclosing(make_gateway(reply).passthrough(request)) as items:
        async for item in items:
            if isinstance(item, bytes):
                client.data += item
    for part in events:
        assert part in client.data


async def test_the_choices_of_a_stream_are_searched_apart() -> None:
    events = []
    for position in range(0, len(KEY), 4):
        for index in (0, 1):
            change = {"content": KEY[position : position + 4] if index else "word "}
            events.append(event(choices=[{"index": index, "delta": change}]))
    for reply in (streamed(*events), streamed(b"".join(events))):
        shown = await shown_at_v1(reply, stream=True)
        texts: dict[int, str] = {0: "", 1: ""}
        for line in shown.splitlines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:].partition("} Hello")[0])["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content") or ""
        assert KEY[:12] not in texts[1]
        assert KEY[-8:] not in texts[1]


async def test_a_model_list_shows_no_secret() -> None:
    reply = json_reply({"data": [{"id": "m"}, {"id": f"m-{KEY}"}]})
    transport = FakeTransport()
    transport.model_lists["e"] = reply
    entry = {"name": "e", "apiKey": KEY}
    async with open_gateway(make_settings(entry), transport=transport) as gateway:
        await collect(gateway, chat_request())
        served = [model.id for status in gateway.endpoints() for model in status.models or ()]
    assert served == ["m"]


def test_a_log_line_has_no_part_of_a_header() -> None:
    stream = io.StringIO()
    entry = entry_for("e", apiKey=KEY, customHeaders=HEADERS)
    log = logging.Logger("test")
    log.addHandler(build_log_handler(make_settings(entry), stream))
    for secret in SECRETS[:-1]:
        for encode in ENCODERS:
            log.warning("failed %s", encode(secret), extra={"fact": f"x{encode(secret)}"})
    assert [secret for secret in SECRETS if secret in stream.getvalue()] == []
    assert stream.getvalue().count(REMOVED) == 2 * len(ENCODERS) * len(SECRETS[:-1])
