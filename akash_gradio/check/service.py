"""Runs the checks that are started on the page, one at a time for each endpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from pydantic import SecretStr

from akash_gradio.catalog.loader import Catalog
from akash_gradio.check import messages, report
from akash_gradio.check.probe import Level
from akash_gradio.check.probes.registry import probes_of
from akash_gradio.check.runner import Check, Finding, SlotPool
from akash_gradio.check.target import Target
from akash_gradio.check.target_lookup import CheckError, target_of_address, target_of_endpoint
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.model import ServedModel


class RunningEndpoint(SlotPool, Protocol):
    """An endpoint that also serves chats, and stores the capabilities that a check determines."""

    entry: EndpointSettings

    @property
    def models(self) -> tuple[ServedModel, ...] | None:
        """The models it serves, with their catalog ids; None while they are unknown."""
        ...

    def learn(self, model: str, facts: Mapping[str, Any]) -> None:
        """Store fields of `Capabilities` for a model, given by its catalog id."""
        ...


class CheckService:
    """Runs checks, at most one per endpoint at a time.

    Args:
        endpoint: Returns the running endpoint with an alias, or None.
        catalog: The model catalog.
    """

    def __init__(self, endpoint: Callable[[str], RunningEndpoint | None], catalog: Catalog) -> None:
        self._endpoint, self._catalog = endpoint, catalog
        self._running: set[str] = set()

    def check_endpoint(
        self, alias: str, model: str | None, level: Level
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Check a running endpoint.

        Args:
            alias: The endpoint's alias.
            model: The model's catalog id, or None for the endpoint's first model.
            level: How much is checked.

        Returns:
            The events of the check: `begin`, one `finding` per probe, and `end`.

        Raises:
            CheckError: There is no such endpoint, it is a Python function, or it is being checked
                already.
        """
        endpoint = self._endpoint(alias)
        if endpoint is None:
            raise CheckError("check_endpoint_unknown", {"name": alias}, 422)
        if not endpoint.entry.has_address:
            raise CheckError("check_function", {"name": alias}, 422)
        if model is None and endpoint.models:
            model = endpoint.models[0].id
        target = target_of_endpoint(endpoint.entry, model, self._catalog)
        return self._start(target, level, endpoint, model)

    def check_address(
        self, url: str, key: SecretStr | None, model: str | None, level: Level
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Check an address.

        Args:
            url: The base URL in any of the supported forms.
            key: The endpoint's API key.
            model: The endpoint's own id of the model, or None for the first listed model.
            level: How much is checked.

        Returns:
            The same events as `check_endpoint`.

        Raises:
            CheckError: The address can't be used, or it is being checked already.
        """
        return self._start(target_of_address(url, key, model, self._catalog), level, None, None)

    def _start(
        self, target: Target, level: Level, endpoint: RunningEndpoint | None, model: str | None
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        if target.entry.url in self._running:
            raise CheckError("check_running", status=422)
        return self._events(target, level, endpoint, model)

    async def _events(
        self, target: Target, level: Level, endpoint: RunningEndpoint | None, model: str | None
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        name = target.entry.name
        check = Check(target, level=level, slots=endpoint)
        self._running.add(target.entry.url)
        reported: list[Finding] = []
        try:
            yield {
                "kind": "begin",
                "cost": report.announcement(name, level),
                "probes": [
                    {"probe": probe.name, "title": messages.TITLES[probe.name]}
                    for probe in probes_of(level)
                ],
            }
            async with aclosing(check.findings()) as findings:
                async for finding in findings:
                    reported.append(finding)
                    yield _finding_event(finding)
            if endpoint is not None and model is not None:
                endpoint.learn(model, check.learned)
            yield {
                "kind": "end",
                "summary": report.summary(name, reported),
                "counts": report.counts(reported),
            }
        finally:
            self._running.discard(target.entry.url)


def _finding_event(finding: Finding) -> Mapping[str, Any]:
    return {
        "kind": "finding",
        "probe": finding.probe,
        "title": finding.title,
        "verdict": finding.verdict.value,
        "message": finding.message,
        "fix": finding.fix,
        "curl": finding.curl,
    }
