"""The line on the terminal about how far the embedded model is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

from akash_gradio.domain.progress import Progress, Stage

OnProgress: TypeAlias = Callable[[Progress], None]

_SAYS: Final[dict[Stage, str]] = {
    Stage.WAITING: "Embedded model: waiting",
    Stage.FETCHING: "Embedded model: fetching the weights",
    Stage.CHECKING: "Embedded model: checking the weights",
    Stage.LOADING: "Embedded model: loading",
    Stage.READY: "Embedded model: ready",
    Stage.RESTARTING: "Embedded model: it stopped, starting it again",
    Stage.UNAVAILABLE: "Embedded model: unavailable",
}


def terminal_progress(stream: TextIO | None = None) -> OnProgress:
    """A function that writes progress to `stream` (standard error when None).

    On a terminal one line is rewritten; elsewhere a line is written for each stage and
    for each tenth of the download.
    """
    out = sys.stderr if stream is None else stream
    rewrite = out.isatty()
    last = ""
    width = 0

    def show(progress: Progress) -> None:
        nonlocal last, width
        line = _line(progress)
        mark = line if rewrite else _mark(progress)
        if mark == last:
            return
        last = mark
        if not rewrite:
            out.write(line + "\n")
        else:
            settled = progress.stage in (Stage.READY, Stage.UNAVAILABLE)
            out.write("\r" + line.ljust(width) + ("\n" if settled else ""))
            width = 0 if settled else len(line)
        out.flush()

    return show


def _mark(progress: Progress) -> str:
    """Two progresses with the same mark need one line only."""
    tenth = _percent(progress) // 10
    return f"{progress.stage} {tenth} {progress.reason} {progress.detail}"


def _percent(progress: Progress) -> int:
    if not progress.total_bytes:
        return 0
    return min(100, 100 * progress.done_bytes // progress.total_bytes)


def _line(progress: Progress) -> str:
    says = _SAYS[progress.stage]
    if progress.reason:
        return f"{says} ({progress.reason}) {progress.detail}".rstrip()
    if progress.stage is not Stage.FETCHING or not progress.done_bytes:
        return says
    done_mb = progress.done_bytes // 1_000_000
    if not progress.total_bytes:
        return f"{says}, {done_mb} MB"
    total_mb = progress.total_bytes // 1_000_000
    return f"{says}, {done_mb} of {total_mb} MB ({_percent(progress)} %)"
