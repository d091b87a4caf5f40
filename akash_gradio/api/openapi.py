"""`GET /v1/openapi.json`: the description in `openapi.json`, with this version's number.

The file is written by hand, because it states what is promised. A test compares it with the
routes and their responses.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from akash_gradio import __version__

FILE: Final = Path(__file__).with_name("openapi.json")


def openapi_description() -> dict[str, Any]:
    """Return the description of the routes in `routes.py`, as OpenAPI 3.1."""
    description: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return {**description, "info": {**description["info"], "version": __version__}}


@cache
def openapi_bytes() -> bytes:
    """Return the description as JSON on one line."""
    return json.dumps(openapi_description(), separators=(",", ":")).encode()
