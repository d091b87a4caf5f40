"""Holds the catalog against itself, against its pictures, and against what endpoints serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from akash_gradio.catalog.context_claims import contradictions
from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check import messages
from akash_gradio.check.parsing import fault_before_body
from akash_gradio.check.probe_client import ProbeClient
from akash_gradio.check.probe_request import Ask
from akash_gradio.check.probes.model_list import listed
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.gateway.discovery import to_catalog_ids

LIST_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the endpoints serve, by alias. silent: aliases whose list could not be had."""

    models: Mapping[str, tuple[str, ...]]
    silent: tuple[str, ...] = ()


async def ask_endpoints(entries: Sequence[EndpointSettings]) -> Served:
    """What each serves: as configured, else as its `/v1/models` lists it."""
    models: dict[str, tuple[str, ...]] = {}
    silent = []
    for entry in entries:
        if entry.models is not None:
            models[entry.name] = entry.models
            continue
        async with ProbeClient(Target(entry=entry)) as prober:
            heard = await prober.send(Ask(path="/models"), deadline_s=LIST_WITHIN_S)
        if fault_before_body(heard) is not None:
            silent.append(entry.name)
        found = to_catalog_ids(listed(heard), entry.model_map)
        models[entry.name] = tuple(model.id for model in found)
    return Served(models=models, silent=tuple(silent))


def mistakes(where: str, catalog: Catalog, pictures: Path) -> tuple[Problem, ...]:
    """What is wrong in the file itself. pictures: the folder of thumbnails."""
    claims = [
        _problem(
            f"{where}: {card.id}",
            "tokenLimit",
            str(card.token_limit),
            messages.CATALOG_CLAIM.format(claims=", ".join(found)),
        )
        for card in catalog.cards
        if (found := _claims(card))
    ]
    missing = [
        _problem(f"{where}: {card.id}", "thumbnailId", card.thumbnail_id, messages.CATALOG_PICTURE)
        for card in catalog.cards
        if card.thumbnail_id and not any(pictures.glob(f"{escape(card.thumbnail_id)}.*"))
    ]
    broken = Thumbnails(pictures).problems(catalog.cards)
    return (*catalog.problems, *claims, *missing, *broken)


def remarks(where: str, catalog: Catalog, served: Served) -> tuple[Problem, ...]:
    """What the endpoints serve and the catalog lacks, and the other way round."""
    described = {card.id for card in catalog.cards}
    found = [_problem(alias, "", "", messages.CATALOG_SILENT) for alias in served.silent]
    for alias, models in served.models.items():
        found += [
            _problem(alias, "", model, messages.CATALOG_NO_ENTRY)
            for model in models
            if model not in described
        ]
    every = {model for models in served.models.values() for model in models}
    found += [
        _problem(f"{where}: {card.id}", "", "", messages.CATALOG_UNSERVED)
        for card in catalog.cards
        if card.id not in every and card.available is not False
    ]
    return tuple(found)


def _claims(card: ModelCard) -> tuple[str, ...]:
    if card.context_tokens is None or card.token_limit is None:
        return ()
    text = "\n".join((card.description, card.about_content, card.info_content))
    return contradictions(text, card.token_limit)


def _problem(where: str, field: str, value: str, hint: str) -> Problem:
    return Problem(where=where, field=field, value=value, hint=hint)
