"""What `DEBUG=true` logs on the way to an answer."""

from __future__ import annotations

import pytest

from tests.api.serving import chat_body, serving_one, serving_pair


async def test_connections_and_attempts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "akash_gradio")
    async with serving_pair("status_500") as (served, _, _):
        await served.ask(chat_body(stream=True))
    records = [vars(line) for line in caplog.records]
    connections = [
        (record["endpoint"], record["status"]) for record in select(records, "connection.opened")
    ]
    assert connections == [("bad", 500), ("good", 200)]
    attempts = [
        (record["endpoint"], record["model"]) for record in select(records, "attempt.begun")
    ]
    assert attempts == [("bad", "m"), ("good", "m")]
    assert all(record["reason"] for record in select(records, "attempt.begun"))
    (failed,) = select(records, "attempt.failed")
    assert (failed["endpoint"], failed["outcome"]) == ("bad", "EndpointRefused")


@pytest.mark.parametrize("name", ["html_with_200", "cuts_in_the_middle"])
async def test_malformed_responses_are_logged(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "akash_gradio")
    async with serving_one(name) as (served, _):
        await served.ask(chat_body(stream=True))
    (failed,) = select([vars(line) for line in caplog.records], "attempt.failed")
    assert failed["endpoint"] == "only"
    assert failed["outcome"] in {"EndpointMalformed", "EndpointUnreachable"}
    assert failed["fact"]


def select(records: list[dict[str, object]], event: str) -> list[dict[str, object]]:
    return [record for record in records if record["message"] == event]
