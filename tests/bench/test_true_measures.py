from __future__ import annotations

from collections.abc import Iterator

import pytest

from akash_gradio.domain.receipt import Receipt
from bench.client import start_upstream
from bench.programs import NoCompiler
from bench.true_measures import (
    ALLOWED_PART,
    DELAY_S,
    TOKENS,
    WAYS,
    Measured,
    ask_at_once,
    compared,
    gateway_to,
    middle,
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    try:
        running, port = start_upstream()
    except NoCompiler as error:
        pytest.skip(str(error))
    yield port
    running.stop()


async def asked(port: int, lanes: int, apart_s: float, *, stream: bool) -> list[Measured]:
    """The best of twelve tries: others may keep the machine busy, never make it more exact."""
    tries: list[list[Measured]] = []
    async with gateway_to(port) as gateway:
        for _ in range(12):
            tries.append(await ask_at_once(gateway, lanes, stream=stream, apart_s=apart_s))
            if worst(tries[-1]) <= 1:
                break
    return min(tries, key=worst)


def worst(found: list[Measured]) -> float:
    """Of what is allowed, by the middle lane."""
    first = middle(each.first_token_s.first_token_share for each in found)
    speeds = [each.speed.part / ALLOWED_PART for each in found if each.speed is not None]
    return max(first, middle(speeds) if speeds else 0.0)


@pytest.mark.parametrize(("lanes", "apart_s"), WAYS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_first_token_and_speed_are_right(
    port: int, lanes: int, apart_s: float, stream: bool
) -> None:
    found = await asked(port, lanes, apart_s, stream=stream)
    assert len(found) == lanes
    assert worst(found) <= 1
    assert all(each.first_token_s.true >= DELAY_S for each in found)
    assert all((each.speed is not None) is stream for each in found)


def test_the_truth_is_what_the_stamps_say() -> None:
    text = " ".join(f"#1.{n}@{10**9 * 2 + n * 10**7:016}" for n in range(TOKENS))
    receipt = Receipt(requested_model="m", first_token_s=1.03, tokens_per_s=99.0)
    found = compared(receipt, 10**9, text)
    assert found.first_token_s.true == pytest.approx(1.0)
    assert found.first_token_s.first_token_share == pytest.approx(1.0)
    assert found.speed is not None
    assert (found.speed.true, found.speed.part) == (pytest.approx(100.0), pytest.approx(0.01))
