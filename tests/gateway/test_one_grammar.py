"""The page, a stream at /v1 and a collected completion read the same, however bytes are cut."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akash_gradio.domain.errors import AkashGradioError
from akash_gradio.domain.events import MediaDelta, ReasoningDelta, TextDelta, ToolCallDelta
from akash_gradio.domain.tokens import utf8_length
from akash_gradio.gateway.chunk_grammar import REASONING_FIELDS, text_of
from akash_gradio.gateway.passthrough.reader import PassthroughReader
from akash_gradio.gateway.passthrough.request import RawChunk
from akash_gradio.gateway.stream_reader import ReplyReader
from tests.gateway.wire_corpus import CORPUS, Sample, chunk, sse

MODES = ("page", "stream", "whole")


@dataclass(frozen=True)
class Outcome:
    """What a reader made of a body.

    Attributes:
        events: The events of the page, with adjacent ones joined: text, reasoning and the others.
        sent: The bytes for the client of /v1.
        finish: The finish reason.
        error: How it failed, "" if it didn't.
        counted: How many bytes of text and of reasoning the receipt counts.
    """

    events: tuple[Any, ...]
    sent: bytes
    finish: str | None
    error: str
    counted: tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """What a person reads in an outcome: text, reasoning, tool calls, and other output."""

    text: str
    reasoning: str
    calls: tuple[tuple[str, str], ...]
    media: bool


def read(mode: str, reads: Iterable[bytes], **options: Any) -> Outcome:
    """Feed a reader as an upstream call does."""
    reader: Any = (
        ReplyReader("a", None)
        if mode == "page"
        else PassthroughReader("a", None, stream=mode == "stream", include_usage=True, **options)
    )
    items: list[Any] = []
    error = ""
    try:
        for data in reads:
            if reader.done:
                break
            items += reader.feed(data)
        items += reader.close()
    except AkashGradioError as caught:
        error = f"{caught!r} {getattr(caught, 'detail', '')}"
    sent = b"".join(item.data for item in items if isinstance(item, RawChunk))
    events = joined(items) if mode == "page" else ()
    return Outcome(events, sent, reader.finish_reason, error, counted(items))


def joined(events: Iterable[Any]) -> tuple[Any, ...]:
    """Return the events with adjacent texts joined: a held tag may divide them in two ways."""
    result: list[Any] = []
    for event in events:
        last: Any = result[-1] if result else None
        if isinstance(event, TextDelta | ReasoningDelta) and isinstance(last, type(event)):
            result[-1] = replace(last, text=last.text + event.text)
        else:
            result.append(event)
    return tuple(result)


def reading_of(mode: str, outcome: Outcome) -> Reading:
    if mode == "page":
        return from_events(outcome.events)
    if mode == "stream":
        return from_deltas(streamed(outcome.sent))
    return from_deltas([choice["message"] for choice in json.loads(outcome.sent)["choices"][:1]])


def counted(items: Sequence[Any]) -> tuple[int, int]:
    raw = [item for item in items if isinstance(item, RawChunk)]
    text = sum(utf8_length(item.text) for item in items if isinstance(item, TextDelta))
    reasoning = sum(utf8_length(item.text) for item in items if isinstance(item, ReasoningDelta))
    return (
        text + sum(item.text_bytes for item in raw),
        reasoning + sum(item.reasoning_bytes for item in raw),
    )


def from_events(events: Sequence[Any]) -> Reading:
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            parts = calls.setdefault(event.index, ["", ""])
            parts[0] = event.name or parts[0]
            parts[1] += event.arguments
    return Reading(
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        tuple((name, arguments) for name, arguments in calls.values()),
        any(isinstance(event, MediaDelta) for event in events),
    )


def streamed(sent: bytes) -> list[Any]:
    """Return the deltas of a stream as a strict client sees them."""
    lines = sent.decode().splitlines()  # as careless clients split, also at U+2028
    assert lines[1::2] == [""] * (len(lines) // 2)
    reject: Any = {}.__getitem__
    values = [json.loads(line.removeprefix("data: "), parse_constant=reject) for line in lines[::2]]
    return [choice["delta"] for value in values for choice in value["choices"][:1]]


def from_deltas(deltas: Sequence[Any]) -> Reading:
    """Read deltas as an OpenAI client does, with the fields of reasoning that clients know."""
    text = reasoning = ""
    calls: dict[int, list[str]] = {}
    media = False
    for delta in deltas:
        content = delta.get("content")
        parts = content if isinstance(content, list) else [content]
        thoughts = [p for p in parts if isinstance(p, dict) and p.get("type") == "thinking"]
        text += "".join(text_of(part) for part in parts if part not in thoughts)
        named = next((text_of(delta[n]) for n in REASONING_FIELDS if delta.get(n)), "")
        details = delta.get("reasoning_details")
        reasoning += named or text_of(details) or "".join(text_of(p["thinking"]) for p in thoughts)
        media = media or bool(delta.get("images"))
        media = media or any("data" in detail for detail in details or ())
        pieces = [*(delta.get("tool_calls") or ())]
        if delta.get("function_call"):
            pieces.append({"function": delta["function_call"]})
        for position, piece in enumerate(pieces):
            parts = calls.setdefault(piece.get("index", position), ["", ""])
            parts[0] = piece["function"].get("name") or parts[0]
            parts[1] += piece["function"].get("arguments") or ""
    named_calls = tuple((name, arguments) for name, arguments in calls.values())
    return Reading(text, reasoning, named_calls, media)


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, *(place % (len(body) + 1) for place in places), len(body)})
    return [body[a:b] for a, b in itertools.pairwise(edges)]


def ways_of_cutting(body: bytes) -> list[list[bytes]]:
    """All in one, each byte, each line, each event, two events, and at random places."""
    chance = random.Random(len(body))
    lines = [at + 1 for at, byte in enumerate(body) if byte == ord("\n")]
    events = [at for at in lines if body[at - 2 : at] == b"\n\n"]
    return [
        [bytes([byte]) for byte in body],
        cut(body, lines),
        cut(body, events),
        cut(body, events[::2]),
        cut(body, [at - 1 for at in events]),
        *(cut(body, chance.sample(range(len(body)), min(9, len(body)))) for _ in range(8)),
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORPUS)
def test_every_shape_is_read_as_a_person_would(name: str, mode: str) -> None:
    sample: Sample = CORPUS[name]
    outcome = read(mode, [sample.body])
    assert (outcome.error, outcome.finish) == ("", sample.finish)
    assert reading_of(mode, outcome) == Reading(
        sample.text, sample.reasoning, sample.calls, sample.media
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORPUS)
def test_the_outcome_does_not_depend_on_how_the_bytes_are_cut(name: str, mode: str) -> None:
    body = CORPUS[name].body
    whole = read(mode, [body])
    for reads in ways_of_cutting(body):
        assert read(mode, reads) == whole
    named = read(mode, [body], rename="mine") if mode != "page" else whole
    if mode != "page":
        for reads in ways_of_cutting(body):
            assert read(mode, reads, rename="mine") == named


@pytest.mark.parametrize("mode", ["stream", "whole"])
@pytest.mark.parametrize("name", CORPUS)
def test_the_receipt_counts_the_same_bytes_at_v1_as_on_the_page(name: str, mode: str) -> None:
    body = CORPUS[name].body
    assert read(mode, [body]).counted == read("page", [body]).counted


# Mutations

patient = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-2, 1 << 70)
    | st.floats()
    | st.sampled_from(
        ["", "a", "\ud83d", "\ude00", "<think>", "stop", "error", "{}", "\u2028", "\n"]
    )
)
NAMES = [
    "choices", "delta", "message", "content", "text", "index", "usage", "error", "errors", "code",
    "status", "object", "type", "tool_calls", "function", "name", "arguments", "reasoning",
    "reasoning_content", "reasoning_details", "thinking", "images", "audio", "data", "transcript",
    "id", "model", "finish_reason", "function_call", "refusal", "detail", "x_groq", "logprobs",
    "prompt_tokens", "completion_tokens_details", "metadata",
]  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=8,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    """Yield the path of each value inside a value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of the value with another one at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def values_in(body: bytes) -> list[Any]:
    """Return the objects of a stream, or of a body that is one."""
    texts = [line.removeprefix("data:").strip() for line in body.decode().split("\n")]
    texts = [text for text in texts if text[:1] == "{" and text[-1:] == "}"] or [body.decode()]
    return [json.JSONDecoder().raw_decode(text)[0] for text in texts]


