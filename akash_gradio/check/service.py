"""Checks asked for on the page: of an endpoint that runs, or of any address, one at a time each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from akash_gradio.catalog.loader import Catalog
from akash_gradio.check import messages, report
from akash_gradio.check.probe import Level
from akash_gradio.check.probes.registry import chosen
from akash_gradio.check.runner import Check, Finding
from akash_gradio.check.target import Target
from akash_gradio.check.target_lookup import by_url, configured
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ServedModel


class Slot(Protocol):
    """A live endpoint: its places are the chats' first, and it remembers what a check learned."""

    entry: EndpointSettings

    @property
    def models(self) -> tuple[ServedModel, ...] | None:
        """What it serves, by catalog id."""
        ...

    async def acquire_slot(self) -> None:
        """Wait for a place that no chat is likely to want, and take it."""
        ...

    def release_slot(self) -> None:
        """The place is free again."""
        ...

    def learn(self, model: str, facts: Mapping[str, Any]) -> None:
        """Remember how it serves the model, by fields of `Capabilities`. model: its catalog id."""
        ...


@dataclass(frozen=True, slots=True)
class _Lent:
    """A live endpoint's places, as a check asks for them."""

    place: Slot

    async def enter(self) -> None:
        await self.place.acquire_slot()

    def leave(self) -> None:
        self.place.release_slot()


class CheckError(ValueError):
    """The check can't begin; the text says why, for people, without a secret."""


class CheckService:
    """Live: which checks run. endpoint: a live endpoint by its alias, None when there is none."""

    def __init__(self, endpoint: Callable[[str], Slot | None], catalog: Catalog) -> None:
        self._endpoint, self._catalog = endpoint, catalog
        self._running: set[str] = set()

    def check_endpoint(
        self, alias: str, model: str | None, level: Level
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Check an endpoint that runs. model: a catalog id. Raises CheckError."""
        place = self._endpoint(alias)
        if place is None:
            raise CheckError(messages.GONE.format(name=alias))
        if model is None and place.models:
            model = place.models[0].id
        target = configured(place.entry, model, self._catalog)
        return self._begin(target, level, place, model)

    def check_address(
        self, url: str, key: SecretStr | None, model: str | None, level: Level
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Check any address. Raises CheckError."""
        try:
            target = by_url(url, key, model, self._catalog)
        except ValueError as error:
            raise CheckError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
        return self._begin(target, level, None, None)

    def _begin(
        self, target: Target, level: Level, place: Slot | None, model: str | None
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        if target.entry.url in self._running:
            raise CheckError(messages.RUNS_ALREADY)
        return self._tell(target, level, place, model)

    async def _tell(
        self, target: Target, level: Level, place: Slot | None, model: str | None
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        name = target.entry.name
        check = Check(target, level=level, room=_Lent(place) if place else None)
        self._running.add(target.entry.url)
        found: list[Finding] = []
        try:
            yield {
                "kind": "begin",
                "cost": report.beforehand(name, level),
                "probes": [
                    {"probe": p.name, "title": messages.TITLES[p.name]} for p in chosen(level)
                ],
            }
            async with aclosing(check.findings()) as findings:
                async for finding in findings:
                    found.append(finding)
                    yield _row(finding)
            if place is not None and model is not None:
                place.learn(model, check.learned)
            yield {
                "kind": "end",
                "summary": report.summary(name, found),
                "counts": report.counts(found),
            }
        finally:
            self._running.discard(target.entry.url)


def _row(finding: Finding) -> Mapping[str, Any]:
    return {
        "kind": "finding",
        "probe": finding.probe,
        "title": finding.title,
        "verdict": finding.verdict.value,
        "says": finding.says,
        "mend": finding.mend,
        "curl": finding.curl,
    }
