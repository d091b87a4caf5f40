from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from akash_gradio import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = [ROOT / "Dockerfile", ROOT / "deploy" / "Dockerfile.lb"]
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    done = subprocess.run([HADOLINT, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_planted_errors(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN apt-get install curl\n")
    done = subprocess.run([HADOLINT, str(planted)], capture_output=True, text=True, check=False)
    assert "DL3007" in done.stdout


def test_the_deployed_version_is_the_packages_and_in_the_changelog() -> None:
    files = [*ROOT.glob("deploy*.yml"), ROOT / "deploy" / "compose.yml"]
    tags = {
        tag for path in files for tag in re.findall(r"akash-gradio(?:-lb)?:(\S+)", path.read_text())
    }
    assert tags == {__version__}
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_image_stops_on_sigterm_and_runs_as_an_unprivileged_user() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "USER 1000" in text
    assert 'CMD ["python", "app.py"]' in text  # a JSON array: Python itself gets the signal


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda p: p.name)
def test_the_scripts_are_executable_and_portable(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert script.stat().st_mode & 0o111


def test_the_image_stores_everything_on_one_volume() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "VOLUME /data\n" in text
    for variable in ("CACHE_DIR", "DATA_DIR"):
        assert f"{variable}=/data" in text


def test_composed_replicas_have_one_volume_and_time_to_finish() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text())
    for name in ("app-0", "app-1"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["volumes"] == ["cache:/data"]
        assert service["cap_drop"] == ["ALL"]
        assert int(service["stop_grace_period"].rstrip("s")) > 20
    for service in compose["services"].values():
        assert "image" in service or "build" in service
