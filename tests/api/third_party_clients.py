"""LangChain, LiteLLM's SDK and `llm` against `/v1`, as docs/llm-gateway.md shows them.

No test, since they take a minute to install: `make clients` puts them into an environment of
their own and runs this. Of two endpoints the one that is asked first fails: nobody may notice.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.api.examples import said, served_model, written
from tests.stubs import wire


def commands(programs: Path, url: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name → what to run. folder: where `llm` keeps its own."""
    python, llm = str(programs / "python"), str(programs / "llm")
    yield "LangChain", [python, "-c", written("python", "langchain_openai", url)]
    alone = ["env", "LITELLM_LOCAL_MODEL_COST_MAP=True"]  # else it asks the network for prices
    yield "LiteLLM", [*alone, python, "-c", written("python", "litellm", url)]
    models = written("yaml", "model_id", url)
    (folder / "extra-openai-models.yaml").write_text(models, encoding="utf-8")
    asked = ["env", f"LLM_USER_PATH={folder}", llm, "-m", "ours", "--key", "any-word", "Hello"]
    yield "llm, streamed", asked
    yield "llm, whole", [*asked, "--no-stream"]


async def main(programs: Path) -> int:
    """Say what each heard; returns how many did not hear all of it."""
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for place in range(4):
            async with served_model() as served:
                name, command = list(commands(programs, served.url, Path(folder)))[place]
                heard = await said(*command, url=served.url)
            whole = wire.TEXT in heard
            broken += not whole
            sys.stdout.write(f"{name}: {'whole' if whole else heard[-500:]}\n")
    return broken


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
