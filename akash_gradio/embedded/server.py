"""A child program that runs the model: llama.cpp's server, through xllamacpp.

Run as `python -m akash_gradio.embedded.server`, or by its path: it imports nothing of this
package, so that it starts fast. It reads one line of JSON from standard input (`Parameters`) and
writes one to standard output: `{"url": "http://127.0.0.1:40000"}` when the model is loaded, or
`{"error": "load_failed", "detail": "…"}`. It exits when its standard input closes, so it never
outlives its parent.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import Any, TextIO, TypedDict


class Parameters(TypedDict):
    """What the parent process sends.

    Attributes:
        api_key: Required from every client, so that no other user of the machine can use the
            model.
        n_ctx: Context in tokens, divided among the n_parallel slots.
        n_predict: Maximum length of an answer in tokens where a request sets none; -1 for the
            whole context.
        repeat_penalty: Default penalty for repeated tokens; 1 has no effect.
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
    """Serve until standard input closes. Return the exit status, 1 if the model wasn't loaded."""
    # Python's handlers run only after C++ code returns, and that of SIGINT prints a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    results = _take_stdout()
    line = _first_line()
    if not line:
        return 0
    try:
        server = start(json.loads(line))
    except ImportError as error:
        _write_result(results, error=import_reason(str(error)), detail=str(error))
        return 1
    except Exception as error:  # C++ may throw anything; its standard error has details
        _write_result(results, error="load_failed", detail=str(error))
        return 1
    _write_result(results, url=server.listening_address)
    while os.read(0, 65_536):
        pass
    # Don't join llama.cpp's threads: during an answer that can take seconds.
    os._exit(0)


def start(parameters: Parameters) -> Any:
    """Load the model and serve it on a free loopback port; return when it accepts requests."""
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
    params.verbosity = 1  # log errors: only the log has the reason why a file can't be loaded
    return xllamacpp.Server(params)


def import_reason(message: str) -> str:
    """Return the reason for an ImportError of xllamacpp, from the dynamic loader's message."""
    return "no_libgomp" if re.search(r"\blibgomp\b", message) else "no_wheel"


def _take_stdout() -> TextIO:
    """Reserve standard output for the result; what C++ code prints goes to standard error."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return results


def _first_line() -> bytes:
    """Read without a buffer, so that later reads see the end of the input."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            return b""
        line += piece
    return line


def _write_result(results: TextIO, **fields: str) -> None:
    results.write(json.dumps(fields) + "\n")
    results.flush()


if __name__ == "__main__":
    sys.exit(main())