VALUES = {
    name: values_in(sample.body)
    for name, sample in CORPUS.items()
    if name not in ("without_line_ends", "openrouter_picture")
}


@st.composite
def mutated_values(draw: st.DrawFn) -> list[Any]:
    """Return the JSON of a corpus stream, with arbitrary JSON at some places."""
    values = list(VALUES[draw(st.sampled_from(sorted(VALUES)))])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(values) - 1))
        path = draw(st.sampled_from(list(places_in(values[at]))))
        values[at] = replaced(values[at], path, draw(JSON))
    return values


def encode(values: Sequence[Any]) -> bytes:
    """Encode as a stream; halves of characters are escaped."""
    return sse(*[f"data: {json.dumps(value)}\n\n" for value in values])


def assert_independent_of_cuts(body: bytes, places: Sequence[int]) -> None:
    for mode in MODES:
        whole = read(mode, [body])
        events = [at + 2 for at in range(len(body)) if body[at : at + 2] == b"\n\n"]
        for reads in (cut(body, events), cut(body, places), [bytes([byte]) for byte in body]):
            assert read(mode, reads) == whole, mode


@patient
@given(mutated_values(), st.lists(st.integers(0, 5000), max_size=6))
def test_any_json_at_any_place_is_read_by_every_reader(
    values: list[Any], places: list[int]
) -> None:
    assert_independent_of_cuts(encode(values), places)


