"""Tests a started image: it responds, stores a vote, and finishes a running answer on SIGTERM.

    python3 deploy/try_image.py COMMAND…

COMMAND starts the image with this process's API_ENDPOINT and GRADIO_SERVER_PORT on the host's
network: `docker run --rm --read-only --tmpfs /tmp -v akash-gradio:/data --network host
-e API_ENDPOINT -e GRADIO_SERVER_PORT -e EMBEDDED=off akash-gradio`, or deploy/start_unpacked.sh.
Uses the standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

WORDS = 8
WORD_S = 1.0
START_TIMEOUT_S = 120.0
EXIT_MARGIN_S = 10


class Endpoint(BaseHTTPRequestHandler):
    """An endpoint that streams one word per second."""

    def do_GET(self) -> None:
        """Send the model list."""
        self._send_head("application/json")
        models = [{"id": "slow"}, {"id": "other"}]
        self.wfile.write(json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self) -> None:
        """Stream an answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self._send_head("text/event-stream")
        for number in range(WORDS):
            delta = {"choices": [{"index": 0, "delta": {"content": f"word-{number} "}}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            time.sleep(WORD_S)
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _send_head(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.end_headers()


def main(command: list[str]) -> None:
    """Start the image, test it and end it; exits with a message if a test fails."""
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    port = _free_port()
    variables = {
        "API_ENDPOINT": f"http://127.0.0.1:{endpoint.server_port}/v1",
        "GRADIO_SERVER_PORT": str(port),
    }
    started_at = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **variables})
    try:
        _test(process, f"http://127.0.0.1:{port}", started_at)
    finally:
        process.kill()


def _test(process: subprocess.Popen[bytes], url: str, started_at: float) -> None:
    while (health := _health(url)) is None:
        if process.poll() is not None or time.monotonic() - started_at > START_TIMEOUT_S:
            sys.exit("The image did not start.")
        time.sleep(0.2)
    print(f"/healthz responded with {health} after {time.monotonic() - started_at:.1f} s")
    status = Path(f"/proc/{process.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    memory_mb = int(facts["VmRSS"].split()[0]) // 1024
    print(f"The process runs as user {facts['Uid'].split()[0]} with {memory_mb} MB of memory")

    vote = {"id": "v1", "when": "2026-11-26T04:00:00Z", "a": "slow", "b": "other", "outcome": "a"}
    with urlopen(_post(f"{url}/page/compare/votes", {"votes": [vote]}), timeout=10) as response:
        if json.load(response) != {"kept": True}:
            sys.exit("The image can't store a vote in DATA_DIR.")
    body = {"model": "slow", "turns": [{"role": "user", "text": "Count"}]}
    with urlopen(_post(f"{url}/page/reply", body), timeout=60) as response:
        events = response.readline()
        process.send_signal(signal.SIGTERM)
        signaled_at = time.monotonic()
        events += response.read()
    if f"word-{WORDS - 1}".encode() not in events or b'"type":"done"' not in events:
        sys.exit("SIGTERM cut off the answer.")
    exit_status = process.wait(30)
    waited_s = time.monotonic() - signaled_at
    print(f"The answer finished; exit status {exit_status} {waited_s:.1f} s after SIGTERM")
    if exit_status != 0 or waited_s > WORDS * WORD_S + EXIT_MARGIN_S:
        sys.exit("The image did not exit as it should.")


def _post(url: str, body: object) -> Request:
    return Request(url, json.dumps(body).encode(), {"content-type": "application/json"})


def _health(url: str) -> int | None:
    try:
        with urlopen(f"{url}/healthz", timeout=2) as response:
            return int(response.status)
    except (URLError, OSError):
        return None


def _free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
