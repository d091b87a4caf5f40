from __future__ import annotations

import socket

import pytest

from akash_gradio.http.address import address_error, browser_host


def test_a_free_port_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert address_error("127.0.0.1", port) == ""
    assert address_error("127.0.0.1", 0) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_names_the_options_that_change_it(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        error = address_error(host, port)
    assert error.startswith(f"Port {port} is already in use.")
    assert "--port" in error
    assert "GRADIO_SERVER_PORT" in error


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_names_the_options_that_change_it(host: str) -> None:
    error = address_error(host, 7860)
    assert error.startswith(f"Can't listen on {host} port 7860: ")
    assert "GRADIO_SERVER_NAME" in error


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("::1", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("host.example", "host.example"),
    ],
)
def test_the_host_for_a_browser(host: str, expected: str) -> None:
    assert browser_host(host) == expected
