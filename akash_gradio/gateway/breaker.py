"""Takes an endpoint that fails out of the choice, and lets it back carefully.

closed ── 3 failures in a row, or 10 of the last 20 ──> open
open ── its rest is over (5 s, doubled to 5 min) ──> half-open: one probe
half-open ── the probe's first token ──> closed      ── the probe failed ──> open
"""

from __future__ import annotations

from collections import deque
from typing import Final

FAILURES_IN_A_ROW: Final = 3
WINDOW: Final = 20
FAILURES_IN_WINDOW: Final = 10
FIRST_REST_S: Final = 5.0
LONGEST_REST_S: Final = 300.0
PROBE_LOOK_S: Final = 0.25
"""How soon to look again while another request's probe is under way."""


class Breaker:
    """Live state of one endpoint's health. All times are `now` of one monotonic clock, seconds."""

    def __init__(self) -> None:
        self._open_until: float | None = None
        self._resting_until = 0.0
        self._probing = False
        self._row = 0
        self._window: deque[bool] = deque(maxlen=WINDOW)
        self._rest_s = FIRST_REST_S

    @property
    def open(self) -> bool:
        """Open or half-open: not trusted now."""
        return self._open_until is not None

    def resting(self, now: float) -> bool:
        """True while a pause that the endpoint asked for lasts."""
        return now < self._resting_until

    def ready(self, now: float) -> bool:
        """Whether a request may be sent now, as a probe perhaps."""
        return self.ready_in_s(now) == 0.0

    def ready_in_s(self, now: float) -> float:
        """Seconds until a request may be sent, 0 when it may now."""
        if self._probing:
            return PROBE_LOOK_S
        until = max(self._resting_until, self._open_until or 0.0)
        return max(0.0, until - now)

    def begin(self) -> bool:
        """A request is sent. Returns True when it is the probe; hand that back at its end."""
        probe = self.open and not self._probing
        self._probing = self._probing or probe
        return probe

    def first_token(self, probe: bool) -> None:
        """The endpoint began to answer; a probe's closes the breaker."""
        if probe:
            self._close()

    def succeeded(self) -> None:
        """An answer came whole. (While open only the probe's first token counts.)"""
        if self.open:
            return
        self._row = 0
        self._window.append(True)
        self._rest_s = FIRST_REST_S

    def failed(self, now: float, probe: bool, *, at_once: bool = False) -> None:
        """An attempt failed, or an answer broke off. at_once: open without counting.

        While open only the probe's failure counts: the others were sent before.
        """
        if self.open:
            if probe and self._probing:
                self._open(now)
            return
        self._row += 1
        self._window.append(False)
        row, window = self._row, self._window.count(False)
        if at_once or row >= FAILURES_IN_A_ROW or window >= FAILURES_IN_WINDOW:
            self._open(now)

    def alive(self, probe: bool) -> None:
        """It answered, though not with an answer (429, 404, a refused request): no failure."""
        if probe:
            self._close()

    def abandoned(self, probe: bool) -> None:
        """The caller left before anything was known; the next request probes again."""
        if probe:
            self._probing = False

    def rest(self, now: float, seconds: float) -> None:
        """The endpoint asked for a pause. Doesn't open the breaker, shortens no longer rest."""
        self._resting_until = max(self._resting_until, now + seconds)

    def _open(self, now: float) -> None:
        """Each opening rests twice as long as the last one, until an answer comes whole."""
        self._open_until = now + self._rest_s
        self._rest_s = min(LONGEST_REST_S, self._rest_s * 2)
        self._forget()

    def _close(self) -> None:
        self._open_until = None
        self._forget()

    def _forget(self) -> None:
        self._probing = False
        self._row = 0
        self._window.clear()
