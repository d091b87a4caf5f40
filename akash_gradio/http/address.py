"""The address that a server listens on."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any


def address_error(host: str, port: int) -> str:
    """Check whether a server can listen on an address.

    Returns:
        "" if it can; otherwise a sentence with the reason and what to change.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return _unusable(host, port, error)
    failures = [failure for address in addresses if (failure := _bind_error(*address))]
    if any(failure.errno == errno.EADDRINUSE for failure in failures):
        return (
            f"Port {port} is already in use. Choose another one with --port or GRADIO_SERVER_PORT."
        )
    # "localhost" may have an IPv6 address that this machine lacks.
    return _unusable(host, port, failures[0]) if len(failures) == len(addresses) else ""


def _bind_error(
    family: socket.AddressFamily, kind: socket.SocketKind, protocol: int, _: str, address: Any
) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # as asyncio does; elsewhere it would allow two servers
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _unusable(host: str, port: int, error: OSError) -> str:
    return (
        f"Can't listen on {host} port {port}: {error.strerror}. "
        "Change --host or GRADIO_SERVER_NAME, or --port or GRADIO_SERVER_PORT."
    )


def browser_host(host: str) -> str:
    """Return the host to open for a server that listens on `host`, as written in a URL."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
