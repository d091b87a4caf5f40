"""OpenAI's Node SDK against `/v1`."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api.examples import output_of, read_example, served_model
from tests.api.serving import LONG_TIMEOUTS, serving
from tests.stubs import StubEndpoint, entry, settings_for, wire

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]
SDK = "openai@6"
SCRIPT = Path(__file__).with_name("client.mjs")


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """Return a folder with the SDK and the script."""
    npm = shutil.which("npm")
    assert npm, "The Node SDK's test needs npm: apt-get install nodejs npm, or -m 'not node'"
    folder = ROOT / "build" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "openai").exists():
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(
            [npm, "install", *options, "--prefix", str(folder), SDK],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"npm could not install {SDK}: {done.stderr[-500:]}"
    shutil.copy(SCRIPT, folder / SCRIPT.name)
    return folder


async def test_the_node_sdk_works_with_misbehaving_endpoints(node_folder: Path) -> None:
    names = {"status_500": "m", "perfect": "m", "status_422": "refuses"}
    names |= {"cuts_in_the_middle": "breaks", "hangs_in_the_middle": "hangs"}
    stubs = {name: StubEndpoint(name) for name in names}
    for stub in stubs.values():
        await stub.__aenter__()
    try:
        entries = [
            entry(stub, name=name, models=[names[name]], weight=9 if name == "status_500" else 1)
            for name, stub in stubs.items()
        ]
        async with serving(settings_for(*entries, RETRY_ATTEMPTS=1, **LONG_TIMEOUTS)) as served:
            process = await asyncio.create_subprocess_exec(
                "node", SCRIPT.name, served.url, cwd=node_folder,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            stdout, stderr = await process.communicate()
            assert process.returncode == 0, stderr.decode()
            await stubs["hangs_in_the_middle"].wait_for_idle()
    finally:
        for stub in stubs.values():
            await stub.__aexit__()
    results = json.loads(stdout)
    assert results["whole"] == results["streamed"] == wire.TEXT
    assert results["endpoint"] == "perfect"
    assert results["request_id"]
    assert results["usage"] == wire.USAGE
    assert sorted(results["models"]) == sorted(set(names.values()))
    assert results["one"] == "m"
    assert results["errors"] == {
        "unknown": ["NotFoundError", 404, "model_not_found"],
        "bad": ["BadRequestError", 400, None],
        "refused": ["UnprocessableEntityError", 422, None],
        "broken": ["APIError", None, "reply_interrupted"],
    }
    assert results["disconnected"]


async def test_the_documented_example_streams(node_folder: Path) -> None:
    async with served_model() as served:
        program = node_folder / "example.mjs"
        program.write_text(read_example("js", "openai", served.url), encoding="utf-8")
        text = await output_of("node", program.name, url=served.url, folder=node_folder)
    assert text == wire.TEXT
