"""The examples of docs/llm-gateway.md against `/v1`, unchanged, while an endpoint fails.

The one for Node is in test_node_sdk.py. `make clients` runs the three whose packages are large.
"""

from __future__ import annotations

import json
import sys

from tests.api.examples import output_of, read_example, served_model
from tests.stubs import wire


async def test_curl_streams() -> None:
    async with served_model() as served:
        script = read_example("sh", "curl", served.url)
        stream = await output_of("sh", "-c", script, url=served.url)
    *chunks, done = [line.removeprefix("data: ") for line in stream.split("\n") if line]
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == wire.TEXT
    assert done == "[DONE]"


async def test_curl_receives_a_whole_response_without_stream() -> None:
    async with served_model() as served:
        script = read_example("sh", "curl", served.url).replace('"stream": true, ', "")
        answer = await output_of("sh", "-c", script, url=served.url)
    assert json.loads(answer)["choices"][0]["message"]["content"] == wire.TEXT


async def test_openais_python_sdk_streams() -> None:
    async with served_model() as served:
        program = read_example("python", "from openai", served.url)
        assert await output_of(sys.executable, "-c", program, url=served.url) == wire.TEXT
