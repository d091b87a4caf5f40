from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from akash_gradio.domain import errors
from akash_gradio.domain.chat import ChatRequest
from akash_gradio.domain.events import (
    Finished,
    MediaDelta,
    NotReasoning,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from akash_gradio.domain.ports import EndpointState
from akash_gradio.domain.receipt import Attempt
from akash_gradio.markdown.renderer import render
from akash_gradio.web.reply import STARTING_POLL_S, UPDATE_INTERVAL_S, reply
from tests.web.fakes import (
    STARTED,
    Clock,
    FakeChatGateway,
    FakeSleep,
    Gate,
    RecordedPage,
    Step,
    chat_request,
    endpoint_status,
    every_error,
    full_answer,
    make_receipt,
    no_sleep,
    record_page,
    tasks_left,
    with_receipt,
)
from tests.work.fakes import WORK

MARKDOWN = (
    "# Title\n\nSome **bold** text.\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


async def page_after(
    gateway: FakeChatGateway, request: ChatRequest | None = None, **more: Any
) -> RecordedPage:
    return await record_page(
        reply(request or chat_request(), gateway, WORK, **({"sleep": no_sleep} | more))
    )


async def test_events_are_yielded_in_order() -> None:
    failed = Attempt(endpoint="a", model="m", reason="weighted", outcome="X", elapsed_ms=1.0)
    script: list[Step] = [Retrying(failed, 1.25), STARTED, ReasoningDelta("hm"), TextDelta("Hi")]
    page = await page_after(
        FakeChatGateway([*script, Usage(1, 2), Finished("stop", make_receipt())])
    )
    assert page.events[0] == {"type": "retrying", "endpoint": "a", "wait_s": 1.2}
    assert page.events[1]["type"] == "started"
    assert (page.events[1]["endpoint"], page.events[1]["model"]) == ("eu-1", "m")
    assert [e["part"] for e in page.events if e["type"] == "patch"] == ["reasoning", "answer"]
    assert page.text == {"reasoning": "hm", "answer": "Hi"}
    assert page.done["receipt"]["line"] == ["eu-1", "0.41 s", "87 tok/s", "512 tok"]
    assert "error" not in page.done


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_all_patches_together_are_the_whole_answer(size: int) -> None:
    pieces = [MARKDOWN[at : at + size] for at in range(0, len(MARKDOWN), size)]

    def script(_request: ChatRequest) -> list[Any]:
        steps: list[Any] = [STARTED]
        for piece in pieces:
            steps += [ReasoningDelta(piece), TextDelta(piece), lambda: asyncio.sleep(0)]
        return [*steps, Finished("stop", make_receipt())]

    page = await page_after(FakeChatGateway(script))
    for part in ("answer", "reasoning"):
        assert page.text[part] == MARKDOWN
        assert tuple(page.blocks[part]) == render(MARKDOWN)


@pytest.mark.parametrize("end", ["\n", "   ", "\n\n\n", "\ud83d", "\r"])
async def test_text_that_renders_nothing_is_kept(end: str) -> None:
    gate = Gate()
    script: list[Step] = [
        STARTED,
        TextDelta("Done."),
        gate,
        TextDelta(end),
        Finished("stop", make_receipt()),
    ]
    page = RecordedPage()
    async for event in reply(chat_request(), FakeChatGateway(script), WORK, sleep=no_sleep):
        page.take(event)
        if event["type"] == "patch":
            gate.open()
    assert page.text["answer"] == "Done." + end
    assert tuple(page.blocks["answer"]) == render("Done." + end)


async def test_a_burst_between_two_updates_is_one_patch_for_each_part() -> None:
    before, after, naps = Gate(), Gate(), FakeSleep()
    burst: list[Any] = [ReasoningDelta("why "), *[ReasoningDelta("so ")] * 500]
    burst += [TextDelta("and ")] * 500
    gateway = FakeChatGateway([STARTED, before, *burst, after, Finished("stop", make_receipt())])
    events = reply(chat_request(), gateway, WORK, sleep=naps)
    assert (await anext(events))["type"] == "started"
    following = asyncio.ensure_future(anext(events))
    await naps.asleep()
    before.open()
    await after.reached.wait()
    assert not following.done()
    naps.wake()
    first, second, third = await following, await anext(events), await anext(events)
    assert [first["type"], second["part"], third["part"]] == ["thought", "reasoning", "answer"]
    assert second["text"] == "why " + "so " * 500
    assert third["text"] == "and " * 500
    assert naps.requested_s == [UPDATE_INTERVAL_S]
    await events.aclose()


async def test_there_are_at_most_twenty_updates_per_second() -> None:
    slept: list[float] = []

    async def nap(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    steps: list[Any] = [STARTED]
    for _ in range(30):
        steps += [TextDelta("word "), lambda: asyncio.sleep(0)]
    page = await page_after(FakeChatGateway([*steps, Finished("stop", make_receipt())]), sleep=nap)
    assert page.types.count("patch") <= len(slept) + 1
    assert set(slept) == {UPDATE_INTERVAL_S}
    assert UPDATE_INTERVAL_S >= 1 / 20


async def test_closing_between_two_events_closes_the_upstream_call() -> None:
    gate = Gate()
    gateway = FakeChatGateway([STARTED, gate])
    events = reply(chat_request(), gateway, WORK, sleep=no_sleep)
    await anext(events)
    await gate.reached.wait()
    await events.aclose()
    assert gateway.closed == gateway.opened
    assert not tasks_left()


@pytest.mark.parametrize("begun", [True, False])
async def test_cancelling_during_silence_closes_the_upstream_call(begun: bool) -> None:
    gate = Gate()
    gateway = FakeChatGateway([STARTED, TextDelta("a"), gate] if begun else [gate])
    reading = asyncio.ensure_future(
        record_page(reply(chat_request(), gateway, WORK, sleep=no_sleep))
    )
    await gate.reached.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len(gateway.closed) == 1
    assert not tasks_left()


async def test_cancelling_between_updates_closes_the_upstream_call() -> None:
    naps, gate = FakeSleep(), Gate()
    gateway = FakeChatGateway([STARTED, gate])
    reading = asyncio.ensure_future(record_page(reply(chat_request(), gateway, WORK, sleep=naps)))
    await naps.asleep()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len(gateway.closed) == 1
    assert not tasks_left()


@pytest.mark.parametrize("error", every_error(), ids=str)
async def test_every_error_ends_with_a_text_and_its_receipt(error: errors.AkashGradioError) -> None:
    receipt = make_receipt(finish="failed", endpoint="")
    page = await page_after(FakeChatGateway([with_receipt(error, receipt)]))
    error_shown = page.done["error"]
    assert page.types == ["done"]
    assert error_shown["title"]
    assert error_shown["hint"]
    assert isinstance(error_shown["details"], str)
    assert page.done["receipt"]["rows"]


async def test_an_interrupted_answer_keeps_its_text_and_shows_its_receipt() -> None:
    cause = errors.EndpointTimeout("eu-1", "idle", 30.0)
    receipt = make_receipt(finish="interrupted")
    error = with_receipt(errors.ReplyInterrupted("eu-1", cause), receipt)
    page = await page_after(
        FakeChatGateway([STARTED, ReasoningDelta("hm"), TextDelta("Half an"), error])
    )
    assert page.text == {"reasoning": "hm", "answer": "Half an"}
    assert tuple(page.blocks["answer"]) == render("Half an")
    assert page.done["receipt"]["flags"] == ["interrupted"]
    assert page.done["error"]["title"]
    assert page.done["thought_s"] is not None


async def test_an_unexpected_error_has_a_general_text_and_is_logged_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = FakeChatGateway([STARTED, TextDelta("the answer"), KeyError("the prompt")])
    page = await page_after(gateway, chat_request("the prompt"))
    assert page.text["answer"] == "the answer"
    assert page.done["error"]["title"] == "Something went wrong on this server."
    assert "the prompt" not in str(page.done)
    (record,) = [r for r in caplog.records if r.name.startswith("akash_gradio")]
    assert (record.levelname, record.getMessage()) == ("ERROR", "reply.failed")
    assert record.__dict__["kind"] == "KeyError"
    assert "stream:" in record.__dict__["where"]
    logged = str(record.__dict__)
    assert "the prompt" not in logged
    assert "the answer" not in logged
    assert gateway.closed == gateway.opened


async def test_an_answer_without_an_end_is_an_error() -> None:
    page = await page_after(FakeChatGateway([STARTED, TextDelta("Half")]))
    assert page.text["answer"] == "Half"
    assert page.done["error"]["title"]


async def test_a_starting_model_is_awaited_and_reported_once() -> None:
    naps = FakeSleep()
    gateway = FakeChatGateway([errors.NoEndpoint("m", "starting")], full_answer("Here I am."))
    gateway.statuses = (endpoint_status("m", state=EndpointState.STARTING),)
    reading = asyncio.ensure_future(record_page(reply(chat_request(), gateway, WORK, sleep=naps)))
    for _ in range(6):
        await naps.asleep()
        naps.wake()
    assert len(gateway.opened) == 1
    gateway.statuses = (endpoint_status("m"),)
    while not reading.done():
        naps.wake()
        await asyncio.sleep(0)
    page = await reading
    assert page.types.count("starting") == 1
    assert page.text["answer"] == "Here I am."
    assert "error" not in page.done
    assert STARTING_POLL_S in naps.requested_s


async def test_waiting_ends_when_the_model_does_not_start() -> None:
    gone = errors.NoEndpoint("m", "none_configured")
    gateway = FakeChatGateway([errors.NoEndpoint("m", "starting")], [gone])
    page = await page_after(gateway)
    assert page.types == ["starting", "done"]
    assert page.done["error"]["title"] == "No endpoint is configured."
    assert len(gateway.opened) == 2


async def test_starting_is_reported_once_for_several_requests() -> None:
    starting = [errors.NoEndpoint("m", "starting")]
    page = await page_after(FakeChatGateway(starting, starting, starting, full_answer("Here.")))
    assert page.types.count("starting") == 1
    assert page.text["answer"] == "Here."


async def test_closing_while_a_model_starts_ends_the_wait() -> None:
    naps = FakeSleep()
    gateway = FakeChatGateway([errors.NoEndpoint("m", "starting")])
    gateway.statuses = (endpoint_status("m", state=EndpointState.STARTING),)
    reading = asyncio.ensure_future(record_page(reply(chat_request(), gateway, WORK, sleep=naps)))
    await naps.asleep()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not tasks_left()


async def test_reasoning_is_timed_until_the_first_text() -> None:
    clock = Clock()
    script: list[Step] = [STARTED, clock.after(2), ReasoningDelta("a"), clock.after(11.96)]
    script += [ReasoningDelta("b"), clock.after(0.5), TextDelta("x"), clock.after(5)]
    script += [ReasoningDelta("c"), Finished("stop", make_receipt())]
    page = await page_after(FakeChatGateway(script), clock=clock)
    assert [e["seconds"] for e in page.events if e["type"] == "thought"] == [12.5]
    assert page.done["thought_s"] == 12.5
    assert page.text["reasoning"] == "abc"


async def test_reasoning_without_an_answer_is_timed() -> None:
    clock = Clock()
    script: list[Step] = [
        STARTED,
        ReasoningDelta("a"),
        clock.after(3),
        Finished("length", make_receipt()),
    ]
    assert (await page_after(FakeChatGateway(script), clock=clock)).done["thought_s"] == 3.0


async def test_text_that_was_no_reasoning_becomes_the_answer() -> None:
    script: list[Step] = [
        STARTED,
        ReasoningDelta("So **"),
        lambda: asyncio.sleep(0),
        ReasoningDelta("yes**"),
    ]
    page = await page_after(
        FakeChatGateway([*script, NotReasoning(), Finished("stop", make_receipt())])
    )
    assert page.text == {"reasoning": "", "answer": "So **yes**"}
    assert page.blocks == {"reasoning": [], "answer": list(render("So **yes**"))}
    assert page.done["thought_s"] is None


async def test_an_answer_without_reasoning_has_no_reasoning_time() -> None:
    page = await page_after(FakeChatGateway(full_answer("x")))
    assert page.done["thought_s"] is None
    assert "thought" not in page.types


async def test_a_fallback_is_shown_with_its_display_name() -> None:
    receipt = make_receipt(answering_model="org/small")
    gateway = FakeChatGateway([Started("eu-1", "org/small"), Finished("stop", receipt)])
    page = await page_after(gateway, display_name={"org/small": "Small 8B"}.get)
    assert "fallback: Small 8B" in page.done["receipt"]["flags"]


async def test_an_error_shows_the_display_name_of_the_model() -> None:
    cause = errors.EndpointSilent("eu-1")
    gateway = FakeChatGateway([errors.AllEndpointsFailed("org/big", cause)])
    page = await page_after(
        gateway, chat_request(model="org/big"), display_name={"org/big": "Big 70B"}.get
    )
    assert page.done["error"]["title"] == "Big 70B is unavailable."


async def test_events_that_the_page_does_not_show_are_ignored() -> None:
    script: list[Step] = [STARTED, Usage(1), Finished("stop", make_receipt())]
    page = await page_after(FakeChatGateway(script))
    assert page.types == ["started", "done"]


async def test_a_tool_call_is_shown_with_its_name_and_arguments() -> None:
    script: list[Step] = [
        STARTED,
        ToolCallDelta(0, "c1", name="weather"),
        ToolCallDelta(1, "c2", name="a`b\n<b>", arguments="```"),
        ToolCallDelta(0, arguments='{"city":'),
        ToolCallDelta(0, name="weather", arguments=' "<b>Köln</b>"}'),
        Finished("tool_calls", make_receipt(finish="tool_calls")),
    ]
    page = await page_after(FakeChatGateway(script))
    assert page.text["answer"] == (
        '**Tool call:** `weather`\n\n```json\n{"city": "<b>Köln</b>"}\n```\n\n'
        "**Tool call:** `a'b <b>`\n\n````json\n```\n````"
    )
    html = "".join(page.blocks["answer"])
    assert "weather" in html
    assert "<b>Köln" not in html
    assert not page.done["receipt"]["unfinished"]


async def test_a_tool_call_follows_the_text() -> None:
    script: list[Step] = [STARTED, TextDelta("Let me look."), ToolCallDelta(0, name="look")]
    page = await page_after(FakeChatGateway([*script, Finished("tool_calls", make_receipt())]))
    assert page.text["answer"].startswith("Let me look.\n\n**Tool call:** `look`")


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
async def test_output_that_the_page_cannot_show_is_mentioned(kind: str) -> None:
    script: list[Step] = [STARTED, MediaDelta(kind), MediaDelta(kind)]
    page = await page_after(FakeChatGateway([*script, Finished("stop", make_receipt())]))
    assert page.text["answer"].count("This page shows text only") == 1
