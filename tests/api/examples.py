"""The examples of docs/llm-gateway.md, and a server for them with one failing endpoint."""

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
DOCUMENTED_URL = "http://localhost:7860/v1"
MODEL = "my-custom-model"


def read_example(language: str, word: str, url: str) -> str:
    """Return the example in this language that contains this word, with the server's URL."""
    return example(PAGE, language, word).replace(DOCUMENTED_URL, url)


@asynccontextmanager
async def served_model() -> AsyncIterator[Served]:
    """Serve the model of the examples; the failing endpoint is called first."""
    async with StubEndpoint("status_500") as bad, StubEndpoint("perfect") as good:
        entries = [
            entry(bad, name="bad", weight=1000, models=[MODEL]),
            entry(good, name="good", models=[MODEL]),
        ]
        async with serving(settings_for(*entries, **LONG_TIMEOUTS)) as served:
            yield served
        assert len(bad.chats) == 1


async def output_of(*command: str, url: str, folder: Path | None = None) -> str:
    """Run a command and return what it prints."""
    environment = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "any-word"}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()
