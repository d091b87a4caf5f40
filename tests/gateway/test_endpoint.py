from __future__ import annotations

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointError, EndpointRefused, EndpointUnreachable
from akash_gradio.gateway.endpoint import Endpoint


def test_a_list_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = Endpoint(EndpointSettings(url="http://127.0.0.1:9/v1", name="eu-1"))
    unreachable = EndpointUnreachable("eu-1", "dns")
    refused = EndpointRefused("eu-1", 401, detail="No such key")
    failures: list[EndpointError] = [unreachable, unreachable, refused, refused]
    for failure in failures:
        endpoint.record_list_failure(failure)
    endpoint.set_models(())
    endpoint.record_list_failure(unreachable)
    logged = [(line.message, getattr(line, "fact", "")) for line in caplog.records]
    assert logged == [
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
        ("endpoint.list_failed", "eu-1: status 401"),
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
    ]
