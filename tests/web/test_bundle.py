from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from akash_gradio.config.paths import ASSETS
from akash_gradio.web.bundle import BundleError, join_scripts

SCRIPTS = {
    "start.js": 'import { twice, Box as Crate } from "./numbers.js";\n'
    'import * as words from "./words.js";\n'
    "const mine = 21;\n"
    "console.log(words.text, twice(mine), new Crate().held, await words.later());\n",
    "numbers.js": 'import { text } from "./words.js";\n'
    "const mine = 2;\n"
    "export function twice(value) {\n  return value * mine;\n}\n"
    "export class Box {\n  held = text.length;\n}\n",
    "words.js": 'console.log("once");\n'
    'export const text = "import { a } from here";\n'
    "export async function later() {\n  return [...counted()].length;\n}\n"
    "export function* counted() {\n  yield* [1, 2, 3];\n}\n",
}


def _written(folder: Path, scripts: dict[str, str]) -> Path:
    for name, text in scripts.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.node
def test_joined_scripts_behave_like_the_separate_ones(tmp_path: Path) -> None:
    folder = _written(tmp_path, {**SCRIPTS, "package.json": '{"type": "module"}'})
    joined = folder / "joined.mjs"
    joined.write_text(join_scripts(folder, "start"))
    assert _text(joined) == _text(folder / "start.js") == "once\nimport { a } from here 42 22 3\n"


def _text(script: Path) -> str:
    node = shutil.which("node")
    assert node, "Node is missing: run tests/install_system.sh"
    done = subprocess.run([node, script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.node
def test_the_pages_scripts_can_be_joined(tmp_path: Path) -> None:
    joined = tmp_path / "page.mjs"
    joined.write_text(join_scripts(ASSETS / "js", "app"))
    node = shutil.which("node")
    assert node, "Node is missing: run tests/install_system.sh"
    subprocess.run([node, "--check", joined], timeout=60, check=True)
    assert "\nimport " not in joined.read_text()


@pytest.mark.parametrize(
    "line",
    [
        'import Default from "./words.js";',
        'import "./words.js";',
        'import { text } from "https://elsewhere.example/words.js";',
        "import {",
        "export default class {}",
        "export let changed = 1;",
        "export { text };",
        'export * from "./words.js";',
    ],
)
def test_an_unsupported_form_is_reported_with_file_and_line(tmp_path: Path, line: str) -> None:
    folder = _written(tmp_path, {**SCRIPTS, "numbers.js": f"// One.\n{line}\n"})
    with pytest.raises(BundleError, match=r"numbers\.js, line 2: "):
        join_scripts(folder, "start")


def test_scripts_that_import_each_other_are_reported(tmp_path: Path) -> None:
    words = 'import { Box } from "./numbers.js";\n' + SCRIPTS["words.js"]
    with pytest.raises(BundleError, match=r"numbers\.js imports itself"):
        join_scripts(_written(tmp_path, {**SCRIPTS, "words.js": words}), "start")
