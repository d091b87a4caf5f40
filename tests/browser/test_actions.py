"""Finding Chromium on the platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.actions import find_chromium


def test_the_systems_chromium_is_preferred(tmp_path: Path) -> None:
    system, bundled = tmp_path / "system", tmp_path / "bundled"
    system.touch()
    bundled.touch()
    assert find_chromium(bundled, system) == system


def test_playwrights_chromium_is_the_alternative(tmp_path: Path) -> None:
    bundled = tmp_path / "bundled"
    bundled.touch()
    assert find_chromium(bundled, tmp_path / "absent") == bundled


def test_a_missing_chromium_gives_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m playwright install"):
        find_chromium(tmp_path / "absent", tmp_path / "absent too")
