"""The examples of docs/llm-gateway.md, and `/v1` for them, where one of two endpoints fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.api.serving import LONG_TIMEOUTS, Served, serving
from tests.documents import DOCS, example
from tests.stubs import StubEndpoint, entry, settings_for

PAGE = DOCS / "llm-gateway.md"
WRITTEN_URL = "http://localhost:7860/v1"
MODEL = "my-custom-model"


def written(language: str, word: str, url: str) -> str:
    """The example in this language with this word in it, asking this address."""
    return example(PAGE, language, word).replace(WRITTEN_URL, url)


@asynccontextmanager
async def served_model() -> AsyncIterator[Served]:
    """The model of the examples; the endpoint that fails is asked first."""
    async with StubEndpoint("status_500") as bad, StubEndpoint("perfect") as good:
        entries = [
            entry(bad, name="bad", weight=1000, models=[MODEL]),
            entry(good, name="good", models=[MODEL]),
        ]
        async with serving(settings_for(*entries, **LONG_TIMEOUTS)) as served:
            yield served
        assert len(bad.chats) == 1


async def said(*command: str, url: str, folder: Path | None = None) -> str:
    """What the command prints."""
    environment = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "any-word"}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    return out.decode()
