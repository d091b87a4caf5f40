"""`GET /v1/openapi.json`: what stands in `openapi.json`, with this version's number.

Written by hand, because it says what is promised and not what happens to be there; a test
holds it against the addresses and the answers.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from akash_gradio import __version__

FILE: Final = Path(__file__).with_name("openapi.json")


def description() -> dict[str, Any]:
    """Of the addresses in `routes.py`, as OpenAPI 3.1."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return {**found, "info": {**found["info"], "version": __version__}}


@cache
def description_bytes() -> bytes:
    """The same as JSON on one line, read once."""
    return json.dumps(description(), separators=(",", ":")).encode()
