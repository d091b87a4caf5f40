"""Invalid requests get a 4xx response, and the server keeps running."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.serving import CHAT, chat_body, serving_one

GOOD = chat_body()


def body_with(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "text": b"hello",
    "html": b"<html>",
    "a list": b"[]",
    "null": b"null",
    "a number": b"5",
    "two values": b"{}{}",
    "deep lists": b"[" * 100_000,
    "deep and closed": body_with(x=0).replace(b'"x": 0', b'"x": ' + b"[" * 50_000 + b"]" * 50_000),
    "deep objects": b'{"a":' * 100_000,
    "a huge integer": body_with(x=0).replace(b'"x": 0', b'"seed": ' + b"9" * 100_000),
    "a huge float": body_with(x=0).replace(b'"x": 0', b'"temperature": 1e999'),
    "NaN": body_with(temperature=float("nan")),
    "Infinity": body_with(temperature=float("-inf")),
    "half a character": body_with(messages=[{"role": "user", "content": "\ud83d"}]),
    "the other half": body_with(user="\ude00"),
    "half a character as a name": body_with(**{"\udfff": 1}),
    "no UTF-8": body_with(user="x").replace(b'"x"', b'"\xff\xfe"'),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "a control character": body_with(user="x").replace(b'"x"', b'"\x00"'),
    "no model": json.dumps({"messages": GOOD["messages"]}).encode(),
    "no name": body_with(model=" "),
    "a model that is a number": body_with(model=5),
    "no messages": json.dumps({"model": "m"}).encode(),
    "messages empty": body_with(messages=[]),
    "messages a text": body_with(messages="hi"),
    "a message that is a text": body_with(messages=["hi"]),
    "stream a text": body_with(stream="yes"),
    "stream a number": body_with(stream=1),
    "stream options a list": body_with(stream=True, stream_options=[]),
    "n a text": body_with(n="2"),
    "n zero": body_with(n=0),
    "n without end": body_with(n=10**9),
}


async def test_every_invalid_body_is_refused() -> None:
    async with serving_one() as (served, stub):
        for name, body in BODIES.items():
            response = await served.ask(body)
            assert response.status == 400, name
            assert response.error["type"] == "invalid_request_error", name
            assert response.headers["content-type"] == "application/json", name
        assert not stub.chats
        assert (await served.ask(GOOD)).status == 200


async def test_the_error_names_a_field_of_the_wrong_type() -> None:
    async with serving_one() as (served, _):
        assert (await served.ask(body_with(model=5))).error["param"] == "model"
        assert (await served.ask(body_with(messages="hi"))).error["param"] == "messages"


async def test_unusual_but_valid_bodies_are_forwarded() -> None:
    async with serving_one() as (served, stub):
        twice = b'{"model":"x","model":"m","messages":[{"role":"user","content":"\\ud83d\\ude00"}]}'
        assert (await served.ask(twice)).status == 200
        assert (await served.ask(b"\xef\xbb\xbf" + body_with())).status == 200
        assert (await served.ask(body_with(x=[[[[[1]]]]], seed=2**63))).status == 200
    assert stub.chats[0].json["messages"][0]["content"] == "😀"
    assert stub.chats[2].json["seed"] == 2**63


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "without a length"])
async def test_twenty_megabytes_are_too_large(announced: bool) -> None:
    mebibyte = b"x" * (1 << 20)
    async with serving_one() as (served, stub), await served.connect() as connection:
        if announced:
            await connection.send("POST", CHAT, mebibyte, {"content-length": str(20 << 20)})
        else:
            await connection.send_chunked(CHAT, [mebibyte] * 11)
        response = await connection.read_response()
        assert (response.status, response.error["code"]) == (413, "request_too_large")
        assert not stub.chats
        assert (await served.ask(GOOD)).status == 200


async def test_nine_megabytes_are_forwarded() -> None:
    async with serving_one() as (served, stub):
        assert (await served.ask(chat_body("x" * 9_000_000))).status == 200
    assert len(stub.chats[0].json["messages"][0]["content"]) == 9_000_000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405),
        ("PUT", CHAT, 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/nothing/here", 404),
        ("GET", "/v1/models/nope", 404),
        ("GET", "/v1/models/a%2Fb", 404),
    ],
)
async def test_unknown_paths_and_methods_have_the_same_shape_of_error(
    method: str, path: str, status: int
) -> None:
    async with serving_one() as (served, _), await served.connect() as connection:
        await connection.send(method, path, b"{}")
        response = await connection.read_response()
    assert response.status == status
    assert response.error["type"] == "invalid_request_error"
