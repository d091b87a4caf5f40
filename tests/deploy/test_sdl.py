"""The SDL files, validated by Akash's own SDK and by three checks that it lacks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from akash_gradio import __version__
from akash_gradio.config.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("deploy*.yml"))
SDK = "@akashnetwork/chain-sdk@1.0.0-alpha.25"
SCRIPT = Path(__file__).with_name("validate.mjs")
SIZE = re.compile(r"\d+(\.\d+)?(Ki|Mi|Gi|Ti)")


@pytest.fixture(scope="session")
def sdk() -> Path:
    """A folder with the SDK installed and the script in it."""
    npm = shutil.which("npm")
    assert npm, "Akash's SDK needs npm: apt-get install nodejs npm, or -m 'not node'"
    folder = ROOT / "build" / "sdl"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "@akashnetwork").exists():
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        command = [npm, "install", *options, "--prefix", str(folder), SDK]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, f"npm could not install {SDK}: {done.stderr[-500:]}"
    shutil.copy(SCRIPT, folder / SCRIPT.name)
    return folder


def validate(sdk: Path, *files: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["node", SCRIPT.name, *map(str, files)],
        cwd=sdk, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def problems_missed_by_sdk(sdl: Any) -> Iterator[str]:
    """Yield unknown services, invalid sizes and images without a fixed tag."""
    for name, service in sdl["services"].items():
        tag = service["image"].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{name}: its image has no fixed tag"
        for exposed in service.get("expose", []):
            for to in exposed["to"]:
                if "service" in to and to["service"] not in sdl["services"]:
                    yield f"{name}: there is no service {to['service']}"
    for name, profile in sdl["profiles"]["compute"].items():
        resources = profile["resources"]
        storage = resources["storage"]
        volumes = storage if isinstance(storage, list) else [storage]
        for size in [resources["memory"]["size"], *(volume["size"] for volume in volumes)]:
            if not SIZE.fullmatch(size):
                yield f"{name}: {size} is not a size"


@pytest.mark.node
def test_the_sdk_accepts_every_file(sdk: Path) -> None:
    assert len(FILES) == 3
    results = validate(sdk, *FILES)
    assert results == {str(path): {"errors": [], "valid": True} for path in FILES}


@pytest.mark.node
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("denom: uact", "denom: usd"), ("count: 1", "count: 0"), ("version:", "versions:")],
)
def test_the_sdk_finds_planted_errors(sdk: Path, tmp_path: Path, right: str, wrong: str) -> None:
    path = tmp_path / "deploy.yml"
    path.write_text(FILES[0].read_text().replace(right, wrong))
    assert validate(sdk, path)[str(path)]["errors"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_problem_is_missed_by_the_sdk(path: Path) -> None:
    assert list(problems_missed_by_sdk(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (f"akash-gradio:{__version__}", "akash-gradio:latest"),
        (f"akash-gradio:{__version__}", "akash-gradio"),
        ("- service: lb", "- service: nosuch"),
        ("size: 1Gi", "size: 1gig"),
    ],
)
def test_planted_problems_that_the_sdk_misses_are_found(right: str, wrong: str) -> None:
    text = (ROOT / "deploy-replicas.yml").read_text()
    assert right in text
    assert list(problems_missed_by_sdk(yaml.safe_load(text.replace(right, wrong))))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_settings_of_the_file_are_valid(path: Path) -> None:
    sdl = yaml.safe_load(path.read_text())
    for name, service in sdl["services"].items():
        if not name.startswith("app"):
            continue
        image_environment = {"DATA_DIR": "/data"}
        env = dict(line.split("=", maxsplit=1) for line in service["env"])
        settings = read_settings(image_environment | env, None)
        assert settings.data_dir is None  # the disk is deleted with the deployment
        assert settings.problems == ()
        assert settings.endpoints
        (exposed,) = service["expose"]
        assert exposed["port"] == settings.server_port
        assert sdl["deployment"][name]["akash"]["count"] == 1
    outer = next(s for s in sdl["services"].values() if {"global": True} in s["expose"][0]["to"])
    options = outer["expose"][0]["http_options"]
    assert settings.first_token_timeout_s * 1000 < options["read_timeout"] <= 60_000
    assert 4_000_000 < options["max_body_size"] <= 104_857_600
