"""The child program that runs the model: llama.cpp's own server, through xllamacpp.

Run as `python -m akash_gradio.embedded.server`, or by its path: it imports nothing of the
package, so that it starts fast. One line of JSON comes in on standard input (`Parameters`),
one goes out on standard output: `{"url": "http://127.0.0.1:40000"}` when the model is loaded,
or `{"error": "load_failed", "detail": "…"}`. It ends when its standard input closes, and so
with its parent, however that ends.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import Any, TextIO, TypedDict


class Parameters(TypedDict):
    """What the parent sends.

    n_ctx: context in tokens, divided among the n_parallel slots. n_predict: the
    longest answer in tokens where a request names none; -1 for what the context holds.
    repeat_penalty: the default divisor of what was just said; 1 leaves it alone.
    api_key: asked of everybody who connects, so that no other user of the machine can use
    the model.
    """

    model_path: str
    alias: str
    api_key: str
    n_ctx: int
    n_parallel: int
    n_predict: int
    repeat_penalty: float
    n_threads: int


def main() -> int:
    """Serve until standard input closes. Returns the exit status, 1 when nothing was served."""
    # The interpreter's own handlers wait until C++ code returns, and SIGINT's prints a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    answers = _take_stdout()
    line = _first_line()
    if not line:
        return 0
    try:
        server = start(json.loads(line))
    except ImportError as error:
        _answer(answers, error=import_reason(str(error)), detail=str(error))
        return 1
    except Exception as error:  # whatever C++ throws: the parent reads more on standard error
        _answer(answers, error="load_failed", detail=str(error))
        return 1
    _answer(answers, url=server.listening_address)
    while os.read(0, 65_536):
        pass
    # Without the farewell of llama.cpp's threads, which can take seconds in a running answer.
    os._exit(0)


def start(parameters: Parameters) -> Any:
    """Load the model and serve it on a free loopback port; returns when it answers."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = parameters["model_path"]
    params.model_alias = {parameters["alias"]}
    params.api_keys = [parameters["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = parameters["n_ctx"]
    params.n_parallel = parameters["n_parallel"]
    params.n_predict = parameters["n_predict"]
    params.sampling.penalty_repeat = parameters["repeat_penalty"]
    params.cpuparams.n_threads = parameters["n_threads"]
    params.cpuparams_batch.n_threads = parameters["n_threads"]
    params.cache_ram_mib = 64
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1  # errors: why a file isn't taken is said nowhere else
    return xllamacpp.Server(params)


def import_reason(message: str) -> str:
    """The reason behind an ImportError of xllamacpp, from the dynamic loader's words."""
    return "no_libgomp" if re.search(r"\blibgomp\b", message) else "no_wheel"


def _take_stdout() -> TextIO:
    """Standard output for the answer alone; what C++ code prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _first_line() -> bytes:
    """Unbuffered, so that the end of the input is seen by the reads that follow."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            return b""
        line += piece
    return line


def _answer(answers: TextIO, **facts: str) -> None:
    answers.write(json.dumps(facts) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
