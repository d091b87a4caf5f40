"""The examples of docs/llm-gateway.md against `/v1`, as they stand, while an endpoint fails.

The one for Node is in test_node_sdk.py; the three that are heavy to install run by hand
(`make clients`).
"""

from __future__ import annotations

import json
import sys

from tests.api.examples import said, served_model, written
from tests.stubs import wire


async def test_curl_streams() -> None:
    async with served_model() as served:
        script = written("sh", "curl", served.url)
        stream = await said("sh", "-c", script, url=served.url)
    *chunks, done = [line.removeprefix("data: ") for line in stream.split("\n") if line]
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == wire.TEXT
    assert done == "[DONE]"


async def test_curl_gets_a_whole_answer_where_it_asks_for_no_stream() -> None:
    async with served_model() as served:
        script = written("sh", "curl", served.url).replace('"stream": true, ', "")
        answer = await said("sh", "-c", script, url=served.url)
    assert json.loads(answer)["choices"][0]["message"]["content"] == wire.TEXT


async def test_openais_sdk_in_python() -> None:
    async with served_model() as served:
        program = written("python", "from openai", served.url)
        assert await said(sys.executable, "-c", program, url=served.url) == wire.TEXT
