from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.fabricated import FAKE_CHILD, FakeChild, Told


@pytest.fixture
def child(tmp_path: Path) -> FakeChild:
    script = tmp_path / "child.py"
    script.write_text(FAKE_CHILD)
    return FakeChild(script, tmp_path / "child.log")


@pytest.fixture
def told() -> Told:
    return Told()
