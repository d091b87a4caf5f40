"""Whatever an endpoint sends, every judge comes to a judgement, and it has a sentence."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.check import messages
from akash_gradio.check.probe import Seen, Verdict
from akash_gradio.check.probe_request import Heard, Piece, Reach, chat
from akash_gradio.check.probes.registry import OBSERVATIONS, PROBES
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings

ENTRY = EndpointSettings.model_validate({"url": "https://h", "name": "stub"})
ASK = chat("m", ("user", "x"), stop=["word"])
SEVERAL = {
    "plain": 1, "stream": 1, "longer": 1, "top-p": 2, "stop": 1, "seed": 2, "eight": 2,
    "cancel": 2, "thinking": 1, "overflow": 1, "elsewhere": 1,
}  # fmt: skip
"""Observations that are more than one request."""

names = st.sampled_from(
    ["choices", "delta", "message", "content", "role", "finish_reason", "usage", "data", "id",
     "error", "prompt_tokens", "completion_tokens", "index", "reasoning_content", "max_model_len"]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["assistant", "stop", "</think>", "m", "\ufffd"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
likely = st.builds(
    lambda inner, usage: {"choices": [inner], "usage": usage, "data": [inner]},
    st.dictionaries(names, values, max_size=4) | values,
    values,
)
bodies = st.one_of(
    values.map(lambda v: json.dumps(v).encode()),
    likely.map(lambda v: json.dumps(v).encode()),
    st.lists(likely | values, max_size=3).map(
        lambda vs: (
            b"".join(b"data: " + json.dumps(v).encode() + b"\n\n" for v in vs) + b"data: [DONE]\n\n"
        )
    ),
    st.binary(max_size=60),
)
headers = st.dictionaries(
    st.sampled_from(["location", "content-type"]),
    st.sampled_from(["http://[bad", "//", "", "text/html", "text/event-stream", "/v1"]),
)


@st.composite
def heards(draw: Any) -> Heard:
    return Heard(
        ask=ASK,
        status=draw(st.sampled_from([None, 200, 200, 200, 204, 301, 401, 404, 429, 500, 503])),
        headers=draw(headers),
        pieces=(Piece(at_s=0.5, data=draw(bodies)), Piece(at_s=2.5, data=draw(bodies))),
        failure=draw(st.sampled_from(["", "", "", "silent", "cut", "closed", "stopped"])),
        seconds=3.0,
    )


def results(heard: Heard) -> dict[str, Any]:
    """The same answer, wherever somebody looks."""
    found: dict[str, Any] = {
        name: (heard,) * SEVERAL[name] if name in SEVERAL else heard for name in OBSERVATIONS
    }
    return {**found, "reach": Reach()}


@settings(max_examples=100, deadline=None)
@given(heards())
def test_every_judge_judges_whatever_came(heard: Heard) -> None:
    seen = Seen(target=Target(entry=ENTRY, model="m"), model="m", results=results(heard))
    verdicts: dict[str, Verdict] = {}

    def judge(name: str) -> Verdict:
        """As `Check` does: what a probe needs comes first, and must not have failed."""
        probe = next(probe for probe in PROBES if probe.name == name)
        needed = [verdicts.get(need) or judge(need) for need in probe.needs]
        verdicts[name] = Verdict.SKIPPED
        if not {Verdict.FAIL, Verdict.SKIPPED} & set(needed):
            judgement = probe.judge(seen)
            says, mend = messages.told(name, judgement.code, judgement.facts)
            assert says
            assert isinstance(mend, str)
            verdicts[name] = judgement.verdict
        return verdicts[name]

    for probe in PROBES:
        judge(probe.name)
