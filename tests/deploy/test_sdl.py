"""The SDL files, by Akash's own SDK and by three checks that it lacks."""

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


def told_by_sdk(sdk: Path, *files: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["node", SCRIPT.name, *map(str, files)],
        cwd=sdk, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def missed_by_sdk(sdl: Any) -> Iterator[str]:
    """A service that nobody has, a size that is none, an image without a fixed tag."""
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
                yield f"{name}: {size} is no size"


@pytest.mark.node
def test_akashs_own_sdk_takes_every_file(sdk: Path) -> None:
    assert len(FILES) == 3
    told = told_by_sdk(sdk, *FILES)
    assert told == {str(path): {"errors": [], "made": True} for path in FILES}


@pytest.mark.node
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("denom: uact", "denom: usd"), ("count: 1", "count: 0"), ("version:", "versions:")],
)
def test_akashs_own_sdk_finds_planted_mistakes(
    sdk: Path, tmp_path: Path, right: str, wrong: str
) -> None:
    path = tmp_path / "deploy.yml"
    path.write_text(FILES[0].read_text().replace(right, wrong))
    assert told_by_sdk(sdk, path)[str(path)]["errors"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_wrong_that_the_sdk_does_not_see(path: Path) -> None:
    assert list(missed_by_sdk(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("akash-gradio:0.1.0", "akash-gradio:latest"),
        ("akash-gradio:0.1.0", "akash-gradio"),
        ("- service: lb", "- service: nosuch"),
        ("size: 1Gi", "size: 1gig"),
    ],
)
def test_what_the_sdk_does_not_see_is_seen_here(right: str, wrong: str) -> None:
    text = (ROOT / "deploy-replicas.yml").read_text()
    assert right in text
    assert list(missed_by_sdk(yaml.safe_load(text.replace(right, wrong))))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_app_reads_what_the_file_sets(path: Path) -> None:
    sdl = yaml.safe_load(path.read_text())
    for name, service in sdl["services"].items():
        if not name.startswith("app"):
            continue
        of_image = {"DATA_DIR": "/data"}
        env = dict(line.split("=", maxsplit=1) for line in service["env"])
        settings = read_settings(of_image | env, None)
        assert settings.data_dir is None  # its disk ends with the deployment
        assert settings.problems == ()
        assert settings.endpoints
        (exposed,) = service["expose"]
        assert exposed["port"] == settings.server_port
        assert sdl["deployment"][name]["akash"]["count"] == 1
    outer = next(s for s in sdl["services"].values() if {"global": True} in s["expose"][0]["to"])
    options = outer["expose"][0]["http_options"]
    assert settings.first_token_timeout_s * 1000 < options["read_timeout"] <= 60_000
    assert 4_000_000 < options["max_body_size"] <= 104_857_600
