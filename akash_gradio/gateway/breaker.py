"""The circuit breaker of an endpoint.

closed ── 3 failures in a row, or 10 of the last 20 ──> open
open ── its pause is over (5 s, doubled up to 5 min) ──> half-open: one probe
half-open ── the probe's first token ──> closed      ── the probe failed ──> open
"""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_FAILURES_IN_A_ROW: Final = 3
WINDOW: Final = 20
MAX_FAILURES_IN_WINDOW: Final = 10
FIRST_PAUSE_S: Final = 5.0
MAX_PAUSE_S: Final = 300.0
PROBE_POLL_S: Final = 0.25
"""How soon to check again while another request's probe is in flight."""


class Breaker:
    """Live state of one endpoint's health. `now` is a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._open_until: float | None = None
        self._resting_until = 0.0
        self._probing = False
        self._failures_in_a_row = 0
        self._window: deque[bool] = deque(maxlen=WINDOW)
        self._pause_s = FIRST_PAUSE_S

    @property
    def open(self) -> bool:
        """Whether it is open or half-open."""
        return self._open_until is not None

    def resting(self, now: float) -> bool:
        """Return whether a pause that the endpoint requested is still running."""
        return now < self._resting_until

    def ready(self, now: float) -> bool:
        """Return whether a request may be sent now, perhaps as a probe."""
        return self.ready_in_s(now) == 0.0

    def ready_in_s(self, now: float) -> float:
        """Return the seconds until a request may be sent, 0 when it may be sent now."""
        if self._probing:
            return PROBE_POLL_S
        until = max(self._resting_until, self._open_until or 0.0)
        return max(0.0, until - now)

    def begin(self) -> bool:
        """Count a request that is sent now.

        Returns:
            Whether it is the probe. Pass this value to the method that records its outcome.
        """
        probe = self.open and not self._probing
        self._probing = self._probing or probe
        return probe

    def first_token(self, probe: bool) -> None:
        """Record a first token; a probe's closes the breaker."""
        if probe:
            self._close()

    def succeeded(self) -> None:
        """Record a complete answer. Ignored while open: only the probe's first token counts."""
        if self.open:
            return
        self._failures_in_a_row = 0
        self._window.append(True)
        self._pause_s = FIRST_PAUSE_S

    def failed(self, now: float, probe: bool, *, at_once: bool = False) -> None:
        """Record a failed attempt or an interrupted answer.

        While open only the probe's failure counts: the other requests were sent before.

        Args:
            at_once: Open without counting failures.
        """
        if self.open:
            if probe and self._probing:
                self._open(now)
            return
        self._failures_in_a_row += 1
        self._window.append(False)
        in_a_row, in_window = self._failures_in_a_row, self._window.count(False)
        if at_once or in_a_row >= MAX_FAILURES_IN_A_ROW or in_window >= MAX_FAILURES_IN_WINDOW:
            self._open(now)

    def alive(self, probe: bool) -> None:
        """Record a response that is neither an answer nor a failure (429, 404, a rejection)."""
        if probe:
            self._close()

    def abandoned(self, probe: bool) -> None:
        """Record the end of a probe without an outcome; the next request becomes the probe."""
        if probe:
            self._probing = False

    def rest(self, now: float, seconds: float) -> None:
        """Pause as the endpoint requested. Neither opens the breaker nor shortens a pause."""
        self._resting_until = max(self._resting_until, now + seconds)

    def _open(self, now: float) -> None:
        """Open; each pause is twice the one before, until an answer is complete."""
        self._open_until = now + self._pause_s
        self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2)
        self._reset_counts()

    def _close(self) -> None:
        self._open_until = None
        self._reset_counts()

    def _reset_counts(self) -> None:
        self._probing = False
        self._failures_in_a_row = 0
        self._window.clear()
