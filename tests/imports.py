"""The imports of each module of a source tree, read from its syntax without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import of one name.

    Attributes:
        where: The importing file, relative to the tree's root.
        name: `httpx`, `akash_gradio.web.texts`.
        runs_on_import: False inside a function, and for type checking alone.
    """

    where: str
    line: int
    name: str
    runs_on_import: bool

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.name}"

    def is_within(self, *modules: str) -> bool:
        """Return whether the name is one of these modules, or in one of them."""
        return any(f"{self.name}.".startswith(f"{module}.") for module in modules)


def sources(root: Path, package: str) -> list[str]:
    """Return the package's files relative to the tree's root, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in (root / package).rglob("*.py"))


def module_name(where: str) -> str:
    """Return `a.b` for `a/b.py` and `a` for `a/__init__.py`."""
    return where.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_of(root: Path, where: str) -> Iterator[Import]:
    """Yield every import in a file."""
    tree = ast.parse((root / where).read_text(encoding="utf-8"))
    for node, runs in _walk(tree, runs=True):
        for name in _names(node, where):
            yield Import(
                where=where, line=getattr(node, "lineno", 0), name=name, runs_on_import=runs
            )


def _walk(node: ast.AST, *, runs: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, runs
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            yield from _walk(ast.Module(child.body, []), runs=False)
            yield from _walk(ast.Module(child.orelse, []), runs=runs)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, runs=runs and not function)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _names(node: ast.AST, where: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            folder = Path(where).parents[node.level - 1].as_posix().replace("/", ".")
            base = f"{folder}.{base}".rstrip(".")
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []
