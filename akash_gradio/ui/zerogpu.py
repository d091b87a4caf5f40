"""What functions under `@spaces.GPU` need on a ZeroGPU Space.

The package `spaces` bills a visitor's quota by a header that it reads from Gradio's context, and
runs functions in forked workers. docs/python.md describes the rules for authors.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from typing import Any, Final

import gradio as gr
from gradio.context import LocalContext
from starlette.datastructures import Headers

from akash_gradio.domain.visitor import CURRENT_QUOTA_TOKEN

QUOTA_HEADER: Final = "x-ip-token"


def set_quota_token() -> None:
    """Put the visitor's quota token where `spaces` looks for it. Call it in a copied context."""
    token = CURRENT_QUOTA_TOKEN.get()
    if not token:
        return
    request: Any = gr.Request()
    request.headers = Headers({QUOTA_HEADER: token})
    LocalContext.request.set(request)


@cache
def close_sockets_in_workers() -> None:
    """Close all sockets in forked workers, once per process.

    A worker keeps a copy of every open socket, so a connection that this process closes would
    stay open for the client.
    """
    os.register_at_fork(after_in_child=_close_sockets)


def _close_sockets() -> None:
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.close(descriptor)
        except OSError:  # the descriptor of the listing itself
            continue
