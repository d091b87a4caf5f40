from __future__ import annotations

from tests.chaos.chaos import Chaos, Tally
from tests.stubs import wire
from tests.stubs.wire import DONE, finish_event, text_event


async def test_five_seconds_of_chaos_lose_duplicate_and_splice_nothing() -> None:
    tally = await Chaos(5, seed=7).run()
    assert tally.errors == {}, tally.first_error
    assert tally.complete > 20


def errors_of(*parts: bytes, disconnected: bool = False) -> dict[str, int]:
    chaos = Chaos(1, 1)
    chaos._judge("q1", b"".join(parts), "a", disconnected)
    return chaos.tally.errors


def test_wrong_answers_are_detected() -> None:
    tokens = [text_event(f"q1.{number}@a ") for number in range(12)]
    failure = wire.event(wire.error("no"))
    assert errors_of(*tokens, finish_event(), DONE) == {}
    assert errors_of(*tokens[:5], failure) == {}
    assert errors_of(*tokens[:5], disconnected=True) == {}
    assert errors_of(*tokens[:5]) == {"lost": 1}
    assert errors_of(*tokens[:5], DONE) == {"lost": 1}
    assert errors_of(*tokens[:5], *tokens[6:], DONE) == {"lost": 1}
    assert errors_of(*tokens[:5], *tokens[4:], DONE) == {"duplicated": 1}
    assert errors_of(*tokens[:5], text_event("q2.5@a "), failure) == {"spliced": 1}
    assert errors_of(*tokens[:5], text_event("q1.5@b "), failure) == {"spliced": 1}
    assert Tally(tasks=1, connections=2).errors == {"tasks": 1, "connections": 2}
