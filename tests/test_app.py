"""What `app.py` puts together, without serving it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.api.faults import Fault
from akash_gradio.compare.runs import Runs
from akash_gradio.settings import read_settings
from akash_gradio.ui.routes import boot_view
from app import Parts, assemble
from tests.compare.fakes import Answering, plan

AT_HOME: dict[str, Any] = {
    "type": "http",
    "client": ("127.0.0.1", 1234),
    "headers": [(b"host", b"localhost:7860")],
}
ONE = {"API_ENDPOINT": "https://one.example/v1", "API_KEY": "sk-planted"}


def parts(**variables: str) -> Parts:
    return assemble(read_settings({**ONE, **variables}, None))


def test_with_nothing_set_who_sits_at_this_machine_is_the_host_and_may_ask() -> None:
    made = parts()
    assert made.house.is_host(AT_HOME)
    made.service.api.door.admit(AT_HOME)


@pytest.mark.parametrize(
    "variables",
    [
        {"TRUSTED_PROXIES": "1"},
        {"ALLOWED_ORIGINS": "https://page.example"},
        {"SPACE_ID": "me/demo"},
    ],
)
def test_behind_a_proxy_coming_from_this_machine_makes_nobody_the_host(
    variables: dict[str, str],
) -> None:
    made = parts(**variables)
    assert not made.house.is_host(AT_HOME)
    with pytest.raises(Fault) as raised:
        made.service.api.door.admit(AT_HOME)
    assert raised.value.code == "no_api_keys_configured"


def test_only_endpoints_with_a_key_of_the_hosts_are_offered_for_visitors_keys() -> None:
    listed = """[{"name": "keyed", "url": "https://a.example", "apiKey": "k", "models": ["m"]},
        {"name": "open", "url": "https://b.example", "models": ["m"]},
        {"name": "drained", "url": "https://c.example", "apiKey": "k", "models": ["m"],
         "weight": 0}]"""
    made = assemble(read_settings({"ENDPOINTS": listed, "OWN_KEYS": "keys"}, None))
    assert boot_view(made.house, AT_HOME)["own_keys"] == {"mode": "keys", "endpoints": ["keyed"]}


async def test_runs_end_with_the_server(tmp_path: Path) -> None:
    never = asyncio.Event()
    answering = Answering(lambda _request: [never])
    made = assemble(read_settings({"EMBEDDED": "off"}, env_file=None))
    runs = Runs(tmp_path, answering, lambda _model: None, made.house.closing)
    async with Parts(made.house, made.service, made.front, runs).open(object()):
        run_id = await runs.begin(plan(), "T")
        found = await runs.find(run_id)
        assert found is not None
        assert found.at_work
        assert not made.house.closing()
        made.front.running.closing = True
        assert made.house.closing()
    assert not found.at_work
