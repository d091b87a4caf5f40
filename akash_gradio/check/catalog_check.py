"""Checks the catalog for errors, and compares it with what the endpoints serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Final

from akash_gradio.catalog.context_claims import contradictions
from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check import messages
from akash_gradio.check.parsing import failure_before_body
from akash_gradio.check.probe_client import ProbeClient
from akash_gradio.check.probe_request import ProbeRequest
from akash_gradio.check.probes.model_list import listed_models
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.gateway.discovery import to_catalog_ids

MODEL_LIST_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModels:
    """The models that the endpoints serve.

    Attributes:
        by_endpoint: Endpoint alias to the catalog ids of its models.
        unlisted: Aliases of endpoints whose `/v1/models` couldn't be read.
    """

    by_endpoint: Mapping[str, tuple[str, ...]]
    unlisted: tuple[str, ...] = ()


async def fetch_served_models(entries: Sequence[EndpointSettings]) -> ServedModels:
    """Return each endpoint's models: the configured ones, else those in its `/v1/models`."""
    models: dict[str, tuple[str, ...]] = {}
    unlisted = []
    for entry in entries:
        if entry.models is not None:
            models[entry.name] = entry.models
            continue
        async with ProbeClient(Target(entry=entry)) as client:
            request = ProbeRequest(path="/models")
            response = await client.send(request, timeout_s=MODEL_LIST_TIMEOUT_S)
        if failure_before_body(response) is not None:
            unlisted.append(entry.name)
        served = to_catalog_ids(listed_models(response), entry.model_map)
        models[entry.name] = tuple(model.id for model in served)
    return ServedModels(by_endpoint=models, unlisted=tuple(unlisted))


def catalog_errors(file_name: str, catalog: Catalog, thumbnails: Path) -> tuple[Problem, ...]:
    """Return the errors in the catalog itself.

    Args:
        file_name: Name of the catalog file, for the messages.
        catalog: The catalog as it was read, with its own problems.
        thumbnails: Folder of the thumbnails.
    """
    context_errors = [
        Problem(
            where=f"{file_name}: {card.id}",
            field="tokenLimit",
            value=str(card.token_limit),
            hint=messages.CATALOG_CONTEXT_MISMATCH.format(claims=", ".join(claims)),
        )
        for card in catalog.cards
        if (claims := _context_contradictions(card))
    ]
    missing = [
        Problem(
            where=f"{file_name}: {card.id}",
            field="thumbnailId",
            value=card.thumbnail_id,
            hint=messages.CATALOG_THUMBNAIL_MISSING,
        )
        for card in catalog.cards
        if card.thumbnail_id and not any(thumbnails.glob(f"{escape(card.thumbnail_id)}.*"))
    ]
    broken = Thumbnails(thumbnails).problems(catalog.cards)
    return (*catalog.problems, *context_errors, *missing, *broken)


def catalog_notes(file_name: str, catalog: Catalog, served: ServedModels) -> tuple[Problem, ...]:
    """Return the differences between the catalog and what the endpoints serve.

    Args:
        file_name: Name of the catalog file, for the messages.
        catalog: The catalog as it was read.
        served: The models that the endpoints serve.
    """
    described = {card.id for card in catalog.cards}
    notes = [
        Problem(where=alias, hint=messages.CATALOG_ENDPOINT_UNLISTED) for alias in served.unlisted
    ]
    for alias, models in served.by_endpoint.items():
        notes += [
            Problem(where=alias, value=model, hint=messages.CATALOG_NO_ENTRY)
            for model in models
            if model not in described
        ]
    all_served = {model for models in served.by_endpoint.values() for model in models}
    notes += [
        Problem(where=f"{file_name}: {card.id}", hint=messages.CATALOG_NOT_SERVED)
        for card in catalog.cards
        if card.id not in all_served and card.available is not False
    ]
    return tuple(notes)


def _context_contradictions(card: ModelCard) -> tuple[str, ...]:
    if card.context_tokens is None or card.token_limit is None:
        return ()
    text = "\n".join((card.description, card.about_content, card.info_content))
    return contradictions(text, card.token_limit)
