"""Requests of megabytes reach no endpoint, whatever part of them is large and whatever the surface.

The sizes are those of an attack that once passed `LONGEST_MESSAGE` and a share of 20 000 tokens.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from akash_gradio.app import create_app
from tests.quota.budget_harness import Ledger, Visitor
from tests.stubs import StubEndpoint, entry, settings_for

MESSAGE = {"role": "user", "text": "Hello"}
LARGE = "word " * 100_000
ANSWER = {"role": "assistant", "text": LARGE}
FILE = {"kind": "text", "name": "a.txt", "text": LARGE}
ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "system": ("/page/reply", {"turns": [MESSAGE], "settings": {"system": LARGE}}),
    "history": ("/page/reply", {"turns": [MESSAGE, ANSWER, MESSAGE]}),
    "continuation": ("/page/continue", {"turns": [MESSAGE, ANSWER]}),
    "many messages": ("/page/reply", {"turns": [
        {"role": role, "text": "word " * 1000} for role in ("user", "assistant") * 50
    ] + [MESSAGE]}),
    "file": ("/page/reply", {"turns": [{**MESSAGE, "attachments": [FILE]}]}),
    "lane": ("/page/compare", {"run": "x" * 20, "lanes": [
        {"letter": "A", "model": "m", "turns": [MESSAGE], "settings": {"system": LARGE}}
    ]}),
    "api system": ("/v1/chat/completions", {"messages": [{"role": "system", "content": LARGE}]}),
    "api tools": ("/v1/chat/completions", {
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": LARGE}}],
    }),
}  # fmt: skip


@pytest.mark.parametrize("limit", [{"LONGEST_MESSAGE": 8000}, {"VISITOR_TOKENS_PER_DAY": 20_000}])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_large_request_reaches_no_endpoint(attack: str, limit: dict[str, int]) -> None:
    path, body = ATTACKS[attack]
    if "lanes" not in body:
        body = {"model": "m", **body}
    async with StubEndpoint() as stub:
        keys = json.dumps([{"name": "a", "key": "key-0"}])
        settings = settings_for(entry(stub), GATEWAY_API_KEYS=keys, **limit)
        app = create_app(settings, environment={})
        async with app.lifespan():
            ledger = Ledger()
            visitor = Visitor(app.asgi(), 0, 1, 1, ledger)
            await visitor.post(path, body, leaves=False)
            assert stub.chats == []
            ordinary = {"model": "m", "turns": [MESSAGE]}
            assert await visitor.post("/page/reply", ordinary, leaves=False) == 200
            assert len(stub.chats) == 1
