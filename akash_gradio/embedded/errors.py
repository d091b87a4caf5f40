"""Why the embedded model can't run, as codes; the page and the terminal have the texts."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The causes that the operator can fix."""

    NO_WHEEL = "no_wheel"
    """xllamacpp can't be imported: it isn't available for this platform, or isn't installed."""
    NO_LIBGOMP = "no_libgomp"
    """The system library libgomp.so.1 is missing."""
    NO_AVX2 = "no_avx2"
    """The processor lacks instructions that llama.cpp was built for."""
    NO_PIP = "no_pip"
    """This Python environment has no pip, which downloads the weights."""
    DOWNLOAD_FAILED = "download_failed"
    """The package index or the hub couldn't be reached, or the connection was lost."""
    HASH_MISMATCH = "hash_mismatch"
    """The downloaded file isn't the pinned one."""
    DISK_FULL = "disk_full"
    CACHE_UNWRITABLE = "cache_unwritable"
    """CACHE_DIR isn't writable."""
    NOT_FOUND = "not_found"
    """EMBEDDED_MODEL names a file that doesn't exist."""
    NOT_A_MODEL = "not_a_model"
    """The file isn't a .gguf file, or EMBEDDED_MODEL has none of its forms."""
    LOAD_FAILED = "load_failed"
    """llama.cpp can't load the file."""
    KEEPS_CRASHING = "keeps_crashing"
    """The server crashed too often in a short time."""


class EmbeddedUnavailable(Exception):
    """The embedded model can't run.

    Attributes:
        reason: The cause.
        detail: A path, a library, or llama.cpp's own message; at most 300 characters, "" when
            there is nothing to add.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason, self.detail = reason, detail[:300]
