"""Probes for whether text reaches the model and comes back unchanged."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Final

from akash_gradio.check.parsing import parse_answer
from akash_gradio.check.probe import Evidence, Observation, Probe, ProbeContext
from akash_gradio.check.probe_request import ProbeResponse
from akash_gradio.check.probe_result import ProbeResult, Verdict, failed, passed
from akash_gradio.check.probes.completion import rejection, send_chat

TEXT_TOKENS: Final = 48
SAMPLES: Final[Mapping[str, str]] = {
    "emoji": "👩‍🚀 🏳️‍🌈 🇪🇺",
    "cjk": "データ 数据库 데이터",
    "code-fences": "```py\nif x < 1 & y > 2:\n\tprint('ü')\n```",
    "control-characters": "a\tb\u0001c\u2028d\u200be",
}
_IN_BRACKETS: Final = re.compile(r"\[\[(.*)\]\]", re.DOTALL)


def _observation(name: str, sample: str) -> Observation:
    async def observe(context: ProbeContext) -> ProbeResponse:
        prompt = f"Repeat this exactly, with the brackets: [[{sample}]]"
        return await send_chat(context, ("user", prompt), tokens=TEXT_TOKENS, temperature=0)

    return Observation(name=name, observe=observe, tokens_out=TEXT_TOKENS)


def _evaluate(name: str, sample: str) -> Callable[[Evidence], ProbeResult]:
    def evaluate(evidence: Evidence) -> ProbeResult:
        response = evidence.response(name)
        rejected = rejection(response, evidence)
        if rejected is not None and rejected.verdict is Verdict.WARN:
            return failed(response.request, rejected.code, **rejected.facts)
        return rejected or _compare(response, sample, parse_answer(response).content)

    return evaluate


def _compare(response: ProbeResponse, sample: str, content: str) -> ProbeResult:
    """Compare only what is in the brackets: a model that doesn't repeat the text may pass."""
    if sample in content:
        return passed(response.request, "repeated")
    match = _IN_BRACKETS.search(content)
    repeated = match[1] if match else ""
    if any(wrong in repeated for wrong in misdecoded(sample)):
        return failed(response.request, "misread")
    if "\ufffd" in repeated or re.search(r"\?{3}", repeated):
        return failed(response.request, "lost")
    escaped = html.escape(sample, quote=False)
    if escaped != sample and escaped in repeated:
        return failed(response.request, "escaped")
    return passed(response.request, "answered")


def misdecoded(sample: str) -> list[str]:
    """Return the sample's words as they look when UTF-8 is decoded as a Western encoding."""
    decoded = [
        (word, word.encode().decode(encoding, "replace"))
        for word in sample.split()
        for encoding in ("latin-1", "cp1252")
    ]
    return [wrong for word, wrong in decoded if wrong != word]


OBSERVATIONS: Final = tuple(_observation(name, sample) for name, sample in SAMPLES.items())
PROBES: Final = tuple(
    Probe(name=name, observations=(name,), evaluate=_evaluate(name, sample))
    for name, sample in SAMPLES.items()
)
