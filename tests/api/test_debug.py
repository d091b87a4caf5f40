"""`DEBUG=true` tells what happened on the way to an answer."""

from __future__ import annotations

import pytest

from tests.api.serving import chat_body, serving_one, serving_pair


async def test_tells_connections_choices_and_attempts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "akash_gradio")
    async with serving_pair("status_500") as (served, _, _):
        await served.ask(chat_body(stream=True))
    told = [vars(line) for line in caplog.records]
    opened = [(each["endpoint"], each["status"]) for each in of(told, "connection.opened")]
    assert opened == [("bad", 500), ("good", 200)]
    chosen = [(each["endpoint"], each["model"]) for each in of(told, "attempt.begun")]
    assert chosen == [("bad", "m"), ("good", "m")]
    assert all(each["reason"] for each in of(told, "attempt.begun"))
    (failed,) = of(told, "attempt.failed")
    assert (failed["endpoint"], failed["outcome"]) == ("bad", "EndpointRefused")


@pytest.mark.parametrize("name", ["html_with_200", "cuts_in_the_middle"])
async def test_tells_what_could_not_be_read(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "akash_gradio")
    async with serving_one(name) as (served, _):
        await served.ask(chat_body(stream=True))
    (failed,) = of([vars(line) for line in caplog.records], "attempt.failed")
    assert failed["endpoint"] == "only"
    assert failed["outcome"] in {"EndpointMalformed", "EndpointUnreachable"}
    assert failed["fact"]


def of(told: list[dict[str, object]], event: str) -> list[dict[str, object]]:
    return [each for each in told if each["message"] == event]