@patient
@given(st.lists(JSON, max_size=4), st.lists(st.integers(0, 500), max_size=4))
def test_any_json_raises_only_errors_of_the_tree(values: list[Any], places: list[int]) -> None:
    assert_independent_of_cuts(encode(values), places)
    for value in values:
        for mode in MODES:
            body = json.dumps(value).encode()
            assert read(mode, cut(body, places)) == read(mode, [body])


@patient
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(
        st.tuples(st.integers(0, 9000), st.integers(0, 40), st.binary(max_size=8)), max_size=4
    ),
    st.lists(st.integers(0, 9000), max_size=6),
)
def test_damaged_bytes_have_one_outcome(
    name: str, damages: list[tuple[int, int, bytes]], places: list[int]
) -> None:
    body = CORPUS[name].body
    for at, length, inserted in damages:
        at %= len(body) + 1
        body = body[:at] + inserted + body[at + length :]
    assert_independent_of_cuts(body, places)


@pytest.mark.parametrize("depth", [10, 200, 900, 100_000])
@pytest.mark.parametrize("place", ["content", "x", "tool_calls", "reasoning_details", "images"])
@pytest.mark.parametrize("mode", MODES)
def test_deeply_nested_json_is_read_or_malformed(mode: str, place: str, depth: int) -> None:
    deep = '{"content":[' * depth + "1" + "]}" * depth
    event = json.dumps(chunk({place: "@", "role": "assistant"})).replace('"@"', deep)
    for body in (
        sse(f"data: {event}\n\n", chunk({"content": "x"}), chunk({}, "stop")),
        event.encode(),
    ):
        outcome = read(mode, [body])
        assert not outcome.error or "malformed" in outcome.error or "empty" in outcome.error
