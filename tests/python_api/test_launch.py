"""Launching, closing and launching again; two apps in one process; a page in a FastAPI app."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import akash_gradio as ag
from tests.browser.servers import free_port


def alpha(messages: Any) -> Iterator[str]:
    yield "I am "
    yield "alpha"


def beta(messages: Any) -> str:
    return "I am beta"


def answer(url: str, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "Who?"}]}
    sent = Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urlopen(sent, timeout=30) as response:
        content: str = json.load(response)["choices"][0]["message"]["content"]
        return content


def test_two_apps_run_in_one_process_and_can_be_launched_again() -> None:
    first = ag.App(alpha, server_port=free_port())
    second = ag.App(beta, server_port=free_port())
    with first, second:
        assert (answer(first.url, "alpha"), answer(second.url, "beta")) == (
            "I am alpha",
            "I am beta",
        )
        with urlopen(first.url, timeout=30) as page:
            assert b"akash" in page.read().lower()
    assert first.url == ""
    with first:
        assert answer(first.url, "alpha") == "I am alpha"


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with ag.App(alpha) as first, ag.App(beta) as second:
        assert first.url != second.url
        assert answer(second.url, "beta") == "I am beta"


def test_a_chosen_port_that_is_in_use_is_an_error() -> None:
    with ag.App(alpha, server_port=free_port()) as app:
        port = int(app.url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            ag.App(beta, server_port=port).launch(block=False)


def test_two_pages_are_mounted_in_a_fastapi_app() -> None:
    parent = FastAPI()

    @parent.get("/own")
    def own() -> str:
        return "own"

    ag.App(alpha).mount(parent, "/chat")
    ag.App(beta).mount(parent, "/other/")
    body = {"messages": [{"role": "user", "content": "Who?"}]}
    with TestClient(parent, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        assert client.get("/own").json() == "own"
        for path, model in (("/chat", "alpha"), ("/other", "beta")):
            assert client.get(f"{path}/").status_code == 200
            response = client.post(f"{path}/v1/chat/completions", json={**body, "model": model})
            assert response.json()["choices"][0]["message"]["content"] == f"I am {model}"
