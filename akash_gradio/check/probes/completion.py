"""An answer that isn't streamed: whether one comes, and its shape."""

from __future__ import annotations

from typing import Any, Final

from akash_gradio.check.parsing import Fault, read_answer
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Level,
    Observation,
    Probe,
    Seen,
    failed,
    passed,
    skipped,
    warned,
)
from akash_gradio.check.probe_request import Heard, chat

HELLO: Final = "Say hello in one short sentence."
HELLO_TOKENS: Final = 24


def limited(seen: Seen, tokens: int) -> dict[str, Any]:
    """The field that limits an answer: OpenAI's reasoning models refuse the older name."""
    plain = seen.results.get("plain")
    newer = isinstance(plain, tuple) and len(plain) > 1
    return {"max_completion_tokens" if newer else "max_tokens": tokens}


def broken(heard: Heard, fault: Fault, seen: Seen) -> Judgement:
    """The failure of a request that should have been answered."""
    facts = {"status": fault.status or "", "seconds": f"{heard.seconds:.0f}"}
    detail = seen.target.quote(fault.detail)
    if fault.code == "busy":
        return failed(heard.ask, "busy", **facts, detail=detail)
    return failed(heard.ask, fault.code, **facts, detail=detail)


def objection(heard: Heard, seen: Seen) -> Judgement | None:
    """Why a request was not answered that differs from the plain one by what is probed.

    None when it was; an answer without a word counts, it is short. A server that is busy
    says nothing of what is probed.
    """
    fault = read_answer(heard).fault
    if fault is None or fault.code == "empty":
        return None
    if fault.code in ("busy", "starting"):
        return skipped("busy")
    detail = seen.target.quote(fault.detail)
    code = "refused" if fault.code in ("refused", "context", "too_large") else "failed"
    return warned(heard.ask, code, status=fault.status or fault.code, detail=detail)


async def _plain(checking: Checking) -> tuple[Heard, ...]:
    """Twice where the first is refused for the name of the token limit."""
    model = checking.seen.model
    first = await checking.send(chat(model, ("user", HELLO), max_tokens=HELLO_TOKENS))
    if first.status == 400 and b"max_completion_tokens" in first.body:
        ask = chat(model, ("user", HELLO), max_completion_tokens=HELLO_TOKENS)
        return first, await checking.send(ask)
    return (first,)


def _judge_plain(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    answer = read_answer(heard)
    if answer.fault is not None:
        return broken(heard, answer.fault, seen)
    if answer.streamed:
        return failed(heard.ask, "streamed_unasked")
    return passed(heard.ask, seconds=f"{heard.seconds:.2f}")


def _judge_shape(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    answer = read_answer(heard)
    role = answer.message.get("role")
    if role != "assistant":
        return warned(heard.ask, "role", role=seen.target.quote(str(role)))
    if answer.finish is None:
        return warned(heard.ask, "no_finish")
    missing = [name for name in ("id", "object", "model") if not answer.value.get(name)]
    if missing:
        return warned(heard.ask, "fields", names=", ".join(missing))
    return passed(heard.ask, finish=seen.target.quote(answer.finish))


def _judge_usage(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    return judge_counts(heard, read_answer(heard).usage)


def judge_counts(heard: Heard, usage: dict[str, Any]) -> Judgement:
    """Whether tokens are reported, and in whole numbers."""
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if any(isinstance(count, bool) or not isinstance(count, int | float) for count in counts):
        return warned(heard.ask, "missing")
    if any(isinstance(count, float) for count in counts):
        return warned(heard.ask, "fractions")
    return passed(heard.ask, tokens_in=counts[0], tokens_out=counts[1])


OBSERVATIONS: Final = (
    Observation(
        name="plain",
        observe=_plain,
        tokens_out=HELLO_TOKENS,
        after=("models",),
        deadline_s=31,
    ),
)
PROBES: Final = (
    Probe(name="plain", level=Level.QUICK, needs=("key",), sees=("plain",), judge=_judge_plain),
    Probe(name="plain-shape", level=Level.QUICK, sees=("plain",), judge=_judge_shape),
    Probe(name="plain-usage", level=Level.QUICK, sees=("plain",), judge=_judge_usage),
)
