"""Runs a real nginx in front of the program, as in a deployment."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.browser.servers import ROOT, App, free_port, wait_until

NGINX: Final = shutil.which("nginx") or "/usr/sbin/nginx"


@contextmanager
def running_nginx(folder: Path, *apps: App, path: str = "/") -> Iterator[str]:
    """Run nginx with `deploy/nginx.conf`, with other file paths, ports and replicas.

    Args:
        folder: For its files.
        apps: The replicas.
        path: The path of the page, with a slash at both ends; nginx removes it.
    """
    port = free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for number, app in enumerate(apps):
        text = text.replace(f"app-{number}:7860", app.url.removeprefix("http://"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/", f"{folder}/")
    text = text.replace("location / {", f"location {path} {{")
    text = text.replace("proxy_pass http://replicas;", "proxy_pass http://replicas/;")
    text = text.replace("/dev/stderr", f"{folder}/error.log")
    conf = folder / "nginx.conf"
    conf.write_text(text)
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(conf), "-g", "daemon off;"])
    try:
        wait_until(lambda: _listens(process, port), 20, "nginx listening")
        yield f"http://127.0.0.1:{port}{path.rstrip('/')}"
    finally:
        process.send_signal(signal.SIGQUIT)
        process.terminate()
        process.wait(10)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "nginx ended; its messages are in error.log"
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
