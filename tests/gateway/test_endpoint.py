from __future__ import annotations

import pytest

from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import EndpointError, EndpointRefused, EndpointUnreachable
from akash_gradio.gateway.endpoint import Endpoint


def test_the_log_says_once_why_an_endpoint_lists_nothing(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = Endpoint(EndpointSettings(url="http://127.0.0.1:9/v1", name="eu-1"))
    away = EndpointUnreachable("eu-1", "dns")
    refused = EndpointRefused("eu-1", 401, detail="No such key")
    failures: list[EndpointError] = [away, away, refused, refused]
    for failure in failures:
        endpoint.record_list_failure(failure)
    endpoint.set_models(())
    endpoint.record_list_failure(away)
    said = [(line.message, getattr(line, "fact", "")) for line in caplog.records]
    assert said == [
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
        ("endpoint.list_failed", "eu-1: status 401"),
        ("endpoint.list_failed", "eu-1: unreachable (dns)"),
    ]
