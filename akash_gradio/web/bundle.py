"""The page's scripts as one, so that a first visit asks for one file in the place of sixty.

No program of Node's is needed for it: each module becomes a function that is called at once,
and keeps its names to itself. Only the forms that our scripts use are known, each on a line of
its own; anything else is a `ScriptFault`, which a test of every script finds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NAMED: Final = re.compile(r'import (\{ [\w$, ]+ \}) from "\./(\w+)\.js";')
_WHOLE: Final = re.compile(r'import \* as (\w+) from "\./(\w+)\.js";')
_EXPORT: Final = re.compile(r"export (?:const|class|(?:async )?function\*?) ([\w$]+)")
_MODULE_WORDS: Final = ("import ", "import{", "import*", 'import"', "export ", "export{", "export*")


class ScriptFault(ValueError):
    """A script is written in a way that can't be joined. Names the file and the line."""


def join_scripts(folder: Path, entry: str) -> str:
    """The module `entry` (a name without `.js`) with all that it imports, as one module.

    Raises ScriptFault.
    """
    joined: dict[str, str] = {}
    _join(folder, entry, joined, ())
    return "\n".join(joined.values())


def _join(folder: Path, name: str, joined: dict[str, str], importers: tuple[str, ...]) -> None:
    """Put the module into `joined`, after those that it imports. importers: the entry first."""
    if name in importers:
        raise ScriptFault(f"{name}.js imports itself, through {', '.join(importers)}")
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
            raise ScriptFault(f"{name}.js, line {number}: {line[:80]}")
        else:
            lines.append(line)
    body = "\n".join(lines)
    if importers:
        body = f"const $${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    joined[name] = body
