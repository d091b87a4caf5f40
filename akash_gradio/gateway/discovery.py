"""What an endpoint serves: asks `/v1/models` and reads the lists that servers send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import EndpointMalformed, EndpointTimeout
from akash_gradio.domain.model import ServedModel
from akash_gradio.gateway.error_responses import error_from_response
from akash_gradio.gateway.passthrough.transport import Transport, UpstreamResponse, hide_secrets
from akash_gradio.gateway.retries import delay_from_headers

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

ANSWER_WITHIN_S: Final = 10.0
LIST_BYTES: Final = 8 << 20
MOST_MODELS: Final = 5_000
LONGEST_ID: Final = 300

LIMIT_FIELDS: Final = (
    "max_model_len",  # vLLM, SGLang
    "context_length",  # OpenRouter, Together, Fireworks
    "context_window",  # Groq
    "loaded_context_length",  # LM Studio
    "max_context_length",  # Mistral, LM Studio
    "max_input_tokens",  # LiteLLM
    "n_ctx",  # llama.cpp
)
NESTED_LIMITS: Final = ("meta", "top_provider", "model_info")
"""Objects that hold one of these in turn: llama.cpp, OpenRouter, LiteLLM."""
NOT_FOR_CHAT: Final = frozenset(
    {"embedding", "embeddings", "rerank", "image", "audio", "moderation", "transcribe", "video"}
)


async def fetch_models(
    transport: Transport, entry: EndpointSettings, *, connect_timeout_s: float
) -> tuple[ServedModel, ...]:
    """What the endpoint lists, by catalog ids.

    Raises EndpointError, or RequestRefused where it says that the question is wrong.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await transport.open(
                entry, "/models", None, headers=EMPTY_MAPPING, connect_timeout_s=connect_timeout_s
            )
            try:
                body = await _whole(entry.name, answer)
            finally:
                await answer.aclose()
    except TimeoutError:
        raise EndpointTimeout(entry.name, "first_token", ANSWER_WITHIN_S) from None
    if not 200 <= answer.status < 300:
        rest_s = delay_from_headers(answer.headers, now=datetime.now(UTC))
        refused = error_from_response(entry.name, answer.status, body, rest_s)
        hide_secrets(refused, entry, EMPTY_MAPPING)
        raise refused
    return to_catalog_ids(parse_models(entry.name, body), entry.model_map)


def parse_models(alias: str, body: bytes) -> tuple[ServedModel, ...]:
    """The models of a `/v1/models` answer, in its order, each once; embeddings and such left out.

    Knows `{"data": […]}` (OpenAI), `{"models": […]}` (Ollama), a bare list (Together), and
    entries that are objects or plain ids. alias: for the error. Raises EndpointMalformed.
    """
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        what = "html" if body.lstrip()[:1] == b"<" else "json"
        raise EndpointMalformed(alias, what) from None
    entries = _entries(value)
    if entries is None:
        raise EndpointMalformed(alias, "shape")
    found: dict[str, ServedModel] = {}
    for model in _models(entries[:MOST_MODELS]):
        found.setdefault(model.id, model)
    return tuple(found.values())


def to_catalog_ids(
    models: tuple[ServedModel, ...], model_map: Mapping[str, str]
) -> tuple[ServedModel, ...]:
    """The same models under the names that the catalog has for them.

    model_map: catalog id → the endpoint's own id.
    """
    names = {own: catalog for catalog, own in model_map.items()}
    return tuple(
        ServedModel(id=names.get(model.id, model.id), token_limit=model.token_limit)
        for model in models
    )


async def _whole(alias: str, answer: UpstreamResponse) -> bytes:
    gathered = bytearray()
    while part := await answer.read():
        gathered += part
        if len(gathered) > LIST_BYTES:
            raise EndpointMalformed(alias, "too_long")
    return bytes(gathered)


def _entries(value: object) -> list[Any] | None:
    if isinstance(value, dict):
        for name in ("data", "models"):
            if isinstance(value.get(name), list):
                value = value[name]
                break
        else:
            empty = "data" in value and value["data"] is None
            return [] if empty else None
    return value if isinstance(value, list) else None


def _models(entries: list[Any]) -> Iterator[ServedModel]:
    for entry in entries:
        if isinstance(entry, str):
            entry = {"id": entry}
        if not isinstance(entry, dict) or entry.get("type") in NOT_FOR_CHAT:
            continue
        names = (entry.get(key) for key in ("id", "model", "name"))
        name = next((n for n in names if isinstance(n, str) and n.strip()), None)
        if name is not None and len(name) <= LONGEST_ID:
            yield ServedModel(id=name.strip(), token_limit=_limit(entry))


def _limit(entry: Mapping[str, Any]) -> int | None:
    """Tokens of context, as the server itself says; None when it doesn't.

    `n_ctx_train` is what the weights could do, not what the server does, and is left alone.
    """
    places = [entry, *(entry[key] for key in NESTED_LIMITS if isinstance(entry.get(key), dict))]
    for place in places:
        for name in LIMIT_FIELDS:
            value = place.get(name)
            if type(value) in (int, float) and 0 < value < 1e9:
                return int(value)
    return None
