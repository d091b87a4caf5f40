"""LiteLLM's SDK, LangChain, `llm` and curl against `/v1`: not a test, run by hand.

They are heavy, so they live in an environment of their own:

    python -m venv /tmp/clients
    /tmp/clients/bin/pip install litellm langchain-openai llm
    .venv/bin/python -m tests.api.other_clients /tmp/clients/bin

Each asks for a whole answer and for a stream, and until its breaker opens an endpoint that
fails is asked first: none of them may notice.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.api.serving import pair
from tests.stubs import wire

QUESTION = "Grüße"

LITELLM = """
import litellm
asked = {"model": "openai/m", "messages": [{"role": "user", "content": "Grüße"}]}
print(litellm.completion(**asked).choices[0].message.content)
parts = litellm.completion(**asked, stream=True)
print("".join(part.choices[0].delta.content or "" for part in parts))
"""

LANGCHAIN = """
from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="m", max_retries=0)
print(model.invoke("Grüße").content)
print("".join(part.content for part in model.stream("Grüße")))
"""

CURL = """
for stream in false true; do
  curl -sSN "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" \
    -H "Content-Type: application/json" \
    -d '{"model": "m", "stream": '$stream', "messages": [{"role": "user", "content": "Hi"}]}'
  echo
done
"""

LLM = """
- model_id: ours
  model_name: m
  api_base: {url}
"""


async def main(programs: Path) -> None:
    """Print what each client heard, and how often the endpoint that fails was asked."""
    async with pair("status_500") as (served, bad, good):
        environment = {**os.environ, "OPENAI_BASE_URL": served.url, "OPENAI_API_KEY": "any"}
        environment["OPENAI_API_BASE"] = served.url  # LiteLLM's name for it
        environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices
        with tempfile.TemporaryDirectory() as folder:
            environment["LLM_USER_PATH"] = folder
            models = Path(folder) / "extra-openai-models.yaml"
            models.write_text(LLM.format(url=served.url), encoding="utf-8")
            python, llm = str(programs / "python"), str(programs / "llm")
            for name, command in {
                "litellm": [python, "-c", LITELLM],
                "langchain-openai": [python, "-c", LANGCHAIN],
                "llm": [llm, "-m", "ours", "--no-stream", "--key", "any", QUESTION],
                "llm, streamed": [llm, "-m", "ours", "--key", "any", QUESTION],
                "curl": ["sh", "-c", CURL],
            }.items():
                said = await _run(command, environment)
                whole = wire.TEXT in said or (name == "curl" and said.rstrip().endswith("[DONE]"))
                _say(f"== {name}: {'whole' if whole else 'BROKEN'}\n{said[-300:]}")
        _say(f"the failing endpoint was asked {len(bad.chats)} times, the other {len(good.chats)}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


async def _run(command: list[str], environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return said.decode()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
