from __future__ import annotations

import io

import pytest

from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.embedded.progress import terminal_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fetching(done: int) -> Progress:
    return Progress(stage=Stage.FETCHING, done_bytes=done * 1_000_000, total_bytes=100_000_000)


def test_a_log_gets_one_line_for_each_tenth():
    log = io.StringIO()
    show = terminal_progress(log)
    for done in range(101):
        show(fetching(done))
    lines = log.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[5] == "Embedded model: fetching the weights, 50 of 100 MB (50 %)"


def test_a_terminal_gets_one_line_that_is_rewritten():
    terminal = Terminal()
    show = terminal_progress(terminal)
    for done in range(101):
        show(fetching(done))
    assert terminal.getvalue().count("\n") == 0
    assert terminal.getvalue().count("\r") == 101


def test_a_shorter_line_covers_the_longer_one_before_it():
    terminal = Terminal()
    show = terminal_progress(terminal)
    show(fetching(50))
    before = len(terminal.getvalue())
    show(Progress(stage=Stage.READY))
    last = terminal.getvalue()[before:]
    assert last.endswith("\n")
    assert len(last) >= before


def test_the_same_progress_twice_is_one_line():
    log = io.StringIO()
    show = terminal_progress(log)
    show(Progress(stage=Stage.LOADING))
    show(Progress(stage=Stage.LOADING))
    assert log.getvalue() == "Embedded model: loading\n"


def test_what_is_wrong_is_named():
    log = io.StringIO()
    unavailable = Progress(
        stage=Stage.UNAVAILABLE, reason="no_libgomp", detail="apt-get install it"
    )
    terminal_progress(log)(unavailable)
    assert log.getvalue() == "Embedded model: unavailable (no_libgomp) apt-get install it\n"


@pytest.mark.parametrize("total", [None, 0])
def test_a_download_of_unknown_size_counts_without_percent(total):
    log = io.StringIO()
    terminal_progress(log)(Progress(stage=Stage.FETCHING, done_bytes=3_000_000, total_bytes=total))
    assert log.getvalue() == "Embedded model: fetching the weights, 3 MB\n"
