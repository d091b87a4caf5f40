from __future__ import annotations

from dataclasses import replace

from akash_gradio.domain.ports import EndpointState
from akash_gradio.web import texts
from akash_gradio.web.notices import hosting_notices, service_notices
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
    assert notice.calm
    assert "REDIS_URL" in notice.body
