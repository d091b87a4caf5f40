from __future__ import annotations

from tests.chaos.chaos import Chaos, Tally
from tests.stubs import wire
from tests.stubs.wire import DONE, finish_event, text_event


async def test_five_seconds_of_chaos_lose_double_and_splice_nothing() -> None:
    tally = await Chaos(5, seed=7).run()
    assert tally.wrong == {}, tally.first_wrong
    assert tally.whole > 20


def judged(*parts: bytes, left: bool = False) -> dict[str, int]:
    chaos = Chaos(1, 1)
    chaos._judge("q1", b"".join(parts), "a", left)
    return chaos.tally.wrong


def test_what_is_wrong_is_seen() -> None:
    good = [text_event(f"q1.{number}@a ") for number in range(12)]
    broke = wire.event(wire.error("no"))
    assert judged(*good, finish_event(), DONE) == {}
    assert judged(*good[:5], broke) == {}
    assert judged(*good[:5], left=True) == {}
    assert judged(*good[:5]) == {"lost": 1}
    assert judged(*good[:5], DONE) == {"lost": 1}
    assert judged(*good[:5], *good[6:], DONE) == {"lost": 1}
    assert judged(*good[:5], *good[4:], DONE) == {"doubled": 1}
    assert judged(*good[:5], text_event("q2.5@a "), broke) == {"spliced": 1}
    assert judged(*good[:5], text_event("q1.5@b "), broke) == {"spliced": 1}
    assert Tally(tasks=1, connections=2).wrong == {"tasks": 1, "connections": 2}
