"""Locks between processes: files that the operating system unlocks when their process ends."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Self


class FileLock:
    """An exclusive lock, held from `acquire` to `release` or to the end of the process.

    It belongs to a file of its own, not to the data: closing any descriptor of an SQLite file
    would release SQLite's locks on it. Source: sqlite.org/howtocorrupt.html, 2.2.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self._mutex = threading.Lock()

    @classmethod
    def acquire(cls, path: Path) -> Self | None:
        """Lock a file, which is created if it doesn't exist. It never waits.

        Returns:
            The lock, None while it is held, also by this process.

        Raises:
            OSError: The file can't be created, or its file system has no locks.
        """
        import fcntl  # not on Windows, where the rest of the package can be imported

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            descriptor = os.open(path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return cls(path, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its former holder has removed it meanwhile

    def write(self, content: bytes) -> None:
        """Replace the content of the file, which other processes can read.

        Raises:
            OSError: For example, the disk is full, or the lock was released.
        """
        with self._mutex:
            if self._descriptor < 0:
                raise OSError(errno.EBADF, "the lock was released")
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, content, 0)

    def release(self) -> None:
        """Remove the file and unlock it; again has no effect."""
        with self._mutex:
            if self._descriptor >= 0:
                self._path.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = -1


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
