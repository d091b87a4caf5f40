"""Joins the page's scripts into one module: a first visit loads one file instead of sixty.

It needs no Node: each module becomes a function with its own scope that is called once. Only the
forms of import and export that our scripts use are supported, each on a line of its own. Any other
form raises `BundleError`; a test joins all scripts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NAMED: Final = re.compile(r'import (\{ [\w$, ]+ \}) from "\./(\w+)\.js";')
_WHOLE: Final = re.compile(r'import \* as (\w+) from "\./(\w+)\.js";')
_EXPORT: Final = re.compile(r"export (?:const|class|(?:async )?function\*?) ([\w$]+)")
_MODULE_WORDS: Final = ("import ", "import{", "import*", 'import"', "export ", "export{", "export*")


class BundleError(ValueError):
    """A script can't be joined. The message names the file and the line."""


def join_scripts(folder: Path, entry: str) -> str:
    """Join a module and everything that it imports into one module.

    Args:
        folder: Where the scripts are.
        entry: The name of the module, without `.js`.

    Raises:
        BundleError: An import or export has an unsupported form, or a module imports itself.
    """
    joined: dict[str, str] = {}
    _join(folder, entry, joined, ())
    return "\n".join(joined.values())


def _join(folder: Path, name: str, joined: dict[str, str], importers: tuple[str, ...]) -> None:
    """Add the module to `joined`, after those that it imports. `importers` starts at the entry."""
    if name in importers:
        raise BundleError(f"{name}.js imports itself, through {', '.join(importers)}")
    if name in joined:
        return
    lines, exported = [], []
    for number, line in enumerate((folder / f"{name}.js").read_text("utf-8").splitlines(), 1):
        if (imported := _NAMED.fullmatch(line)) or (imported := _WHOLE.fullmatch(line)):
            names, module = imported.groups()
            _join(folder, module, joined, (*importers, name))
            lines.append(f"const {names.replace(' as ', ': ')} = $${module};")
        elif export := _EXPORT.match(line):
            exported.append(export[1])
            lines.append(line.removeprefix("export "))
        elif line.startswith(_MODULE_WORDS):
            raise BundleError(f"{name}.js, line {number}: {line[:80]}")
        else:
            lines.append(line)
    body = "\n".join(lines)
    if importers:
        body = f"const $${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    joined[name] = body
