"""The server's last half: it runs in a thread of its own, and ends when the process is told to."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

from akash_gradio.http.shutdown import Running, finish

FILES: Final = 65_536
"""Connections that may be open at once, as far as the system lets us."""
CLOSING_S: Final = 5
"""For connections that have nothing more to say, and for what ends with the server."""


def watch_sigterm() -> threading.Event:
    """Set when the process is told to end. Call it in the main thread, before the server starts:
    it answers before `launch` has returned.
    """
    told = threading.Event()

    def hear(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    signal.signal(signal.SIGTERM, hear)
    return told


def serve_until_signaled(
    server: uvicorn.Server,
    running: Running,
    told: threading.Event,
    protocol: type[asyncio.Protocol],
) -> None:
    """Wait for SIGTERM or Ctrl+C, let running answers finish (SIGTERM alone), then close.

    server: runs already, in another thread. told: of `watch_sigterm`. protocol: of the
    connections. In the main thread.
    """
    allow_many_files()
    server.config.http_protocol_class = protocol  # of the connections from now on
    with suppress(KeyboardInterrupt):
        told.wait()
        finish(running)
    server.config.timeout_graceful_shutdown = 1
    server.should_exit = True
    thread = getattr(server, "thread", None)
    if thread is not None:
        thread.join(CLOSING_S)


def allow_many_files() -> None:
    """Raise the limit of open files, which many systems set to 1024, as high as we may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
