"""LangChain, LiteLLM's SDK and `llm` against `/v1`, as docs/llm-gateway.md shows them.

This is no test, since they take a minute to install: `make clients` installs them into an
environment of their own and runs this. Of two endpoints the first one fails, which no client may
notice.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.api.examples import output_of, read_example, served_model
from tests.stubs import wire


def commands(programs: Path, url: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield name and command of each client. `folder` holds the configuration of `llm`."""
    python, llm = str(programs / "python"), str(programs / "llm")
    yield "LangChain", [python, "-c", read_example("python", "langchain_openai", url)]
    environment = ["env", "LITELLM_LOCAL_MODEL_COST_MAP=True"]  # otherwise it downloads prices
    yield "LiteLLM", [*environment, python, "-c", read_example("python", "litellm", url)]
    models = read_example("yaml", "model_id", url)
    (folder / "extra-openai-models.yaml").write_text(models, encoding="utf-8")
    command = ["env", f"LLM_USER_PATH={folder}", llm, "-m", "ours", "--key", "any-word", "Hello"]
    yield "llm, streamed", command
    yield "llm, whole", [*command, "--no-stream"]


async def main(programs: Path) -> int:
    """Print what each client received; return how many didn't receive the whole answer."""
    incomplete = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(4):
            async with served_model() as served:
                name, command = list(commands(programs, served.url, Path(folder)))[number]
                text = await output_of(*command, url=served.url)
            is_complete = wire.TEXT in text
            incomplete += not is_complete
            sys.stdout.write(f"{name}: {'complete' if is_complete else text[-500:]}\n")
    return incomplete


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
