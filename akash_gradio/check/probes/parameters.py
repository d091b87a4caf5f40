"""The parameters that a visitor can set, and those that he can't."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from akash_gradio.check.parsing import read_answer
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Observation,
    Probe,
    Seen,
    passed,
    skipped,
    warned,
)
from akash_gradio.check.probe_request import Heard, chat
from akash_gradio.check.probes.completion import HELLO, HELLO_TOKENS, limited, objection

SHORT_TOKENS: Final = 4
SEED: Final = 7
SEED_TOKENS: Final = 16
STORY: Final = "Tell me the beginning of a story about a lighthouse."
CHARACTERS_PER_TOKEN: Final = 4
UNKNOWN_FIELD: Final = "akash_gradio_check"

Messages = tuple[tuple[str, Any], ...]
_HELLO: Final[Messages] = (("user", HELLO),)
_SYSTEM: Final[Messages] = (("system", "Answer in one word."), ("user", "What color is the sky?"))
_TURNS: Final[Messages] = (
    ("user", "My name is Ada."),
    ("assistant", "Hello Ada."),
    ("user", "What is my name?"),
)


async def _asked(
    checking: Checking, messages: Messages = _HELLO, tokens: int = 8, **more: Any
) -> Heard:
    seen = checking.seen
    return await checking.send(chat(seen.model, *messages, **limited(seen, tokens), **more))


async def _top_p(checking: Checking) -> tuple[Heard, ...]:
    return tuple(await asyncio.gather(_asked(checking, top_p=0), _asked(checking, top_p=1)))


async def _stop(checking: Checking) -> tuple[Heard, ...]:
    """The question of `cold` again, to stop at a word of its answer; () where it has none."""
    word = _word_inside(read_answer(checking.seen.heard("cold")).content)
    if not word:
        return ()
    return (await _asked(checking, tokens=HELLO_TOKENS, temperature=0, stop=[word]),)


async def _seed(checking: Checking) -> tuple[Heard, ...]:
    """Twice, and once more where the two differ: a busy server computes a little otherwise."""
    ask = partial(
        _asked, checking, (("user", STORY),), SEED_TOKENS, temperature=1, top_p=1, seed=SEED
    )
    first, second = await ask(), await ask()
    if not (first.ok and second.ok) or _said(first) == _said(second):
        return first, second
    return first, second, await ask()


def _word_inside(text: str) -> str:
    """The longest word that is neither the first nor the last."""
    return max(text.split()[1:-1], key=len, default="")


def _said(heard: Heard) -> str:
    answer = read_answer(heard)
    return answer.reasoning + answer.text


def _judge_accepted(name: str) -> Callable[[Seen], Judgement]:
    def judge(seen: Seen) -> Judgement:
        heard = seen.heard(name)
        return objection(heard, seen) or passed(heard.ask)

    return judge


def _judge_top_p(seen: Seen) -> Judgement:
    for heard, value in zip(seen.all_heard("top-p"), ("0", "1"), strict=True):
        against = objection(heard, seen)
        if against is not None and against.code == "refused":
            return warned(heard.ask, "refused", value=value, detail=against.facts["detail"])
        if against is not None:
            return against
    return passed(seen.all_heard("top-p")[0].ask)


def _judge_max_tokens(seen: Seen) -> Judgement:
    heard = seen.heard("short")
    against = objection(heard, seen)
    if against is not None:
        return against
    answer = read_answer(heard)
    reported = answer.usage.get("completion_tokens")
    tokens = len(answer.reasoning + answer.text) / CHARACTERS_PER_TOKEN
    if isinstance(reported, int | float):
        tokens = reported
    if tokens > 2 * SHORT_TOKENS:
        return warned(heard.ask, "ignored", asked=SHORT_TOKENS, tokens=f"{tokens:.0f}")
    return passed(heard.ask, tokens=f"{tokens:.0f}")


def _judge_stop(seen: Seen) -> Judgement:
    if not seen.all_heard("stop"):
        return skipped("too_short")
    (heard,) = seen.all_heard("stop")
    against = objection(heard, seen)
    if against is not None:
        return against
    assert heard.ask.body is not None
    word = heard.ask.body["stop"][0]
    if word in read_answer(heard).content:
        return warned(heard.ask, "ignored")
    return passed(heard.ask)


def _judge_seed(seen: Seen) -> Judgement:
    answers = seen.all_heard("seed")
    for heard in answers:
        against = objection(heard, seen)
        if against is not None:
            return against
    said = [_said(heard) for heard in answers]
    if len(set(said)) == len(said):
        return warned(answers[0].ask, "differs")
    return passed(answers[0].ask)


def _one(name: str, tokens: int = 8, **more: Any) -> Observation:
    async def observe(checking: Checking) -> Heard:
        return await _asked(checking, tokens=tokens, **more)

    return Observation(name=name, observe=observe, tokens_out=tokens)


def _several(
    name: str, observe: Callable[[Checking], Awaitable[Any]], calls: int, tokens: int
) -> Observation:
    return Observation(
        name=name,
        observe=observe,
        calls=calls,
        tokens_in=60 * calls,
        tokens_out=calls * tokens,
        deadline_s=16.0 * calls,
    )


OBSERVATIONS: Final = (
    _one("cold", HELLO_TOKENS, temperature=0),
    _several("top-p", _top_p, 2, 8),
    _one("short", SHORT_TOKENS),
    Observation(
        name="stop", observe=_stop, tokens_out=HELLO_TOKENS, after=("cold",), deadline_s=16
    ),
    _one("system", messages=_SYSTEM),
    _one("turns", messages=_TURNS),
    _several("seed", _seed, 3, SEED_TOKENS),
    _one("unknown-field", **{UNKNOWN_FIELD: True}),
)
PROBES: Final = (
    Probe(name="temperature-0", sees=("cold",), judge=_judge_accepted("cold")),
    Probe(name="top-p", sees=("top-p",), judge=_judge_top_p),
    Probe(name="max-tokens", sees=("short",), judge=_judge_max_tokens),
    Probe(
        name="stop",
        needs=("plain", "temperature-0"),
        sees=("cold", "stop"),
        judge=_judge_stop,
    ),
    Probe(name="system-role", sees=("system",), judge=_judge_accepted("system")),
    Probe(name="turns", sees=("turns",), judge=_judge_accepted("turns")),
    Probe(name="seed", sees=("seed",), judge=_judge_seed),
    Probe(name="unknown-field", sees=("unknown-field",), judge=_judge_accepted("unknown-field")),
)
