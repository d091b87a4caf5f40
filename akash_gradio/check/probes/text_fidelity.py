"""Whether what a visitor writes arrives, and comes back, as it was written."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Final

from akash_gradio.check.parsing import read_answer
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Observation,
    Probe,
    Seen,
    Verdict,
    failed,
    passed,
)
from akash_gradio.check.probe_request import Heard, chat
from akash_gradio.check.probes.completion import limited, objection

TEXT_TOKENS: Final = 48
SAMPLES: Final[Mapping[str, str]] = {
    "emoji": "👩‍🚀 🏳️‍🌈 🇪🇺",
    "cjk": "データ 数据库 데이터",
    "code-fences": "```py\nif x < 1 & y > 2:\n\tprint('ü')\n```",
    "control-characters": "a\tb\u0001c\u2028d\u200be",
}
_MARKED: Final = re.compile(r"\[\[(.*)\]\]", re.DOTALL)


def _observation(name: str, sample: str) -> Observation:
    async def observe(checking: Checking) -> Heard:
        seen = checking.seen
        said = f"Repeat this exactly, with the brackets: [[{sample}]]"
        limit = limited(seen, TEXT_TOKENS)
        return await checking.send(chat(seen.model, ("user", said), temperature=0, **limit))

    return Observation(name=name, observe=observe, tokens_out=TEXT_TOKENS)


def _judge(name: str, sample: str) -> Callable[[Seen], Judgement]:
    def judge(seen: Seen) -> Judgement:
        heard = seen.heard(name)
        against = objection(heard, seen)
        if against is not None and against.verdict is Verdict.WARN:
            return failed(heard.ask, against.code, **against.facts)
        if against is not None:
            return against
        return _compared(heard, sample, read_answer(heard).content)

    return judge


def _compared(heard: Heard, sample: str, said: str) -> Judgement:
    """Judged only by what stands in the brackets: a model that doesn't repeat is no fault."""
    if sample in said:
        return passed(heard.ask, "repeated")
    marked = _MARKED.search(said)
    inside = marked[1] if marked else ""
    if any(wrong in inside for wrong in misread(sample)):
        return failed(heard.ask, "misread")
    if "\ufffd" in inside or re.search(r"\?{3}", inside):
        return failed(heard.ask, "lost")
    escaped = html.escape(sample, quote=False)
    if escaped != sample and escaped in inside:
        return failed(heard.ask, "escaped")
    return passed(heard.ask, "answered")


def misread(sample: str) -> list[str]:
    """The sample's words as they look when UTF-8 was taken for a Western encoding."""
    found = []
    for word in sample.split():
        for encoding in ("latin-1", "cp1252"):
            wrong = word.encode().decode(encoding, "replace")
            if wrong != word:
                found.append(wrong)
    return found


OBSERVATIONS: Final = tuple(_observation(name, sample) for name, sample in SAMPLES.items())
PROBES: Final = tuple(
    Probe(name=name, sees=(name,), judge=_judge(name, sample)) for name, sample in SAMPLES.items()
)
