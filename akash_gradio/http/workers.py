"""Several worker processes that serve one port, and the process that restarts them.

Each worker listens on a socket of its own, bound with SO_REUSEPORT, between which the system
spreads new connections. The supervisor keeps the sockets open: connections that arrive while a
worker is being restarted wait for the new one.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn, TypeAlias

Sockets: TypeAlias = Sequence[socket.socket]
BACKLOG: Final = 2048
MIN_LIFE_S: Final = 5.0
"""A worker that ends sooner is restarted after a pause."""
RESTART_PAUSE_S: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1

logger = logging.getLogger(__name__)


def bind_sockets(host: str, port: int, workers: int) -> list[Sockets]:
    """Return the listening sockets of each worker: one for each address of the host.

    Raises:
        OSError: No address can be listened on.
    """
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    addresses = [(family, address) for family, _, _, _, address in dict.fromkeys(found)]
    usable, failure = [], OSError("no address")
    for family, address in addresses:
        try:
            _bind(family, address).close()
        except OSError as error:  # "localhost" may have an IPv6 address that this machine lacks
            failure = error
        else:
            usable.append((family, address))
    if not usable:
        raise failure
    return [[_bind(family, address) for family, address in usable] for _ in range(workers)]


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class Supervisor:
    """Starts workers, restarts those that end, and passes SIGTERM and Ctrl+C on.

    Args:
        sockets: The listening sockets of each worker.
        serve: Serves in a worker until it is signaled: its number, from 1, and its sockets.
    """

    def __init__(self, sockets: Sequence[Sockets], serve: Callable[[int, Sockets], None]) -> None:
        self._sockets, self._serve = sockets, serve
        self._workers: dict[int, tuple[int, float]] = {}
        """Number and start of each worker, by its process id."""
        self._stopping = False

    def run(self) -> None:
        """Block until SIGTERM or Ctrl+C, and until every worker has ended then."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for worker in range(1, len(self._sockets) + 1):
            self._start(worker)
        while self._workers:
            pid, status = os.wait()
            worker, started_at = self._workers.pop(pid, (0, 0.0))
            if self._stopping or not worker:
                continue
            code = os.waitstatus_to_exitcode(status)
            logger.warning("worker.restarted", extra={"worker": worker, "outcome": code})
            if time.monotonic() - started_at < MIN_LIFE_S:
                time.sleep(RESTART_PAUSE_S)
            self._start(worker)

    def _start(self, worker: int) -> None:
        if self._stopping:
            return
        pid = os.fork()
        if not pid:
            self._run_worker(worker)
        self._workers[pid] = worker, time.monotonic()
        if self._stopping:  # the signal was received before the process was known
            os.kill(pid, signal.SIGTERM)

    def _run_worker(self, worker: int) -> NoReturn:
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            _end_with_parent()
            for other, sockets in enumerate(self._sockets, start=1):
                if other != worker:
                    _close(sockets)
            self._serve(worker, self._sockets[worker - 1])
            status = 0
        except KeyboardInterrupt:
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # the process ends here, so it is reported here
            logger.error("worker.failed", extra={"worker": worker, "outcome": type(error).__name__})
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for sockets in self._sockets:  # a new connection would wait in vain
            _close(sockets)
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _close(sockets: Sockets) -> None:
    for listener in sockets:
        listener.close()


def _end_with_parent() -> None:
    """Let Linux end this process when the supervisor is killed."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
