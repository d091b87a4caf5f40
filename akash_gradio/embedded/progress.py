"""Prints the progress of the embedded model on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

from akash_gradio.domain.progress import Progress, Stage

OnProgress: TypeAlias = Callable[[Progress], None]

_STAGE_TEXTS: Final[dict[Stage, str]] = {
    Stage.WAITING: "Embedded model: waiting",
    Stage.FETCHING: "Embedded model: downloading the weights",
    Stage.CHECKING: "Embedded model: verifying the weights",
    Stage.LOADING: "Embedded model: loading",
    Stage.READY: "Embedded model: ready",
    Stage.RESTARTING: "Embedded model: stopped unexpectedly, restarting",
    Stage.UNAVAILABLE: "Embedded model: unavailable",
}


def terminal_progress(stream: TextIO | None = None) -> OnProgress:
    """Return a function that writes progress to a stream, standard error by default.

    On a terminal one line is rewritten; elsewhere one line is written for each stage and for each
    tenth of the download.
    """
    out = sys.stderr if stream is None else stream
    rewrite = out.isatty()
    last = ""
    width = 0

    def show(progress: Progress) -> None:
        nonlocal last, width
        line = _line(progress)
        key = line if rewrite else _key(progress)
        if key == last:
            return
        last = key
        if not rewrite:
            out.write(line + "\n")
        else:
            final = progress.stage in (Stage.READY, Stage.UNAVAILABLE)
            out.write("\r" + line.ljust(width) + ("\n" if final else ""))
            width = 0 if final else len(line)
        out.flush()

    return show


def _key(progress: Progress) -> str:
    """Return a key that is equal for progress values that are reported in one line."""
    tenth = _percent(progress) // 10
    return f"{progress.stage} {tenth} {progress.reason} {progress.detail}"


def _percent(progress: Progress) -> int:
    if not progress.total_bytes:
        return 0
    return min(100, 100 * progress.done_bytes // progress.total_bytes)


def _line(progress: Progress) -> str:
    text = _STAGE_TEXTS[progress.stage]
    if progress.reason:
        return f"{text} ({progress.reason}) {progress.detail}".rstrip()
    if progress.stage is not Stage.FETCHING or not progress.done_bytes:
        return text
    done_mb = progress.done_bytes // 1_000_000
    if not progress.total_bytes:
        return f"{text}, {done_mb} MB"
    total_mb = progress.total_bytes // 1_000_000
    return f"{text}, {done_mb} of {total_mb} MB ({_percent(progress)} %)"
