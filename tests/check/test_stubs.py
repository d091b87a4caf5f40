"""Every misbehaving endpoint is found out, by its own probe and by no other."""

from __future__ import annotations

from typing import Any

import pytest

from akash_gradio.check.probe import Level, Verdict
from tests.check.helpers import KEY, PATIENT, SHORT, blamed, check, target
from tests.stubs import BEHAVIORS, Ending, StubEndpoint
from tests.stubs.compliant import compliant

SLOW = {"split_into_bytes", "half_a_mebibyte_in_a_line"}
"""Eight of these at once are too much for one loop that plays both sides."""
WELL: set[str] = set()
ODD: dict[str, set[str]] = {
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
"""What those that answer have about them; the others of them have nothing."""
NEVER_COUNTS = {"usage.missing"}
"""Most of them report no tokens, and that is found too."""
COUNTS = {
    "perfect", "slow", "echoes", "float_usage", "usage_on_every_chunk", "rejects_stream_options",
    "whole_json_for_a_stream", "whole_json_typed_as_stream",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, a in BEHAVIORS.items() if a.ending is Ending.COMPLETE])
async def test_an_endpoint_that_answers_oddly_is_told_just_that(name: str) -> None:
    async with StubEndpoint(compliant(name), key=KEY) as stub:
        found = await check(target(stub), level=Level.QUICK if name in SLOW else Level.FULL)
    assert blamed(found) == ODD.get(name, WELL) | (WELL if name in COUNTS else NEVER_COUNTS)


def _patience(finding: str) -> dict[str, Any]:
    """Little of it where the stub hangs, and then only the probes that it is about."""
    if finding.endswith(".silent"):
        return {"scale": SHORT, "level": Level.QUICK}
    return {"scale": PATIENT, "level": Level.FULL}


BREAKS: dict[str, str] = {
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
    "name", [n for n, a in BEHAVIORS.items() if a.ending is Ending.INTERRUPTED]
)
async def test_an_endpoint_that_breaks_off_is_told_just_that(name: str) -> None:
    async with StubEndpoint(compliant(name), key=KEY) as stub:
        found = await check(target(stub), **_patience(BREAKS[name]))
    assert blamed(found) == {BREAKS[name]}


FAILS: dict[str, str] = {
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
    "empty_answer": "plain.empty",
    "error_object_with_200": "plain.error_body",
    "error_as_first_event": "plain.error_body",
    "error_as_a_string": "plain.error_body",
    "broken_json": "plain.json",
    "json_of_another_shape": "plain.shape",
    "false_gzip_encoding": "plain.encoding",
    "twenty_mebibytes_in_a_line": "plain.too_long",
    "two_mebibytes_in_a_line": "plain.too_long",
    "endless_line": "plain.too_long",
    "redirects_307": "base-url.redirect",
    "redirects_302": "base-url.redirect",
    "status_401": "key.refused",
    "status_403": "key.refused",
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
async def test_an_endpoint_that_never_answers_is_told_why_and_nothing_else(name: str) -> None:
    async with StubEndpoint(name) as stub:
        found = await check(target(stub), **_patience(FAILS.get(name, "")))
    assert blamed(found) == {FAILS.get(name, "plain.status")}
    assert all(one.mend for one in found if one.verdict is Verdict.FAIL)
    assert [one for one in found if one.code.endswith(".needs")]


async def test_an_endpoint_that_does_everything_right_passes_everything() -> None:
    async with StubEndpoint(compliant(), key=KEY) as stub:
        found = await check(target(stub))
    assert {one.verdict for one in found} == {Verdict.PASS}
    assert {one.code for one in found if one.code.endswith(".repeated")} == {
        "emoji.repeated", "cjk.repeated", "code-fences.repeated", "control-characters.repeated",
    }  # fmt: skip
