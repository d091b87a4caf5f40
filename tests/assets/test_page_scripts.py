"""Runs the tests of the page's scripts, tests/assets/page/*.test.mjs, with Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "page"
TESTS = sorted(FOLDER.glob("*.test.mjs"))

pytestmark = pytest.mark.node


@pytest.mark.parametrize("script", TESTS, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_the_scripts_pass_their_tests(script: Path) -> None:
    assert shutil.which("node"), "Node is missing: run tests/install_system.sh"
    command = ["node", "--test", "--test-reporter=spec", script.name]
    done = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "tests 0" not in done.stdout
