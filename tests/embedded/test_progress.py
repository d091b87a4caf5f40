from __future__ import annotations

import io

from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded.progress import terminal_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def downloading(done: int) -> Progress:
    return Progress(stage=Stage.FETCHING, done_bytes=done * 1_000_000, total_bytes=100_000_000)


def test_in_a_log_each_tenth_is_one_line() -> None:
    log = io.StringIO()
    show = terminal_progress(log)
    for done in range(101):
        show(downloading(done))
    lines = log.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[5] == "Embedded model: downloading the weights, 50 of 100 MB (50 %)"


def test_on_a_terminal_one_line_is_rewritten() -> None:
    terminal = Terminal()
    show = terminal_progress(terminal)
    for done in range(101):
        show(downloading(done))
    assert terminal.getvalue().count("\n") == 0
    assert terminal.getvalue().count("\r") == 101


def test_a_shorter_line_covers_the_longer_one_before_it() -> None:
    terminal = Terminal()
    show = terminal_progress(terminal)
    show(downloading(50))
    before = len(terminal.getvalue())
    show(Progress(stage=Stage.READY))
    last = terminal.getvalue()[before:]
    assert last.endswith("\n")
    assert len(last) >= before


def test_the_same_progress_twice_is_one_line() -> None:
    log = io.StringIO()
    show = terminal_progress(log)
    show(Progress(stage=Stage.LOADING))
    show(Progress(stage=Stage.LOADING))
    assert log.getvalue() == "Embedded model: loading\n"


def test_the_reason_of_a_failure_is_named() -> None:
    log = io.StringIO()
    unavailable = Progress(
        stage=Stage.UNAVAILABLE, reason="no_libgomp", detail="apt-get install it"
    )
    terminal_progress(log)(unavailable)
    assert log.getvalue() == "Embedded model: unavailable (no_libgomp) apt-get install it\n"


def test_a_download_of_unknown_size_has_no_percentage() -> None:
    log = io.StringIO()
    terminal_progress(log)(Progress(stage=Stage.FETCHING, done_bytes=3_000_000, total_bytes=0))
    assert log.getvalue() == "Embedded model: downloading the weights, 3 MB\n"
