"""Fetches `/v1/models` and parses the lists that servers send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.errors import EndpointMalformed, EndpointTimeout
from akash_gradio.domain.model import ServedModel
from akash_gradio.gateway.answer_redaction import redact_error
from akash_gradio.gateway.error_responses import error_from_response
from akash_gradio.gateway.transport import Transport, UpstreamResponse, request_secrets

if TYPE_CHECKING:
    from akash_gradio.config.endpoints import EndpointSettings

MODELS_PATH: Final = "/models"
TIMEOUT_S: Final = 10.0
MAX_LIST_BYTES: Final = 8 << 20
MAX_MODELS: Final = 5_000
MAX_ID_CHARACTERS: Final = 300

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
"""Objects inside an entry that may hold one of these: llama.cpp, OpenRouter, LiteLLM."""
NOT_FOR_CHAT: Final = frozenset(
    {"embedding", "embeddings", "rerank", "image", "audio", "moderation", "transcribe", "video"}
)


async def fetch_models(
    transport: Transport, entry: EndpointSettings, *, connect_timeout_s: float
) -> tuple[ServedModel, ...]:
    """Fetch the models that an endpoint lists, by catalog ids.

    Raises:
        EndpointError: There was no response, or it was an error or malformed.
        RequestRefused: The endpoint rejected the request as invalid.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            response = await transport.open(
                entry, MODELS_PATH, None, headers=EMPTY_MAPPING, connect_timeout_s=connect_timeout_s
            )
            try:
                body = await _read_all(entry.name, response)
            finally:
                await response.aclose()
    except TimeoutError:
        raise EndpointTimeout(entry.name, "first_token", TIMEOUT_S) from None
    if not 200 <= response.status < 300:
        error = error_from_response(entry.name, response.status, body, response.headers)
        redact_error(error, request_secrets(entry, EMPTY_MAPPING))
        raise error
    models = parse_models(entry.name, body)
    secrets = request_secrets(entry, EMPTY_MAPPING)
    clean = tuple(model for model in models if secrets.redact_answer(model.id) == model.id)
    return to_catalog_ids(clean, entry.model_map)


def parse_models(alias: str, body: bytes) -> tuple[ServedModel, ...]:
    """Parse a `/v1/models` response, without models that aren't for chat and without duplicates.

    Accepts `{"data": […]}` (OpenAI), `{"models": […]}` (Ollama), a bare list (Together), and
    entries that are objects or plain ids.

    Args:
        alias: The endpoint's name, for the error.

    Raises:
        EndpointMalformed: The response isn't such a list.
    """
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        reason = "html" if body.lstrip()[:1] == b"<" else "json"
        raise EndpointMalformed(alias, reason) from None
    entries = _entries(value)
    if entries is None:
        raise EndpointMalformed(alias, "shape")
    models: dict[str, ServedModel] = {}
    for model in _models(entries[:MAX_MODELS]):
        models.setdefault(model.id, model)
    return tuple(models.values())


def to_catalog_ids(
    models: tuple[ServedModel, ...], model_map: Mapping[str, str]
) -> tuple[ServedModel, ...]:
    """Translate the endpoint's own ids into catalog ids.

    Args:
        model_map: The endpoint's own id, by catalog id.
    """
    names = {own: catalog for catalog, own in model_map.items()}
    return tuple(
        ServedModel(id=names.get(model.id, model.id), token_limit=model.token_limit)
        for model in models
    )


async def _read_all(alias: str, response: UpstreamResponse) -> bytes:
    body = bytearray()
    while data := await response.read():
        body += data
        if len(body) > MAX_LIST_BYTES:
            raise EndpointMalformed(alias, "too_long")
    return bytes(body)


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
        if name is not None and len(name) <= MAX_ID_CHARACTERS:
            yield ServedModel(id=name.strip(), token_limit=_limit(entry))


def _limit(entry: Mapping[str, Any]) -> int | None:
    """Return the context window that the server reports, in tokens, or None.

    `n_ctx_train` is the limit of the weights, not of the server, and isn't used.
    """
    objects = [entry, *(entry[key] for key in NESTED_LIMITS if isinstance(entry.get(key), dict))]
    for source in objects:
        for name in LIMIT_FIELDS:
            value = source.get(name)
            if type(value) in (int, float) and 0 < value < 1e9:
                return int(value)
    return None
