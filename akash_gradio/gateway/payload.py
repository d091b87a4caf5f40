"""A request as it goes over the wire, and which parameters really went."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.chat import ChatRequest, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import RequestRefused
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway.surrogates import mended

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

NEVER_FROM_EXTRA: Final = frozenset({"model", "messages", "stream"})
PARAMETERS: Final = tuple(field.name for field in fields(Sampling))
"""The fields of `Sampling` have their wire names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """body: JSON in UTF-8. sent: the sampling parameters in it, for the receipt."""

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
    """The body for this endpoint.

    model: the catalog id that is asked now (a fallback, perhaps); card: its entry, whose
    defaults are sent. ask_usage: False for an endpoint that doesn't know `stream_options`.
    Raises RequestRefused when a number in `request.extra` is none (JSON has no NaN).
    """
    fields_sent: dict[str, Any] = {
        "model": entry.model_map.get(model, model),
        "messages": list(_messages(request)),
        "stream": request.stream,
    }
    fields_sent |= {k: v for k, v in request.extra.items() if k not in NEVER_FROM_EXTRA}
    fields_sent |= _parameters(request.sampling, card, fields_sent)
    _ask_for_usage(fields_sent, request.stream and ask_usage)
    return Payload(body=encode_json(fields_sent, entry.name), sent=sampling_parameters(fields_sent))


def _messages(request: ChatRequest) -> Iterator[dict[str, Any]]:
    if request.conversation.system:
        yield {"role": Role.SYSTEM.value, "content": request.conversation.system}
    for turn in request.conversation.turns:
        yield {"role": turn.role.value, "content": _parts(turn) if turn.pictures else turn.content}


def _parts(turn: Turn) -> list[dict[str, Any]]:
    """Pictures, then the words about them; some servers refuse a part without text."""
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in turn.pictures]
    return [*pictures, {"type": "text", "text": turn.content}] if turn.content else pictures


def _parameters(
    sampling: Sampling, card: ModelCard | None, already: Mapping[str, Any]
) -> dict[str, Any]:
    """Mine, or the catalog's where nobody said anything else, or nothing."""
    found: dict[str, Any] = {}
    for name in PARAMETERS:
        value = getattr(sampling, name)
        if value is Default.CATALOG and name not in already:
            value = getattr(card, name, None)
        if value is None or isinstance(value, Default) or not _sendable(value):
            continue
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _sendable(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value)
    return not isinstance(value, float) or math.isfinite(value)


def _ask_for_usage(body: dict[str, Any], wanted: bool) -> None:
    """`stream_options` is refused without `stream`, and by servers that don't know it."""
    options = body.pop("stream_options", None)
    if wanted:
        body["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""Made once: `json.dumps` makes one for each call that has options."""


def encode_json(body: Mapping[str, Any], alias: str) -> bytes:
    """The body as JSON in UTF-8. Raises RequestRefused when JSON can't say it."""
    try:
        text = _ENCODER.encode(body)
    except ValueError:
        raise RequestRefused(alias, 400, "a number in the request is not finite") from None
    except RecursionError:
        raise RequestRefused(alias, 400, "the request is nested too deeply") from None
    return mended(text).encode()


def sampling_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters, and whatever else is a plain number; never words of the caller."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in body.items()
        if name != "stream" and (name in PARAMETERS or isinstance(value, int | float))
    }
