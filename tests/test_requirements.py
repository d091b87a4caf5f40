from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imports import imports_of, sources

ROOT = Path(__file__).resolve().parents[1]
SPACE_ALONE = {"spaces"}
"""Imported where a Space has it; never needed."""
EXTRA = {"psycopg": "requirements-postgres.txt"}
"""Imported where a setting asks for it; the list that declares it."""


def declared(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def third_party() -> dict[str, str]:
    """Top-level module → one file that imports it."""
    found: dict[str, str] = {}
    for where in [*sources(ROOT, "akash_gradio"), "app.py"]:
        for one in imports_of(ROOT, where):
            top = one.name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "akash_gradio":
                found.setdefault(top, where)
    return found


def test_gradio_is_pinned_to_one_version() -> None:
    assert re.fullmatch(r"==\d+\.\d+\.\d+", str(declared("requirements.txt")["gradio"].specifier))


def test_every_other_requirement_has_a_lowest_and_a_highest_version() -> None:
    for name, requirement in declared("requirements.txt").items():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({">=", "<"}, {"=="}), name


def test_the_installed_versions_are_the_declared_ones() -> None:
    from importlib.metadata import version

    for name, requirement in declared("requirements.txt").items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(name), prereleases=True), name


def test_the_project_file_reads_both_lists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dynamic = project["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"] == {"file": ["requirements.txt"]}
    assert dynamic["optional-dependencies"] == {
        "dev": {"file": ["requirements-dev.txt"]},
        "postgres": {"file": ["requirements-postgres.txt"]},
    }
    assert {"dependencies", "optional-dependencies"} <= set(project["project"]["dynamic"])


def test_no_requirement_stands_in_both_lists() -> None:
    assert not declared("requirements.txt").keys() & declared("requirements-dev.txt").keys()


@pytest.mark.parametrize("module", sorted(third_party().keys() - SPACE_ALONE))
def test_whatever_the_package_imports_is_declared(module: str) -> None:
    distributions = {canonicalize_name(d) for d in packages_distributions().get(module, [])}
    listed = declared(EXTRA.get(module, "requirements.txt"))
    assert distributions & listed.keys(), third_party()[module]


def test_the_tests_have_the_extras_as_they_are_declared() -> None:
    needed = declared("requirements-dev.txt")
    for listed in EXTRA.values():
        for name, requirement in declared(listed).items():
            assert str(needed[name]) == str(requirement)


def test_the_walk_finds_the_packages_of_the_design() -> None:
    assert {"gradio", "httpx", "pydantic_settings", "PIL"} <= third_party().keys()
