"""What the model can besides text: reasoning, and pictures."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any, Final

from akash_gradio.check.parsing import Answer, read_answer, read_flow
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Observation,
    Probe,
    Seen,
    Verdict,
    skipped,
)
from akash_gradio.check.probe_request import Ask, Heard, chat
from akash_gradio.check.probes.completion import limited

THINKING_TOKENS: Final = 400
EDGE_PX: Final = 64
_THINKERS: Final = re.compile(r"\br1\b|qwq|think|reason", re.IGNORECASE)


async def _thinking(checking: Checking) -> tuple[Heard, ...]:
    """A question to think about, where catalog or name say that the model does."""
    seen = checking.seen
    card = seen.target.card
    if not (card is not None and card.reasoning) and not _THINKERS.search(seen.model):
        return ()
    limit = limited(seen, THINKING_TOKENS)
    return (await checking.send(chat(seen.model, ("user", "What is 2 + 2?"), **limit)),)


async def _picture(checking: Checking) -> Heard:
    seen = checking.seen
    url = f"data:image/png;base64,{base64.b64encode(red_square()).decode()}"
    parts = [
        {"type": "text", "text": "What color is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return await checking.send(chat(seen.model, ("user", parts), **limited(seen, 8)))


def red_square() -> bytes:
    """A PNG, large enough for the models that refuse tiny ones."""
    rows = (b"\x00" + b"\xff\x00\x00" * EDGE_PX) * EDGE_PX
    head = struct.pack(">IIBBBBB", EDGE_PX, EDGE_PX, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _judge_reasoning(seen: Seen) -> Judgement:
    heard = [*seen.all_heard("thinking"), *seen.all_heard("plain")[-1:]]
    answers = [read_answer(one) for one in heard]
    answers.append(read_flow(seen.all_heard("stream")[-1]).answer)
    styles = [style for answer in answers if (style := style_of(answer))]
    ask = heard[0].ask
    if "end_tag" in styles:
        return _learned(Verdict.WARN, "end_alone", ask, reasoning="end_tag")
    if styles:
        return _learned(Verdict.PASS, styles[0], ask, reasoning=styles[0])
    return _learned(Verdict.PASS, "none", ask, reasoning="")


def style_of(answer: Answer) -> str:
    """How its reasoning is marked: a field's name, `tags`, `end_tag`, or "" for none."""
    if answer.reasoning_field:
        return answer.reasoning_field
    begins, ends = "<think>" in answer.content, "</think>" in answer.content
    if begins:
        return "tags"
    return "end_tag" if ends else ""


def _judge_pictures(seen: Seen) -> Judgement:
    heard = seen.heard("picture")
    fault = read_answer(heard).fault
    card = seen.target.card
    if fault is None or fault.code == "empty":
        return _learned(Verdict.PASS, "taken", heard.ask, pictures=True)
    if fault.code in ("busy", "starting"):
        return skipped("busy")
    if card is not None and card.vision:
        return _learned(Verdict.WARN, "promised", heard.ask, pictures=False)
    return _learned(Verdict.PASS, "not_taken", heard.ask, pictures=False)


def _learned(verdict: Verdict, code: str, ask: Ask, **learned: Any) -> Judgement:
    return Judgement(verdict=verdict, code=code, ask=ask, learned=learned)


OBSERVATIONS: Final = (
    Observation(name="thinking", observe=_thinking, tokens_out=THINKING_TOKENS, deadline_s=16),
    Observation(name="picture", observe=_picture, tokens_in=500, tokens_out=8),
)
PROBES: Final = (
    Probe(
        name="reasoning",
        needs=("plain", "stream"),
        sees=("plain", "stream", "thinking"),
        judge=_judge_reasoning,
    ),
    Probe(name="pictures", sees=("picture",), judge=_judge_pictures),
)
