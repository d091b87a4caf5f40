"""What each module of a source tree imports, read from its syntax, nothing being run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name that a module asks for.

    where: the asking file, from the tree's root. name: `httpx`, `akash_gradio.web.texts`.
    runs: when the module itself is imported; not inside a function or for type checks alone.
    """

    where: str
    line: int
    name: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.name}"

    def within(self, *modules: str) -> bool:
        """True when it is one of these, or lies in one."""
        return any(f"{self.name}.".startswith(f"{module}.") for module in modules)


def sources(root: Path, package: str) -> list[str]:
    """The package's files, from the tree's root, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in (root / package).rglob("*.py"))


def module_name(where: str) -> str:
    """`a/b.py` → `a.b`, `a/__init__.py` → `a`."""
    return where.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_of(root: Path, where: str) -> Iterator[Import]:
    """Every import in the file, wherever it stands."""
    tree = ast.parse((root / where).read_text(encoding="utf-8"))
    for node, runs in _walk(tree, runs=True):
        for name in _names(node, where):
            yield Import(where=where, line=getattr(node, "lineno", 0), name=name, runs=runs)


def _walk(node: ast.AST, *, runs: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, runs
        if isinstance(child, ast.If) and _for_types_alone(child.test):
            yield from _walk(ast.Module(child.body, []), runs=False)
            yield from _walk(ast.Module(child.orelse, []), runs=runs)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, runs=runs and not function)


def _for_types_alone(test: ast.expr) -> bool:
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
