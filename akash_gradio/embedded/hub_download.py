"""A child program that downloads one file from the Hugging Face hub.

Run as `python -m akash_gradio.embedded.hub_download org/repo file.gguf cache_dir`, or by its path.
It prints lines `Progress x of y` (bytes) as pip does, and at the end one line of JSON:
`{"path": "…"}` or `{"error": "not_found", "detail": "…"}`. It is a process of its own because a
download in a thread can't be cancelled.
"""

from __future__ import annotations

import errno
import json
import sys
from typing import Any


def main(repo: str, filename: str, cache_dir: str) -> int:
    """Download the file, print its path, and return the exit status."""
    try:
        result = {"path": download(repo, filename, cache_dir)}
    except Exception as error:  # the hub's errors have no common base class
        reason = _reason(error)
        result = {"error": reason, "detail": f"{repo}/{filename} ({type(error).__name__})"}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if "path" in result else 1


def download(repo: str, filename: str, cache_dir: str) -> str:
    """Download a file of a repository unless it is in the cache.

    Args:
        repo: The repository, such as `org/model`.
        filename: The path of the file in the repository.
        cache_dir: The folder of the hub's cache.

    Returns:
        The path of the file in the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    class PrintedProgress(tqdm):
        """A progress bar that prints lines."""

        def update(self, n: float | None = 1) -> bool | None:
            """Print the progress."""
            self.n += n or 0
            sys.stdout.write(f"Progress {int(self.n)} of {int(self.total or 0)}\n")
            sys.stdout.flush()
            return None

        def display(self, *_args: Any, **_kwargs: Any) -> bool | None:
            """Do nothing: `update` prints."""
            return None

    return str(hf_hub_download(repo, filename, cache_dir=cache_dir, tqdm_class=PrintedProgress))


def _reason(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError):  # the hub's name for "no connection"
        return "download_failed"
    if isinstance(error, errors.RepositoryNotFoundError | errors.EntryNotFoundError):
        return "not_found"
    if isinstance(error, errors.HFValidationError):
        return "not_a_model"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    return "download_failed"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
