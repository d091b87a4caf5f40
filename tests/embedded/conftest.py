from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.fakes import FAKE_CHILD, FakeChild, ProgressRecorder


@pytest.fixture
def child(tmp_path: Path) -> FakeChild:
    script = tmp_path / "child.py"
    script.write_text(FAKE_CHILD)
    return FakeChild(script, tmp_path / "child.log")


@pytest.fixture
def recorder() -> ProgressRecorder:
    return ProgressRecorder()
