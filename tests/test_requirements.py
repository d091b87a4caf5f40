"""The lists of dependencies: pyproject.toml, requirements.txt and requirements-dev.txt."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    requires,
    version,
)
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imports import imports_of, sources

ROOT = Path(__file__).resolve().parents[1]
NOT_DECLARED = {"spaces", "IPython", "transformers"}
"""Imported only where they are: on a ZeroGPU Space, in a notebook, with an author's model."""
IN_REQUIREMENTS_TXT = ("embedded", "redis")
"""The extras that a Space and the image install too."""
USED_BY_UVICORN = {"uvloop"}


def parse(lines: list[str]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in requirements}


def read(name: str) -> dict[str, Requirement]:
    return parse((ROOT / name).read_text(encoding="utf-8").splitlines())


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BASE = parse(PROJECT["dependencies"])
EXTRAS = {name: parse(lines) for name, lines in PROJECT["optional-dependencies"].items()}
DECLARED = BASE | {name: each for extra in EXTRAS.values() for name, each in extra.items()}


def third_party_modules() -> dict[str, str]:
    """Map each top-level module to one file that imports it."""
    modules: dict[str, str] = {}
    for where in [*sources(ROOT, "akash_gradio"), "app.py"]:
        for each in imports_of(ROOT, where):
            top = each.name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "akash_gradio":
                modules.setdefault(top, where)
    return modules


def test_gradio_is_pinned_to_one_version() -> None:
    assert re.fullmatch(r"==\d+\.\d+\.\d+", str(BASE["gradio"].specifier))


def test_every_other_requirement_has_a_lowest_and_a_highest_version() -> None:
    for name, requirement in DECLARED.items():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({">=", "<"}, {"=="}), name


def test_the_installed_versions_are_the_declared_ones() -> None:
    for name, requirement in DECLARED.items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(name), prereleases=True), name


def test_a_space_installs_the_package_with_two_of_its_extras() -> None:
    expected = dict(BASE)
    for extra in IN_REQUIREMENTS_TXT:
        expected |= EXTRAS[extra]
    assert read("requirements.txt") == expected


def test_no_requirement_is_in_both_files() -> None:
    assert not read("requirements.txt").keys() & read("requirements-dev.txt").keys()


def test_the_tests_install_every_extra_as_it_is_declared() -> None:
    installed = read("requirements.txt") | read("requirements-dev.txt")
    for name, requirement in DECLARED.items():
        assert installed[name] == requirement


LOCKS = {
    "requirements-lock.txt": ("requirements.txt",),
    "requirements-dev-lock.txt": ("requirements.txt", "requirements-dev.txt"),
}


def locked(name: str) -> dict[str, list[Requirement]]:
    """Return the pins of a lock file by name; one that differs by platform has several."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    pins: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = line.split("--hash=sha256:")
            assert hashes, f"{line} has no hash"
            assert all(re.fullmatch(r"[0-9a-f]{64}", each.strip()) for each in hashes)
            pin = Requirement(requirement.strip())
            assert re.fullmatch(r"==[^*,]+", str(pin.specifier))
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_every_requirement_in_its_range(lock: str) -> None:
    """`make lock` brings it up to date."""
    pins = locked(lock)
    for source in LOCKS[lock]:
        for name, requirement in read(source).items():
            assert name in pins, f"{name} of {source}"
            for pin in pins[name]:
                (pinned,) = pin.specifier
                assert requirement.specifier.contains(pinned.version, prereleases=True), name


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_its_requirements_require_and_nothing_else(lock: str) -> None:
    """By the metadata of the installed packages, so that no network is needed."""
    pins = locked(lock)
    known = dict.fromkeys(name for source in LOCKS[lock] for name in read(source))
    pending = list(known)
    while pending:
        name = pending.pop()
        extras = {""}.union(*(r[name].extras for r in map(read, LOCKS[lock]) if name in r))
        for text in requires_of(name):
            needed = Requirement(text)
            used = any(
                needed.marker is None or needed.marker.evaluate({"extra": e}) for e in extras
            )
            child = canonicalize_name(needed.name)
            if used:
                assert child in pins, f"{child}, which {name} requires"
                if child not in known:
                    known[child] = None
                    pending.append(child)
    everywhere = {name for name, entries in pins.items() if all(e.marker is None for e in entries)}
    assert everywhere <= known.keys()


def requires_of(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # for another platform
        return []


def test_both_locks_pin_the_same_versions() -> None:
    image, tests = locked("requirements-lock.txt"), locked("requirements-dev-lock.txt")
    for name, pins in image.items():
        assert sorted(map(str, tests[name])) == sorted(map(str, pins))


def test_the_image_installs_the_lock_with_hashes() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert "--require-hashes" in text
    assert "requirements-lock.txt" in text
    assert "!requirements-lock.txt" in (ROOT / ".dockerignore").read_text("utf-8")


@pytest.mark.parametrize("module", sorted(third_party_modules().keys() - NOT_DECLARED))
def test_whatever_the_package_imports_is_declared(module: str) -> None:
    distributions = {canonicalize_name(d) for d in packages_distributions().get(module, [])}
    assert distributions & DECLARED.keys(), third_party_modules()[module]


def test_every_dependency_is_used() -> None:
    imported = {
        canonicalize_name(distribution)
        for module in third_party_modules()
        for distribution in packages_distributions().get(module, [])
    }
    assert DECLARED.keys() - imported == USED_BY_UVICORN


def test_the_search_for_imports_finds_known_modules() -> None:
    assert {"gradio", "httpx", "pydantic_settings", "PIL"} <= third_party_modules().keys()
