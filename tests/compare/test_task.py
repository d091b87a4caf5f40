from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from akash_gradio.compare.checks import Check, CheckKind, check_answer
from akash_gradio.compare.plan import Lane, Task
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.rows import Row, row_dict, row_from
from akash_gradio.compare.task import BUSY_PAUSE_S, MAX_WAIT_S, evaluate_in, run_task
from akash_gradio.domain.chat import ChatRequest, Sampling
from akash_gradio.domain.errors import (
    AllEndpointsFailed,
    EndpointRefused,
    EndpointUnreachable,
    LimitReached,
    NoEndpoint,
    ReplyInterrupted,
    RequestRefused,
    UnknownModel,
)
from akash_gradio.domain.events import Finished, NotReasoning, Started, TextDelta
from akash_gradio.domain.model import ModelCard
from akash_gradio.work.pool import WorkFailed, WorkPool
from tests.compare.fakes import FakeGateway, RecordingSleep, Step, answer, make_receipt
from tests.work.fakes import WORK, DirectWork

TASK = Task(
    number=7,
    prompt=Prompt(
        id="1",
        text="Capital?",
        checks=(
            Check(kind=CheckKind.CONTAINS, value="paris"),
            Check(kind=CheckKind.MAX_LENGTH, value="3"),
        ),
    ),
    lane=Lane(model="m", sampling=Sampling(temperature=0.2), system="lane", endpoint="eu-1"),
    repeat=1,
)
CARDS = {
    "m": ModelCard(id="m", name="M", prompt_price=1.0, completion_price=10.0),
    "other": ModelCard(id="other", name="Other", prompt_price=2.0, completion_price=20.0),
}
NO_CARDS: dict[str, ModelCard] = {}


def succeed(request: ChatRequest) -> list[Step]:
    return answer(request, "Paris", reasoning="hm")


def failing(*errors: Exception) -> FakeGateway:
    """A gateway that raises each error once, in this order, and then answers."""
    left = list(errors)
    return FakeGateway(lambda r: [left.pop(0)] if left else answer(r, "Paris"))


async def test_a_row_has_the_answer_its_receipt_checks_and_cost() -> None:
    gateway = FakeGateway(succeed)
    row = await run_task(TASK, gateway, CARDS.get)
    assert (row.number, row.outcome, row.answer, row.reasoning) == (7, "ok", "Paris", "hm")
    assert row.receipt is not None
    assert row.receipt.tokens_per_s == 80.0
    assert [result.passed for result in row.checks] == [True, False]
    assert row.cost == pytest.approx(12e-6 + 100 * 10e-6)
    assert (row.ok, row.passed) == (True, False)
    assert gateway.closed == 1


async def test_text_that_was_no_reasoning_belongs_to_the_answer() -> None:
    def reasoning_only(request: ChatRequest) -> list[Step]:
        *events, end = answer(request, "", reasoning="Paris")
        return [*events, NotReasoning(), end]

    row = await run_task(TASK, FakeGateway(reasoning_only), CARDS.get)
    assert (row.answer, row.reasoning, row.checks[0].passed) == ("Paris", "", True)


async def test_the_request_is_that_of_the_task() -> None:
    gateway = FakeGateway(succeed)
    await run_task(TASK, gateway, NO_CARDS.get, stream=False)
    (request,) = gateway.requests
    assert (request.model, request.endpoint, request.stream) == ("m", "eu-1", False)
    assert request.sampling == TASK.lane.sampling
    assert request.conversation.system == "lane"
    assert [(turn.role, turn.content) for turn in request.conversation.turns] == [
        ("user", "Capital?")
    ]


async def test_a_prompts_own_system_prompt_wins() -> None:
    gateway = FakeGateway(succeed)
    prompt = Prompt(id="1", text="x", system="own")
    await run_task(Task(number=0, prompt=prompt, lane=TASK.lane, repeat=0), gateway, NO_CARDS.get)
    assert gateway.requests[0].conversation.system == "own"


@pytest.mark.parametrize("card", [None, ModelCard(id="m", name="M", prompt_price=1.0)])
async def test_without_both_prices_there_is_no_cost(card: ModelCard | None) -> None:
    assert (await run_task(TASK, FakeGateway(succeed), lambda _model: card)).cost is None


async def test_the_cost_is_that_of_the_model_that_answered() -> None:
    def script(request: ChatRequest) -> list[Step]:
        other = make_receipt(request, answering_model="other")
        return [Started(endpoint="eu-1", model="other"), TextDelta("x"), Finished("stop", other)]

    row = await run_task(TASK, FakeGateway(script), CARDS.get)
    assert row.cost == pytest.approx(12 * 2e-6 + 100 * 20e-6)


async def test_the_request_allows_no_fallback() -> None:
    gateway = FakeGateway(succeed)
    await run_task(TASK, gateway, NO_CARDS.get)
    assert not gateway.requests[0].fallback


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnknownModel("m"), "unknown model 'm'"),
        (NoEndpoint("m", "none_serves"), "no endpoint for 'm': none_serves"),
        (RequestRefused("eu-1", 400, "too hot"), "eu-1 refused the request with 400 (too hot)"),
        (
            AllEndpointsFailed("m", EndpointUnreachable("eu-1", "refused"), retry_after_s=5.0),
            "no endpoint answered for 'm': eu-1: unreachable (refused)",
        ),
        (
            AllEndpointsFailed(
                "m", EndpointRefused("eu-1", 401, detail="see https://u:p@eu.test/x now")
            ),
            "no endpoint answered for 'm': eu-1: status 401 (see [address] now)",
        ),
    ],
)
async def test_a_permanent_error_becomes_the_outcome_without_a_retry(
    error: Exception, text: str
) -> None:
    gateway, sleep = failing(error), RecordingSleep()
    row = await run_task(TASK, gateway, CARDS.get, sleep=sleep)
    assert (row.outcome, row.error) == (type(error).__name__, text)
    assert (row.ok, row.passed, row.answer, row.cost) == (False, False, "", None)
    assert (len(gateway.requests), sleep.durations_s) == (1, [])


