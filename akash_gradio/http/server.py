"""Runs a server that was started in another thread until the process is signaled to end."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

from akash_gradio.http.shutdown import RunningRequests, wait_for_requests

MAX_OPEN_FILES: Final = 65_536
"""Connections that may be open at once, as far as the system allows."""
_MALLOC_OPTIONS: Final = {-3: 1_000_000, -1: 2_000_000, -8: 2}
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in bytes, and M_ARENA_MAX."""
JOIN_TIMEOUT_S: Final = 5
"""Time for idle connections and the lifespan to close, in seconds."""


def watch_sigterm() -> threading.Event:
    """Return an event that is set on SIGTERM.

    Call it in the main thread before the server starts: Gradio's `launch` responds to requests
    before it returns.
    """
    signaled = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        signaled.set()

    signal.signal(signal.SIGTERM, handle)
    return signaled


def serve_until_signaled(
    server: uvicorn.Server,
    running: RunningRequests,
    signaled: threading.Event,
) -> None:
    """Block the main thread until SIGTERM or Ctrl+C, then close the server.

    On SIGTERM running requests may finish, see `shutdown.wait_for_requests`.

    Args:
        server: The server, which already runs in another thread.
        running: The requests in progress.
        signaled: The event from `watch_sigterm`.
    """
    with suppress(KeyboardInterrupt):
        signaled.wait()
        wait_for_requests(running)
    stop_server(server)


def stop_server(server: uvicorn.Server, grace_s: int = 1) -> None:
    """Close a server that runs in another thread, and wait for its end.

    Args:
        grace_s: Seconds that running requests may take to end.
    """
    server.config.timeout_graceful_shutdown = grace_s
    server.should_exit = True
    thread = getattr(server, "thread", None)
    if thread is not None:
        thread.join(JOIN_TIMEOUT_S)


def raise_file_limit() -> None:
    """Raise the limit of open files, which many systems set to 1024, as far as allowed."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def return_freed_memory() -> None:
    """Let glibc return the memory of large bodies to the system as soon as they are freed.

    Otherwise its thresholds grow with the bodies, and fragments of them stay. Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)
