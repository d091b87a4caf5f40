from __future__ import annotations

from dataclasses import replace

import pytest

from akash_gradio.domain.model import Problem
from akash_gradio.domain.ports import EndpointState
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded.errors import Reason
from akash_gradio.web import texts
from akash_gradio.web.notices import NoticeSource, hosting_notices, service_notices
from akash_gradio.web.templating import notice_html
from tests.web.fakes import endpoint_status


def test_a_rejected_key_is_reported_with_the_name_of_its_secret() -> None:
    down = replace(endpoint_status(alias="hugging-face", state=EndpointState.DOWN), reason="key")
    (notice,) = hosting_notices([endpoint_status("m"), down], {"hugging-face": "HF_TOKEN"})
    assert "hugging-face" in notice.title
    assert "HF_TOKEN" in notice.body


def test_a_rejected_key_is_not_reported_as_a_temporary_failure() -> None:
    refused = replace(endpoint_status(state=EndpointState.DOWN), reason="key")
    silent = replace(endpoint_status(state=EndpointState.DOWN), reason="connect")
    assert service_notices((), (refused, refused), None) == ()
    title = texts.NOTICES["all_down"]
    assert [notice.title for notice in service_notices((), (refused, silent), None)] == [title]
    assert service_notices((), (endpoint_status("m"), silent), None) == ()


def test_a_space_without_a_key_names_the_secret_to_set() -> None:
    (notice,) = hosting_notices([], {}, is_space=True)
    assert "Duplicate this Space" in notice.body
    assert "HF_TOKEN" in notice.body
    assert list(hosting_notices([], {"endpoint-1": "API_KEY"}, is_space=True)) == []
    assert list(hosting_notices([], {})) == []


def test_an_isolated_replica_shows_a_notice() -> None:
    (notice,) = hosting_notices([], {}, is_isolated=True)
    assert notice.is_info
    assert "REDIS_URL" in notice.body


PROBLEM = Problem(where="ENDPOINTS[2]", field="url", value="ftp://x", hint="write https://…")


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_of_the_embedded_model_has_a_notice(stage: Stage) -> None:
    (notice,) = service_notices((), (), Progress(stage=stage, reason="disk_full"))
    assert notice.title
    assert "{" not in notice.title + notice.body
    assert notice.is_info is (stage is not Stage.UNAVAILABLE)
    assert notice_html(notice)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_failure_of_the_embedded_model_has_a_text(reason: Reason) -> None:
    progress = Progress(stage=Stage.UNAVAILABLE, reason=reason, detail="/home/operator/own words")
    (notice,) = service_notices((), (), progress)
    assert reason in texts.EMBEDDED_REASONS
    assert texts.EMBEDDED_REASONS[reason] in notice.title
    assert "/home/operator" not in f"{notice}"
    assert "ENDPOINTS" in notice.body


def test_every_text_of_a_failure_has_a_reason() -> None:
    assert set(texts.EMBEDDED_REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("done", "total", "percent", "indeterminate"),
    [(0, 0, None, True), (5, 0, None, True), (0, 200, 0, False), (50, 200, 25, False),
     (300, 200, 100, False)],
)  # fmt: skip
def test_a_download_is_measured_when_its_size_is_known(
    done: int, total: int, percent: int | None, indeterminate: bool
) -> None:
    progress = Progress(stage=Stage.FETCHING, done_bytes=done, total_bytes=total)
    (notice,) = service_notices((), (), progress)
    assert (notice.percent, notice.indeterminate) == (percent, indeterminate)


def test_problems_come_first_and_are_counted() -> None:
    first, second = service_notices((PROBLEM, PROBLEM), (), Progress(stage=Stage.LOADING))
    assert first.title == "The configuration has 2 errors"
    assert first.lines == (str(PROBLEM), str(PROBLEM))
    assert second.is_info


def test_a_notice_reports_that_nothing_is_configured() -> None:
    (notice,) = service_notices((), (), None)
    assert notice.title == "No endpoint is configured"


def test_a_notice_reports_that_no_endpoint_responds() -> None:
    down = endpoint_status("m", state=EndpointState.DOWN)
    (notice,) = service_notices((), (down, down), None)
    assert notice.title == "No endpoint is available right now"
    assert service_notices((), (down, endpoint_status("m")), None) == ()


def test_a_problem_that_shows_later_is_reported_with_the_others() -> None:
    late = Problem(where="FALLBACK_MODEL", value="typo", hint="no endpoint has it")
    found: list[Problem] = []
    source = NoticeSource(
        endpoints=lambda: (endpoint_status("m"),), late_problems=lambda: tuple(found)
    )
    assert source.current() == ()
    found.append(late)
    (notice,) = source.current()
    assert notice.lines == (str(late),)
