"""Probes for what a model can do besides text: reasoning and pictures."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any, Final

from akash_gradio.check.parsing import Answer, parse_answer, parse_stream
from akash_gradio.check.probe import Evidence, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, Verdict, skipped
from akash_gradio.check.probes.completion import FEW_TOKENS, send_chat

REASONING_TOKENS: Final = 400
EDGE_PX: Final = 64
_REASONING_MODEL: Final = re.compile(r"\br1\b|qwq|think|reason", re.IGNORECASE)


async def _reasoning(context: ProbeContext) -> tuple[ProbeResponse, ...]:
    """Send a small task if the catalog or the name identifies a reasoning model."""
    evidence = context.evidence
    card = evidence.target.card
    if not (card is not None and card.reasoning) and not _REASONING_MODEL.search(evidence.model):
        return ()
    return (await send_chat(context, ("user", "What is 2 + 2?"), tokens=REASONING_TOKENS),)


async def _picture(context: ProbeContext) -> ProbeResponse:
    url = f"data:image/png;base64,{base64.b64encode(red_square()).decode()}"
    parts = [
        {"type": "text", "text": "What color is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return await send_chat(context, ("user", parts))


def red_square() -> bytes:
    """Return a PNG, large enough for models that refuse tiny ones."""
    rows = (b"\x00" + b"\xff\x00\x00" * EDGE_PX) * EDGE_PX
    header = struct.pack(">IIBBBBB", EDGE_PX, EDGE_PX, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _evaluate_reasoning(evidence: Evidence) -> ProbeResult:
    responses = [*evidence.responses("reasoning"), evidence.last_response("plain")]
    answers = [parse_answer(response) for response in responses]
    answers.append(parse_stream(evidence.last_response("stream")).answer)
    styles = [style for answer in answers if (style := reasoning_style(answer))]
    request = responses[0].request
    if "end_tag" in styles:
        return _learned(Verdict.WARN, "end_alone", request, reasoning="end_tag")
    if styles:
        return _learned(Verdict.PASS, styles[0], request, reasoning=styles[0])
    return _learned(Verdict.PASS, "none", request, reasoning="")


def reasoning_style(answer: Answer) -> str:
    """Return how reasoning is marked: a field's name, `tags`, `end_tag`, or "" for none."""
    if answer.reasoning_field:
        return answer.reasoning_field
    if "<think>" in answer.content:
        return "tags"
    return "end_tag" if "</think>" in answer.content else ""


def _evaluate_pictures(evidence: Evidence) -> ProbeResult:
    response = evidence.response("picture")
    answer = parse_answer(response)
    card = evidence.target.card
    if answer.failure is None or answer.is_accepted:
        return _learned(Verdict.PASS, "taken", response.request, pictures=True)
    if answer.failure.is_busy:
        return skipped("busy")
    if card is not None and card.vision:
        return _learned(Verdict.WARN, "promised", response.request, pictures=False)
    return _learned(Verdict.PASS, "not_taken", response.request, pictures=False)


def _learned(verdict: Verdict, code: str, request: ProbeRequest, **learned: Any) -> ProbeResult:
    return ProbeResult(verdict=verdict, code=code, request=request, learned=learned)


OBSERVATIONS: Final = (
    Observation(name="reasoning", observe=_reasoning, tokens_out=REASONING_TOKENS, timeout_s=16),
    Observation(name="picture", observe=_picture, tokens_in=500, tokens_out=FEW_TOKENS),
)
PROBES: Final = (
    Probe(
        name="reasoning",
        requires=("plain", "stream"),
        observations=("plain", "stream", "reasoning"),
        evaluate=_evaluate_reasoning,
    ),
    Probe(name="pictures", observations=("picture",), evaluate=_evaluate_pictures),
)