async def test_the_beginning_of_an_interrupted_answer_is_kept() -> None:
    broken = ReplyInterrupted("eu-1", EndpointUnreachable("eu-1", "reset"))

    def script(request: ChatRequest) -> list[Step]:
        broken.receipt = make_receipt(request, finish="interrupted")
        return [Started(endpoint="eu-1", model="m"), TextDelta("Par"), broken]

    row = await run_task(TASK, FakeGateway(script), CARDS.get)
    assert (row.outcome, row.answer) == ("ReplyInterrupted", "Par")
    assert row.receipt is not None
    assert row.receipt.finish == "interrupted"
    assert row.cost is not None


@pytest.mark.parametrize("reason", ["busy", "starting"])
async def test_a_busy_or_starting_endpoint_is_tried_again(reason: str) -> None:
    gateway, sleep = failing(*[NoEndpoint("m", reason)] * 3), RecordingSleep()
    row = await run_task(TASK, gateway, NO_CARDS.get, sleep=sleep)
    assert (row.outcome, row.answer) == ("ok", "Paris")
    assert sleep.durations_s == [BUSY_PAUSE_S] * 3


async def test_a_retry_after_is_respected() -> None:
    error = AllEndpointsFailed(
        "m", EndpointRefused("eu-1", 429, retry_after_s=30.0), retry_after_s=29.5
    )
    gateway, sleep = failing(error), RecordingSleep()
    assert (await run_task(TASK, gateway, NO_CARDS.get, sleep=sleep)).outcome == "ok"
    assert sleep.durations_s == [29.5]


async def test_a_limit_per_minute_is_waited_for_and_one_per_day_is_not() -> None:
    gateway, sleep = failing(LimitReached("messages", retry_after_s=20.0)), RecordingSleep()
    assert (await run_task(TASK, gateway, NO_CARDS.get, sleep=sleep)).outcome == "ok"
    assert sleep.durations_s == [20.0]
    row = await run_task(
        TASK, failing(LimitReached("tokens", retry_after_s=20.0)), NO_CARDS.get, sleep=sleep
    )
    assert (row.outcome, sleep.durations_s) == ("LimitReached", [20.0])


async def test_the_total_wait_is_limited() -> None:
    gateway, sleep = FakeGateway(lambda _: [NoEndpoint("m", "busy")]), RecordingSleep()
    row = await run_task(TASK, gateway, NO_CARDS.get, sleep=sleep)
    assert (row.outcome, row.error) == ("NoEndpoint", "no endpoint for 'm': busy")
    assert sum(sleep.durations_s) == MAX_WAIT_S


async def test_an_unexpected_exception_is_raised() -> None:
    with pytest.raises(KeyError):
        await run_task(TASK, failing(KeyError("x")), NO_CARDS.get)


@pytest.mark.parametrize("failed", [False, True])
async def test_a_row_survives_json(failed: bool) -> None:
    gateway = failing(UnknownModel("m")) if failed else FakeGateway(succeed)
    row: Row = await run_task(TASK, gateway, CARDS.get)
    assert row_from(json.loads(json.dumps(row_dict(row)))) == row


async def test_a_row_of_version_0_1_is_read() -> None:
    row = await run_task(TASK, FakeGateway(succeed), CARDS.get)
    data = json.loads(json.dumps(row_dict(row)))
    data["said"] = data.pop("error")
    receipt = data["receipt"]
    receipt["model_asked"] = receipt.pop("requested_model")
    receipt["model_answered"] = receipt.pop("answering_model")
    for attempt in receipt["attempts"]:
        attempt["why"] = attempt.pop("reason")
    assert row_from(data) == row


async def test_the_checks_of_an_answer_are_evaluated_elsewhere_and_fail_if_that_fails() -> None:
    check = Check(kind=CheckKind.CONTAINS, value="paris")
    task = replace(TASK, prompt=replace(TASK.prompt, checks=(check,)))
    row = await run_task(task, FakeGateway(succeed), CARDS.get, evaluate=evaluate_in(FailingWork()))
    assert [result.passed for result in row.checks] == [False]
    row = await run_task(task, FakeGateway(succeed), CARDS.get, evaluate=evaluate_in(WORK))
    assert row.checks == check_answer((check,), row.answer)


class FailingWork(DirectWork):
    """Every job takes too long."""

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> NoReturn:
        """See `WorkPool.run`."""
        raise WorkFailed("time")


async def test_a_pattern_that_takes_seconds_is_stopped_in_its_worker() -> None:
    pattern = Check(kind=CheckKind.REGEX, value="(a|b)*a(a|b){900}z")
    text = "".join(random.Random(1).choices("ab", k=2_000_000))
    pool = WorkPool(bulk_workers=1, quick_workers=1)
    try:
        with pytest.raises(WorkFailed):
            await pool.run_quickly(check_answer, (pattern,), text)
    finally:
        await pool.close()
