from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.catalog.loader import Catalog, read_catalog


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Catalog]:
    """Return a function that writes a file and reads it: text unchanged, else as JSON."""

    def write_and_read(content: Any, name: str = "mine.json", **environment: str) -> Catalog:
        file = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, encoding="utf-8")
        return read_catalog(file, environment)

    return write_and_read
