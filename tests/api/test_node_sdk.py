"""OpenAI's Node SDK against `/v1`."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api.examples import said, served_model, written
from tests.api.serving import LONG_TIMEOUTS, serving
from tests.stubs import StubEndpoint, entry, settings_for, wire

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]
SDK = "openai@6"
SCRIPT = Path(__file__).with_name("client.mjs")


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """A folder with the SDK installed and the script in it."""
    npm = shutil.which("npm")
    assert npm, "the Node SDK's test needs npm: apt-get install nodejs npm, or -m 'not node'"
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


async def test_the_node_sdk_notices_nothing(node_folder: Path) -> None:
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
            out, told = await process.communicate()
            assert process.returncode == 0, told.decode()
            await stubs["hangs_in_the_middle"].wait_for_idle()
    finally:
        for stub in stubs.values():
            await stub.__aexit__()
    seen = json.loads(out)
    assert seen["whole"] == seen["streamed"] == wire.TEXT
    assert seen["endpoint"] == "perfect"
    assert seen["request_id"]
    assert seen["usage"] == wire.USAGE
    assert sorted(seen["models"]) == sorted(set(names.values()))
    assert seen["one"] == "m"
    assert seen["errors"] == {
        "unknown": ["NotFoundError", 404, "model_not_found"],
        "bad": ["BadRequestError", 400, None],
        "refused": ["UnprocessableEntityError", 422, None],
        "broken": ["APIError", None, "reply_interrupted"],
    }
    assert seen["left"]


async def test_the_documented_example_streams(node_folder: Path) -> None:
    async with served_model() as served:
        program = node_folder / "example.mjs"
        program.write_text(written("js", "openai", served.url), encoding="utf-8")
        heard = await said("node", program.name, url=served.url, folder=node_folder)
    assert heard == wire.TEXT
