"""The real small model, in its real server, passes every probe of the checker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.check.probe import Level
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.progress import Progress
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from tests.check.helpers import check

pytestmark = pytest.mark.embedded


async def test_the_embedded_model_passes_every_probe() -> None:
    ready: asyncio.Future[EndpointSettings] = asyncio.get_running_loop().create_future()
    calls: list[Progress] = []
    embedded = EmbeddedEndpoint(read_settings(), ready.set_result, lambda: None, calls.append)
    running = asyncio.create_task(embedded.run())
    try:
        pending: set[asyncio.Future[Any]] = {running, ready}
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), calls[-1:]
        entry = ready.result()
        assert entry.models is not None
        model = entry.models[0]
        target = Target(entry=entry, model=model, card=read_catalog(None).get(model))
        findings = await check(target, level=Level.FULL, scale=3)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert [f"{f.code}: {f.message}" for f in findings if f.verdict is not Verdict.PASS] == []
