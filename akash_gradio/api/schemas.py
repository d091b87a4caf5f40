"""Reads the body of `POST /v1/chat/completions`; what it can't be is told with a 4xx."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from akash_gradio.api.errors import Fault
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.gateway import PassthroughRequest
from akash_gradio.http.disconnect import Receive

BODY_BYTES: Final = 10 * 1024 * 1024
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class LeftEarly(Exception):
    """The client went away before its request was whole."""


async def read_body(receive: Receive, content_length: str) -> bytes:
    """The whole body. Raises Fault past 10 MiB, before it is all in memory, and LeftEarly."""
    if content_length.isdigit() and int(content_length[:20]) > BODY_BYTES:
        raise _too_large()
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise LeftEarly
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def read_question(body: bytes, models: frozenset[str] | None = None) -> PassthroughRequest:
    """What is asked. models: the only ids that may answer. Raises Fault."""
    asked = _object(body)
    model, messages = asked.get("model"), asked.get("messages")
    if not isinstance(model, str) or not model.strip():
        _refuse("`model` must be the name of a model; GET /v1/models lists them", "model")
    if not isinstance(messages, list) or not messages:
        _refuse("`messages` must be a list with at least one message", "messages")
    if not all(isinstance(message, dict) for message in messages):
        _refuse("each of `messages` must be an object with a role and content", "messages")
    if not isinstance(asked.get("stream"), bool | None):
        _refuse("`stream` must be true or false", "stream")
    if not isinstance(asked.get("stream_options"), dict | None):
        _refuse("`stream_options` must be an object", "stream_options")
    wanted = asked.get("n")
    if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= 128):
        _refuse("`n` must be a whole number from 1 to 128", "n")
    return PassthroughRequest(model=model, body=asked, models=models)


def _object(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8-sig")
        value = _DECODER.decode(text)
        if _HALF.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        _refuse("the body holds half of a surrogate pair, which is no character")
    except UnicodeDecodeError:
        _refuse("the body is not UTF-8")
    except RecursionError:
        _refuse("the body is nested too deeply")
    except ValueError:
        _refuse("the body is not JSON, or has a number in it that is too long")
    if not isinstance(value, dict):
        _refuse("the body must be a JSON object")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)
"""Made once: `json.loads` makes one for each call that has options."""


def _refuse(message: str, param: str | None = None) -> NoReturn:
    raise Fault(status=400, message=message, param=param, headers=EMPTY_MAPPING)


def _too_large() -> Fault:
    message = f"the body is larger than {BODY_BYTES // 1024 // 1024} MiB"
    return Fault(status=413, message=message, code="request_too_large")
