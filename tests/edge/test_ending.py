"""The real program is told to end while it answers."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.browser.endpoints import Gate, held, open_pens
from tests.browser.running import PATIENT, running_app, wait_until


def asking(url: str, model: str) -> Request:
    body = {"model": model, "turns": [{"role": "user", "text": "Count"}]}
    kind = {"content-type": "application/json"}
    return Request(f"{url}/page/reply", json.dumps(body).encode(), kind)


def test_sigterm_lets_a_running_answer_finish_and_begins_nothing_new(tmp_path: Path) -> None:
    gate = Gate()
    with open_pens(lone=1, pairs=0) as pens:
        (pen,) = pens.lone
        pen.stub.behave(held(gate, ["one "], ["two"]))
        with running_app(tmp_path, ENDPOINTS=pens.entries(), EMBEDDED="off", **PATIENT) as app:
            with urlopen(asking(app.url, pen.model), timeout=60) as answer:
                told = answer.readline()
                app.process.send_signal(signal.SIGTERM)
                wait_until(lambda: status(app.url, pen.model) == 503, 15, "new questions refused")
                gate.open()
                told += answer.read()
            assert b'"type":"done"' in told
            assert b"two" in told
            assert app.process.wait(15) == 0
            assert "Traceback" not in app.log
        assert len(pen.stub.chats) == 1


def status(url: str, model: str) -> int:
    """Of a question that nobody may begin to answer any more; it never reaches the stub."""
    try:
        with urlopen(asking(url, f"no-{model}"), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
