"""What `DEBUG=true` logs on the way to an answer."""

from __future__ import annotations

import pytest

from tests.api.serving import chat_body, serving_one, serving_pair
from tests.stubs import Exchange
from tests.stubs.wire import error, to_json


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


@pytest.mark.parametrize(("status", "fails_over"), [(400, False), (413, True), (500, True)])
async def test_every_failed_attempt_is_logged_with_the_status_and_the_words_of_the_endpoint(
    status: int, fails_over: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def respond(x: Exchange) -> None:
        sent = x.request.headers["authorization"]
        await x.reply(to_json(error(f"no such thing: {sent}")), status)

    caplog.set_level("DEBUG", "akash_gradio")
    fields = {"apiKey": "key-of-only-123456"}
    async with serving_one(respond, fields, RETRY_ATTEMPTS=0) as (served, _):
        await served.ask(chat_body(stream=True))
    (failed,) = select([vars(line) for line in caplog.records], "attempt.failed")
    assert (failed["endpoint"], failed["model"], failed["status"]) == ("only", "m", status)
    assert str(failed["detail"]).startswith("no such thing: ")
    assert "key-of-only" not in str(failed)
    assert fails_over or failed["outcome"] == "RequestRefused"


def select(records: list[dict[str, object]], event: str) -> list[dict[str, object]]:
    return [record for record in records if record["message"] == event]
