"""Parses the body of `POST /v1/chat/completions`; what is wrong with it is a 400."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from akash_gradio.domain.errors import UserError
from akash_gradio.gateway import PassthroughRequest

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_chat_request(body: bytes, models: frozenset[str] | None = None) -> PassthroughRequest:
    """Parse a chat completion request.

    Args:
        body: The JSON as received. Fields that aren't known here are forwarded unchanged.
        models: Ids of the models that may answer, None for all.

    Raises:
        UserError: The body is not a chat completion request; status 400.
    """
    request = _parse_object(body)
    model, messages = request.get("model"), request.get("messages")
    if not isinstance(model, str) or not model.strip():
        raise UserError("model_required")
    if not isinstance(messages, list) or not messages:
        raise UserError("messages_required")
    if not all(isinstance(message, dict) for message in messages):
        raise UserError("message_not_object")
    if not isinstance(request.get("stream"), bool | None):
        raise UserError("stream_not_boolean")
    if not isinstance(request.get("stream_options"), dict | None):
        raise UserError("stream_options_not_object")
    n = request.get("n")
    if n is not None and (type(n) is not int or not 1 <= n <= 128):
        raise UserError("n_out_of_range")
    return PassthroughRequest(model=model, body=request, models=models)


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
        if _SURROGATE_ESCAPE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UserError("body_lone_surrogate") from None
    except UnicodeDecodeError:
        raise UserError("body_not_utf8") from None
    except RecursionError:
        raise UserError("body_nested_too_deeply") from None
    except ValueError:
        raise UserError("body_not_json") from None
    if not isinstance(value, dict):
        raise UserError("body_not_object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are not JSON, though Python's decoder accepts them."""
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
"""One decoder for all requests: `json.loads` creates one for each call with options."""
