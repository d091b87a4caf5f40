"""Runs axe-core, from npm, inside a page."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from playwright.sync_api import Page

from tests.browser.servers import ROOT

FOLDER = ROOT / "build" / "axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
RUN = """options => {
  const over = [...document.querySelectorAll("dialog[open], :popover-open")].at(-1);
  return axe.run(over ?? document, options);
}"""


def axe_source() -> str:
    """Return the script, which is downloaded once."""
    if not SCRIPT.exists():
        npm = shutil.which("npm")
        assert npm, "npm is missing, which installs axe-core: run tests/install_system.sh"
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), "axe-core@4"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"npm could not install axe-core: {done.stderr[-500:]}"
    return SCRIPT.read_text(encoding="utf-8")


def serious_findings(page: Page, source: str) -> list[str]:
    """Return serious and critical violations in both themes, one line per element.

    An open dialog or popover is checked alone. In the dark theme only colors are checked,
    because nothing else differs.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(source)
    try:
        page.emulate_media(color_scheme="light")
        violations = _violations(page, {"resultTypes": ["violations"]}, "light")
        page.emulate_media(color_scheme="dark")
        colors_only = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
        return violations + _violations(page, {"runOnly": colors_only}, "dark")
    finally:
        page.emulate_media(color_scheme="light")


def _violations(page: Page, options: dict[str, Any], theme: str) -> list[str]:
    result: dict[str, Any] = page.evaluate(RUN, options)
    return [
        f"{theme}, {rule['id']} ({rule['impact']}): "
        f"{node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in result["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
