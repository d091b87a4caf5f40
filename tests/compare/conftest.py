"""A PostgreSQL server for the tests of vote stores."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.servers import free_port

PLANTED = "planted-Zq81xTnpW0"
"""A password that must not appear in any message."""


def program(name: str) -> str:
    """Return the path of a PostgreSQL program, which Debian keeps off the search path."""
    paths = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(paths[-1]) if paths else name


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a PostgreSQL server on a loopback port."""
    folder = Path(tempfile.mkdtemp(prefix="akash-postgres-"))
    options: dict[str, Any] = {"cwd": folder}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        options["user"] = "postgres"
    data, port = folder / "data", free_port()
    make = [program("initdb"), "-D", str(data), "-U", "ann", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, **options)
    serve = f"-c listen_addresses=127.0.0.1 -c fsync=off -p {port} -k {folder}"
    control = [program("pg_ctl"), "-D", str(data), "-w"]
    log = ["-l", str(folder / "log")]
    subprocess.run([*control, *log, "-o", serve, "start"], check=True, timeout=60, **options)
    try:
        yield f"postgresql://ann:{PLANTED}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **options)
        shutil.rmtree(folder)
