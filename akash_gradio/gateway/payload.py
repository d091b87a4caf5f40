"""Builds the body of an upstream request, and notes which parameters it holds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.chat import ChatRequest, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import RequestRefused
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway.surrogates import repair_surrogates

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

RESERVED_FIELDS: Final = frozenset({"model", "messages", "stream"})
"""Fields that `ChatRequest.extra` can't set."""
PARAMETERS: Final = tuple(field.name for field in fields(Sampling))
"""The sampling parameters: the fields of `Sampling` have their wire names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A request body.

    Attributes:
        body: JSON in UTF-8.
        sent: The sampling parameters in it, for the receipt.
    """

    body: bytes
    sent: Mapping[str, Any]


def build_payload(
    request: ChatRequest,
    *,
    model: str,
    card: ModelCard | None,
    entry: EndpointSettings,
    ask_usage: bool = True,
) -> Payload:
    """Build the body for one endpoint.

    Args:
        model: The catalog id for this attempt, perhaps a fallback.
        card: The model's catalog entry, whose defaults are sent.
        ask_usage: Whether to request token counts; False for an endpoint that rejects
            `stream_options`.

    Raises:
        RequestRefused: `request.extra` holds a number that JSON can't represent, such as NaN.
    """
    body: dict[str, Any] = {
        "model": entry.model_map.get(model, model),
        "messages": list(_messages(request)),
        "stream": request.stream,
    }
    body |= {k: v for k, v in request.extra.items() if k not in RESERVED_FIELDS}
    parameters = _parameters(request.sampling, card, body)
    body |= {name: value for name, value in parameters.items() if entry.accepts_parameter(name)}
    _set_stream_options(body, include_usage=request.stream and ask_usage)
    return Payload(body=encode_json(body, entry.name), sent=sampling_parameters(body))


def _messages(request: ChatRequest) -> Iterator[dict[str, Any]]:
    if request.conversation.system:
        yield {"role": Role.SYSTEM.value, "content": request.conversation.system}
    for turn in request.conversation.turns:
        yield {"role": turn.role.value, "content": _parts(turn) if turn.pictures else turn.content}


def _parts(turn: Turn) -> list[dict[str, Any]]:
    """Return the pictures, then the text; some servers reject an empty text part."""
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in turn.pictures]
    return [*pictures, {"type": "text", "text": turn.content}] if turn.content else pictures


def _parameters(
    sampling: Sampling, card: ModelCard | None, already: Mapping[str, Any]
) -> dict[str, Any]:
    """Resolve each parameter to its custom value, the catalog's default, or nothing."""
    parameters: dict[str, Any] = {}
    for name in PARAMETERS:
        value = getattr(sampling, name)
        if value is Default.CATALOG and name not in already:
            value = getattr(card, name, None)
        if value is None or isinstance(value, Default) or not _sendable(value):
            continue
        parameters[name] = list(value) if isinstance(value, tuple) else value
    return parameters


def _sendable(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value)
    return not isinstance(value, float) or math.isfinite(value)


def _set_stream_options(body: dict[str, Any], *, include_usage: bool) -> None:
    """Servers reject `stream_options` without `stream`, and some reject it always."""
    options = body.pop("stream_options", None)
    if include_usage:
        body["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""Created once: `json.dumps` creates one for each call with options."""


def encode_json(body: Mapping[str, Any], alias: str) -> bytes:
    """Encode a body as JSON in UTF-8.

    Raises:
        RequestRefused: The body can't be represented as JSON.
    """
    try:
        text = _ENCODER.encode(body)
    except ValueError:
        raise RequestRefused(alias, 400, "a number in the request is not finite") from None
    except RecursionError:
        raise RequestRefused(alias, 400, "the request is nested too deeply") from None
    return repair_surrogates(text).encode()


def sampling_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Select the sampling parameters and all plain numbers, but no text of the client's."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in body.items()
        if name != "stream" and (name in PARAMETERS or isinstance(value, int | float))
    }
