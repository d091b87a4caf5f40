"""Every stub's fault is reported by the probe for it, and by no other."""

from __future__ import annotations

from typing import Any

import pytest

from akash_gradio.check.probe import Level
from akash_gradio.check.probe_result import Verdict
from tests.check.helpers import KEY, SHORT_SCALE, USUAL_SCALE, check, problem_codes, target
from tests.stubs import BEHAVIORS, Ending, StubEndpoint
from tests.stubs.compliant import compliant

SLOW = {"split_into_bytes", "long_line"}
"""Eight of these in parallel are too much for one event loop with client and server."""
NO_FINDINGS: set[str] = set()
FINDINGS: dict[str, set[str]] = {
    "cr_lines": {"framing.cr_lines"},
    "byte_order_mark": {"framing.bom"},
    "data_over_several_lines": {"framing.several_lines"},
    "typed_as_plain_text": {"content-type.other"},
    "typed_as_json": {"content-type.other"},
    "whole_json_for_a_stream": {"stream.whole_json"},
    "whole_json_typed_as_stream": {"stream.whole_json"},
    "no_done": {"done.missing"},
    "no_finish_reason": {"finish.missing"},
    "no_blank_line_at_the_end": {"framing.unterminated"},
    "no_line_end_after_the_finish": {"framing.unterminated", "done.missing"},
    "empty_answer": {"stream.empty"},
    "choices_of_another_type": {"chunks.no_choices"},
    "pings_and_statuses_between_events": {"chunks.no_choices"},
    "done_after_a_completion": {"stream.whole_json"},
    "no_empty_lines_between_events": {"framing.unterminated"},
    "message_after_the_deltas": {"chunks.no_delta"},
    "completion_after_the_deltas": {"chunks.no_delta"},
    "float_usage": {
        "plain-usage.fractions",
        "usage.fractions",
        "usage-unasked.unasked",
    },
    "null_deltas": {"chunks.no_delta"},
    "no_choices_at_first": {"chunks.no_choices"},
    "think_end_alone": {"reasoning.end_alone"},
    "rejects_stream_options": {"usage.refused"},
}
"""The findings of stubs that answer. Those that aren't listed have none."""
NO_USAGE = {"usage.missing"}
"""Most stubs report no tokens, which is a finding too."""
WITH_USAGE = {
    "perfect", "slow", "echoes", "float_usage", "usage_on_every_chunk", "rejects_stream_options",
    "empty_answer", "done_after_a_completion", "completion_after_the_deltas",
    "whole_json_for_a_stream", "whole_json_typed_as_stream",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, b in BEHAVIORS.items() if b.ending is Ending.COMPLETE])
async def test_an_unusual_answer_gives_exactly_its_findings(name: str) -> None:
    async with StubEndpoint(compliant(name), key=KEY) as stub:
        findings = await check(target(stub), level=Level.QUICK if name in SLOW else Level.FULL)
    usage = NO_FINDINGS if name in WITH_USAGE else NO_USAGE
    assert problem_codes(findings) == FINDINGS.get(name, NO_FINDINGS) | usage


def _options(finding: str) -> dict[str, Any]:
    """Return short time limits and few probes if the stub never responds."""
    if finding.endswith(".silent"):
        return {"scale": SHORT_SCALE, "level": Level.QUICK}
    return {"scale": USUAL_SCALE, "level": Level.FULL}


INTERRUPTED: dict[str, str] = {
    "cuts_in_the_middle": "stream.cut",
    "resets_in_the_middle": "stream.cut",
    "ends_unfinished": "stream.cut",
    "closes_unfinished": "stream.cut",
    "hangs_in_the_middle": "stream.silent",
    "comments_after_the_first_token": "stream.silent",
    "error_after_the_first_token": "stream.error_body",
    "broken_json_in_the_middle": "stream.json",
    "endless_line_in_the_middle": "stream.too_long",
}


@pytest.mark.parametrize(
    "name", [n for n, b in BEHAVIORS.items() if b.ending is Ending.INTERRUPTED]
)
async def test_an_interrupted_answer_gives_exactly_one_finding(name: str) -> None:
    async with StubEndpoint(compliant(name), key=KEY) as stub:
        findings = await check(target(stub), **_options(INTERRUPTED[name]))
    assert problem_codes(findings) == {INTERRUPTED[name]}


FAILURES: dict[str, str] = {
    "closed_port": "reachable.refused",
    "plain_text_on_https": "reachable.tls",
    "resets_at_once": "answers.closed",
    "closes_at_once": "answers.closed",
    "hangs_before_headers": "answers.silent",
    "hangs_after_headers": "plain.silent",
    "hangs_after_role": "plain.silent",
    "slow_headers": "answers.silent",
    "endless_comments": "plain.silent",
    "endless_empty_deltas": "plain.silent",
    "cuts_before_first_token": "plain.cut",
    "resets_before_first_token": "plain.cut",
    "cuts_in_the_headers": "answers.closed",
    "not_http": "answers.closed",
    "shorter_than_promised": "plain.cut",
    "html_with_200": "plain.html",
    "html_typed_as_stream": "plain.html",
    "empty_body": "plain.empty",
    "done_only": "plain.empty",
    "null_choices": "plain.empty",
    "finish_reason_error_alone": "plain.error_body",
    "error_object_with_200": "plain.error_body",
    "error_as_first_event": "plain.error_body",
    "error_as_a_string": "plain.error_body",
    "broken_json": "plain.json",
    "json_of_another_shape": "plain.shape",
    "twenty_mebibytes_in_a_line": "plain.too_long",
    "endless_line": "plain.too_long",
    "redirects_307": "base-url.redirect",
    "redirects_302": "base-url.redirect",
    "status_401": "key.refused",
    "status_403": "key.refused",
    "firewall_page": "key.refused",
    "template_error": "plain.refused",
    "insufficient_quota": "plain.busy",
    "status_404": "plain.not_found",
    "status_429": "plain.busy",
    "html_with_502": "plain.status",
    "retry_after_in_seconds": "plain.busy",
    "retry_after_as_date": "plain.busy",
    "retry_after_in_milliseconds": "plain.busy",
    "status_400": "plain.refused",
    "status_413": "plain.too_large",
    "status_422": "plain.refused",
    "overflow_openai": "plain.context",
    "overflow_vllm": "plain.context",
    "overflow_llama_cpp": "plain.context",
}


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, a in BEHAVIORS.items()
        if a.ending in (Ending.NO_FIRST_TOKEN, Ending.REQUEST_REFUSED)
    ],
)
async def test_an_endpoint_without_an_answer_gives_exactly_one_failure(name: str) -> None:
    async with StubEndpoint(name) as stub:
        findings = await check(target(stub), **_options(FAILURES.get(name, "")))
    assert problem_codes(findings) == {FAILURES.get(name, "plain.status")}
    assert all(finding.fix for finding in findings if finding.verdict is Verdict.FAIL)
    assert [finding for finding in findings if finding.code.endswith(".needs")]


async def test_a_compliant_endpoint_passes_all_probes() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        findings = await check(target(stub))
    assert {finding.verdict for finding in findings} == {Verdict.PASS}
    assert {finding.code for finding in findings if finding.code.endswith(".repeated")} == {
        "emoji.repeated", "cjk.repeated", "code-fences.repeated", "control-characters.repeated",
    }  # fmt: skip
