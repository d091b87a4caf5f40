"""Every probe reaches a result for any response, and the result has a message."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from akash_gradio.check import messages
from akash_gradio.check.probe import Evidence
from akash_gradio.check.probe_request import (
    BodyChunk,
    ConnectionResult,
    ProbeResponse,
    chat_request,
)
from akash_gradio.check.probe_result import Verdict
from akash_gradio.check.probes.registry import OBSERVATIONS, PROBES
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings

ENTRY = EndpointSettings.model_validate({"url": "https://h", "name": "stub"})
REQUEST = chat_request("m", ("user", "x"), stop=["word"])
RESPONSE_COUNTS = {
    "plain": 1, "stream": 1, "longer": 1, "top-p": 2, "stop": 1, "seed": 2, "parallel": 2,
    "disconnect": 2, "reasoning": 1, "overflow": 1, "other-bases": 1,
}  # fmt: skip
"""Observations that return a tuple of responses."""

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
plausible = st.builds(
    lambda inner, usage: {"choices": [inner], "usage": usage, "data": [inner]},
    st.dictionaries(names, values, max_size=4) | values,
    values,
)
bodies = st.one_of(
    values.map(lambda v: json.dumps(v).encode()),
    plausible.map(lambda v: json.dumps(v).encode()),
    st.lists(plausible | values, max_size=3).map(
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
def responses(draw: st.DrawFn) -> ProbeResponse:
    return ProbeResponse(
        request=REQUEST,
        status=draw(st.sampled_from([None, 200, 200, 200, 204, 301, 401, 404, 429, 500, 503])),
        headers=draw(headers),
        chunks=(BodyChunk(at_s=0.5, data=draw(bodies)), BodyChunk(at_s=2.5, data=draw(bodies))),
        interruption=draw(st.sampled_from(["", "", "", "silent", "cut", "closed", "stopped"])),
        seconds=3.0,
    )


def same_for_all(response: ProbeResponse) -> dict[str, Any]:
    """Return results in which every observation has this response."""
    results: dict[str, Any] = {
        name: (response,) * RESPONSE_COUNTS[name] if name in RESPONSE_COUNTS else response
        for name in OBSERVATIONS
    }
    return {**results, "connection": ConnectionResult()}


@settings(max_examples=100, deadline=None)
@given(responses())
def test_every_probe_evaluates_any_response(response: ProbeResponse) -> None:
    results = same_for_all(response)
    evidence = Evidence(target=Target(entry=ENTRY, model="m"), model="m", results=results)
    verdicts: dict[str, Verdict] = {}

    def evaluate(name: str) -> Verdict:
        """Evaluate a probe as `Check` does: only if what it requires has passed."""
        probe = next(probe for probe in PROBES if probe.name == name)
        required = [verdicts.get(other) or evaluate(other) for other in probe.requires]
        verdicts[name] = Verdict.SKIPPED
        if not {Verdict.FAIL, Verdict.SKIPPED} & set(required):
            result = probe.evaluate(evidence)
            text, _fix = messages.render(name, result.code, result.facts)
            assert text
            verdicts[name] = result.verdict
        return verdicts[name]

    for probe in PROBES:
        evaluate(probe.name)
