"""axe-core, from npm, run inside a page."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from playwright.sync_api import Page

from tests.browser.running import ROOT

FOLDER = ROOT / "build" / "axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")


def axe_source() -> str:
    """The script, fetched once. Fails with a sentence where npm is missing."""
    if not SCRIPT.exists():
        npm = shutil.which("npm")
        assert npm, "npm is missing, which fetches axe-core: run tests/install_system.sh"
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), "axe-core@4"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"npm could not fetch axe-core: {done.stderr[-500:]}"
    return SCRIPT.read_text(encoding="utf-8")


def grave_findings(page: Page, source: str) -> list[str]:
    """What axe calls serious or critical, one line for each element."""
    page.evaluate(source)
    result: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in result["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
