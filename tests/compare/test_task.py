from __future__ import annotations

import json

import pytest

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import Lane, Task
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.compare.rows import Row, row_dict, row_from
from akash_gradio.compare.task import OCCUPIED_PAUSE_S, PATIENCE_S, ask
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
from tests.compare.fakes import Answering, Naps, Step, answer, receipt

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


def good(request: ChatRequest) -> list[Step]:
    return answer(request, "Paris", reasoning="hm")


def failing(*errors: Exception, then: str = "Paris") -> Answering:
    """Each error once, in this order; the answer after them."""
    left = list(errors)
    return Answering(lambda r: [left.pop(0)] if left else answer(r, then))


async def test_a_row_has_the_answer_its_receipt_checks_and_cost() -> None:
    answerer = Answering(good)
    row = await ask(TASK, answerer, CARDS.get)
    assert (row.number, row.outcome, row.answer, row.reasoning) == (7, "ok", "Paris", "hm")
    assert row.receipt is not None
    assert row.receipt.tokens_per_s == 80.0
    assert [each.passed for each in row.checks] == [True, False]
    assert row.cost == pytest.approx(12e-6 + 100 * 10e-6)
    assert (row.ok, row.passed) == (True, False)
    assert answerer.closed == 1


async def test_what_was_no_reasoning_is_the_answer() -> None:
    def at_once(request: ChatRequest) -> list[Step]:
        *said, end = answer(request, "", reasoning="Paris")
        return [*said, NotReasoning(), end]

    row = await ask(TASK, Answering(at_once), CARDS.get)
    assert (row.answer, row.reasoning, row.checks[0].passed) == ("Paris", "", True)


async def test_what_is_asked_is_the_task() -> None:
    answerer = Answering(good)
    await ask(TASK, answerer, NO_CARDS.get, stream=False)
    (asked,) = answerer.asked
    assert (asked.model, asked.endpoint, asked.stream) == ("m", "eu-1", False)
    assert asked.sampling == TASK.lane.sampling
    assert asked.conversation.system == "lane"
    assert [(turn.role, turn.content) for turn in asked.conversation.turns] == [
        ("user", "Capital?")
    ]


async def test_a_prompts_own_system_prompt_wins() -> None:
    answerer = Answering(good)
    prompt = Prompt(id="1", text="x", system="own")
    await ask(Task(number=0, prompt=prompt, lane=TASK.lane, repeat=0), answerer, NO_CARDS.get)
    assert answerer.asked[0].conversation.system == "own"


@pytest.mark.parametrize("card", [None, ModelCard(id="m", name="M", prompt_price=1.0)])
async def test_without_both_prices_there_is_no_cost(card: ModelCard | None) -> None:
    assert (await ask(TASK, Answering(good), lambda _model: card)).cost is None


async def test_the_model_that_answered_is_paid_for() -> None:
    def says(request: ChatRequest) -> list[Step]:
        other = receipt(request, answering_model="other")
        return [Started(endpoint="eu-1", model="other"), TextDelta("x"), Finished("stop", other)]

    row = await ask(TASK, Answering(says), CARDS.get)
    assert row.cost == pytest.approx(12 * 2e-6 + 100 * 20e-6)


async def test_no_fallback_answers_in_a_lanes_name() -> None:
    answerer = Answering(good)
    await ask(TASK, answerer, NO_CARDS.get)
    assert not answerer.asked[0].fallback


@pytest.mark.parametrize(
    ("error", "says"),
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
async def test_an_error_is_written_down_and_nothing_asked_again(
    error: Exception, says: str
) -> None:
    answerer, naps = failing(error), Naps()
    row = await ask(TASK, answerer, CARDS.get, sleep=naps)
    assert (row.outcome, row.said) == (type(error).__name__, says)
    assert (row.ok, row.passed, row.answer, row.cost) == (False, False, "", None)
    assert (len(answerer.asked), naps.asked_s) == (1, [])


async def test_what_came_before_it_broke_off_is_kept() -> None:
    broken = ReplyInterrupted("eu-1", EndpointUnreachable("eu-1", "reset"))

    def says(request: ChatRequest) -> list[Step]:
        broken.receipt = receipt(request, finish="interrupted")
        return [Started(endpoint="eu-1", model="m"), TextDelta("Par"), broken]

    row = await ask(TASK, Answering(says), CARDS.get)
    assert (row.outcome, row.answer) == ("ReplyInterrupted", "Par")
    assert row.receipt is not None
    assert row.receipt.finish == "interrupted"
    assert row.cost is not None


@pytest.mark.parametrize("reason", ["busy", "starting"])
async def test_an_endpoint_that_is_only_occupied_is_waited_for(reason: str) -> None:
    answerer, naps = failing(*[NoEndpoint("m", reason)] * 3), Naps()
    row = await ask(TASK, answerer, NO_CARDS.get, sleep=naps)
    assert (row.outcome, row.answer) == ("ok", "Paris")
    assert naps.asked_s == [OCCUPIED_PAUSE_S] * 3


async def test_an_endpoint_that_asked_for_a_rest_gets_it() -> None:
    rest = AllEndpointsFailed(
        "m", EndpointRefused("eu-1", 429, retry_after_s=30.0), retry_after_s=29.5
    )
    answerer, naps = failing(rest), Naps()
    assert (await ask(TASK, answerer, NO_CARDS.get, sleep=naps)).outcome == "ok"
    assert naps.asked_s == [29.5]


async def test_a_visitors_share_of_the_minute_is_waited_for_and_that_of_the_day_is_not() -> None:
    answerer, naps = failing(LimitReached("messages", retry_after_s=20.0)), Naps()
    assert (await ask(TASK, answerer, NO_CARDS.get, sleep=naps)).outcome == "ok"
    assert naps.asked_s == [20.0]
    row = await ask(
        TASK, failing(LimitReached("tokens", retry_after_s=20.0)), NO_CARDS.get, sleep=naps
    )
    assert (row.outcome, naps.asked_s) == ("LimitReached", [20.0])


async def test_patience_has_an_end() -> None:
    answerer, naps = Answering(lambda _: [NoEndpoint("m", "busy")]), Naps()
    row = await ask(TASK, answerer, NO_CARDS.get, sleep=naps)
    assert (row.outcome, row.said) == ("NoEndpoint", "no endpoint for 'm': busy")
    assert sum(naps.asked_s) == PATIENCE_S


async def test_a_fault_of_our_own_is_no_row() -> None:
    with pytest.raises(KeyError):
        await ask(TASK, failing(KeyError("x")), NO_CARDS.get)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_row_comes_back_from_json(broken: bool) -> None:
    answerer = failing(UnknownModel("m")) if broken else Answering(good)
    row: Row = await ask(TASK, answerer, CARDS.get)
    assert row_from(json.loads(json.dumps(row_dict(row)))) == row
