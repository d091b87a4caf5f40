"""The error of a file that can't be used."""

from __future__ import annotations

from akash_gradio.domain.errors import UserError


class UnreadableFile(UserError):
    """An attached file can't be used.

    The code is `file_damaged`, `file_locked` (it needs a password), `file_without_text` (a scan),
    `file_not_picture`, `file_too_many_pixels`, `file_too_heavy` (memory or time) or
    `file_reader_busy` (too many files are being read).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code, status=422)
